/* test_models.c -- Gaussians, moments, linear losses and factors as callers see them: that a row
 * does not depend on the others, what they do when memory fails, and what they refuse. */
#include "suites.h"

extern long fnn_fail_allocation;

enum { N = 45, D = 18, C = 3 };

/* Well-conditioned parameters of C Gaussians, `apart` from each other. */
typedef struct { double mean[C * D], factor[C * D * D]; } parameters;
static parameters make_parameters(fnn_covariance covariance, double apart)
{
    parameters p;
    uint64_t state = 5;
    for (int i = 0; i < C * D; i++)
        p.mean[i] = next_real(&state, 20, 1) + i / D * apart;
    for (int i = 0; i < C * D * D; i++)
        p.factor[i] = covariance == FNN_DIAG || i % (D * D) % (D + 1) == 0
                    ? 1 + fabs(next_real(&state, 20, 1)) : next_real(&state, 20, 1) / 32;
    return p;
}

static fnn_gaussians *make_gaussians(const variant *v, fnn_covariance covariance, double apart)
{
    const parameters p = make_parameters(covariance, apart);
    fnn_gaussians *g = NULL;
    CHECK(fnn_gaussians_new(v->dt, covariance, C, D, p.mean, p.factor, &g) == FNN_OK, "new");
    return g;
}

/* Rows alone, in every layout, have the bits that they have together; NaN stays in its row. */
static void test_rows_alone(const variant *v)
{
    for (int covariance = 0; covariance < FNN_NCOVARIANCE; covariance++)
        for (int far = 0; far < 2; far++) {
            fnn_gaussians *g = make_gaussians(v, (fnn_covariance)covariance, far * 1000);
            const matrix x = new_matrix(v->dt, N, D, CONTIGUOUS);
            fill(&x, NARROW, 7);
            put(v->dt, x.v, 4, 3, NAN);
            const matrix all = new_matrix(v->dt, N, C, CONTIGUOUS);
            CHECK(fnn_gaussians_evaluate(g, FNN_LOG_PROBA, NULL, fnn_as_in(x.v), all.v) == FNN_OK,
                  "all");
            for (int how = 0; how < NLAYOUT; how++) {
                const matrix row = new_matrix(v->dt, 1, D, (layout)how);
                const matrix one = new_matrix(v->dt, 1, C, (layout)how);
                for (ptrdiff_t i = 0; i < N; i++) {
                    fnn_copy(v->dt, fnn_slice(v->dt, fnn_as_in(x.v), i, 1), row.v);
                    CHECK(fnn_gaussians_evaluate(g, FNN_LOG_PROBA, NULL, fnn_as_in(row.v), one.v)
                          == FNN_OK, "one");
                    for (ptrdiff_t k = 0; k < C; k++) {
                        const double a = at(&all, i, k), b = at(&one, 0, k);
                        CHECK(i == 4 ? isnan(a) && isnan(b) : a == b, "row %td class %td", i, k);
                    }
                }
                CHECK(padding_intact(&one), "wrote beside the result");
            }
            fnn_gaussians_free(g);
            free_matrices();
        }
}

/* ---- memory ------------------------------------------------------------------------------- */

typedef struct { double weight[C], mean[C * D], scatter[C * D * D], third[C * D], fourth[C]; } sums;
static fnn_moments view_of(sums *s)
{
    return (fnn_moments){ s->weight, s->mean, s->scatter, s->third, s->fourth };
}

/* What calls leave behind, apart from matrices. */
typedef struct {
    sums total, part;
    double square[D * D], gradient[C * (D + 1)], hessian[C * C * (D + 1) * (D + 1)], loss;
    ptrdiff_t pivot;
    int64_t labels[N];
} numbers;

/* What the calls work on: matrices without contiguous columns, results in place among them. */
typedef struct {
    fnn_dtype dt;
    matrix x, means, factors, y, one, place;
    parameters of[FNN_NCOVARIANCE];
    fnn_gaussians *g[FNN_NCOVARIANCE];
    numbers *n;
    int64_t classes[N];
} state;

static void make(state *s, const variant *v)
{
    s->dt = v->dt;
    s->x = new_matrix(s->dt, N, D, SPREAD_OUT);
    s->means = new_matrix(s->dt, N, D, SPREAD_OUT);
    s->factors = new_matrix(s->dt, N, D * D, PADDED);
    s->y = new_matrix(s->dt, N, C, SPREAD_OUT);
    s->one = new_matrix(s->dt, N, 1, SPREAD_OUT);
    s->place = new_matrix(s->dt, N, C, SPREAD_OUT);
    const matrix *const filled[] = { &s->x, &s->means, &s->factors, &s->y, &s->one, &s->place };
    for (size_t i = 0; i < sizeof filled / sizeof *filled; i++)
        fill(filled[i], NARROW, i + 1);
    s->n = calloc(1, sizeof *s->n);
    must(s->n != NULL, "calloc");
    for (ptrdiff_t i = 0; i < N; i++) {
        s->classes[i] = i % C;
        for (ptrdiff_t j = 0; j < D; j++)
            put(s->dt, s->factors.v, i, j * (D + 1), 1.5);
    }
    for (int i = 0; i < D * D; i++)
        s->n->square[i] = i % (D + 1) == 0 ? 2 * D : 1;
    for (int covariance = 0; covariance < FNN_NCOVARIANCE; covariance++) {
        s->of[covariance] = make_parameters((fnn_covariance)covariance, 0);
        s->g[covariance] = make_gaussians(v, (fnn_covariance)covariance, 0);
    }
    const fnn_in rows = fnn_as_in(s->x.v), none = { 0 };
    CHECK(fnn_moments_of(s->dt, FNN_FULL, rows, none, s->classes, NULL, C, view_of(&s->n->total))
          == FNN_OK, "total");
    CHECK(fnn_moments_of(s->dt, FNN_FULL, fnn_slice(s->dt, rows, 0, N / 2), none, s->classes, NULL,
                         C, view_of(&s->n->part)) == FNN_OK, "part");
}

static void drop(state *s)
{
    for (int covariance = 0; covariance < FNN_NCOVARIANCE; covariance++)
        fnn_gaussians_free(s->g[covariance]);
    free(s->n);
}

static bool same_states(const state *a, const state *b)
{
    return same_bits(&a->y, &b->y) && same_bits(&a->one, &b->one)
        && same_bits(&a->place, &b->place) && memcmp(a->n, b->n, sizeof *a->n) == 0;
}

static fnn_status new_and_free(state *s, fnn_covariance covariance)
{
    fnn_gaussians *g = NULL;
    const fnn_status status = fnn_gaussians_new(s->dt, covariance, C, D, s->of[covariance].mean,
                                                s->of[covariance].factor, &g);
    CHECK((status == FNN_OK) == (g != NULL), "Gaussians if and only if it is OK");
    fnn_gaussians_free(g);
    return status;
}
static fnn_status call_new_full(state *s) { return new_and_free(s, FNN_FULL); }
static fnn_status call_new_shared(state *s) { return new_and_free(s, FNN_SHARED); }
static fnn_status call_new_diag(state *s) { return new_and_free(s, FNN_DIAG); }
static fnn_status call_full(state *s)
{
    return fnn_gaussians_evaluate(s->g[FNN_FULL], FNN_JOINT, NULL, fnn_as_in(s->x.v), s->y.v);
}
static fnn_status call_shared(state *s)
{
    return fnn_gaussians_evaluate(s->g[FNN_SHARED], FNN_PROBA, NULL, fnn_as_in(s->x.v), s->y.v);
}
static fnn_status call_diag(state *s)
{
    return fnn_gaussians_evaluate(s->g[FNN_DIAG], FNN_LOG_DENSITY, NULL, fnn_as_in(s->x.v),
                                  s->one.v);
}
static fnn_status call_classify(state *s)
{
    return fnn_gaussians_classify(s->g[FNN_SHARED], NULL, fnn_as_in(s->x.v), s->n->labels);
}
static fnn_status call_paired(state *s)
{
    return fnn_gaussian_paired(s->dt, fnn_as_in(s->x.v), fnn_as_in(s->means.v),
                               fnn_as_in(s->factors.v), s->one.v);
}
static fnn_status moments_of(state *s, fnn_covariance covariance)
{
    return fnn_moments_of(s->dt, covariance, fnn_as_in(s->x.v), (fnn_in){ 0 }, s->classes, NULL, C,
                          view_of(&s->n->total));
}
static fnn_status call_log_softmax(state *s)
{
    return fnn_log_softmax(s->dt, fnn_as_in(s->place.v), s->place.v);
}
static fnn_status call_logsumexp(state *s)
{
    return fnn_logsumexp(s->dt, fnn_as_in(s->x.v), s->one.v);
}
static fnn_status call_moments_full(state *s) { return moments_of(s, FNN_FULL); }
static fnn_status call_moments_shared(state *s) { return moments_of(s, FNN_SHARED); }
static fnn_status call_moments_diag(state *s) { return moments_of(s, FNN_DIAG); }
static fnn_status call_add(state *s)
{
    return fnn_moments_add(C, D, view_of(&s->n->total), view_of(&s->n->part), -1);
}
static fnn_status call_linear(state *s)
{
    return fnn_linear_loss(s->dt, FNN_SOFTMAX_CE, fnn_as_in(s->x.v),
                           (fnn_targets){ .targets = fnn_as_in(s->y.v) }, C, D + 1,
                           s->of[FNN_FULL].factor, 0.5, &s->n->loss, s->n->gradient,
                           s->n->hessian);
}
static fnn_status call_cholesky(state *s)
{
    return fnn_cholesky(D, s->n->square, &s->n->pivot);
}

/* How many allocations there are at least; those of the first three are kept. */
static const struct { const char *name; fnn_status (*call)(state *); int least; } calls[] = {
    { "new full", call_new_full, 3 }, { "new shared", call_new_shared, 3 },
    { "new diagonal", call_new_diag, 2 }, { "full", call_full, 1 }, { "shared", call_shared, 1 },
    { "diagonal", call_diag, 1 }, { "classify", call_classify, 1 }, { "paired", call_paired, 1 },
    { "log_softmax", call_log_softmax, 1 }, { "logsumexp", call_logsumexp, 1 },
    { "moments full", call_moments_full, 1 }, { "moments shared", call_moments_shared, 1 },
    { "moments diagonal", call_moments_diag, 1 }, { "moments add", call_add, 1 },
    { "linear loss", call_linear, 1 }, { "cholesky", call_cholesky, 1 },
};
enum { CALLS = sizeof calls / sizeof *calls, KEEPING_CALLS = 3 };

/* As in test_memory.c: what failed leaves its inputs, those that are results too among them, such
 * that the next call gives what it always gave. */
static void test_failures(const variant *v)
{
    for (int c = 0; c < CALLS; c++) {
        bool failed = true;
        for (long nth = 1; failed; nth++) {
            state hit, spared;
            make(&hit, v);
            make(&spared, v);
            fnn_workspace_clear(&fnn_shared_workspace);
            fnn_fail_allocation = nth;
            const fnn_status status = calls[c].call(&hit);
            failed = fnn_fail_allocation == 0;
            fnn_fail_allocation = 0;
            CHECK(status == (failed ? FNN_ENOMEM : FNN_OK), "%s, allocation %ld: status %d",
                  calls[c].name, nth, status);
            CHECK(failed || nth > calls[c].least, "%s allocates only %ld times", calls[c].name,
                  nth - 1);
            if (failed) { /* once more, with memory */
                CHECK(calls[c].call(&hit) == FNN_OK, "%s after allocation %ld", calls[c].name, nth);
                CHECK(calls[c].call(&spared) == FNN_OK, "%s", calls[c].name);
                CHECK(same_states(&hit, &spared), "%s after allocation %ld: other results",
                      calls[c].name, nth);
            }
            drop(&hit);
            drop(&spared);
            free_matrices();
        }
    }
}

/* Steady work allocates nothing. */
static void test_steady(const variant *v)
{
    state s;
    make(&s, v);
    for (int c = KEEPING_CALLS; c < CALLS; c++)
        for (int time = 0; time < 2; time++) {
            fnn_fail_allocation = time ? 1 : 0; /* the second time nothing may be needed */
            const fnn_status status = calls[c].call(&s);
            CHECK(status == FNN_OK, "%s, time %d: status %d", calls[c].name, time, status);
            fnn_fail_allocation = 0;
        }
    drop(&s);
}

/* Sizes that overflow are refused before any allocation, and before anything is read. */
static void test_overflow(const variant *v)
{
    const ptrdiff_t huge = PTRDIFF_MAX / 8;
    double one[] = { 1, 1, 1, 1, 1, 1 };
    ptrdiff_t pivot = 0;
    fnn_gaussians *g = NULL;
    const fnn_in wide = { one, 1, huge, 0, 0 }, tall = { one, huge, 1, 0, 0 }, none = { 0 };
    const fnn_out out = { one + 1, 1, 1, 1, 1 };
    const fnn_moments m = { one, one, one, one, one };
    const fnn_targets labels = { .labels = (int64_t[]){ 0 } };
    for (int covariance = 0; covariance < FNN_NCOVARIANCE; covariance++) {
        const fnn_covariance of = (fnn_covariance)covariance;
        CHECK(fnn_gaussians_new(v->dt, of, 1, huge, one, one, &g) == FNN_ENOMEM, "features");
        CHECK(fnn_gaussians_new(v->dt, of, 1, PTRDIFF_MAX, one, one, &g) == FNN_ENOMEM, "features");
        CHECK(fnn_gaussians_new(v->dt, of, huge, 1, one, one, &g) == FNN_ENOMEM, "classes");
        CHECK(fnn_moments_of(v->dt, of, wide, none, NULL, NULL, 1, m) == FNN_ENOMEM, "columns");
        CHECK(fnn_moments_of(v->dt, of, tall, none, NULL, NULL, 1, m) == FNN_ENOMEM, "rows");
    }
    CHECK(fnn_moments_add(1, huge, m, m, 1) == FNN_ENOMEM, "moments_add");
    CHECK(fnn_logsumexp(v->dt, wide, out) == FNN_ENOMEM, "logsumexp");
    CHECK(fnn_cholesky(huge, one, &pivot) == FNN_ENOMEM, "cholesky");
    CHECK(fnn_linear_loss(v->dt, FNN_SOFTMAX_CE, wide, labels, 1, huge, one, 0, one, one, NULL)
          == FNN_ENOMEM, "features of a linear model");
    CHECK(fnn_linear_loss(v->dt, FNN_SOFTMAX_CE, (fnn_in){ one, 1, 1, 1, 1 }, labels, huge, 1, one,
                          0, one, one, NULL) == FNN_ENOMEM, "classes of a linear model");
    CHECK(!g && one[0] == 1 && one[1] == 1, "something has changed");
}

/* ---- refusals ----------------------------------------------------------------------------- */

/* Everything lies in one buffer, rows SIDE apart. */
enum { SIDE = 40, QUARTER = SIDE * SIDE };
static double buffer[4 * QUARTER];

static fnn_out block(const variant *v, ptrdiff_t first, ptrdiff_t rows, ptrdiff_t cols)
{
    return (fnn_out){ fnn_at_out(v->dt, buffer, first), rows, cols, SIDE, 1 };
}
static fnn_in in_block(const variant *v, ptrdiff_t first, ptrdiff_t rows, ptrdiff_t cols)
{
    return fnn_as_in(block(v, first, rows, cols));
}

static void test_gaussian_refusals(const variant *v)
{
    enum { ROWS = 4 };
    const fnn_in x = in_block(v, 0, ROWS, D);
    int64_t labels[ROWS];
    fnn_gaussians *g = NULL;
    const parameters p = make_parameters(FNN_FULL, 0);
    CHECK(fnn_gaussians_new(v->dt, FNN_FULL, 0, D, p.mean, p.factor, &g) == FNN_ESHAPE, "c is 0");
    CHECK(fnn_gaussians_new(v->dt, FNN_FULL, C, 0, p.mean, p.factor, &g) == FNN_ESHAPE, "d is 0");
    CHECK(!g, "Gaussians all the same");
    fnn_gaussians_free(NULL);
    g = make_gaussians(v, FNN_FULL, 0);
#define STATUS(what, x, y) fnn_gaussians_evaluate(g, what, NULL, x, y)
    for (int w = 0; w < FNN_NPOSTERIOR; w++) {
        const fnn_posterior what = (fnn_posterior)w;
        const ptrdiff_t right = what <= FNN_PROBA ? C : 1;
        for (ptrdiff_t cols = 0; cols <= C + 1; cols++)
            CHECK(STATUS(what, x, block(v, QUARTER, ROWS, cols))
                  == (cols == right ? FNN_OK : FNN_ESHAPE), "what %d with %td columns", w, cols);
        CHECK(STATUS(what, x, block(v, QUARTER, ROWS + 1, right)) == FNN_ESHAPE, "rows");
        CHECK(STATUS(what, in_block(v, 0, ROWS, D - 1), block(v, QUARTER, ROWS, right))
              == FNN_ESHAPE, "features");
        CHECK(STATUS(what, in_block(v, 0, 0, D), block(v, QUARTER, 0, right)) == FNN_OK, "no rows");
    }
    CHECK(STATUS(FNN_JOINT, x, block(v, 0, ROWS, C)) == FNN_EALIAS, "y is on x");
    CHECK(STATUS(FNN_JOINT, x, block(v, D - 1, ROWS, C)) == FNN_EALIAS, "y shares a column");
    CHECK(STATUS(FNN_JOINT, x, block(v, D, ROWS, C)) == FNN_OK, "y is beside x");
    fnn_out again = block(v, QUARTER, ROWS, C);
    again.rs = 0;
    CHECK(STATUS(FNN_JOINT, x, again) == FNN_EALIAS, "one row of y again and again");
#undef STATUS
    CHECK(fnn_gaussians_classify(g, NULL, x, labels) == FNN_OK, "classify");
    CHECK(fnn_gaussians_classify(g, NULL, in_block(v, 0, ROWS, D + 1), labels) == FNN_ESHAPE,
          "features to classify");
    fnn_gaussians_free(g);
}

static void test_paired_refusals(const variant *v)
{
    const fnn_in x = in_block(v, 0, 4, 3), means = in_block(v, 3, 4, 3);
    const fnn_in factors = in_block(v, QUARTER, 4, 9);
    const fnn_out y = block(v, 2 * QUARTER, 4, 1);
    for (int i = 0; i < 4 * SIDE; i++)
        put(v->dt, block(v, QUARTER, 4, SIDE), i / SIDE, i % SIDE, 1);
#define STATUS(x, means, factors, y) fnn_gaussian_paired(v->dt, x, means, factors, y)
    CHECK(STATUS(x, means, factors, y) == FNN_OK, "as it should be");
    CHECK(STATUS(x, in_block(v, 3, 5, 3), factors, y) == FNN_ESHAPE, "rows of means");
    CHECK(STATUS(x, in_block(v, 3, 4, 4), factors, y) == FNN_ESHAPE, "columns of means");
    CHECK(STATUS(x, means, in_block(v, QUARTER, 5, 9), y) == FNN_ESHAPE, "rows of factors");
    for (ptrdiff_t cols = 0; cols < 13; cols++)
        CHECK((STATUS(x, means, in_block(v, QUARTER, 4, cols), y) == FNN_ESHAPE) == (cols != 9),
              "%td columns of factors", cols);
    CHECK(STATUS(x, means, ((fnn_in){ factors.data, 4, 9, 1, 4 }), y) == FNN_ESHAPE,
          "factors by columns");
    CHECK(STATUS(x, means, factors, block(v, 2 * QUARTER, 5, 1)) == FNN_ESHAPE, "rows of y");
    CHECK(STATUS(x, means, factors, block(v, 2 * QUARTER, 4, 2)) == FNN_ESHAPE, "columns of y");
    CHECK(STATUS(in_block(v, 0, 4, 0), in_block(v, 3, 4, 0), in_block(v, QUARTER, 4, 0), y)
          == FNN_ESHAPE, "no features");
    CHECK(STATUS(in_block(v, 0, 0, 3), in_block(v, 3, 0, 3), in_block(v, QUARTER, 0, 9),
                 block(v, 2 * QUARTER, 0, 1)) == FNN_OK, "no rows");
    CHECK(STATUS(x, means, factors, block(v, 2, 4, 1)) == FNN_EALIAS, "y is on x");
    CHECK(STATUS(x, means, factors, block(v, 5, 4, 1)) == FNN_EALIAS, "y is on means");
    CHECK(STATUS(x, means, factors, block(v, QUARTER + 8, 4, 1)) == FNN_EALIAS, "y is on factors");
    CHECK(STATUS(x, means, factors, block(v, 6, 4, 1)) == FNN_OK, "y is beside them");
#undef STATUS
}

static void test_log_sum_refusals(const variant *v)
{
    const fnn_in z = in_block(v, 0, 4, 5);
    const fnn_dtype dt = v->dt;
    CHECK(fnn_log_softmax(dt, z, block(v, 0, 4, 5)) == FNN_OK, "in place");
    CHECK(fnn_log_softmax(dt, z, block(v, 1, 4, 5)) == FNN_EALIAS, "moved by one");
    CHECK(fnn_log_softmax(dt, z, block(v, QUARTER, 4, 4)) == FNN_ESHAPE, "columns");
    CHECK(fnn_log_softmax(dt, z, block(v, QUARTER, 5, 5)) == FNN_ESHAPE, "rows");
    CHECK(fnn_log_softmax(dt, in_block(v, 0, 4, 0), block(v, QUARTER, 4, 0)) == FNN_ESHAPE,
          "no classes");
    CHECK(fnn_log_softmax(dt, in_block(v, 0, 0, 5), block(v, QUARTER, 0, 5)) == FNN_OK, "no rows");
    CHECK(fnn_logsumexp(dt, z, block(v, 5, 4, 1)) == FNN_OK, "beside z");
    CHECK(fnn_logsumexp(dt, z, block(v, 4, 4, 1)) == FNN_EALIAS, "on z");
    CHECK(fnn_logsumexp(dt, z, block(v, QUARTER, 4, 5)) == FNN_ESHAPE, "columns");
    CHECK(fnn_logsumexp(dt, z, block(v, QUARTER, 3, 1)) == FNN_ESHAPE, "rows");
    CHECK(fnn_logsumexp(dt, in_block(v, 0, 4, 0), block(v, QUARTER, 4, 1)) == FNN_ESHAPE,
          "no classes");
}

/* Results of what is refused stay as they were. */
static void test_moments_refusals(const variant *v)
{
    const fnn_in x = in_block(v, 0, 4, 3), none = { 0 };
    double kept[C * (2 + 2 * 3 + 9)];
    const fnn_moments m = { kept, kept + C, kept + 4 * C, kept + 13 * C, kept + 16 * C };
    const int64_t good[] = { 0, C - 1, 0, 1 }, high[] = { 0, 0, 0, C }, low[] = { -1, 0, 0, 0 };
    for (int covariance = 0; covariance < FNN_NCOVARIANCE; covariance++) {
        const fnn_covariance of = (fnn_covariance)covariance;
        kept[0] = 777;
        CHECK(fnn_moments_of(v->dt, of, x, none, high, NULL, C, m) == FNN_EVALUE, "label too high");
        CHECK(fnn_moments_of(v->dt, of, x, none, low, NULL, C, m) == FNN_EVALUE, "label too low");
        CHECK(fnn_moments_of(v->dt, of, x, in_block(v, 3, 5, 1), good, NULL, C, m) == FNN_ESHAPE,
              "rows of the extra columns");
        CHECK(kept[0] == 777, "results of what was refused");
        CHECK(fnn_moments_of(v->dt, of, x, none, good, NULL, C, m) == FNN_OK && kept[0] == 2,
              "as it should be");
        CHECK(fnn_moments_of(v->dt, of, in_block(v, 0, 0, 3), none, good, NULL, C, m) == FNN_OK
              && kept[0] == 0, "no rows");
    }
}

static void test_linear_refusals(const variant *v)
{
    const fnn_in x = in_block(v, 0, 3, 2), y = in_block(v, 2, 3, 4);
    const int64_t good[] = { 0, 3, 2 }, high[] = { 0, 4, 2 }, low[] = { 0, 1, -1 };
    const int64_t bits[] = { 0, 1, 1 }, two[] = { 0, 2, 1 };
    double theta[4 * 3] = { 0 }, gradient[4 * 3] = { 777 }, loss = 777;
#define STATUS(fn, x, labels, y, weights, c, width)                                            \
    fnn_linear_loss(v->dt, fn, x, ((fnn_targets){ labels, y, weights }), c, width, theta, 0.5, \
                    &loss, gradient, NULL)
    CHECK(STATUS(FNN_SOFTMAX_CE, x, high, y, NULL, 4, 3) == FNN_EVALUE, "a label too high");
    CHECK(STATUS(FNN_SQUARED_ERROR, x, low, y, NULL, 4, 3) == FNN_EVALUE, "a label too low");
    CHECK(STATUS(FNN_SIGMOID_CE, x, two, y, NULL, 1, 3) == FNN_EVALUE, "one column: 0 or 1");
    CHECK(STATUS(FNN_SOFTMAX_CE, x, bits, y, NULL, 1, 3) == FNN_EVALUE, "one class: only 0");
    for (int fn = FNN_SQUARED_ERROR + 1; fn < FNN_NLOSS; fn++)
        CHECK(STATUS((fnn_loss)fn, x, good, y, NULL, 4, 3) == FNN_EVALUE, "a network's loss");
    CHECK(STATUS(FNN_SOFTMAX_CE, x, NULL, y, NULL, 3, 3) == FNN_ESHAPE, "columns of targets");
    CHECK(STATUS(FNN_SOFTMAX_CE, x, NULL, in_block(v, 2, 4, 4), NULL, 4, 3) == FNN_ESHAPE,
          "rows of targets");
    CHECK(STATUS(FNN_SOFTMAX_CE, in_block(v, 0, 0, 2), good, y, NULL, 4, 3) == FNN_ESHAPE,
          "no rows");
    CHECK(STATUS(FNN_SOFTMAX_CE, x, NULL, in_block(v, 2, 3, 0), NULL, 0, 3) == FNN_ESHAPE,
          "no classes");
    for (ptrdiff_t width = 0; width < 6; width++)
        if (width != 2 && width != 3)
            CHECK(STATUS(FNN_SOFTMAX_CE, x, good, y, NULL, 4, width) == FNN_ESHAPE, "width %td",
                  width);
    CHECK(STATUS(FNN_SOFTMAX_CE, in_block(v, 0, 3, 0), good, y, NULL, 4, 0) == FNN_ESHAPE,
          "no parameters");

    const matrix w = new_matrix(v->dt, 1, 3, CONTIGUOUS);
    const double sums_of_weights[][3] = { { 0, 0, 0 }, { 0, NAN, 0 }, { 1, 0, 2 } };
    for (int i = 0; i < 3; i++) {
        CHECK(loss == 777 && gradient[0] == 777, "results of what was refused");
        for (int j = 0; j < 3; j++)
            put(v->dt, w.v, 0, j, sums_of_weights[i][j]);
        CHECK(STATUS(FNN_SOFTMAX_CE, x, good, y, w.v.data, 4, 3) == (i < 2 ? FNN_EVALUE : FNN_OK),
              "weights %d", i);
    }
    CHECK(loss != 777, "a loss after all");
    CHECK(STATUS(FNN_SIGMOID_CE, x, bits, y, NULL, 1, 2) == FNN_OK, "one column, no intercept");
#undef STATUS
}

static const test models_tests[] = {
    { "rows alone", test_rows_alone }, { "failures", test_failures }, { "steady", test_steady },
    { "overflow", test_overflow }, { "gaussian refusals", test_gaussian_refusals },
    { "paired refusals", test_paired_refusals }, { "log sum refusals", test_log_sum_refusals },
    { "moments refusals", test_moments_refusals }, { "linear refusals", test_linear_refusals },
};
SUITE(models, EACH);
