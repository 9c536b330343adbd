/* test_factor.c -- Cholesky factors, solving with them, inverses and inner products by their public
 * functions. These are f64; on the variant of f32 there is nothing to test. */
#include "suites.h"

/* Around the block of 64 rows, and several blocks. */
static const ptrdiff_t orders[] = { 0, 1, 2, 3, 7, 8, 9, 13, 17, 31, 63, 64, 65, 130, 200 };
enum { ORDERS = sizeof orders / sizeof *orders, QUICK_ORDERS = ORDERS - 2 };
static int order_count(void) { return quick() ? QUICK_ORDERS : ORDERS; }

static matrix square(ptrdiff_t d) { return new_matrix(FNN_F64, d, d, CONTIGUOUS); }

/* Lower triangular with a diagonal from 1 on; NaN above it, where nothing is to be read. */
static matrix new_factor(ptrdiff_t d, uint64_t seed)
{
    const matrix l = square(d);
    fill(&l, NARROW, seed);
    for (ptrdiff_t i = 0; i < d; i++)
        for (ptrdiff_t j = 0; j < d; j++)
            put(FNN_F64, l.v, i, j, j > i ? NAN : j == i ? 1 + fabs(at(&l, i, j))
                                                : at(&l, i, j) / sqrt((double)d));
    return l;
}

/* The lower triangle of L L'. */
static void fill_product(const matrix *l, const matrix *a)
{
    const ptrdiff_t d = l->v.rows;
    for (ptrdiff_t i = 0; i < d; i++)
        for (ptrdiff_t j = 0; j < d; j++) {
            long double sum = j > i ? NAN : 0;
            for (ptrdiff_t p = 0; p <= j && j <= i; p++)
                sum += (long double)at(l, i, p) * at(l, j, p);
            put(FNN_F64, a->v, i, j, (double)sum);
        }
}

/* Row i of a times column j of b over `count` terms, within `roundings` roundings of them all. */
static approx product(const matrix *a, const matrix *b, ptrdiff_t i, ptrdiff_t j, ptrdiff_t count,
                      ptrdiff_t roundings)
{
    long double sum = 0, magnitude = 0;
    for (ptrdiff_t p = 0; p < count; p++) {
        const long double term = (long double)at(a, i, p) * at(b, p, j);
        sum += term;
        magnitude += fabsl(term);
    }
    return (approx){ sum, (long double)roundings * eps_of(FNN_F64) * magnitude };
}

/* ---- Cholesky ----------------------------------------------------------------------------- */

/* By how many bounds L L' is off A, of which the lower triangle counts: each element of L is a sum
 * of as many terms as L L' has, a quotient or a root. */
static double worst_cholesky(const matrix *l, const matrix *a)
{
    double worst = 0;
    for (ptrdiff_t i = 0; i < a->v.rows; i++)
        for (ptrdiff_t j = 0; j <= i; j++) {
            long double sum = 0, magnitude = 0;
            for (ptrdiff_t p = 0; p <= j; p++) {
                const long double term = (long double)at(l, i, p) * at(l, j, p);
                sum += term;
                magnitude += fabsl(term);
            }
            const long double bound = (long double)(j + 4) * eps_of(FNN_F64) * magnitude;
            worst = fmax(worst, (double)(fabsl(sum - at(a, i, j)) / bound));
            worst = isnan((double)sum) ? INFINITY : worst;
        }
    return worst;
}

static void test_cholesky(const variant *v)
{
    for (int o = 0; v->dt == FNN_F64 && o < order_count(); o++) {
        const ptrdiff_t d = orders[o];
        const matrix l = new_factor(d, 1), a = square(d), got = square(d);
        ptrdiff_t pivot = 777;
        fill_product(&l, &a);
        fnn_copy(FNN_F64, freeze(&a), got.v);
        fnn_workspace_clear(&fnn_shared_workspace); /* sanitizers see where new memory ends */
        CHECK(fnn_cholesky(d, got.v.data, &pivot) == FNN_OK && pivot == -1, "d %td: pivot %td", d,
              pivot);
        const double worst = worst_cholesky(&got, &a);
        CHECK(worst <= 1, "d %td: %.3g bounds", d, worst);
        for (ptrdiff_t i = 0; i < d; i++)
            for (ptrdiff_t j = i + 1; j < d; j++)
                CHECK(at(&got, i, j) == 0, "d %td: %g above the diagonal", d, at(&got, i, j));
        free_matrices();
    }
}

/* Each element is one chain of multiply-adds, whatever the blocks: a_ij - l_i0 l_j0 - l_i1 l_j1 ...
 * divided by the root of the one on the diagonal. */
static void test_cholesky_bits(const variant *v)
{
    for (int o = 0; v->dt == FNN_F64 && o < order_count(); o++) {
        const ptrdiff_t d = orders[o];
        const matrix l = new_factor(d, 2), a = square(d), got = square(d), right = square(d);
        ptrdiff_t pivot;
        bool same = true;
        fill_product(&l, &a);
        fnn_copy(FNN_F64, freeze(&a), got.v);
        CHECK(fnn_cholesky(d, got.v.data, &pivot) == FNN_OK, "status");
        for (ptrdiff_t j = 0; j < d; j++) {
            double root = NAN;
            for (ptrdiff_t i = j; i < d; i++) {
                double sum = at(&a, i, j);
                for (ptrdiff_t p = 0; p < j; p++) {
                    const double l_ip = at(&right, i, p), l_jp = at(&right, j, p);
                    sum = v->isa == FNN_SCALAR ? sum - l_ip * l_jp : fma(-l_ip, l_jp, sum);
                }
                root = i == j ? sqrt(sum) : root;
                put(FNN_F64, right.v, i, j, sum / root);
                same &= at(&right, i, j) == at(&got, i, j);
            }
        }
        CHECK(same, "d %td", d);
        free_matrices();
    }
}

/* The first pivot that is negative, zero, NaN or infinite, at each column. */
static void test_pivots(const variant *v)
{
    for (int o = 0; v->dt == FNN_F64 && o < order_count(); o++) {
        const ptrdiff_t d = orders[o], step = d <= 65 && !quick() ? 1 : 21;
        const matrix l = new_factor(d, 3), a = square(d), got = square(d);
        fill_product(&l, &a);
        for (ptrdiff_t at_column = 0; at_column < d; at_column += step) {
            /* What earlier columns leave of the element, up to rounding, is l_jj^2 >= 1. */
            const double l_jj = at(&l, at_column, at_column), rest = l_jj * l_jj;
            const double pivots[] = { -1, -1e-3, NAN, INFINITY, -INFINITY };
            for (int p = 0; p < 5; p++) {
                ptrdiff_t pivot = 777;
                fnn_copy(FNN_F64, fnn_as_in(a.v), got.v);
                put(FNN_F64, got.v, at_column, at_column,
                    at(&a, at_column, at_column) - rest + pivots[p]);
                CHECK(fnn_cholesky(d, got.v.data, &pivot) == FNN_EVALUE && pivot == at_column,
                      "d %td: pivot %td, not %td for %g", d, pivot, at_column, pivots[p]);
            }
        }
        free_matrices();
    }
    if (v->dt == FNN_F64) { /* integers: the second pivot is exactly zero */
        double singular[] = { 4, NAN, 2, 1 };
        ptrdiff_t pivot = 777;
        CHECK(fnn_cholesky(2, singular, &pivot) == FNN_EVALUE && pivot == 1, "pivot %td", pivot);
    }
}

/* ---- solving ------------------------------------------------------------------------------ */

/* L y = b with an error (d + 2) eps |L| |y|, then L' x = y likewise: |b - L L' x| is at most
 * (2 d + 6) eps |L| |L'| |x|. */
static double worst_solution(const matrix *l, const matrix *x, const matrix *b, ptrdiff_t t)
{
    const ptrdiff_t d = l->v.rows;
    long double *y = calloc((size_t)d + 1, sizeof *y), *size = calloc((size_t)d + 1, sizeof *size);
    must(y && size, "calloc");
    double worst = 0;
    for (ptrdiff_t i = 0; i < d; i++)
        for (ptrdiff_t p = i; p < d; p++) { /* L' x */
            y[i] += (long double)at(l, p, i) * at(x, p, t);
            size[i] += fabsl((long double)at(l, p, i) * at(x, p, t));
        }
    for (ptrdiff_t i = 0; i < d; i++) {
        long double sum = 0, magnitude = 0;
        for (ptrdiff_t p = 0; p <= i; p++) {
            sum += at(l, i, p) * y[p];
            magnitude += fabsl((long double)at(l, i, p)) * size[p];
        }
        const long double bound = (long double)(2 * d + 6) * eps_of(FNN_F64) * magnitude;
        worst = fmax(worst, miss(at(b, i, t), (approx){ sum, bound }));
    }
    free(y);
    free(size);
    return worst;
}

static void test_solve(const variant *v)
{
    const ptrdiff_t columns[] = { 0, 1, 3, 8, 33 };
    for (int o = 0; v->dt == FNN_F64 && o < order_count(); o++)
        for (int c = 0; c < 5; c++) {
            const ptrdiff_t d = orders[o], t = columns[c];
            const matrix l = new_factor(d, 4), b = new_matrix(FNN_F64, d, t, CONTIGUOUS);
            const matrix x = new_matrix(FNN_F64, d, t, CONTIGUOUS);
            fill(&b, SPREAD, 5);
            fnn_copy(FNN_F64, freeze(&b), x.v);
            CHECK(fnn_cholesky_solve(d, freeze(&l).data, t, x.v.data) == FNN_OK, "status");
            double worst = 0;
            for (ptrdiff_t j = 0; j < t; j++)
                worst = fmax(worst, worst_solution(&l, &x, &b, j));
            CHECK(worst <= 1, "d %td columns %td: %.3g bounds", d, t, worst);
            free_matrices();
        }
}

/* L times each column of the inverse is one of the identity, and columns are zero above it. */
static void test_inverse(const variant *v)
{
    for (int o = 0; v->dt == FNN_F64 && o < order_count(); o++) {
        const ptrdiff_t d = orders[o];
        const matrix l = new_factor(d, 6), inverse = square(d);
        CHECK(fnn_triangular_inverse(d, freeze(&l).data, inverse.v.data) == FNN_OK, "status");
        double worst = 0;
        for (ptrdiff_t i = 0; i < d; i++)
            for (ptrdiff_t j = 0; j < d; j++) {
                const approx one_or_zero = product(&l, &inverse, i, j, i + 1, i + 3);
                worst = fmax(worst, j > i ? miss(at(&inverse, i, j), exactly(0))
                                          : miss(i == j, one_or_zero));
            }
        CHECK(worst <= 1, "d %td: %.3g bounds", d, worst);
        free_matrices();
    }
}

/* 16 lanes and four sums to fold them. */
static void test_dot_product(const variant *v)
{
    for (ptrdiff_t count = 0; v->dt == FNN_F64 && count < 300; count += count < 70 ? 1 : 37) {
        const matrix a = new_matrix(FNN_F64, 1, count, CONTIGUOUS);
        const matrix b = new_matrix(FNN_F64, count, 1, CONTIGUOUS);
        double dot = NAN;
        fill(&a, CANCELLING, 7);
        fill(&b, SPREAD, 8);
        CHECK(fnn_dot(count, freeze(&a).data, freeze(&b).data, &dot) == FNN_OK, "status");
        const approx right = product(&a, &b, 0, 0, count, count / 16 + 6);
        CHECK(miss(dot, right) <= 1, "count %td: %.3g bounds", count, miss(dot, right));
        free_matrices();
    }
}

static const test factor_tests[] = {
    { "cholesky", test_cholesky }, { "cholesky bits", test_cholesky_bits },
    { "pivots", test_pivots }, { "solve", test_solve }, { "inverse", test_inverse },
    { "dot product", test_dot_product },
};
SUITE(factor, GUARDED);
