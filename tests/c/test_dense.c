/* test_dense.c -- layers and losses by their public functions, and the product of a matrix with
 * itself: all layouts against the oracles. */
#include "suites.h"

/* ---- forward ------------------------------------------------------------------------------ */

enum { NO_BIAS, BIAS_ROW, BIAS_STRIDED, NBIAS };

/* How many elements of y are how many bounds off at worst. */
static double worst_forward(fnn_dtype dt, fnn_act act, fnn_in x, fnn_in w, fnn_in b,
                            const matrix *y)
{
    const ptrdiff_t n = x.rows, m = w.cols;
    approx *z = calloc(2 * (size_t)m + 1, sizeof *z), *p = z + m;
    double worst = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        for (ptrdiff_t j = 0; j < m; j++)
            z[j] = expect_dot(dt, b.data ? get(dt, b, 0, j) : 0, x, i, w, j);
        if (act == FNN_SOFTMAX && m)
            expect_softmax(dt, m, z, p);
        for (ptrdiff_t j = 0; j < m; j++)
            worst = fmax(worst, miss(at(y, i, j),
                                     act == FNN_SOFTMAX ? p[j] : expect_act(dt, act, z[j])));
    }
    free(z);
    return worst;
}

static void try_forward(fnn_dtype dt, fnn_act act, ptrdiff_t n, ptrdiff_t k, ptrdiff_t m,
                        const layout *how, int bias, data_kind kind)
{
    const matrix x = new_matrix(dt, n, k, how[0]), w = new_matrix(dt, k, m, how[1]);
    const matrix b = new_matrix(dt, 1, m, bias == BIAS_STRIDED ? COLS_DOWN : CONTIGUOUS);
    const matrix y = new_matrix(dt, n, m, how[2]);
    fill(&x, kind, 1);
    fill(&w, kind, 2);
    fill(&b, kind, 3);
    const fnn_in x_in = freeze(&x), w_in = freeze(&w);
    const fnn_in b_in = bias == NO_BIAS ? (fnn_in){ 0 } : freeze(&b);
    const fnn_status status = fnn_dense_forward(dt, act, x_in, w_in, b_in, y.v);
    if (act == FNN_SOFTMAX && m == 0) { /* no distribution over no classes, unless for no rows */
        free_matrices();
        return;
    }
    CHECK(status == FNN_OK, "status %d", status);
    const double worst = worst_forward(dt, act, x_in, w_in, b_in, &y);
    CHECK(worst <= 1, "n %td k %td m %td layouts %d %d %d bias %d act %d: %.3g bounds", n, k, m,
          how[0], how[1], how[2], bias, act, worst);
    CHECK(padding_intact(&y), "n %td k %td m %td layout %d: wrote beside y", n, k, m, how[2]);
    free_matrices();
}

static void test_forward(const variant *v)
{
    ptrdiff_t size[MOST_SIZES];
    const int rows = sizes(v->kn, 33, size), cols = sizes(v->kn, quick() ? 67 : 257, size);
    const int depths = sizes(v->kn, quick() ? 40 : 515, size);
    const int levels[] = { rows, depths, cols, NLAYOUT, NLAYOUT, NLAYOUT, NBIAS, FNN_NACT, 0 };
    int level[MOST_FACTORS];
    for (pairs *p = new_pairs(levels); next_case(p, level);) {
        const layout how[] = { (layout)level[3], (layout)level[4], (layout)level[5] };
        const fnn_act act = (fnn_act)level[7];
        const data_kind kind = act == FNN_IDENTITY ? (level[6] ? SPREAD : CANCELLING) : NARROW;
        try_forward(v->dt, act, size[level[0]], size[level[1]], size[level[2]], how, level[6],
                    kind);
    }
}

/* ---- backward ----------------------------------------------------------------------------- */

/* delta, (n, m) contiguous, of which dx, dw and db are made. */
static approx *expect_delta(fnn_dtype dt, fnn_act act, fnn_in y, fnn_in dy)
{
    const ptrdiff_t n = y.rows, m = y.cols;
    approx *delta = calloc((size_t)(n * m) + 1, sizeof *delta);
    for (ptrdiff_t i = 0; i < n; i++) {
        approx sum = { 0, 0 };
        for (ptrdiff_t j = 0; j < m; j++)
            sum = add(FNN_F64, sum, multiply(FNN_F64, exactly(get(dt, y, i, j)),
                                             exactly(get(dt, dy, i, j))));
        for (ptrdiff_t j = 0; j < m; j++) {
            const approx y_ij = exactly(get(dt, y, i, j)), dy_ij = exactly(get(dt, dy, i, j));
            delta[i * m + j] = act == FNN_SOFTMAX ? multiply(dt, y_ij, subtract(dt, dy_ij, sum))
                             : multiply(dt, dy_ij, expect_slope(dt, act, y_ij));
        }
    }
    return delta;
}

static approx *exact_copy(fnn_dtype dt, fnn_in v)
{
    approx *copy = calloc((size_t)(v.rows * v.cols) + 1, sizeof *copy);
    for (ptrdiff_t i = 0; i < v.rows; i++)
        for (ptrdiff_t j = 0; j < v.cols; j++)
            copy[i * v.cols + j] = exactly(get(dt, v, i, j));
    return copy;
}

static double worst_backward(fnn_dtype dt, fnn_act act, fnn_in x, fnn_in w, fnn_in y, fnn_in dy,
                             const matrix *dx, const matrix *dw, const matrix *db)
{
    const ptrdiff_t n = x.rows, k = x.cols, m = w.cols;
    approx *delta = expect_delta(dt, act, y, dy);
    approx *x_a = exact_copy(dt, x), *w_a = exact_copy(dt, w);
    const approx one = exactly(1), zero = exactly(0);
    double worst = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t p = 0; p < k; p++) /* dx = delta w^T */
            worst = fmax(worst, miss(at(dx, i, p),
                                     dot(dt, zero, m, delta + i * m, 1, w_a + p * m, 1)));
    for (ptrdiff_t p = 0; p < k; p++)
        for (ptrdiff_t j = 0; j < m; j++) /* dw = x^T delta */
            worst = fmax(worst, miss(at(dw, p, j), dot(dt, zero, n, x_a + p, k, delta + j, m)));
    for (ptrdiff_t j = 0; j < m; j++)
        worst = fmax(worst, miss(at(db, 0, j), dot(dt, zero, n, &one, 0, delta + j, m)));
    free(delta);
    free(x_a);
    free(w_a);
    return worst;
}

static void try_backward(fnn_dtype dt, fnn_act act, ptrdiff_t n, ptrdiff_t k, ptrdiff_t m,
                         const layout *how, int absent)
{
    const matrix x = new_matrix(dt, n, k, how[0]), w = new_matrix(dt, k, m, how[1]);
    const matrix y = new_matrix(dt, n, m, how[2]), dy = new_matrix(dt, n, m, how[3]);
    matrix out[2][3];
    const matrix *const inputs[] = { &x, &w, &y, &dy };
    for (int i = 0; i < 4; i++) {
        fill(inputs[i], i == 3 ? SPREAD : NARROW, (uint64_t)i + 1);
        freeze(inputs[i]);
    }
    for (int round = 0; round < 2; round++) { /* all outputs, then without one of them */
        out[round][0] = new_matrix(dt, n, k, how[3]);
        out[round][1] = new_matrix(dt, k, m, how[0]);
        out[round][2] = new_matrix(dt, 1, m, how[2]);
        fnn_out v[3];
        for (int o = 0; o < 3; o++)
            v[o] = round && o == absent ? (fnn_out){ 0 } : out[round][o].v;
        const fnn_status status =
            fnn_dense_backward(dt, act, fnn_as_in(x.v), fnn_as_in(w.v), fnn_as_in(y.v),
                               fnn_as_in(dy.v), v[0], v[1], v[2]);
        CHECK(status == FNN_OK, "status %d", status);
    }
    const double worst =
        worst_backward(dt, act, fnn_as_in(x.v), fnn_as_in(w.v), fnn_as_in(y.v), fnn_as_in(dy.v),
                       &out[0][0], &out[0][1], &out[0][2]);
    CHECK(worst <= 1, "n %td k %td m %td layouts %d %d %d %d act %d: %.3g bounds", n, k, m, how[0],
          how[1], how[2], how[3], act, worst);
    for (int o = 0; o < 3; o++) {
        CHECK(padding_intact(&out[0][o]), "n %td k %td m %td: wrote beside output %d", n, k, m, o);
        CHECK(o == absent || same_bits(&out[0][o], &out[1][o]), "output %d without %d", o, absent);
    }
    free_matrices();
}

static void test_backward(const variant *v)
{
    ptrdiff_t size[MOST_SIZES];
    const int count = sizes(v->kn, 33, size);
    const int levels[] = { count, count, count, NLAYOUT, NLAYOUT, NLAYOUT, NLAYOUT,
                           FNN_NACT, 3, 0 };
    int level[MOST_FACTORS];
    for (pairs *p = new_pairs(levels); next_case(p, level);) {
        const layout how[] = { (layout)level[3], (layout)level[4], (layout)level[5],
                               (layout)level[6] };
        try_backward(v->dt, (fnn_act)level[7], size[level[0]], size[level[1]], size[level[2]], how,
                     level[8]);
    }
    /* Several blocks of rows, and of K in dx. */
    const layout plain[] = { CONTIGUOUS, CONTIGUOUS, CONTIGUOUS, CONTIGUOUS };
    const layout strided[] = { TRANSPOSED, SPREAD_OUT, COLS_DOWN, TRANSPOSED };
    for (int act = 0; act < FNN_NACT; act++) {
        try_backward(v->dt, (fnn_act)act, 515, 3, 2, act % 2 ? plain : strided, act % 3);
        try_backward(v->dt, (fnn_act)act, 257, 2, quick() ? 17 : 259, act % 2 ? strided : plain, 0);
    }
}

/* ---- maps, softmax, losses ---------------------------------------------------------------- */

static void test_maps(const variant *v)
{
    const fnn_dtype dt = v->dt;
    for (int from = 0; from < NLAYOUT; from++)
        for (int to = 0; to < NLAYOUT; to++)
            for (int fn = -1; fn < FNN_NMAP; fn++) { /* -1: softmax */
                const matrix x = new_matrix(dt, 67, 5, (layout)from);
                const matrix y = new_matrix(dt, 67, 5, (layout)to);
                const matrix z = new_matrix(dt, 67, 5, (layout)to);
                fill(&x, NARROW, 1);
                fnn_copy(dt, fnn_as_in(x.v), z.v);
                const fnn_in in = freeze(&x), same = fnn_as_in(z.v);
                CHECK((fn < 0 ? fnn_softmax(dt, in, y.v) : fnn_map(dt, fn, in, y.v)) == FNN_OK,
                      "status");
                CHECK((fn < 0 ? fnn_softmax(dt, same, z.v) : fnn_map(dt, fn, same, z.v)) == FNN_OK,
                      "status in place");
                CHECK(same_bits(&y, &z), "function %d, layout %d, in place", fn, to);
                CHECK(padding_intact(&y) && padding_intact(&z), "function %d: wrote beside y", fn);
                double worst = 0;
                for (ptrdiff_t i = 0; i < 67; i++) {
                    approx row[5], p[5];
                    for (ptrdiff_t j = 0; j < 5; j++)
                        row[j] = exactly(at(&x, i, j));
                    expect_softmax(dt, 5, row, p);
                    for (ptrdiff_t j = 0; j < 5; j++)
                        worst = fmax(worst, miss(at(&y, i, j), fn < 0 ? p[j]
                                                 : expect_map(dt, (fnn_function)fn, at(&x, i, j))));
                }
                CHECK(worst <= 1, "function %d layouts %d %d: %.3g bounds", fn, from, to, worst);
                free_matrices();
            }
}

static void try_loss_gradient(fnn_dtype dt, fnn_loss fn, ptrdiff_t n, ptrdiff_t c, bool labelled,
                              bool weighted, const layout *how)
{
    enum { MOST = 70 };
    int64_t labels[MOST];
    const matrix z = new_matrix(dt, n, c, how[0]), y = new_matrix(dt, n, c, how[1]);
    const matrix w = new_matrix(dt, 1, n, CONTIGUOUS), dz = new_matrix(dt, n, c, how[2]);
    fill(&z, NARROW, 1);
    fill(&y, NARROW, 2);
    fill(&w, NARROW, 3);
    double total = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        labels[i] = i % (c == 1 && fn != FNN_SOFTMAX_CE ? 2 : c);
        put(dt, w.v, 0, i, i == 2 ? 0 : fabs(at(&w, 0, i)));
        total += weighted ? at(&w, 0, i) : 1;
    }
    const fnn_targets targets = { labelled ? labels : NULL, freeze(&y),
                                  weighted ? freeze(&w).data : NULL };
    double loss = 0;
    CHECK(fnn_loss_gradient(dt, fn, HUBER_DELTA, freeze(&z), targets, &loss, dz.v) == FNN_OK, "status");
    approx right = { 0, 0 };
    double worst = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        approx z_i[MOST], dz_i[MOST];
        double y_i[MOST];
        for (ptrdiff_t j = 0; j < c; j++)
            z_i[j] = exactly(at(&z, i, j));
        target_row(dt, targets, i, c, y_i);
        const double weight = (weighted ? at(&w, 0, i) : 1) / total;
        const approx loss_i = expect_loss(dt, fn, c, z_i, y_i, weight, dz_i);
        right = add(FNN_F64, right, multiply(FNN_F64, exactly(weight), loss_i));
        for (ptrdiff_t j = 0; j < c; j++)
            worst = fmax(worst, miss(at(&dz, i, j), dz_i[j]));
    }
    CHECK(worst <= 1, "dz of loss %d n %td c %td: %.3g bounds", fn, n, c, worst);
    right.bound += (long double)n * eps_of(FNN_F64) * fabsl(right.value);
    CHECK(miss(loss, right) <= 1, "loss %d n %td c %td: %.17g, not %.17Lg", fn, n, c, loss,
          right.value);
    CHECK(padding_intact(&dz), "loss %d: wrote beside dz", fn);
    free_matrices();
}

static void test_losses(const variant *v)
{
    const ptrdiff_t rows[] = { 1, 3, 65 }, classes[] = { 1, 2, 3, 17 };
    const int levels[] = { FNN_NLOSS, 3, 4, 2, 2, NLAYOUT, NLAYOUT, NLAYOUT, 0 };
    int level[MOST_FACTORS];
    for (pairs *p = new_pairs(levels); next_case(p, level);) {
        const layout how[] = { (layout)level[5], (layout)level[6], (layout)level[7] };
        try_loss_gradient(v->dt, (fnn_loss)level[0], rows[level[1]], classes[level[2]], level[3],
                          level[4], how);
    }
}

/* The kernel by its public name. */
static void test_public_update(const variant *v)
{
    double runs[2][3][8] = { { { 0 } } };
    const double g[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    fnn_optimizer opt = fnn_optimizer_init(FNN_ADAM, 0.5, 0, 0.25);
    fnn_optimizer_advance(&opt);
    CHECK(fnn_update(v->dt, &opt, 8, runs[0][0], g, runs[0][1], runs[0][2]) == FNN_OK, "status");
    v->kn->update(&opt, 8, runs[1][0], g, runs[1][1], runs[1][2]);
    CHECK(memcmp(runs[0], runs[1], sizeof runs[0]) == 0, "fnn_update is the kernel");
}

/* ---- products with oneself, infinities ------------------------------------------------------ */

/* The upper triangle; wu's rows are whole cache lines, of which what is past the end is NaN. */
static void try_gram(const variant *v, ptrdiff_t n, ptrdiff_t d, layout of_u, layout of_gram)
{
    const fnn_dtype dt = v->dt;
    const ptrdiff_t line = 64 / (ptrdiff_t)fnn_sizeof(dt);
    const matrix u = new_matrix(dt, n, d, of_u), gram = new_matrix(dt, d, d, of_gram);
    const matrix lines = new_matrix(dt, n, fnn_round_up(d, line), CONTIGUOUS);
    const fnn_out wu = { lines.v.data, n, d, lines.v.rs, 1 };
    fill(&u, SPREAD, 1);
    fill(&(matrix){ .dt = dt, .v = wu }, CANCELLING, 2);
    freeze(&lines);
    const fnn_in u_in = freeze(&u), u_t = { u_in.data, d, n, 1, u_in.rs };
    fnn_gram(v->kn, dt, u_in, fnn_as_in(wu), gram.v);
    double worst = 0;
    for (ptrdiff_t i = 0; i < d; i++)
        for (ptrdiff_t j = i; j < d; j++)
            worst = fmax(worst, miss(at(&gram, i, j),
                                     expect_dot(dt, 0, u_t, i, fnn_as_in(wu), j)));
    CHECK(worst <= 1, "n %td d %td layouts %d %d: %.3g bounds", n, d, of_u, of_gram, worst);
    CHECK(padding_intact(&gram), "n %td d %td layout %d: wrote beside", n, d, of_gram);
    free_matrices();
}

static void test_gram(const variant *v)
{
    const ptrdiff_t rows[] = { 0, 1, 2, 3, 13, 255, 256 };
    ptrdiff_t size[MOST_SIZES];
    const int levels[] = { quick() ? 5 : 7, sizes(v->kn, 67, size), NROW_LAYOUT, NROW_LAYOUT, 0 };
    int level[MOST_FACTORS];
    for (pairs *p = new_pairs(levels); next_case(p, level);)
        try_gram(v, rows[level[0]], size[level[1]], (layout)level[2], (layout)level[3]);
}

/* Anywhere in any layout; what lies between the elements is NaN, and does not count. */
static void test_public_all_finite(const variant *v)
{
    const double odd[] = { INFINITY, -INFINITY, NAN };
    const ptrdiff_t shapes[][2] = { { 0, 5 }, { 5, 0 }, { 1, 1 }, { 1, 37 }, { 37, 1 }, { 9, 19 } };
    for (int s = 0; s < 6; s++)
        for (int how = 0; how < NLAYOUT; how++) {
            const matrix x = new_matrix(v->dt, shapes[s][0], shapes[s][1], (layout)how);
            const fnn_in in = fnn_as_in(x.v);
            fill(&x, SPREAD, 1);
            CHECK(fnn_all_finite(v->dt, in) == 1, "%td x %td, layout %d", in.rows, in.cols, how);
            for (ptrdiff_t i = 0; i < in.rows; i++)
                for (ptrdiff_t j = 0; j < in.cols; j++) {
                    const double before = at(&x, i, j);
                    put(v->dt, x.v, i, j, odd[(i + j) % 3]);
                    CHECK(fnn_all_finite(v->dt, in) == 0, "%td x %td, layout %d: %g at %td %td",
                          in.rows, in.cols, how, odd[(i + j) % 3], i, j);
                    put(v->dt, x.v, i, j, before);
                }
            free_matrices();
        }
    const matrix row = new_matrix(v->dt, 1, 5, CONTIGUOUS);
    fill(&row, SPREAD, 1);
    fnn_in again = freeze(&row);
    again.rows = 1000; /* one row again and again */
    again.rs = 0;
    CHECK(fnn_all_finite(v->dt, again) == 1, "repeated rows");
}

static const test dense_tests[] = {
    { "forward", test_forward }, { "backward", test_backward }, { "maps", test_maps },
    { "losses", test_losses }, { "public update", test_public_update }, { "gram", test_gram },
    { "all finite", test_public_all_finite },
};
SUITE(dense, GUARDED);
