/* test_extremes.c -- NaN stays NaN and stays in its row; finite inputs, however large, give finite
 * outputs. */
#include "suites.h"

enum { N = 19, K = 7, M = 37, AT = 5 }; /* the NaN is in row AT */

/* Whether row i of y is NaN where it should be and finite elsewhere. */
static bool row_is_nan(const matrix *y, ptrdiff_t i, bool wanted)
{
    for (ptrdiff_t j = 0; j < y->v.cols; j++)
        if (wanted ? !isnan(at(y, i, j)) : !isfinite(at(y, i, j)))
            return false;
    return true;
}

static void test_nan_forward(const variant *v)
{
    for (int act = 0; act < FNN_NACT; act++) {
        const matrix x = new_matrix(v->dt, N, K, PADDED), w = new_matrix(v->dt, K, M, PADDED);
        const matrix y = new_matrix(v->dt, N, M, PADDED);
        fill(&x, NARROW, 1);
        fill(&w, NARROW, 2);
        put(v->dt, x.v, AT, 3, NAN);
        CHECK(fnn_dense_forward(v->dt, act, freeze(&x), freeze(&w), (fnn_in){ 0 }, y.v) == FNN_OK,
              "status");
        for (ptrdiff_t i = 0; i < N; i++)
            CHECK(row_is_nan(&y, i, i == AT), "act %d, row %td", act, i);
    }
}

static void test_nan_backward(const variant *v)
{
    for (int act = FNN_SIGMOID; act < FNN_NACT; act++)
        for (int in_y = 0; in_y < 2; in_y++) { /* else in dy */
            const matrix x = new_matrix(v->dt, N, K, PADDED), w = new_matrix(v->dt, K, M, PADDED);
            const matrix y = new_matrix(v->dt, N, M, PADDED), dy = new_matrix(v->dt, N, M, PADDED);
            const matrix dx = new_matrix(v->dt, N, K, PADDED), db = new_matrix(v->dt, 1, M, PADDED);
            const matrix *const inputs[] = { &x, &w, &y, &dy };
            for (int i = 0; i < 4; i++)
                fill(inputs[i], NARROW, (uint64_t)i + 1);
            put(v->dt, in_y ? y.v : dy.v, AT, 3, NAN);
            CHECK(fnn_dense_backward(v->dt, act, freeze(&x), freeze(&w), freeze(&y), freeze(&dy),
                                     dx.v,
                                     (fnn_out){ 0 }, db.v) == FNN_OK, "status");
            CHECK(isnan(at(&db, 0, 3)), "act %d: db", act);
            for (ptrdiff_t i = 0; i < N; i++)
                CHECK(row_is_nan(&dx, i, i == AT), "act %d, row %td of dx", act, i);
            free_matrices();
        }
}

static void test_nan_rows(const variant *v)
{
    const matrix z = new_matrix(v->dt, N, M, PADDED), y = new_matrix(v->dt, N, M, PADDED);
    int64_t labels[N] = { 0 };
    fill(&z, NARROW, 1);
    put(v->dt, z.v, AT, 3, NAN);
    CHECK(fnn_softmax(v->dt, freeze(&z), y.v) == FNN_OK, "status");
    for (ptrdiff_t i = 0; i < N; i++)
        CHECK(row_is_nan(&y, i, i == AT), "softmax, row %td", i);
    for (int fn = 0; fn < FNN_NLOSS; fn++) {
        double loss = 0;
        CHECK(fnn_loss_gradient(v->dt, (fnn_loss)fn, HUBER_DELTA, fnn_as_in(z.v),
                                (fnn_targets){ .labels = labels },
                                &loss, y.v) == FNN_OK, "status");
        CHECK(isnan(loss) && isnan(at(&y, AT, 3)), "loss %d is %g", fn, loss);
        CHECK(row_is_nan(&y, AT + 1, false), "loss %d, next row", fn);
    }
}

/* Logits so far apart that their sum just does not overflow. */
static void test_huge_logits(const variant *v)
{
    const double most = v->dt == FNN_F32 ? FLT_MAX : DBL_MAX;
    const double logits[] = { most / 64, -most / 64, 0, 1, -1, (double)tiny_of(v->dt) };
    const matrix z = new_matrix(v->dt, 6, M, PADDED), y = new_matrix(v->dt, 6, M, PADDED);
    int64_t labels[6];
    for (ptrdiff_t i = 0; i < 6; i++) {
        labels[i] = (i + 3) % M;
        for (ptrdiff_t j = 0; j < M; j++)
            put(v->dt, z.v, i, j, logits[(i + j) % 6]);
    }
    CHECK(fnn_softmax(v->dt, freeze(&z), y.v) == FNN_OK, "status");
    for (ptrdiff_t i = 0; i < 6; i++)
        for (ptrdiff_t j = 0; j < M; j++) /* all the mass is on the largest logits */
            CHECK((at(&y, i, j) > 0) == ((i + j) % 6 == 0), "softmax %td %td is %g", i, j,
                  at(&y, i, j));
    /* An exponential overflows, which a loss of infinity says; below, it is 0. */
    double poisson = 0;
    CHECK(fnn_loss_gradient(v->dt, FNN_POISSON, 0, fnn_as_in(z.v), (fnn_targets){ .labels = labels },
                            &poisson, y.v) == FNN_OK, "status");
    CHECK(poisson == INFINITY && at(&y, 0, 0) == INFINITY, "poisson %g", poisson);
    const fnn_in low = { fnn_at(v->dt, z.v.data, 1), 1, 1, 1, 1 };
    CHECK(fnn_loss_gradient(v->dt, FNN_POISSON, 0, low, (fnn_targets){ .labels = (int64_t[]){ 0 } },
                            &poisson, fnn_slice_out(v->dt, (fnn_out){ y.v.data, 6, 1, 1, 1 }, 0, 1))
          == FNN_OK && poisson == 0 && at(&y, 0, 0) == 0, "no counts of a mean of 0: %g", poisson);
    const fnn_loss bounded[] = { FNN_SOFTMAX_CE, FNN_SIGMOID_CE, FNN_HUBER };
    for (int l = 0; l < 3; l++) {
        const fnn_loss fn = bounded[l];
        double loss = NAN;
        CHECK(fnn_loss_gradient(v->dt, (fnn_loss)fn, HUBER_DELTA, fnn_as_in(z.v),
                                (fnn_targets){ .labels = labels },
                                &loss, y.v) == FNN_OK, "status");
        CHECK(isfinite(loss) && loss > 0, "loss %d is %g", fn, loss);
        for (ptrdiff_t i = 0; i < 6; i++)
            CHECK(row_is_nan(&y, i, false), "loss %d, row %td of dz", fn, i);
    }
}

static const test extremes_tests[] = {
    { "nan forward", test_nan_forward }, { "nan backward", test_nan_backward },
    { "nan rows", test_nan_rows }, { "huge logits", test_huge_logits },
};
SUITE(extremes, EACH);
