/* test_row_kernels.c -- the kernels that work row by row: maps, softmax, deltas, sums, losses. */
#include "suites.h"

enum { MOST_COLS = 300 };

/* ---- map ---------------------------------------------------------------------------------- */

static void try_map(const variant *v, ptrdiff_t n, ptrdiff_t count, layout how)
{
    (void)n;
    for (int fn = 0; fn < FNN_NMAP; fn++) {
        const matrix x = new_matrix(v->dt, 1, count, how), y = new_matrix(v->dt, 1, count, how);
        fill(&x, fn == FNN_MAP_LOG1P ? NARROW : SPREAD, 5);
        for (ptrdiff_t j = 0; fn == FNN_MAP_EXP && j < count; j++)
            put(v->dt, x.v, 0, j, at(&x, 0, j) / 32); /* |x| < 64: no overflow */
        for (ptrdiff_t j = 0; fn == FNN_MAP_LOG1P && j < count; j++)
            put(v->dt, x.v, 0, j, at(&x, 0, j) / 2);  /* |x| < 1 */
        v->kn->map((fnn_function)fn, count, freeze(&x).data, y.v.data);
        double worst = 0;
        for (ptrdiff_t j = 0; j < count; j++)
            worst = fmax(worst, miss(at(&y, 0, j),
                                     expect_map(v->dt, (fnn_function)fn, at(&x, 0, j))));
        CHECK(worst <= 1, "function %d count %td: %.3g bounds", fn, count, worst);
        CHECK(padding_intact(&y), "function %d count %td: wrote beside y", fn, count);

        matrix z = new_matrix(v->dt, 1, count, how); /* in place */
        fnn_copy(v->dt, fnn_as_in(x.v), z.v);
        v->kn->map((fnn_function)fn, count, z.v.data, z.v.data);
        CHECK(same_bits(&y, &z), "function %d count %td in place", fn, count);
        free_matrices();
    }
}

void test_map(const variant *v) { each_rows(v, 0, try_map); }

/* ---- softmax ------------------------------------------------------------------------------ */

static void row_of(const matrix *z, ptrdiff_t i, approx *row)
{
    for (ptrdiff_t j = 0; j < z->v.cols; j++)
        row[j] = exactly(at(z, i, j));
}

static void try_softmax(const variant *v, ptrdiff_t n, ptrdiff_t c, layout how)
{
    approx z_i[MOST_COLS], p[MOST_COLS];
    for (int kind = SPREAD; kind <= NARROW; kind++) {
        const matrix z = new_matrix(v->dt, n, c, how), y = new_matrix(v->dt, n, c, PADDED);
        fill(&z, (data_kind)kind, 3);
        v->kn->softmax(n, c, freeze(&z).data, z.v.rs, y.v.data, y.v.rs);
        double worst = 0;
        for (ptrdiff_t i = 0; i < n; i++) {
            row_of(&z, i, z_i);
            expect_softmax(v->dt, c, z_i, p);
            for (ptrdiff_t j = 0; j < c; j++)
                worst = fmax(worst, miss(at(&y, i, j), p[j]));
        }
        CHECK(worst <= 1, "n %td c %td layout %d kind %d: %.3g bounds", n, c, how, kind, worst);
        CHECK(padding_intact(&y), "n %td c %td: wrote beside y", n, c);
    }
}

void test_softmax(const variant *v) { each_rows(v, 1, try_softmax); }

/* ---- delta -------------------------------------------------------------------------------- */

/* delta_j = y_j (dy_j - sum_i dy_i y_i): the sum in double, then three roundings. */
static approx softmax_delta(fnn_dtype dt, const matrix *y, const matrix *dy, ptrdiff_t i,
                            ptrdiff_t j)
{
    const ptrdiff_t m = y->v.cols;
    long double sum = 0, magnitude = 0;
    for (ptrdiff_t l = 0; l < m; l++) {
        const long double term = (long double)at(dy, i, l) * at(y, i, l);
        sum += term;
        magnitude += fabsl(term);
    }
    const approx dy_ij = exactly(at(dy, i, j)), y_ij = exactly(at(y, i, j));
    const approx rounded_sum = { sum, ((long double)m + 2) * eps_of(FNN_F64) * magnitude };
    return multiply(dt, y_ij, subtract(dt, dy_ij, rounded_sum));
}

static void try_delta(const variant *v, ptrdiff_t n, ptrdiff_t m, layout how)
{
    for (int act = 0; act < FNN_NACT; act++) {
        const matrix y = new_matrix(v->dt, n, m, how), dy = new_matrix(v->dt, n, m, PADDED);
        const matrix delta = new_matrix(v->dt, n, m, PADDED);
        fill(&y, NARROW, 1);
        fill(&dy, SPREAD, 2);
        v->kn->delta((fnn_act)act, n, m, freeze(&y).data, y.v.rs, freeze(&dy).data, dy.v.rs,
                     delta.v.data, delta.v.rs);
        double worst = 0;
        for (ptrdiff_t i = 0; i < n; i++)
            for (ptrdiff_t j = 0; j < m; j++) {
                const approx slope = expect_slope(v->dt, (fnn_act)act, exactly(at(&y, i, j)));
                const approx right = act == FNN_SOFTMAX ? softmax_delta(v->dt, &y, &dy, i, j)
                                   : multiply(v->dt, exactly(at(&dy, i, j)), slope);
                worst = fmax(worst, miss(at(&delta, i, j), right));
            }
        CHECK(worst <= 1, "act %d n %td m %td layout %d: %.3g bounds", act, n, m, how, worst);
        CHECK(padding_intact(&delta), "act %d n %td m %td: wrote beside delta", act, n, m);
        free_matrices();
    }
}

void test_delta(const variant *v) { each_rows(v, 0, try_delta); }

/* ---- sums --------------------------------------------------------------------------------- */

static void try_column_sums(const variant *v, ptrdiff_t n, ptrdiff_t m, layout how)
{
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        const matrix x = new_matrix(v->dt, n, m, how), sums = new_matrix(v->dt, 1, m, CONTIGUOUS);
        const matrix before = new_matrix(v->dt, 1, m, CONTIGUOUS);
        fill(&x, n > 2 ? CANCELLING : SPREAD, 1);
        fill(&sums, SPREAD, 2);
        fill(&before, SPREAD, 2);
        v->kn->column_sums(n, m, freeze(&x).data, x.v.rs, accumulate, sums.v.data);
        double worst = 0;
        for (ptrdiff_t j = 0; j < m; j++) {
            approx sum = exactly(accumulate ? at(&before, 0, j) : 0);
            for (ptrdiff_t i = 0; i < n; i++)
                sum = add(v->dt, sum, exactly(at(&x, i, j)));
            worst = fmax(worst, miss(at(&sums, 0, j), sum));
        }
        CHECK(worst <= 1, "n %td m %td layout %d: %.3g bounds", n, m, how, worst);
    }
}

void test_column_sums(const variant *v) { each_rows(v, 0, try_column_sums); }

/* All terms are positive: a relative error of one rounding for each 16 columns, four to fold, one
 * for each row. */
static void try_sum_of_squares(const variant *v, ptrdiff_t n, ptrdiff_t m, layout how)
{
    const matrix x = new_matrix(v->dt, n, m, how);
    fill(&x, SPREAD, 4);
    long double sum = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = 0; j < m; j++)
            sum += (long double)at(&x, i, j) * at(&x, i, j);
    const double got = v->kn->sum_of_squares(n, m, freeze(&x).data, x.v.rs, fnn_round_up(m, v->kn->lanes), 0);
    const long double roundings = (long double)(m / 16 + 6) + (long double)n;
    const double missed = miss(got, (approx){ sum, roundings * eps_of(v->dt) * sum });
    CHECK(missed <= 1, "n %td m %td layout %d: %.3g bounds", n, m, how, missed);
}

void test_sum_of_squares(const variant *v) { each_rows(v, 0, try_sum_of_squares); }

/* ---- dropout ------------------------------------------------------------------------------ */

/* The number of one element, step by step as rows.inc.h and internal.h describe it. */
static uint32_t number_of(uint64_t key, uint64_t row, uint32_t col)
{
    uint64_t z = key + row + 0x9e3779b97f4a7c15u;
    z ^= z >> 30, z *= 0xbf58476d1ce4e5b9u;
    z ^= z >> 27, z *= 0x94d049bb133111ebu;
    z ^= z >> 31;
    uint32_t x = (uint32_t)z + col;
    x ^= x >> 16, x *= 0x85ebca6bu;
    x ^= (uint32_t)(z >> 32);
    x ^= x >> 13, x *= 0xc2b2ae35u;
    return x ^ x >> 16;
}

static void try_dropout_mask(const variant *v, ptrdiff_t n, ptrdiff_t m, layout how)
{
    const double rates[] = { 0, 0.25, 0.5, 0.99 };
    for (int r = 0; r < 4; r++) {
        const matrix mask = new_matrix(v->dt, n, m, how);
        const uint64_t key = 0x123456789abcdefu * (uint64_t)(r + 1);
        const uint32_t least = (uint32_t)(rates[r] * 0x1p32);
        v->kn->dropout_mask(&(fnn_mask){ .key = key, .row = 5, .col = 3, .n = n, .m = m,
                                         .least = least, .scale = 1.5, .mask = mask.v.data,
                                         .mask_rs = mask.v.rs });
        bool right = true;
        for (ptrdiff_t i = 0; i < n; i++)
            for (ptrdiff_t j = 0; j < m; j++) {
                const uint32_t number = number_of(key, (uint64_t)i + 5, (uint32_t)j + 3);
                right &= at(&mask, i, j) == (number < least ? 0 : 1.5);
            }
        CHECK(right, "rate %g n %td m %td layout %d", rates[r], n, m, how);
        CHECK(padding_intact(&mask), "n %td m %td: wrote beside the mask", n, m);
        free_matrices();
    }
}

/* Of many elements as many are dropped as should be, in rows, in columns and of pairs of neighbours: the
 * counts are within five standard deviations. */
static void test_shares_of_dropout(const variant *v)
{
    enum { SIDE = 400 };
    const double rate = 0.3;
    const matrix mask = new_matrix(v->dt, SIDE, SIDE, CONTIGUOUS);
    v->kn->dropout_mask(&(fnn_mask){ .key = 1, .n = SIDE, .m = SIDE, .scale = 1,
                                     .least = (uint32_t)(rate * 0x1p32), .mask = mask.v.data,
                                     .mask_rs = SIDE });
    double all = 0, beside = 0, below = 0;
    for (ptrdiff_t i = 0; i < SIDE; i++) {
        double in_row = 0, in_column = 0;
        for (ptrdiff_t j = 0; j < SIDE; j++) {
            const bool dropped = at(&mask, i, j) == 0;
            all += dropped;
            in_row += dropped;
            in_column += at(&mask, j, i) == 0;
            beside += dropped && at(&mask, i, (j + 1) % SIDE) == 0;
            below += dropped && at(&mask, (i + 1) % SIDE, j) == 0;
        }
        const double deviation = sqrt(SIDE * rate * (1 - rate));
        CHECK(fabs(in_row - SIDE * rate) < 5 * deviation, "row %td: %g", i, in_row);
        CHECK(fabs(in_column - SIDE * rate) < 5 * deviation, "column %td: %g", i, in_column);
    }
    const double n = SIDE * SIDE, pair = rate * rate;
    CHECK(fabs(all - n * rate) < 5 * sqrt(n * rate * (1 - rate)), "%g of %g", all, n);
    /* A pair shares an element with two others, which widens the count at most by this. */
    const double of_pairs = 5 * sqrt(n * pair * (1 - pair) * 3);
    CHECK(fabs(beside - n * pair) < of_pairs, "beside: %g, not %g", beside, n * pair);
    CHECK(fabs(below - n * pair) < of_pairs, "below: %g, not %g", below, n * pair);
    free_matrices();
}

void test_dropout_mask(const variant *v)
{
    each_rows(v, 0, try_dropout_mask);
    test_shares_of_dropout(v);
}

/* ---- losses ------------------------------------------------------------------------------- */

enum { LABELS, TARGETS, ONE_HOT, NKIND };

static double (*loss_kernel(const fnn_kernels *kn, fnn_loss fn))(const fnn_loss_rows *)
{
    return fn == FNN_SOFTMAX_CE ? kn->softmax_ce
         : fn == FNN_SIGMOID_CE ? kn->sigmoid_ce
         : fn == FNN_SQUARED_ERROR ? kn->squared_error
         : fn == FNN_POISSON ? kn->poisson_loss
         : fn == FNN_HUBER ? kn->huber_loss : kn->absolute_error;
}

static void try_loss(const variant *v, fnn_loss fn, ptrdiff_t n, ptrdiff_t c, layout how, int kind,
                     bool weighted)
{
    const fnn_dtype dt = v->dt;
    const matrix z = new_matrix(dt, n, c, how), y = new_matrix(dt, n, c, PADDED);
    const matrix w = new_matrix(dt, 1, n, CONTIGUOUS), dz = new_matrix(dt, n, c, PADDED);
    int64_t labels[MOST_COLS];
    const int classes = c == 1 && fn != FNN_SOFTMAX_CE ? 2 : (int)c;
    fill(&z, weighted ? SPREAD : NARROW, 1);
    fill(&y, NARROW, 2);
    fill(&w, NARROW, 3);
    for (ptrdiff_t i = 0; i < n; i++) {
        labels[i] = (7 * i + 3) % classes;
        put(dt, w.v, 0, i, i == 1 ? 0 : fabs(at(&w, 0, i)));
        for (ptrdiff_t j = 0; kind == ONE_HOT && j < c; j++)
            put(dt, y.v, i, j, labels[i] == j);
    }
    const fnn_targets targets = { kind == LABELS ? labels : NULL, freeze(&y), NULL };
    const fnn_loss_rows rows = {
        .n = n, .c = c, .z = freeze(&z).data, .z_rs = z.v.rs, .labels = targets.labels,
        .targets = y.v.data, .targets_rs = y.v.rs, .weights = weighted ? freeze(&w).data : NULL,
        .scale = 0.3, .delta = HUBER_DELTA, .dz = dz.v.data, .dz_rs = dz.v.rs,
    };
    const double total = loss_kernel(v->kn, fn)(&rows);

    approx sum = { 0, 0 }, z_i[MOST_COLS], dz_i[MOST_COLS];
    double worst = 0, y_i[MOST_COLS];
    for (ptrdiff_t i = 0; i < n; i++) {
        const double weight = weighted ? at(&w, 0, i) : 1;
        row_of(&z, i, z_i);
        target_row(dt, targets, i, c, y_i);
        const approx loss = expect_loss(dt, fn, c, z_i, y_i, weight * 0.3, dz_i);
        sum = add(FNN_F64, sum, multiply(FNN_F64, exactly(weight), loss));
        for (ptrdiff_t j = 0; j < c; j++)
            worst = fmax(worst, miss(at(&dz, i, j), dz_i[j]));
    }
    CHECK(worst <= 1, "dz of loss %d n %td c %td layout %d targets %d: %.3g bounds", fn, n, c, how,
          kind, worst);
    CHECK(miss(total, sum) <= 1, "loss %d n %td c %td layout %d targets %d: %.17g, not %.17Lg", fn,
          n, c, how, kind, total, sum.value);
    CHECK(padding_intact(&dz), "loss %d n %td c %td: wrote beside dz", fn, n, c);
    free_matrices();
}

#define LOSS_TEST(name, fn)                                                                   \
    static void try_##name(const variant *v, ptrdiff_t n, ptrdiff_t c, layout how)            \
    {                                                                                         \
        for (int kind = 0; kind < NKIND; kind++)                                              \
            for (int weighted = 0; weighted < 2; weighted++)                                  \
                try_loss(v, fn, n, c, how, kind, weighted);                                   \
    }                                                                                         \
    void test_##name(const variant *v) { each_rows(v, 1, try_##name); }
LOSS_TEST(softmax_ce, FNN_SOFTMAX_CE)
LOSS_TEST(sigmoid_ce, FNN_SIGMOID_CE)
LOSS_TEST(squared_error, FNN_SQUARED_ERROR)
LOSS_TEST(poisson_loss, FNN_POISSON)
LOSS_TEST(huber_loss, FNN_HUBER)
LOSS_TEST(absolute_error, FNN_ABSOLUTE_ERROR)
