/* test_oracles.c -- can the tests fail? Each oracle takes a right result and rejects a wrong one;
 * and the data are what they are meant to be. */
#include "suites.h"

/* Right to the bound, wrong beyond it, and with any of the mistakes. */
static void takes_and_rejects(const char *name, approx right, const double *mistakes, int count)
{
    CHECK(right.bound > 0 && right.bound < 1e-2L * (1 + fabsl(right.value)), "%s: bound %Lg", name,
          right.bound);
    CHECK(miss((double)right.value, right) < 1, "%s takes what is right", name);
    CHECK(miss((double)(right.value + 3 * right.bound), right) > 1, "%s rejects too much", name);
    CHECK(miss((double)(right.value - 3 * right.bound), right) > 1, "%s rejects too little", name);
    CHECK(miss(NAN, right) > 1 && miss(INFINITY, right) > 1, "%s rejects NaN and infinity", name);
    for (int i = 0; i < count; i++)
        CHECK(miss(mistakes[i], right) > 1, "%s rejects mistake %d, %.17g", name, i, mistakes[i]);
}

static void test_products(const variant *v)
{
    for (int t = 0; t < FNN_NDTYPE; t++) {
        const fnn_dtype dt = (fnn_dtype)t;
        for (int kind = SPREAD; kind <= CANCELLING; kind++) {
            const matrix x = new_matrix(dt, 3, 40, PADDED), w = new_matrix(dt, 40, 3, PADDED);
            fill(&x, (data_kind)kind, 1);
            fill(&w, (data_kind)kind, 2);
            const fnn_in x_in = fnn_as_in(x.v), w_in = fnn_as_in(w.v);
            const approx right = expect_dot(dt, 1000, x_in, 1, w_in, 1);
            const double value = (double)right.value;
            const double mistakes[] = {
                value - at(&x, 1, 39) * at(&w, 39, 1),                    /* a term too few  */
                value + at(&x, 1, 0) * at(&w, 0, 1),                      /* a term twice    */
                value - 1000,                                             /* no bias         */
                (double)expect_dot(dt, 1000, x_in, 1, w_in, 2).value,      /* the next column */
            };
            takes_and_rejects("product", right, mistakes, 4);
        }
    }
    (void)v;
}

static void test_functions(const variant *v)
{
    for (int t = 0; t < FNN_NDTYPE; t++) {
        const fnn_dtype dt = (fnn_dtype)t;
        for (int fn = 0; fn < FNN_NMAP; fn++) {
            const double value = (double)map_value((fnn_function)fn, 0.7), ulp = (double)eps_of(dt);
            takes_and_rejects("map", expect_map(dt, (fnn_function)fn, 0.7),
                              (double[]){ value * (1 + 3 * ulp), value * (1 - 3 * ulp) }, 2);
        }
        const approx a = exactly(0.75);
        takes_and_rejects("sigmoid'", expect_slope(dt, FNN_SIGMOID, a), (double[]){ 0.25, 0.75 },
                          2);
        takes_and_rejects("tanh'", expect_slope(dt, FNN_TANH, a), (double[]){ 1, 0.5 }, 2);
        CHECK(miss(1, expect_slope(dt, FNN_RELU, exactly(0))) > 1, "relu'(0) is 0");
    }
    (void)v;
}

static void test_rows(const variant *v)
{
    for (int t = 0; t < FNN_NDTYPE; t++) {
        const fnn_dtype dt = (fnn_dtype)t;
        const approx z[] = { exactly(0.5), exactly(-1), exactly(2) };
        const double y[] = { 0, 1, 0 };
        approx p[3], dz[3];
        takes_and_rejects("log sum", expect_softmax(dt, 3, z, p), NULL, 0);
        for (int j = 0; j < 3; j++)
            takes_and_rejects("softmax", p[j], (double[]){ (double)p[(j + 1) % 3].value }, 1);
        for (int fn = 0; fn < FNN_NLOSS; fn++) {
            const approx loss = expect_loss(dt, (fnn_loss)fn, 3, z, y, 0.25, dz);
            takes_and_rejects("loss", loss, (double[]){ 0, (double)loss.value / 3 }, 2);
            for (int j = 0; j < 3; j++) /* no factor g; the wrong sign */
                takes_and_rejects("dz", dz[j],
                                  (double[]){ (double)dz[j].value * 4, -(double)dz[j].value }, 2);
        }
    }
    (void)v;
}

static void test_updates(const variant *v)
{
    for (int t = 0; t < FNN_NDTYPE; t++)
        for (int solver = 0; solver < FNN_NSOLVER; solver++) {
            const fnn_dtype dt = (fnn_dtype)t;
            fnn_optimizer opt = fnn_optimizer_init((fnn_solver)solver, 0.125, 0.9, 0.01);
            approx state[2] = { { 0, 0 }, { 0, 0 } }, w = exactly(1);
            for (int step = 0; step < 2; step++) {
                const approx before = w;
                fnn_optimizer_advance(&opt);
                w = expect_update(dt, &opt, w, exactly(0.5), state);
                takes_and_rejects("update", w, (double[]){ (double)before.value,
                                  2 * (double)before.value - (double)w.value }, 2);
            }
        }
    (void)v;
}

static const test oracles_tests[] = {
    { "products", test_products }, { "functions", test_functions },
    { "rows", test_rows }, { "updates", test_updates },
};
SUITE(oracles, ONCE);

/* ---- the harness -------------------------------------------------------------------------- */

static void test_data(const variant *v)
{
    const matrix m = new_matrix(v->dt, 40, 40, CONTIGUOUS);
    fill(&m, SPREAD, 1);
    double least = INFINITY, most = 0;
    int negative = 0;
    for (int i = 0; i < 1600; i++) {
        const double x = at(&m, i / 40, i % 40);
        least = fmin(least, fabs(x));
        most = fmax(most, fabs(x));
        negative += x < 0;
    }
    CHECK(negative > 640 && negative < 960, "%d of 1600 numbers are negative", negative);
    CHECK(most / least > 0x1p18, "magnitudes from %g to %g", least, most);

    fill(&m, CANCELLING, 1);
    for (int i = 0; i < 40; i++) {
        double sum = 0, magnitude = 0;
        for (int j = 0; j < 40; j++) {
            sum += at(&m, i, j);
            magnitude += fabs(at(&m, i, j));
        }
        CHECK(fabs(sum) < magnitude / 32, "row %d: %g of %g is left", i, sum, magnitude);
    }
}

static void test_matrices(const variant *v)
{
    for (int how = 0; how < NLAYOUT; how++) {
        matrix m = new_matrix(v->dt, 3, 4, (layout)how);
        for (int i = 0; i < 12; i++)
            put(v->dt, m.v, i / 4, i % 4, i);
        for (int i = 0; i < 12; i++)
            CHECK(at(&m, i / 4, i % 4) == i, "layout %d: elements coincide", how);
        CHECK(padding_intact(&m), "layout %d: padding", how);
        if (m.bytes > 12 * fnn_sizeof(v->dt)) {
            m.v.cols--; /* now the last column counts as padding */
            CHECK(!padding_intact(&m), "layout %d: a write to the padding is seen", how);
        }
    }
}

static void test_sizes(const variant *v)
{
    ptrdiff_t list[MOST_SIZES];
    const int count = sizes(v->kn, 515, list);
    const ptrdiff_t needed[] = { 0, 1, 2, 3, v->kn->lanes - 1, v->kn->lanes + 1, 255, 257, 515 };
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        bool there = false;
        for (int j = 0; j < count; j++)
            there |= list[j] == needed[i];
        CHECK(there, "no size %td", needed[i]);
    }
}

static void test_pairs(const variant *v)
{
    bool seen[4][4][5][5] = { { { { false } } } };
    const int levels[] = { 2, 5, 3, 4, 0 };
    int level[MOST_FACTORS], cases = 0;
    for (pairs *p = new_pairs(levels); next_case(p, level); cases++)
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++)
                seen[i][j][level[i]][level[j]] = true;
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            for (int a = 0; a < levels[i]; a++)
                for (int b = 0; b < levels[j]; b++)
                    CHECK(seen[i][j][a][b] || (i == j && a != b), "%d=%d with %d=%d", i, a, j, b);
    CHECK(cases < 40, "%d cases for 120 combinations", cases);
    (void)v;
}

static const test harness_tests[] = {
    { "data", test_data }, { "matrices", test_matrices }, { "sizes", test_sizes },
    { "pairs", test_pairs },
};
SUITE(harness, EACH);
