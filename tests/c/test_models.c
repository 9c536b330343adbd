/* test_models.c -- Gaussians, moments, linear losses and factors as callers see them: what they
 * refuse, what they do when memory fails, and that a row does not depend on the others. */
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

typedef struct { double weight[C], mean[C * D], scatter[C * D * D], third[C * D], fourth[C]; } sums;
static fnn_moments view_of(sums *s)
{
    return (fnn_moments){ s->weight, s->mean, s->scatter, s->third, s->fourth };
}

/* Moments of two halves add up to those of the whole, and come apart again. */
static void test_merging(const variant *v)
{
    const matrix x = new_matrix(v->dt, N, D, SPREAD_OUT);
    fill(&x, NARROW, 3);
    const fnn_in rows = freeze(&x), none = { 0 };
    int64_t labels[N];
    for (int i = 0; i < N; i++)
        labels[i] = i % C;
    sums *s = calloc(3, sizeof *s);
    must(s != NULL, "memory");
    const ptrdiff_t half = 20;
    CHECK(fnn_moments_of(v->dt, FNN_FULL, rows, none, labels, NULL, C, view_of(&s[0])) == FNN_OK,
          "whole");
    CHECK(fnn_moments_of(v->dt, FNN_FULL, fnn_slice(v->dt, rows, 0, half), none, labels, NULL, C,
                         view_of(&s[1])) == FNN_OK, "first");
    CHECK(fnn_moments_of(v->dt, FNN_FULL, fnn_slice(v->dt, rows, half, N - half), none,
                         labels + half, NULL, C, view_of(&s[2])) == FNN_OK, "second");
    sums first = s[1];
    CHECK(fnn_moments_add(C, D, view_of(&s[1]), view_of(&s[2]), 1) == FNN_OK, "add");
    const double *whole = (const double *)&s[0], *merged = (const double *)&s[1];
    const double eps = (double)eps_of(v->dt);
    for (size_t i = 0; i < sizeof *s / sizeof(double); i++) {
        /* fourth is the largest: each entry is a sum of at most N numbers below it */
        CHECK(fabs(whole[i] - merged[i]) <= 4 * N * eps * (1 + s[0].fourth[0]), "entry %zu", i);
    }
    CHECK(fnn_moments_add(C, D, view_of(&s[1]), view_of(&s[2]), -1) == FNN_OK, "remove");
    const double *before = (const double *)&first;
    for (size_t i = 0; i < sizeof *s / sizeof(double); i++)
        CHECK(fabs(before[i] - merged[i]) <= 8 * N * eps * (1 + s[0].fourth[0]), "back %zu", i);
    free(s);
}

/* Call until no allocation fails; every failure must be reported. */
#define EACH_ALLOCATION_FAILS(call)                                          \
    for (long n = 1;; n++) {                                                 \
        fnn_workspace_clear(&fnn_shared_workspace);                          \
        fnn_fail_allocation = n;                                             \
        const fnn_status status = (call);                                    \
        const bool failed = fnn_fail_allocation == 0;                        \
        fnn_fail_allocation = 0;                                             \
        CHECK(status == (failed ? FNN_ENOMEM : FNN_OK), "%ld: %d", n, status); \
        if (!failed)                                                         \
            break;                                                           \
    }

static fnn_status new_and_free(const variant *v, fnn_covariance covariance, const parameters *p)
{
    fnn_gaussians *g = NULL;
    const fnn_status status = fnn_gaussians_new(v->dt, covariance, C, D, p->mean, p->factor, &g);
    fnn_gaussians_free(status ? NULL : g);
    return status;
}

static void test_memory_fails(const variant *v)
{
    const matrix x = new_matrix(v->dt, N, D, SPREAD_OUT), y = new_matrix(v->dt, N, C, CONTIGUOUS);
    const matrix one = new_matrix(v->dt, N, 1, CONTIGUOUS);
    fill(&x, NARROW, 3);
    const fnn_in rows = fnn_as_in(x.v);
    int64_t labels[N];
    for (int i = 0; i < N; i++)
        labels[i] = i % C;
    const fnn_targets targets = { .labels = labels };
    sums *s = calloc(2, sizeof *s);
    double theta[C * (D + 1)] = { 0 }, gradient[C * (D + 1)], loss;
    double *hessian = calloc(C * C * (D + 1) * (D + 1), sizeof *hessian);
    must(s && hessian, "memory");
    for (int covariance = 0; covariance < FNN_NCOVARIANCE; covariance++) {
        const parameters p = make_parameters((fnn_covariance)covariance, 0);
        EACH_ALLOCATION_FAILS(new_and_free(v, (fnn_covariance)covariance, &p))
        fnn_gaussians *g = make_gaussians(v, (fnn_covariance)covariance, 0);
        EACH_ALLOCATION_FAILS(fnn_gaussians_evaluate(g, FNN_JOINT, NULL, rows, y.v))
        fnn_gaussians_free(g);
        EACH_ALLOCATION_FAILS(fnn_moments_of(v->dt, (fnn_covariance)covariance, rows, (fnn_in){ 0 },
                                             labels, NULL, C, view_of(&s[0])))
    }
    s[1] = s[0];
    EACH_ALLOCATION_FAILS(fnn_moments_add(C, D, view_of(&s[0]), view_of(&s[1]), 1))
    EACH_ALLOCATION_FAILS(fnn_linear_loss(v->dt, FNN_SOFTMAX_CE, rows, targets, C, D + 1, theta, 0.5,
                                          &loss, gradient, hessian))
    EACH_ALLOCATION_FAILS(fnn_logsumexp(v->dt, rows, one.v))
    EACH_ALLOCATION_FAILS(fnn_log_softmax(v->dt, rows, x.v))
    double identity[4] = { 1, 0, 0, 1 };
    ptrdiff_t pivot;
    EACH_ALLOCATION_FAILS(fnn_cholesky(2, identity, &pivot))
    free(hessian);
    free(s);
}

/* Many classes, and rows whose length is a power of two, which as a factor are copied panel by panel:
 * the workspace must have room for that. The gradient at zero is known. */
static void test_many_classes(const variant *v)
{
    enum { ROWS = 40, FEATURES = 1024, CLASSES = 40 };
    const matrix x = new_matrix(v->dt, ROWS, FEATURES, CONTIGUOUS);
    fill(&x, NARROW, 11);
    int64_t labels[ROWS];
    for (int i = 0; i < ROWS; i++)
        labels[i] = i % CLASSES;
    const size_t size = CLASSES * FEATURES;
    double *theta = calloc(size, sizeof *theta), *gradient = calloc(size, sizeof *gradient), loss;
    must(theta && gradient, "memory");
    fnn_workspace_clear(&fnn_shared_workspace); /* or a larger block of before hides a small one */
    CHECK(fnn_linear_loss(v->dt, FNN_SOFTMAX_CE, fnn_as_in(x.v), (fnn_targets){ .labels = labels },
                          CLASSES, FEATURES, theta, 0, &loss, gradient, NULL) == FNN_OK, "loss");
    double worst = 0;
    for (ptrdiff_t k = 0; k < CLASSES; k++)
        for (ptrdiff_t j = 0; j < FEATURES; j++) {
            long double sum = 0, magnitude = 0;
            for (ptrdiff_t i = 0; i < ROWS; i++) {
                const long double d = 1.0L / CLASSES - (labels[i] == k);
                sum += d * at(&x, i, j) / ROWS;
                magnitude += fabsl(d * at(&x, i, j)) / ROWS;
            }
            const approx right = { sum, (ROWS + 8) * eps_of(v->dt) * magnitude };
            worst = fmax(worst, miss(gradient[k * FEATURES + j], right));
        }
    CHECK(worst <= 1, "gradient: %.3g bounds", worst);
    free(gradient);
    free(theta);
}

static void test_refusals(const variant *v)
{
    const matrix x = new_matrix(v->dt, N, D, CONTIGUOUS), y = new_matrix(v->dt, N, C, CONTIGUOUS);
    fill(&x, NARROW, 3);
    const fnn_in rows = fnn_as_in(x.v);
    fnn_gaussians *g = make_gaussians(v, FNN_FULL, 0);
    const fnn_out part = { x.v.data, N, C, D, 1 };
    CHECK(fnn_gaussians_evaluate(g, FNN_JOINT, NULL, rows, part) == FNN_EALIAS, "alias");
    CHECK(fnn_gaussians_evaluate(g, FNN_LOG_DENSITY, NULL, rows, y.v) == FNN_ESHAPE, "columns");
    const fnn_in narrow = { x.v.data, N, D - 1, D, 1 };
    CHECK(fnn_gaussians_evaluate(g, FNN_JOINT, NULL, narrow, y.v) == FNN_ESHAPE, "features");
    fnn_gaussians_free(g);

    int64_t labels[N] = { 0 };
    labels[N - 1] = C;
    sums *s = calloc(1, sizeof *s);
    must(s != NULL, "memory");
    CHECK(fnn_moments_of(v->dt, FNN_FULL, rows, (fnn_in){ 0 }, labels, NULL, C, view_of(s))
          == FNN_EVALUE, "label");
    free(s);
    double theta[C * (D + 1)] = { 0 }, gradient[C * (D + 1)], loss;
    const fnn_targets targets = { .labels = labels };
    CHECK(fnn_linear_loss(v->dt, FNN_SOFTMAX_CE, rows, targets, C, D, theta, 0, &loss, gradient,
                          NULL) == FNN_EVALUE, "label");
    labels[N - 1] = 0;
    CHECK(fnn_linear_loss(v->dt, FNN_SOFTMAX_CE, rows, targets, C, D + 2, theta, 0, &loss, gradient,
                          NULL) == FNN_ESHAPE, "width");
    double indefinite[4] = { 1, 2, 2, 1 };
    ptrdiff_t pivot = -1;
    CHECK(fnn_cholesky(2, indefinite, &pivot) == FNN_EVALUE && pivot == 1, "pivot %td", pivot);
}

static const test models_tests[] = {
    { "rows alone", test_rows_alone }, { "merging", test_merging },
    { "many classes", test_many_classes },
    { "memory fails", test_memory_fails }, { "refusals", test_refusals },
};
SUITE(models, EACH);
