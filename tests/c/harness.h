/* harness.h -- what the C tests share: suites and counting, matrices between guard pages, data,
 * and the one generator of sizes and of cases. */
#ifndef FNN_HARNESS_H
#define FNN_HARNESS_H

#define _DEFAULT_SOURCE /* mmap */
#include "internal.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- suites ------------------------------------------------------------------------------- */

/* What a test runs on. kn is that set's table; the public functions use the same set. */
typedef struct {
    fnn_isa isa;
    fnn_dtype dt;
    const fnn_kernels *kn;
} variant;

typedef void test_function(const variant *v);
typedef struct { const char *name; test_function *run; } test;

typedef struct {
    const char *name;
    const test *tests;
    int count;
    enum {
        ONCE,     /* on the best set of the machine, f64 */
        EACH,     /* on every set and dtype */
        GUARDED,  /* likewise, twice: with matrices that end, and that begin, at a guard page */
    } how;
} suite;

#define SUITE(id, how)                                                                  \
    const suite suite_##id = { #id, id##_tests, sizeof id##_tests / sizeof *id##_tests, how }

/* Count and, in the first few cases, print a failure of the running test. */
void check(bool ok, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
#define CHECK(condition, ...) check(condition, __FILE__, __LINE__, __VA_ARGS__)

/* For what no test is about, from any thread: exit if not ok. */
void must(bool ok, const char *what);

void run_suite(const suite *s);
/* The closing line; returns the exit status. */
int report(void);

/* FASTNN_TEST_QUICK is set: for emulators and sanitizers, where sizes and samples are fewer. */
bool quick(void);

const char *dtype_name(fnn_dtype dt);

/* ---- data --------------------------------------------------------------------------------- */

/* The next 64 bits of a linear congruential sequence; the upper half is good. */
uint64_t next_random(uint64_t *state);
/* An index below n. */
int next_index(uint64_t *state, int n);
/* A number of either sign with `bits` random bits and an exponent from -spread to spread. */
double next_real(uint64_t *state, int bits, int spread);

/* ---- matrices between guard pages --------------------------------------------------------- */

typedef enum {
    CONTIGUOUS, PADDED, MISALIGNED, ROWS_DOWN, COLS_DOWN, TRANSPOSED, SPREAD_OUT, NLAYOUT
} layout;
/* Those before this one have contiguous columns. */
enum { NROW_LAYOUT = COLS_DOWN };

typedef struct {
    fnn_dtype dt;
    fnn_out v;
    char *memory; /* from the lowest element to behind the highest */
    size_t bytes;
} matrix;

/* All bytes are 0xff, which is NaN. Dies with the test program if there is no memory. */
matrix new_matrix(fnn_dtype dt, ptrdiff_t rows, ptrdiff_t cols, layout how);
/* Make the matrix read-only; writing to it crashes from now on. */
fnn_in freeze(const matrix *m);
/* Whether everything between the elements is as new_matrix left it. */
bool padding_intact(const matrix *m);
/* Give back all matrices made so far. */
void free_matrices(void);

typedef enum { SPREAD, NARROW, CANCELLING } data_kind;
/* SPREAD: both signs, exponents over 20 binades. NARROW: 4 binades around 1/4, so that logits do
 * not saturate. CANCELLING: neighbouring columns, and rows, nearly annul each other. */
void fill(const matrix *m, data_kind kind, uint64_t seed);
void copy_into(const matrix *m, const void *contiguous);

static inline double get(fnn_dtype dt, fnn_in v, ptrdiff_t i, ptrdiff_t j)
{
    const void *p = fnn_at(dt, v.data, i * v.rs + j * v.cs);
    return dt == FNN_F32 ? (double)*(const float *)p : *(const double *)p;
}
static inline void put(fnn_dtype dt, fnn_out v, ptrdiff_t i, ptrdiff_t j, double value)
{
    void *p = fnn_at_out(dt, v.data, i * v.rs + j * v.cs);
    if (dt == FNN_F32)
        *(float *)p = (float)value;
    else
        *(double *)p = value;
}
static inline double at(const matrix *m, ptrdiff_t i, ptrdiff_t j)
{
    return get(m->dt, fnn_as_in(m->v), i, j);
}
bool same_bits(const matrix *a, const matrix *b);

/* ---- cases -------------------------------------------------------------------------------- */

/* The sizes at which code changes its way, from 0 to `most`, in order: around a vector, a tile's
 * rows and columns, a block of K, two of them. Returns how many; no more than MOST_SIZES. */
enum { MOST_SIZES = 24 };
int sizes(const fnn_kernels *kn, ptrdiff_t most, ptrdiff_t *list);

/* Cases such that every two levels of any two factors occur together in one of them. */
enum { MOST_FACTORS = 12, MOST_LEVELS = MOST_SIZES };
typedef struct {
    int factors, levels[MOST_FACTORS];
    bool seen[MOST_FACTORS][MOST_FACTORS][MOST_LEVELS][MOST_LEVELS];
} pairs;
/* Describe the factors by their numbers of levels, closed by 0. */
pairs *new_pairs(const int *levels);
/* The next case, or false, and the pairs are freed. */
bool next_case(pairs *p, int *level);

/* Matrices of up to four rows and of numbers of columns, in each layout with contiguous columns. */
typedef void rows_test(const variant *v, ptrdiff_t n, ptrdiff_t m, layout how);
void each_rows(const variant *v, ptrdiff_t least_cols, rows_test *f);

#endif
