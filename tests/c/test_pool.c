/* test_pool.c -- the thread pool alone: each part is done once, whoever asks and whatever happened
 * before, and never later than fnn_run returns. What hangs is ended by an alarm. */
#include "suites.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__
#endif
#endif

enum { TIME_LIMIT = 120, MOST_TESTED = 16, CALLERS = 6 };

static void rest(double seconds)
{
    nanosleep(&(struct timespec){ 0, (long)(seconds * 1e9) }, NULL);
}

/* ---- counting parts ------------------------------------------------------------------------ */

typedef struct {
    _Atomic int done[FNN_MOST_THREADS], wrong;
    int parts;
    double slow;     /* seconds that part 0 takes; the next one twice that, ... */
    bool nested;     /* each part asks for parts of its own */
    long value[FNN_MOST_THREADS]; /* plain memory: the caller must see what helpers wrote */
    pthread_t by[FNN_MOST_THREADS];
} job;

static bool once_each(job *j, int parts);

static void do_part(void *j_, int part, int parts)
{
    job *j = j_;
    if (part < 0 || part >= parts || parts != j->parts) {
        j->wrong++;
        return;
    }
    if (j->slow > 0)
        rest(j->slow * (part + 1));
    job *inner = j->nested ? calloc(1, sizeof *inner) : NULL;
    if (j->nested && !(inner && once_each(inner, 3)))
        j->wrong++;
    free(inner);
    j->value[part]++;
    j->by[part] = pthread_self();
    j->done[part]++;
}

/* Whether fnn_run did every part once, and nothing else. */
static bool once_each(job *j, int parts)
{
    for (int p = 0; p < FNN_MOST_THREADS; p++) {
        j->done[p] = 0;
        j->value[p] = 0;
    }
    j->wrong = 0;
    j->parts = parts;
    fnn_run(parts, do_part, j);
    bool right = j->wrong == 0;
    for (int p = 0; p < FNN_MOST_THREADS; p++)
        right &= j->done[p] == (p < parts) && j->value[p] == (p < parts);
    return right;
}

static int repetitions(void) { return quick() ? 20 : 300; }

/* ---- parts --------------------------------------------------------------------------------- */

static void test_each_part_once(const variant *v)
{
    static job j;
    for (int time = 0; time < repetitions(); time++)
        for (int parts = 1; parts <= MOST_TESTED; parts++)
            CHECK(once_each(&j, parts), "%d parts, time %d", parts, time);
    (void)v;
}

/* By then the helpers sleep. */
static void test_after_a_pause(const variant *v)
{
    static job j;
    for (int time = 0; time < 20; time++)
        for (int parts = 2; parts <= 4; parts++) {
            rest(1e-3);
            CHECK(once_each(&j, parts), "%d parts, time %d", parts, time);
        }
    (void)v;
}

static void test_return_after_the_last_part(const variant *v)
{
    static job j = { .slow = 1e-3 };
    for (int time = 0; time < 20; time++)
        CHECK(once_each(&j, 2 + time % 3), "time %d", time);
    (void)v;
}

/* Whether part 1 is done by another thread, if not at once. */
static bool helpers_help(void)
{
    static job j;
    bool helped = false;
    j.slow = 2e-3;
    for (int time = 0; time < 500 && !helped; time++)
        helped = once_each(&j, 2) && !pthread_equal(j.by[0], j.by[1]);
    return helped;
}

static void test_helpers_help(const variant *v)
{
    CHECK(helpers_help(), "part 1 is never done by another thread");
    (void)v;
}

static void test_nested(const variant *v)
{
    static job j = { .nested = true };
    for (int time = 0; time < repetitions(); time++)
        CHECK(once_each(&j, 1 + time % 5), "time %d", time);
    (void)v;
}

static void test_as_many_as_there_may_be(const variant *v)
{
    static job j;
    const int before = fnn_get_num_threads();
    fnn_set_num_threads(100000);
    const int parts = fnn_parts(1e12);
    CHECK(parts == FNN_MOST_THREADS, "%d parts", parts);
    for (int time = 0; time < 3; time++)
        CHECK(once_each(&j, parts), "time %d", time);
    CHECK(once_each(&j, 2), "few again");
    fnn_set_num_threads(before);
    (void)v;
}

/* ---- callers ------------------------------------------------------------------------------- */

static void *call_often(void *wrong)
{
    job *j = calloc(1, sizeof *j);
    for (int time = 0; j && time < repetitions(); time++)
        for (int parts = 1; parts <= 4; parts++)
            *(int *)wrong += !once_each(j, parts);
    *(int *)wrong += !j;
    free(j);
    return NULL;
}

static void test_several_callers(const variant *v)
{
    pthread_t thread[CALLERS];
    int wrong[CALLERS] = { 0 };
    for (int t = 0; t < CALLERS; t++)
        must(pthread_create(&thread[t], NULL, call_often, &wrong[t]) == 0, "pthread_create");
    for (int t = 0; t < CALLERS; t++) {
        pthread_join(thread[t], NULL);
        CHECK(wrong[t] == 0, "caller %d: wrong %d times", t, wrong[t]);
    }
    (void)v;
}

/* ---- how many ------------------------------------------------------------------------------ */

static void test_limits(const variant *v)
{
    static const struct { int asked, had; } cases[] = {
        { 1, 1 }, { 7, 7 }, { FNN_MOST_THREADS, FNN_MOST_THREADS }, { 100000, FNN_MOST_THREADS },
        { 0, 1 }, { -5, 1 },
    };
    const int before = fnn_get_num_threads();
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        fnn_set_num_threads(cases[c].asked);
        CHECK(fnn_get_num_threads() == cases[c].had, "%d asked, %d had", cases[c].asked,
              fnn_get_num_threads());
        CHECK(fnn_parts(1e12) == cases[c].had, "%d parts", fnn_parts(1e12));
    }
    fnn_set_num_threads(before);
    (void)v;
}

static void test_parts_of_work(const variant *v)
{
    const int before = fnn_use_threads(MOST_TESTED);
    CHECK(fnn_parts(0) == 1 && fnn_parts(1.9 * FNN_PART_WORK) == 1, "little work is divided");
    CHECK(fnn_parts(2 * FNN_PART_WORK) == 2, "%d parts of two", fnn_parts(2 * FNN_PART_WORK));
    CHECK(fnn_parts(7.9 * FNN_PART_WORK) == 7, "%d of seven", fnn_parts(7.9 * FNN_PART_WORK));
    for (int threads = 1; threads <= MOST_TESTED; threads++) {
        fnn_use_threads(threads);
        for (double work = 1; work < 1e300; work *= 3) {
            const int parts = fnn_parts(work);
            CHECK(parts >= 1 && parts <= threads, "%d parts, %d threads", parts, threads);
            CHECK(parts == 1 || parts * FNN_PART_WORK <= work, "%d parts of %g", parts, work);
        }
        CHECK(fnn_parts(1e300) == threads, "not all threads for much work");
    }
    fnn_use_threads(before);
    (void)v;
}

static void *parts_elsewhere(void *parts)
{
    *(int *)parts = fnn_parts(1e12);
    fnn_use_threads(5);
    return NULL;
}

static void test_threads_of_one_thread(const variant *v)
{
    const int all = fnn_get_num_threads();
    int elsewhere = 0;
    pthread_t thread;
    fnn_set_num_threads(11);
    CHECK(fnn_use_threads(3) == 0, "something was said before");
    must(pthread_create(&thread, NULL, parts_elsewhere, &elsewhere) == 0, "pthread_create");
    pthread_join(thread, NULL);
    CHECK(elsewhere == 11, "%d parts in another thread", elsewhere);
    CHECK(fnn_parts(1e12) == 3 && fnn_get_num_threads() == 11, "it said 3, of 11");
    CHECK(fnn_use_threads(100000) == 3 && fnn_parts(1e12) == FNN_MOST_THREADS, "far too many");
    CHECK(fnn_use_threads(-1) == FNN_MOST_THREADS && fnn_parts(1e12) == 11, "fewer than none");
    CHECK(fnn_use_threads(0) == 0, "it is over");
    fnn_set_num_threads(all);
    (void)v;
}

static void test_shares(const variant *v)
{
    for (int count = 0; count <= 40; count++)
        for (int parts = 1; parts <= MOST_TESTED; parts++) {
            CHECK(fnn_share(count, 0, parts) == 0 && fnn_share(count, parts, parts) == count,
                  "%d in %d parts: not all", count, parts);
            for (int part = 0; part < parts; part++) {
                const ptrdiff_t size = fnn_share(count, part + 1, parts)
                                     - fnn_share(count, part, parts);
                CHECK(size == count / parts || size == count / parts + 1, "%d in %d parts: %td",
                      count, parts, size);
            }
        }
    (void)v;
}

/* ---- forks --------------------------------------------------------------------------------- */

#if !defined(__SANITIZE_THREAD__) /* which cannot start threads after a fork */

/* Emulators are known to fail, of themselves, in the child of a process with threads. */
static bool cannot_fork(const char *what)
{
    if (quick())
        printf("pool       %s skipped: FASTNN_TEST_QUICK is set\n", what);
    return quick();
}

/* The exit status of a child in which all is done once, by helpers of its own, and in its child too,
 * if `again`. */
static int status_of_child(bool again)
{
    int status = -1;
    const pid_t child = fork();
    if (child == 0) {
        static job j;
        bool right = true;
        alarm(TIME_LIMIT / 2);
        for (int parts = 1; parts <= MOST_TESTED; parts++)
            right &= once_each(&j, parts);
        right &= helpers_help();
        _exit(right && (!again || status_of_child(false) == 0) ? 0 : 1);
    }
    must(child > 0, "fork");
    must(waitpid(child, &status, 0) == child, "waitpid");
    return status;
}

static void test_fork(const variant *v)
{
    static job j;
    if (cannot_fork("fork"))
        return;
    for (int time = 0; time < 10; time++) {
        CHECK(once_each(&j, 3), "before");
        if (time % 2)
            rest(1e-3); /* helpers asleep */
        CHECK(status_of_child(true) == 0, "time %d: the child or its child", time);
        CHECK(once_each(&j, 3), "after");
    }
    (void)v;
}

typedef struct { _Atomic bool stop, begun; int wrong; } looper;

static void *loop(void *looper_)
{
    looper *l = looper_;
    static job j;
    while (!l->stop) {
        l->wrong += !once_each(&j, 3);
        l->begun = true;
    }
    return NULL;
}

static void test_fork_while_others_compute(const variant *v)
{
    static looper l;
    pthread_t thread;
    if (cannot_fork("fork while others compute"))
        return;
    l.stop = l.begun = false;
    must(pthread_create(&thread, NULL, loop, &l) == 0, "pthread_create");
    while (!l.begun)
        rest(1e-4);
    for (int time = 0; time < 10; time++)
        CHECK(status_of_child(false) == 0, "time %d", time);
    l.stop = true;
    pthread_join(thread, NULL);
    CHECK(l.wrong == 0, "wrong %d times in the parent", l.wrong);
    (void)v;
}

#endif

/* ---- the suite ----------------------------------------------------------------------------- */

#define TESTS(T)                                                                                  \
    T(limits) T(parts_of_work) T(threads_of_one_thread) T(shares) T(each_part_once)                 \
    T(after_a_pause) T(return_after_the_last_part) T(helpers_help) T(nested) T(several_callers)     \
    FORKS(T) T(as_many_as_there_may_be)
#if defined(__SANITIZE_THREAD__)
#define FORKS(T)
#else
#define FORKS(T) T(fork) T(fork_while_others_compute)
#endif

/* The alarm ends the program, which is a failure. */
#define LIMIT(name)                       \
    static void limited_##name(const variant *v)    \
    {                                     \
        alarm(TIME_LIMIT);                \
        test_##name(v);                   \
        alarm(0);                         \
    }
#define ENTRY(name) { #name, limited_##name },
TESTS(LIMIT)

static const test pool_tests[] = { TESTS(ENTRY) };
SUITE(pool, ONCE);
