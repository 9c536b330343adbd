/* test_moments.c -- weights, means, scatters and higher moments of classes: against the formulas,
 * the same bits however rows lie, added and taken away. */
#include "naive_models.h"
#include "suites.h"

enum { MOST_ROWS = 600 };
static const fnn_in none = { 0 };

/* ---- data --------------------------------------------------------------------------------- */

/* Results, f64 between guard pages, NaN so far. */
typedef struct { matrix weight, mean, scatter, third, fourth; } results;

static results new_results(fnn_covariance covariance, ptrdiff_t c, ptrdiff_t d)
{
    const ptrdiff_t rows = covariance == FNN_SHARED ? d : covariance == FNN_DIAG ? c : c * d;
    const ptrdiff_t full = covariance == FNN_FULL ? c : 0;
    return (results){
        new_matrix(FNN_F64, 1, c, CONTIGUOUS), new_matrix(FNN_F64, c, d, CONTIGUOUS),
        new_matrix(FNN_F64, rows, d, CONTIGUOUS), new_matrix(FNN_F64, full, d, CONTIGUOUS),
        new_matrix(FNN_F64, 1, full, CONTIGUOUS),
    };
}
/* The other two are not to be touched but for FNN_FULL. */
static fnn_moments view_of(const results *r)
{
    const bool full = r->fourth.v.cols > 0;
    return (fnn_moments){ r->weight.v.data, r->mean.v.data, r->scatter.v.data,
                          full ? r->third.v.data : NULL, full ? r->fourth.v.data : NULL };
}
static void copy_results(const results *from, const results *to)
{
    const matrix *const a = &from->weight, *const b = &to->weight;
    for (int i = 0; i < 5; i++)
        fnn_copy(FNN_F64, fnn_as_in(a[i].v), b[i].v);
}
/* Values are compared: 0 and -0 are equal. */
static bool same_results(const results *r, const results *s)
{
    const matrix *const a = &r->weight, *const b = &s->weight;
    for (int m = 0; m < 5; m++)
        for (ptrdiff_t i = 0; i < a[m].v.rows; i++)
            for (ptrdiff_t j = 0; j < a[m].v.cols; j++)
                if (!(at(&a[m], i, j) == at(&b[m], i, j)))
                    return false;
    return true;
}

/* Rows around `base`, features on scales of their own, each class somewhere else. */
static void fill_rows(const matrix *x, double base, const int64_t *labels, uint64_t seed)
{
    fill(x, NARROW, seed);
    for (ptrdiff_t i = 0; i < x->v.rows; i++)
        for (ptrdiff_t j = 0; j < x->v.cols; j++)
            put(x->dt, x->v, i, j, base + (labels ? (double)labels[i] : 0)
                                   + ldexp(at(x, i, j), (int)(j % 3)));
}

enum { NO_LABELS, IN_TURN, IN_ORDER, ONE_MISSING, NLABELS };
static const int64_t *make_labels(int kind, ptrdiff_t n, ptrdiff_t c, int64_t *labels)
{
    for (ptrdiff_t i = 0; i < n; i++)
        labels[i] = kind == IN_TURN ? i % c : kind == IN_ORDER ? i * c / n
                  : c == 1 ? 0 : i % (c - 1) + (i % (c - 1) >= c / 2); /* class c / 2 is missing */
    return kind == NO_LABELS ? NULL : labels;
}

enum { NO_WEIGHTS, POSITIVE, SOME_ZERO, CLASS_ZERO, NWEIGHTS };
static const void *make_weights(const matrix *w, int kind, const int64_t *labels)
{
    fill(w, NARROW, 3);
    for (ptrdiff_t i = 0; i < w->v.cols; i++) {
        const bool zero = (kind == SOME_ZERO && i % 3 == 1)
                       || (kind == CLASS_ZERO && (labels ? labels[i] : 0) == 0);
        put(w->dt, w->v, 0, i, zero ? 0 : fabs(at(w, 0, i)));
    }
    return kind == NO_WEIGHTS ? NULL : freeze(w).data;
}

/* ---- values ------------------------------------------------------------------------------- */

typedef struct {
    fnn_covariance covariance;
    ptrdiff_t n, cols, extra_cols, c;
    int labels, weights;
    layout x, extra;
    double base;
} moments_case;

static void check_symmetric(const results *r, ptrdiff_t d)
{
    for (ptrdiff_t i = 0; i < r->scatter.v.rows; i++)
        for (ptrdiff_t j = 0; j < i % d; j++)
            CHECK(at(&r->scatter, i, j) == at(&r->scatter, i - i % d + j, i % d),
                  "scatter %td %td", i, j);
}

static void try_values(const variant *v, const moments_case *a)
{
    const ptrdiff_t n = a->n, c = a->c, d = a->cols + a->extra_cols;
    int64_t memory[MOST_ROWS];
    const int64_t *labels = make_labels(a->labels, n, c, memory);
    const matrix x = new_matrix(v->dt, n, a->cols, a->x), w = new_matrix(v->dt, 1, n, CONTIGUOUS);
    const matrix extra = new_matrix(v->dt, n, a->extra_cols, a->extra);
    const results got = new_results(a->covariance, c, d);
    fill_rows(&x, a->base, labels, 1);
    fill_rows(&extra, -a->base, labels, 2);
    const fnn_in x_in = freeze(&x), extra_in = a->extra_cols ? freeze(&extra) : none;
    const void *weights = make_weights(&w, a->weights, labels);
    fnn_workspace_clear(&fnn_shared_workspace); /* sanitizers see where new memory ends */
    CHECK(fnn_moments_of(v->dt, a->covariance, x_in, extra_in, labels, weights, c, view_of(&got))
          == FNN_OK, "status");
    naive_moments right =
        new_naive_moments(v->dt, a->covariance, x_in, extra_in, labels, weights, c, n);
    const double worst = miss_moments(&right, view_of(&got));
    CHECK(worst <= 1, "covariance %d n %td cols %td + %td c %td labels %d weights %d layouts %d %d "
          "base %g: %.3g bounds", a->covariance, n, a->cols, a->extra_cols, c, a->labels,
          a->weights, a->x, a->extra, a->base, worst);
    if (a->covariance != FNN_DIAG)
        check_symmetric(&got, d);
    free_naive_moments(&right);
    free_matrices();
}

/* Chunks have 256 rows. */
static void test_values(const variant *v)
{
    const ptrdiff_t rows[] = { 0, 1, 2, 5, 255, 256, 257, MOST_ROWS };
    const ptrdiff_t cols[] = { 1, 2, 3, 13, 16, 17, 33, 65 }, extras[] = { 0, 1, 5 };
    const ptrdiff_t classes[] = { 1, 2, 3, 10 };
    const int levels[] = { FNN_NCOVARIANCE, quick() ? 7 : 8, quick() ? 6 : 8, 3, 4, NLABELS,
                           NWEIGHTS, NLAYOUT, NLAYOUT, 2, 0 };
    int level[MOST_FACTORS];
    for (pairs *p = new_pairs(levels); next_case(p, level);) {
        const moments_case a = {
            .covariance = (fnn_covariance)level[0], .n = rows[level[1]], .cols = cols[level[2]],
            .extra_cols = extras[level[3]], .c = classes[level[4]], .labels = level[5],
            .weights = level[6], .x = (layout)level[7], .extra = (layout)level[8],
            .base = level[9] ? 1e4 : 0,
        };
        try_values(v, &a);
    }
}

/* ---- bits --------------------------------------------------------------------------------- */

/* The moments of a class are those of its rows alone, and layouts change nothing. */
static void test_classes_alone(const variant *v)
{
    enum { N = MOST_ROWS, D = 19, C = 2 };
    int64_t labels[N];
    make_labels(IN_TURN, N, C, labels);
    const matrix x = new_matrix(v->dt, N, D, CONTIGUOUS), w = new_matrix(v->dt, 1, N, CONTIGUOUS);
    fill_rows(&x, 1, labels, 5);
    const void *weights = make_weights(&w, SOME_ZERO, labels);
    const results all = new_results(FNN_FULL, C, D), moved = new_results(FNN_FULL, C, D);
    CHECK(fnn_moments_of(v->dt, FNN_FULL, freeze(&x), none, labels, weights, C, view_of(&all))
          == FNN_OK, "all");
    for (int how = 0; how < NLAYOUT; how++) {
        const matrix y = new_matrix(v->dt, N, D - 2, (layout)how);
        const matrix rest = new_matrix(v->dt, N, 2, (layout)how);
        fnn_copy(v->dt, (fnn_in){ x.v.data, N, D - 2, D, 1 }, y.v);
        fnn_copy(v->dt, (fnn_in){ fnn_at(v->dt, x.v.data, D - 2), N, 2, D, 1 }, rest.v);
        CHECK(fnn_moments_of(v->dt, FNN_FULL, freeze(&y), freeze(&rest), labels, weights, C,
                             view_of(&moved)) == FNN_OK, "layout %d", how);
        CHECK(same_results(&all, &moved), "layout %d: other moments", how);
    }
    for (ptrdiff_t k = 0; k < C; k++) {
        const results alone = new_results(FNN_FULL, 1, D);
        const fnn_in rows = { fnn_at(v->dt, x.v.data, k * D), N / C, D, C * D, 1 };
        double picked[N / C];
        for (ptrdiff_t i = 0; i < N / C; i++)
            put(v->dt, (fnn_out){ picked, 1, N, 0, 1 }, 0, i, at(&w, 0, C * i + k));
        CHECK(fnn_moments_of(v->dt, FNN_FULL, rows, none, NULL, picked, 1, view_of(&alone))
              == FNN_OK, "class %td", k);
        const fnn_moments a = view_of(&all), b = view_of(&alone);
        CHECK(a.weight[k] == b.weight[0] && a.fourth[k] == b.fourth[0]
              && memcmp(a.mean + k * D, b.mean, D * sizeof(double)) == 0
              && memcmp(a.scatter + k * D * D, b.scatter, D * D * sizeof(double)) == 0
              && memcmp(a.third + k * D, b.third, D * sizeof(double)) == 0,
              "class %td with others: other moments", k);
    }
}

/* ---- sums of moments ---------------------------------------------------------------------- */

/* The moments of rows begin .. begin + n - 1. */
static results moments_of_rows(const variant *v, fnn_in x, const int64_t *labels, const matrix *w,
                               ptrdiff_t begin, ptrdiff_t n, ptrdiff_t c)
{
    const results r = new_results(FNN_FULL, c, x.cols);
    CHECK(fnn_moments_of(v->dt, FNN_FULL, fnn_slice(v->dt, x, begin, n), none, labels + begin,
                         fnn_at(v->dt, w->v.data, begin), c, view_of(&r)) == FNN_OK, "moments");
    return r;
}

/* Two parts add up to the whole; without the second one, the first one is left. What is left is off
 * by what the sum is off, once more by the part's share, and, having at least half of the weight,
 * by the drift of the means three times over: six bounds of the whole's at most. */
static void try_add(const variant *v, ptrdiff_t n, ptrdiff_t cut, ptrdiff_t d, ptrdiff_t c,
                    double base)
{
    int64_t labels[MOST_ROWS];
    make_labels(IN_TURN, n, c, labels);
    const matrix x = new_matrix(v->dt, n, d, PADDED), w = new_matrix(v->dt, 1, n, CONTIGUOUS);
    fill_rows(&x, base, labels, 7);
    const void *weights = make_weights(&w, POSITIVE, labels);
    const fnn_in x_in = freeze(&x);
    const results first = moments_of_rows(v, x_in, labels, &w, 0, cut, c);
    const results second = moments_of_rows(v, x_in, labels, &w, cut, n - cut, c);
    const results total = new_results(FNN_FULL, c, d), part = new_results(FNN_FULL, c, d);
    copy_results(&first, &total);
    copy_results(&second, &part);
    CHECK(fnn_moments_add(c, d, view_of(&total), view_of(&part), 1) == FNN_OK, "add");
    naive_moments right = new_naive_moments(v->dt, FNN_FULL, x_in, none, labels, weights, c, cut);
    const double worst = miss_moments(&right, view_of(&total));
    CHECK(worst <= 1, "n %td cut %td d %td c %td base %g: %.3g bounds", n, cut, d, c, base, worst);
    check_symmetric(&total, d);

    CHECK(fnn_moments_add(c, d, view_of(&total), view_of(&part), -1) == FNN_OK, "remove");
    naive_moments rest = new_naive_moments(v->dt, FNN_FULL, fnn_slice(v->dt, x_in, 0, cut), none,
                                           labels, weights, c, cut);
    const struct { approx *to, *from; ptrdiff_t count; } bounds[] = {
        { rest.weight, right.weight, c }, { rest.mean, right.mean, c * d },
        { rest.scatter, right.scatter, c * d * d }, { rest.third, right.third, c * d },
        { rest.fourth, right.fourth, c },
    };
    for (int b = 0; b < 5; b++)
        for (ptrdiff_t i = 0; i < bounds[b].count; i++)
            bounds[b].to[i].bound = 6 * bounds[b].from[i].bound;
    const double worst_rest = miss_moments(&rest, view_of(&total));
    CHECK(worst_rest <= 1, "n %td cut %td d %td c %td base %g without the second part: %.3g bounds",
          n, cut, d, c, base, worst_rest);
    CHECK(same_results(&second, &part), "the part is as it was");
    free_naive_moments(&right);
    free_naive_moments(&rest);
    free_matrices();
}

static void test_add(const variant *v)
{
    const ptrdiff_t dimensions[] = { 1, 2, 5, 17, 33 };
    for (int d = 0; d < (quick() ? 4 : 5); d++)
        for (int far = 0; far < 2; far++) {
            try_add(v, 40, 25, dimensions[d], 3, far ? 1e4 : 0);
            try_add(v, MOST_ROWS, 400, dimensions[d], 1, far ? 1e4 : 0);
        }
}

/* Nothing added, added to nothing, all taken away, more taken away than there is. */
static void test_add_edges(const variant *v)
{
    enum { N = 30, D = 4, C = 3 };
    int64_t labels[N];
    make_labels(ONE_MISSING, N, C, labels);
    const matrix x = new_matrix(v->dt, N, D, CONTIGUOUS), w = new_matrix(v->dt, 1, N, CONTIGUOUS);
    fill_rows(&x, 1, labels, 9);
    make_weights(&w, POSITIVE, labels);
    const results some = moments_of_rows(v, freeze(&x), labels, &w, 0, N, C);
    const results fewer = moments_of_rows(v, freeze(&x), labels, &w, 0, N / 2, C);
    const results nothing = moments_of_rows(v, freeze(&x), labels, &w, 0, 0, C);
    const results total = new_results(FNN_FULL, C, D);
#define ADD(to, part, sign) \
    (copy_results(to, &total), fnn_moments_add(C, D, view_of(&total), view_of(part), sign))
    CHECK(at(&some.weight, 0, 0) > 0 && at(&some.weight, 0, 1) == 0, "class 1 is missing");
    for (int sign = -1; sign <= 1; sign += 2) {
        CHECK(ADD(&some, &nothing, sign) == FNN_OK, "status");
        CHECK(same_results(&some, &total), "nothing, sign %d", sign);
    }
    CHECK(ADD(&nothing, &some, 1) == FNN_OK, "status");
    CHECK(same_results(&some, &total), "added to nothing");
    CHECK(ADD(&some, &some, -1) == FNN_OK, "status");
    CHECK(same_results(&nothing, &total), "all taken away");
    CHECK(ADD(&fewer, &some, -1) == FNN_OK, "status");
    CHECK(same_results(&nothing, &total), "more taken away than there is");
#undef ADD
}

/* ---- NaN and what has no rows ------------------------------------------------------------- */

static void test_nan(const variant *v)
{
    enum { N = 30, D = 20, C = 3 };
    int64_t labels[N];
    make_labels(IN_TURN, N, C, labels);
    for (int covariance = 0; covariance < FNN_NCOVARIANCE; covariance++) {
        const matrix x = new_matrix(v->dt, N, D, PADDED);
        const results before = new_results((fnn_covariance)covariance, C, D);
        const results after = new_results((fnn_covariance)covariance, C, D);
        fill_rows(&x, 0, labels, 11);
        CHECK(fnn_moments_of(v->dt, (fnn_covariance)covariance, fnn_as_in(x.v), none, labels, NULL,
                             C, view_of(&before)) == FNN_OK, "before");
        put(v->dt, x.v, 4, 18, NAN); /* class 1 */
        CHECK(fnn_moments_of(v->dt, (fnn_covariance)covariance, freeze(&x), none, labels, NULL, C,
                             view_of(&after)) == FNN_OK, "after");
        for (ptrdiff_t k = 0; k < C; k++)
            for (ptrdiff_t j = 0; j < D; j++)
                CHECK(k == 1 && j == 18 ? isnan(at(&after.mean, k, j))
                                        : at(&after.mean, k, j) == at(&before.mean, k, j),
                      "mean %td %td is %g", k, j, at(&after.mean, k, j));
        const ptrdiff_t row = covariance == FNN_FULL ? D + 18 : covariance == FNN_DIAG ? 1 : 18;
        CHECK(isnan(at(&after.scatter, row, 18)), "covariance %d: scatter", covariance);
        for (ptrdiff_t k = 0; covariance == FNN_FULL && k < C; k++)
            CHECK(isnan(at(&after.fourth, 0, k)) == (k == 1), "fourth of class %td", k);
        free_matrices();
    }
}

static const test moments_tests[] = {
    { "values", test_values }, { "classes alone", test_classes_alone }, { "add", test_add },
    { "add edges", test_add_edges }, { "nan", test_nan },
};
SUITE(moments, GUARDED);
