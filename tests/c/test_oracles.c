/* test_oracles.c -- can the tests fail? Each oracle takes a right result and rejects a wrong one;
 * and the data are what they are meant to be. */
#include "naive_models.h"
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

static void test_posteriors(const variant *v)
{
    for (int t = 0; t < FNN_NDTYPE; t++) {
        const fnn_dtype dt = (fnn_dtype)t;
        const long double eps = eps_of(dt);
        const approx z[] = { { -1, eps }, { 2, eps }, { 1.5L, 2 * eps } };
        approx y[3];
        expect_posterior(dt, FNN_PROBA, 3, z, y);
        for (int k = 0; k < 3; k++) /* the next one's; not divided by the sum */
            takes_and_rejects("posterior", y[k], (double[]){ (double)y[(k + 1) % 3].value,
                              (double)expl(z[k].value - 2) }, 2);
        expect_posterior(dt, FNN_LOG_PROBA, 3, z, y);
        for (int k = 0; k < 3; k++)
            takes_and_rejects("log posterior", y[k], (double[]){ (double)y[(k + 1) % 3].value,
                              (double)z[k].value, (double)z[k].value - 2 }, 3);
        expect_posterior(dt, FNN_LOG_DENSITY, 3, z, y);
        takes_and_rejects("log density", y[0], (double[]){ 2, 0 }, 2);
        const approx tie[] = { exactly(2), { 2 - eps, 2 * eps }, exactly(1) };
        const struct { double label; bool right; } labels[] = {
            { 0, true }, { 1, true }, { 2, false }, { 3, false }, { -1, false }, { 0.5, false },
            { NAN, false },
        };
        for (int i = 0; i < 7; i++)
            CHECK((miss_posterior(dt, FNN_LABEL, 3, tie, &labels[i].label) <= 1)
                  == labels[i].right, "label %g", labels[i].label);
    }
    (void)v;
}

/* Another class's density, or another row's, is not right for this one. */
static void test_densities(const variant *v)
{
    enum { C = 3, D = 7, N = 2 };
    for (int t = 0; t < FNN_NDTYPE; t++)
        for (int covariance = 0; covariance < FNN_NCOVARIANCE; covariance++)
            for (int means = 0; means < NMEANS; means++) {
                const fnn_dtype dt = (fnn_dtype)t;
                naive_gaussians g = new_naive_gaussians(dt, (fnn_covariance)covariance, C, D, means,
                                                        0, 1);
                const matrix x = new_matrix(dt, N, D, PADDED);
                approx z[FNN_NPOSTERIOR][N][C];
                fill_samples(&g, &x, 2);
                for (int what = 0; what < FNN_NPOSTERIOR; what++)
                    for (ptrdiff_t i = 0; i < N; i++)
                        naive_joint(&g, (fnn_posterior)what, NULL, fnn_as_in(x.v), i, z[what][i]);
                for (int what = 0; what < FNN_NPOSTERIOR; what++)
                    for (int k = 0; k < C; k++)
                        takes_and_rejects("joint", z[what][0][k], (double[]){
                            (double)z[what][0][(k + 1) % C].value, (double)z[what][1][k].value },
                            2);
                /* The differences of those that a posterior is made of are those of densities. */
                for (int k = 0; k < C; k++) {
                    const approx whole = subtract(FNN_F64, z[FNN_JOINT][0][k], z[FNN_JOINT][0][0]);
                    const approx part = subtract(FNN_F64, z[FNN_PROBA][0][k], z[FNN_PROBA][0][0]);
                    CHECK(fabsl(whole.value - part.value) <= 1e-14L * fabsl(whole.value),
                          "class %d: %Lg, not %Lg", k, part.value, whole.value);
                    CHECK(k == 0 || part.bound <= whole.bound * (1 + 1e-9L), "class %d", k);
                }
                free_naive_gaussians(&g);
            }
    for (int t = 0; t < FNN_NDTYPE; t++) {
        const fnn_dtype dt = (fnn_dtype)t;
        const matrix x = new_matrix(dt, N, D, PADDED), l = new_matrix(dt, N, D * D, PADDED);
        fill(&x, NARROW, 1);
        fill(&l, NARROW, 2);
        for (ptrdiff_t j = 0; j < N * D; j++)
            put(dt, l.v, j / D, j % D * (D + 1), 1);
        const fnn_in x_in = fnn_as_in(x.v), l_in = fnn_as_in(l.v);
        const fnn_in means = { x.v.data, N, D, 0, 0 }; /* one number everywhere */
        takes_and_rejects("paired", naive_paired(dt, x_in, means, l_in, 1), (double[]){
            (double)naive_paired(dt, x_in, means, l_in, 0).value }, 1);
    }
    (void)v;
}

/* One row fewer, or no weights, give other moments. */
static void test_moments(const variant *v)
{
    enum { N = 300, D = 3 };
    for (int t = 0; t < FNN_NDTYPE; t++) {
        const fnn_dtype dt = (fnn_dtype)t;
        const matrix x = new_matrix(dt, N, D, PADDED), w = new_matrix(dt, 1, N, CONTIGUOUS);
        fill(&x, NARROW, 1);
        fill(&w, NARROW, 2);
        for (ptrdiff_t i = 0; i < N; i++)
            put(dt, w.v, 0, i, 2 + at(&w, 0, i) / 2);
        const fnn_in all = fnn_as_in(x.v), fewer = fnn_slice(dt, all, 0, N - 1), none = { 0 };
        naive_moments right = new_naive_moments(dt, FNN_FULL, all, none, NULL, w.v.data, 1, N);
        naive_moments cut = new_naive_moments(dt, FNN_FULL, fewer, none, NULL, w.v.data, 1, N);
        naive_moments plain = new_naive_moments(dt, FNN_FULL, all, none, NULL, NULL, 1, N);
        const struct { const char *name; approx *right, *cut, *plain; int count; } arrays[] = {
            { "weight", right.weight, cut.weight, plain.weight, 1 },
            { "mean", right.mean, cut.mean, plain.mean, D },
            { "scatter", right.scatter, cut.scatter, plain.scatter, D * D },
            { "third", right.third, cut.third, plain.third, D },
            { "fourth", right.fourth, cut.fourth, plain.fourth, 1 },
        };
        for (int a = 0; a < 5; a++)
            for (int i = 0; i < arrays[a].count; i++)
                takes_and_rejects(arrays[a].name, arrays[a].right[i], (double[]){
                    (double)arrays[a].cut[i].value, (double)arrays[a].plain[i].value }, 2);
        free_naive_moments(&right);
        free_naive_moments(&cut);
        free_naive_moments(&plain);
    }
    (void)v;
}

static void test_linear(const variant *v)
{
    enum { N = 40, D = 3, C = 3, WIDTH = D + 1 };
    for (int t = 0; t < FNN_NDTYPE; t++)
        for (int fn = 0; fn < LINEAR_LOSSES; fn++) {
            const fnn_dtype dt = (fnn_dtype)t;
            const matrix x = new_matrix(dt, N, D, PADDED), y = new_matrix(dt, N, C, PADDED);
            const matrix theta = new_matrix(FNN_F64, C, WIDTH, CONTIGUOUS);
            fill(&x, NARROW, 1);
            fill(&y, NARROW, 2);
            fill(&theta, NARROW, 3);
            const fnn_targets targets = { .targets = fnn_as_in(y.v) };
            const fnn_in all = fnn_as_in(x.v), fewer = fnn_slice(dt, all, 0, N - 1);
            naive_linear right = new_naive_linear(dt, (fnn_loss)fn, all, targets, C, WIDTH,
                                                  theta.v.data, 0.5);
            naive_linear cut = new_naive_linear(dt, (fnn_loss)fn, fewer, targets, C, WIDTH,
                                                theta.v.data, 0.5);
            takes_and_rejects("loss", right.loss, (double[]){ (double)cut.loss.value, 0 }, 2);
            for (int i = 0; i < C * WIDTH; i++)
                takes_and_rejects("gradient", right.gradient[i], (double[]){
                    (double)cut.gradient[i].value, -(double)right.gradient[i].value }, 2);
            for (ptrdiff_t i = 0; i < hessian_rows(&right); i++)
                for (ptrdiff_t j = 0; j < hessian_cols(&right); j++) {
                    const approx h = naive_hessian(&right, i, j);
                    if (i == D && fn == FNN_SQUARED_ERROR && j == D)
                        continue; /* the mean of ones, of however many rows */
                    takes_and_rejects("Hessian", h, (double[]){
                        (double)naive_hessian(&cut, i, j).value, -(double)h.value }, 2);
                }
            free_naive_linear(&right);
            free_naive_linear(&cut);
        }
    (void)v;
}

static const test oracles_tests[] = {
    { "products", test_products }, { "functions", test_functions },
    { "rows", test_rows }, { "updates", test_updates }, { "posteriors", test_posteriors },
    { "densities", test_densities }, { "moments", test_moments }, { "linear", test_linear },
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
