/* harness.c -- see harness.h. */
#include "harness.h"

#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- suites ------------------------------------------------------------------------------- */

static int tests_passed, tests_failed;
static struct { const char *name; int failures; long checks; } running;
static bool at_begin; /* where matrices touch their guard pages */

bool quick(void) { return getenv("FASTNN_TEST_QUICK") != NULL; }

const char *dtype_name(fnn_dtype dt) { return dt == FNN_F32 ? "f32" : "f64"; }

void check(bool ok, const char *file, int line, const char *format, ...)
{
    enum { PRINTED = 5 };
    running.checks++;
    if (ok || ++running.failures > PRINTED)
        return;
    va_list args;
    va_start(args, format);
    printf("%s:%d: %s: ", file, line, running.name);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
}

static bool run_one(const test *t, const variant *v)
{
    running.name = t->name;
    running.failures = 0;
    t->run(v);
    free_matrices();
    if (running.failures) {
        printf("FAILED: %s on %s %s, %d checks\n", t->name, fnn_isa_name(v->isa),
               dtype_name(v->dt), running.failures);
        tests_failed++;
    } else {
        tests_passed++;
    }
    return running.failures == 0;
}

static void run_on(const suite *s, const variant *v)
{
    int passed = 0;
    running.checks = 0;
    if (s->how != ONCE) /* test_dispatch.c is to find it undecided */
        fnn_set_isa(v->isa);
    for (at_begin = false;; at_begin = true) {
        for (int i = 0; i < s->count; i++)
            passed += run_one(&s->tests[i], v);
        if (at_begin || s->how != GUARDED)
            break;
    }
    at_begin = false;
    const int all = s->how == GUARDED ? 2 * s->count : s->count;
    printf("%-10s %-7s %s  %2d of %2d passed, %ld checks\n", s->name,
           s->how == ONCE ? "-" : fnn_isa_name(v->isa), s->how == ONCE ? " - " : dtype_name(v->dt),
           passed, all, running.checks);
    fflush(stdout);
}

void run_suite(const suite *s)
{
    fnn_isa best = FNN_SCALAR;
    for (int isa = FNN_NISA - 1; isa >= 0; isa--)
        for (int dt = 0; dt < FNN_NDTYPE; dt++) {
            const fnn_kernels *tables = fnn_kernels_of((fnn_isa)isa);
            if (!tables) {
                if (s->how != ONCE)
                    printf("%-10s %-7s %s  skipped: not on this machine\n", s->name,
                           fnn_isa_name((fnn_isa)isa), dtype_name((fnn_dtype)dt));
            } else if (s->how != ONCE || dt == FNN_F64) {
                best = best > (fnn_isa)isa ? best : (fnn_isa)isa;
                run_on(s, &(variant){ (fnn_isa)isa, (fnn_dtype)dt, &tables[dt] });
                if (s->how == ONCE)
                    return;
            }
        }
    fnn_set_isa(best);
}

int report(void)
{
    printf("%d passed, %d failed\n", tests_passed, tests_failed);
    return tests_failed || !tests_passed ? EXIT_FAILURE : EXIT_SUCCESS;
}

void must(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(EXIT_FAILURE);
    }
}

/* ---- data --------------------------------------------------------------------------------- */

/* D. Knuth's MMIX constants. */
uint64_t next_random(uint64_t *state)
{
    return *state = *state * 6364136223846793005u + 1442695040888963407u;
}

int next_index(uint64_t *state, int n) { return (int)((next_random(state) >> 33) % (uint64_t)n); }

double next_real(uint64_t *state, int bits, int spread)
{
    const double fraction = ldexp((double)(next_random(state) >> (64 - bits)), -bits);
    const int exponent = next_index(state, 2 * spread + 1) - spread;
    const double magnitude = ldexp(1 + fraction, exponent);
    return next_index(state, 2) ? -magnitude : magnitude;
}

/* ---- matrices ----------------------------------------------------------------------------- */

static struct { void *map; size_t bytes; } maps[64];
static int map_count;

/* `bytes` of memory that end or begin at a page without access. */
static char *guarded(size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t inner = (bytes + page - 1) / page * page;
    char *map = mmap(NULL, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(map != MAP_FAILED, "mmap");
    must(!inner || !mprotect(map + page, inner, PROT_READ | PROT_WRITE), "mprotect");
    must(map_count < (int)(sizeof maps / sizeof *maps), "too many matrices");
    maps[map_count].map = map;
    maps[map_count++].bytes = inner + 2 * page;
    return at_begin ? map + page : map + page + inner - bytes;
}

void free_matrices(void)
{
    while (map_count > 0) {
        map_count--;
        munmap(maps[map_count].map, maps[map_count].bytes);
    }
}

matrix new_matrix(fnn_dtype dt, ptrdiff_t rows, ptrdiff_t cols, layout how)
{
    ptrdiff_t rs = cols, cs = 1, extra = 0; /* extra: elements at the end that move the others */
    switch (how) {
    case PADDED: rs = cols + 3; break;
    case MISALIGNED: extra = 1; break;
    case ROWS_DOWN: rs = -(cols + 2); break;
    case COLS_DOWN: rs = cols + 1; cs = -1; break;
    case TRANSPOSED: rs = 1; cs = rows; break;
    case SPREAD_OUT: rs = 2 * cols + 1; cs = 2; break;
    default: break;
    }
    const ptrdiff_t down = (rs < 0 ? -rs * (rows - 1) : 0) + (cs < 0 ? -cs * (cols - 1) : 0);
    const ptrdiff_t span =
        (rs < 0 ? -rs : rs) * (rows - 1) + (cs < 0 ? -cs : cs) * (cols - 1) + 1;
    const bool empty = rows == 0 || cols == 0;
    const size_t bytes = empty ? 0 : (size_t)(span + extra) * fnn_sizeof(dt);
    char *memory = guarded(bytes);
    if (at_begin && !empty)
        extra = -extra; /* shifted at the other end */
    memset(memory, 0xff, bytes);
    const ptrdiff_t first = (empty ? 0 : down) + (extra < 0 ? 1 : 0);
    return (matrix){ dt, { fnn_at_out(dt, memory, first), rows, cols, rs, cs }, memory, bytes };
}

fnn_in freeze(const matrix *m)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = (uintptr_t)m->memory / page * page;
    const uintptr_t end = ((uintptr_t)m->memory + m->bytes + page - 1) / page * page;
    if (m->bytes)
        must(!mprotect((void *)begin, end - begin, PROT_READ), "mprotect");
    return fnn_as_in(m->v);
}

bool padding_intact(const matrix *m)
{
    bool *mine = calloc(m->bytes + 1, 1), intact = true;
    must(mine != NULL, "calloc");
    for (ptrdiff_t i = 0; i < m->v.rows; i++)
        for (ptrdiff_t j = 0; j < m->v.cols; j++) {
            const void *p = fnn_at(m->dt, m->v.data, i * m->v.rs + j * m->v.cs);
            memset(mine + ((const char *)p - m->memory), true, fnn_sizeof(m->dt));
        }
    for (size_t i = 0; i < m->bytes; i++)
        intact &= mine[i] || (unsigned char)m->memory[i] == 0xff;
    free(mine);
    return intact;
}

void fill(const matrix *m, data_kind kind, uint64_t seed)
{
    uint64_t state = seed * 2 + 1;
    const int bits = m->dt == FNN_F32 ? 23 : 52;
    for (ptrdiff_t i = 0; i < m->v.rows; i++)
        for (ptrdiff_t j = 0; j < m->v.cols; j++) {
            double value = kind == SPREAD ? next_real(&state, bits, 10)
                         : next_real(&state, bits, 2) * 0.25;
            /* The sums over a row or over a column lose about 12 bits. */
            const double nearly = 1 + ldexp((double)(i + j), -12);
            if (kind == CANCELLING && j % 2)
                value = -at(m, i, j - 1) * nearly;
            else if (kind == CANCELLING && i % 2)
                value = -at(m, i - 1, j) * nearly;
            put(m->dt, m->v, i, j, value);
        }
}

void copy_into(const matrix *m, const void *contiguous)
{
    fnn_copy(m->dt, (fnn_in){ contiguous, m->v.rows, m->v.cols, m->v.cols, 1 }, m->v);
}

bool same_bits(const matrix *a, const matrix *b)
{
    for (ptrdiff_t i = 0; i < a->v.rows; i++)
        for (ptrdiff_t j = 0; j < a->v.cols; j++)
            if (memcmp(fnn_at(a->dt, a->v.data, i * a->v.rs + j * a->v.cs),
                       fnn_at(b->dt, b->v.data, i * b->v.rs + j * b->v.cs), fnn_sizeof(a->dt)))
                return false;
    return true;
}

/* ---- cases -------------------------------------------------------------------------------- */

int sizes(const fnn_kernels *kn, ptrdiff_t most, ptrdiff_t *list)
{
    enum { KC = 256, DIRECT_ROWS = 32 }; /* those of dense.c */
    const ptrdiff_t tile_cols = kn->tile_vectors * kn->lanes;
    const ptrdiff_t turns[] = { 1, 2, kn->lanes, kn->tile_rows, tile_cols, DIRECT_ROWS,
                                KC, 2 * KC + 2 };
    int count = 0;
    for (ptrdiff_t size = 0; size <= most; size++) {
        bool wanted = false;
        for (size_t t = 0; t < sizeof turns / sizeof *turns; t++)
            wanted |= size >= turns[t] - 1 && size <= turns[t] + 1;
        if (wanted && count < MOST_SIZES)
            list[count++] = size;
    }
    return count;
}

pairs *new_pairs(const int *levels)
{
    pairs *p = calloc(1, sizeof *p);
    must(p != NULL, "calloc");
    for (; levels[p->factors]; p->factors++) {
        must(p->factors < MOST_FACTORS && levels[p->factors] <= MOST_LEVELS, "too many factors");
        p->levels[p->factors] = levels[p->factors];
    }
    return p;
}

/* How many new pairs level b of factor j makes with the factors already chosen. */
static int gain(const pairs *p, const int *level, int j, int b)
{
    int count = 0;
    for (int i = 0; i < p->factors; i++)
        count += level[i] >= 0 && i != j && !p->seen[i][j][level[i]][b];
    return count;
}

/* An unseen pair first, then factor after factor the level that makes the most new pairs. */
bool next_case(pairs *p, int *level)
{
    for (int i = 0; i < p->factors; i++)
        level[i] = -1;
    for (int i = 0; i < p->factors; i++)
        for (int j = i + 1; j < p->factors; j++)
            for (int a = 0; a < p->levels[i]; a++)
                for (int b = 0; b < p->levels[j]; b++)
                    if (!p->seen[i][j][a][b]) {
                        level[i] = a, level[j] = b;
                        goto chosen;
                    }
    free(p);
    return false;
chosen:
    for (int j = 0; j < p->factors; j++) {
        if (level[j] >= 0)
            continue;
        int best = 0;
        for (int b = 1; b < p->levels[j]; b++)
            if (gain(p, level, j, b) > gain(p, level, j, best))
                best = b;
        level[j] = best;
    }
    for (int i = 0; i < p->factors; i++)
        for (int j = 0; j < p->factors; j++)
            p->seen[i][j][level[i]][level[j]] = true;
    return true;
}

void each_rows(const variant *v, ptrdiff_t least_cols, rows_test *f)
{
    ptrdiff_t size[MOST_SIZES];
    const int count = sizes(v->kn, quick() ? 67 : 257, size);
    const int levels[] = { 5, count, NROW_LAYOUT, 0 };
    int level[MOST_FACTORS];
    for (pairs *p = new_pairs(levels); next_case(p, level);)
        if (size[level[1]] >= least_cols) {
            f(v, level[0], size[level[1]], (layout)level[2]);
            free_matrices();
        }
}
