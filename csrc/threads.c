/* threads.c -- the thread pool: one call's work divided among a few threads that wait for it.
 *
 * A call that wants helpers takes the whole pool; one that finds it taken does all its parts by
 * itself, so that no call ever waits for another one. The caller writes what is to be done and then,
 * for each helper, the number of the round into that helper's mailbox. The helper claims its part,
 * does it and counts itself out. The caller, done with its own part, claims those that nobody has
 * begun: a helper that is still waking up, or whose processor has other work, holds up nothing.
 *
 * Both sides first spin, for at most SPIN_SECONDS, because a training step comes back within
 * microseconds, and then sleep. Where there are more threads than processors nobody spins: the one
 * that is waited for may need the processor. */
#if defined(__linux__)
#define _GNU_SOURCE /* sched_getaffinity */
#include <sched.h>
#endif
#include "internal.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const double SPIN_SECONDS = 50e-6;

/* ---- how many threads --------------------------------------------------------------------- */

static _Atomic int processors_found; /* 0: not counted yet */
static _Atomic int threads_wanted;   /* 0: not decided yet */
static _Thread_local int threads_here;

#if defined(__linux__)
/* Processors' worth of time that the control group may use; 0: no limit, or none that is known. */
static int quota(void)
{
    long long allowed, period;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (file) {
        const int read = fscanf(file, "%lld %lld", &allowed, &period);
        fclose(file);
        return read == 2 && allowed > 0 && period > 0 ? (int)((allowed + period - 1) / period) : 0;
    }
    return 0;
}

static int count_processors(void)
{
    cpu_set_t set;
    const int allowed = sched_getaffinity(0, sizeof set, &set) == 0
                      ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    const int limit = quota();
    return limit > 0 && limit < allowed ? limit : allowed;
}
#else
static int count_processors(void) { return (int)sysconf(_SC_NPROCESSORS_ONLN); }
#endif

static int within_limits(long threads)
{
    return threads < 1 ? 1 : threads > FNN_MOST_THREADS ? FNN_MOST_THREADS : (int)threads;
}

int fnn_processors(void)
{
    int count = atomic_load_explicit(&processors_found, memory_order_relaxed);
    if (count == 0) {
        count = within_limits(count_processors());
        atomic_store_explicit(&processors_found, count, memory_order_relaxed);
    }
    return count;
}

/* A positive number from the environment, the first of a list; 0 if there is none. */
static int from_environment(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    const long value = text ? strtol(text, &end, 10) : 0;
    return value > 0 && (*end == 0 || *end == ',') ? within_limits(value) : 0;
}

int fnn_get_num_threads(void)
{
    int threads = atomic_load_explicit(&threads_wanted, memory_order_relaxed);
    if (threads == 0) {
        threads = from_environment("FASTNN_NUM_THREADS");
        if (threads == 0)
            threads = from_environment("OMP_NUM_THREADS");
        if (threads == 0)
            threads = fnn_processors();
        atomic_store_explicit(&threads_wanted, threads, memory_order_relaxed);
    }
    return threads;
}

void fnn_set_num_threads(int threads)
{
    atomic_store_explicit(&threads_wanted, within_limits(threads), memory_order_relaxed);
}

int fnn_use_threads(int threads)
{
    const int before = threads_here;
    threads_here = threads > 0 ? within_limits(threads) : 0;
    return before;
}

int fnn_parts(double work)
{
    if (work < 2 * FNN_PART_WORK)
        return 1;
    const int most = threads_here ? threads_here : fnn_get_num_threads();
    return work < most * FNN_PART_WORK ? (int)(work / FNN_PART_WORK) : most;
}

/* ---- waiting ------------------------------------------------------------------------------ */

static void pause_a_little(void)
{
#if defined(FNN_X86)
    __builtin_ia32_pause();
#elif defined(FNN_AARCH64)
    __asm__ volatile("yield");
#endif
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* A number that one thread writes and one other waits for, in a cache line of its own. */
typedef struct {
    _Alignas(64) _Atomic unsigned value;
    _Atomic bool sleeping;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
} mailbox;

static void mailbox_init(mailbox *box)
{
    atomic_init(&box->value, 0);
    atomic_init(&box->sleeping, false);
    pthread_mutex_init(&box->mutex, NULL);
    pthread_cond_init(&box->changed, NULL);
}

/* The order of writing the value and reading `sleeping` here, and of the opposite in `await`, is what
 * makes it impossible to miss each other; both pairs are sequentially consistent. */
static void wake(mailbox *box)
{
    if (!atomic_load(&box->sleeping))
        return;
    pthread_mutex_lock(&box->mutex);
    pthread_cond_signal(&box->changed);
    pthread_mutex_unlock(&box->mutex);
}

/* Return when the value is, or, if `change`, is no longer, the one given; returns the value. */
static unsigned await(mailbox *box, unsigned value, bool change, bool spin)
{
    enum { LOOKS = 32 }; /* between looks at the clock */
    unsigned seen;
    for (double begin = spin ? seconds() : 0; spin; spin = seconds() - begin < SPIN_SECONDS)
        for (int i = 0; i < LOOKS; i++) {
            seen = atomic_load_explicit(&box->value, memory_order_acquire);
            if ((seen == value) != change)
                return seen;
            pause_a_little();
        }
    pthread_mutex_lock(&box->mutex);
    atomic_store(&box->sleeping, true);
    while (seen = atomic_load(&box->value), (seen == value) == change)
        pthread_cond_wait(&box->changed, &box->mutex);
    atomic_store(&box->sleeping, false);
    pthread_mutex_unlock(&box->mutex);
    return seen;
}

/* ---- the pool ----------------------------------------------------------------------------- */

typedef struct {
    mailbox round;
    _Atomic unsigned claimed; /* the last round whose part somebody has begun */
    pthread_t thread;
} helper;

static struct {
    _Atomic bool taken;
    int started; /* helpers; number i does part i + 1 */
    _Atomic bool spin;
    fnn_task task;
    void *context;
    int parts;
    mailbox unfinished; /* parts that helpers were asked for */
    helper helpers[FNN_MOST_THREADS - 1];
} pool;

static bool claim(helper *h, unsigned round)
{
    unsigned before = round - 1;
    return atomic_compare_exchange_strong(&h->claimed, &before, round);
}

static void count_out(void)
{
    if (atomic_fetch_sub(&pool.unfinished.value, 1) == 1)
        wake(&pool.unfinished);
}

static void *help(void *helper_)
{
    helper *const h = helper_;
    const int part = (int)(h - pool.helpers) + 1;
    for (unsigned round = 0;;) {
        round = await(&h->round, round, true, atomic_load(&pool.spin));
        if (!claim(h, round))
            continue;
        pool.task(pool.context, part, pool.parts);
        count_out();
    }
    return NULL;
}

/* The child of a fork has none of the helpers, and nobody who would give a taken pool back. */
static void forget_helpers(void)
{
    pool.started = 0;
    mailbox_init(&pool.unfinished);
    atomic_store(&pool.taken, false);
    atomic_store(&processors_found, 0);
}

static void start(void)
{
    mailbox_init(&pool.unfinished);
    pthread_atfork(NULL, NULL, forget_helpers);
}

/* Signals are for the threads that the program has made itself. */
static bool start_helper(void)
{
    helper *const h = &pool.helpers[pool.started];
    mailbox_init(&h->round);
    atomic_init(&h->claimed, 0);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const bool started = pthread_create(&h->thread, NULL, help, h) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!started)
        return false;
    pthread_detach(h->thread);
    pool.started++;
    return true;
}

static bool take(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start);
    return !atomic_exchange(&pool.taken, true);
}

/* On Linux, a helper may be woken on the caller's own processor, where it waits for the caller, who never
 * waits, or takes turns with it, for milliseconds after another one has become idle. So one that sleeps
 * is kept away from there, within the caller's affinity. */
static void keep_away(const helper *h)
{
#if defined(__linux__)
    cpu_set_t others;
    const int here = sched_getcpu();
    if (here < 0 || pthread_getaffinity_np(pthread_self(), sizeof others, &others))
        return;
    CPU_CLR(here, &others);
    if (CPU_COUNT(&others) > 0)
        pthread_setaffinity_np(h->thread, sizeof others, &others);
#else
    (void)h;
#endif
}

/* Ask for parts 1 .. parts - 1, or as many as there are helpers; returns how many. */
static int ask(int parts, fnn_task task, void *context)
{
    while (pool.started < parts - 1 && start_helper())
        continue;
    const int asked = pool.started < parts - 1 ? pool.started : parts - 1;
    pool.task = task;
    pool.context = context;
    pool.parts = parts;
    const bool room = parts <= fnn_processors();
    atomic_store(&pool.spin, room);
    atomic_store(&pool.unfinished.value, (unsigned)asked);
    for (int i = 0; i < asked; i++) {
        mailbox *const round = &pool.helpers[i].round;
        if (room && atomic_load(&round->sleeping))
            keep_away(&pool.helpers[i]);
        atomic_fetch_add(&round->value, 1);
        wake(round);
    }
    return asked;
}

void fnn_run(int parts, fnn_task task, void *context)
{
    const bool taken = parts > 1 && take();
    const int asked = taken ? ask(parts, task, context) : 0;
    task(context, 0, parts);
    for (int part = asked + 1; part < parts; part++)
        task(context, part, parts);
    for (int i = 0; i < asked; i++) {
        helper *const h = &pool.helpers[i];
        if (claim(h, atomic_load(&h->round.value))) {
            task(context, i + 1, parts);
            count_out();
        }
    }
    if (taken) {
        await(&pool.unfinished, 0, false, atomic_load(&pool.spin));
        atomic_store(&pool.taken, false);
    }
}
