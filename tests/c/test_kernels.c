/* test_kernels.c -- the list of kernels, and those of the product and of the optimisers. */
#include "suites.h"

/* kernels.def is the list: a new kernel without a test does not link. */
static const test kernels_tests[] = {
#define FNN_KERNEL(name, ret, args) { #name, test_##name },
#include "kernels.def"
#undef FNN_KERNEL
};
SUITE(kernels, GUARDED);

/* ---- panel -------------------------------------------------------------------------------- */

typedef struct { ptrdiff_t n, k; layout x, y; int vectors, last, act, start, slope; } panel_case;
enum { ZERO, BIAS, ACCUMULATE, NSTART };

static approx expect_panel(fnn_dtype dt, const fnn_panel *job, fnn_in x, fnn_in w, fnn_in y_before,
                           fnn_in a, ptrdiff_t i, ptrdiff_t j)
{
    const double start = job->accumulate ? get(dt, y_before, i, j)
                       : job->bias ? get(dt, (fnn_in){ job->bias, 1, job->cols, 0, 1 }, 0, j) : 0;
    const approx y = expect_act(dt, job->act, expect_dot(dt, start, x, i, w, j));
    if (!job->a)
        return y;
    return multiply(dt, y, expect_slope(dt, job->a_act, exactly(get(dt, a, i, j))));
}

static void try_panel(const variant *v, const panel_case *c, data_kind kind)
{
    const fnn_dtype dt = v->dt;
    const ptrdiff_t width = c->vectors * v->kn->lanes, n = c->n;
    const ptrdiff_t cols = width - v->kn->lanes + c->last;
    const matrix x = new_matrix(dt, n, c->k, c->x), w = new_matrix(dt, c->k, width, PADDED);
    const matrix bias = new_matrix(dt, 1, cols, CONTIGUOUS), a = new_matrix(dt, n, cols, PADDED);
    const matrix y = new_matrix(dt, n, cols, c->y), before = new_matrix(dt, n, cols, CONTIGUOUS);
    const matrix *const filled[] = { &x, &w, &bias, &a, &y, &before };
    for (int i = 0; i < 6; i++)
        fill(filled[i], kind, (uint64_t)(i < 5 ? i : 4)); /* before = y */

    const fnn_in x_in = freeze(&x), w_in = freeze(&w), a_in = freeze(&a);
    const fnn_in before_in = freeze(&before);
    const fnn_panel job = {
        .n = n, .k = c->k, .cols = cols, .x = x_in.data, .x_rs = x_in.rs, .x_cs = x_in.cs,
        .w = w_in.data, .w_rs = w_in.rs, .w_ps = v->kn->tile_vectors * v->kn->lanes,
        .w_vectors = c->vectors,
        .y = y.v.data, .y_rs = y.v.rs, .y_cs = y.v.cs,
        .bias = c->start == BIAS ? freeze(&bias).data : NULL, .accumulate = c->start == ACCUMULATE,
        .act = (fnn_act)c->act, .a = c->slope < FNN_SOFTMAX ? a_in.data : NULL, .a_rs = a_in.rs,
        .a_act = (fnn_act)c->slope,
    };
    v->kn->panel(&job);

    double worst = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = 0; j < cols; j++)
            worst = fmax(worst, miss(at(&y, i, j),
                                     expect_panel(dt, &job, x_in, w_in, before_in, a_in, i, j)));
    CHECK(worst <= 1, "n %td k %td cols %td layouts %d %d act %d start %d slope %d: %.3g bounds", n,
          c->k, cols, c->x, c->y, c->act, c->start, c->slope, worst);
    CHECK(padding_intact(&y), "n %td k %td cols %td layout %d: wrote beside y", n, c->k, cols,
          c->y);
    free_matrices();
}

void test_panel(const variant *v)
{
    ptrdiff_t size[MOST_SIZES];
    const int small = sizes(v->kn, 2 * v->kn->tile_rows + 1, size);
    const int deep = sizes(v->kn, quick() ? 40 : 257, size);
    const int lasts[] = { 1, v->kn->lanes - 1, v->kn->lanes };
    const int levels[] = { small, deep, NLAYOUT, NLAYOUT, 4, 3, FNN_SOFTMAX, NSTART,
                           FNN_SOFTMAX + 1, 0 };
    int level[MOST_FACTORS];
    for (pairs *p = new_pairs(levels); next_case(p, level);) {
        const panel_case c = {
            .n = size[level[0]], .k = size[level[1]], .x = (layout)level[2], .y = (layout)level[3],
            .vectors = 1 << level[4], .last = lasts[level[5]] ? lasts[level[5]] : 1,
            .act = level[6], .start = level[7], .slope = level[8],
        };
        try_panel(v, &c, NARROW);
        if (c.act == FNN_IDENTITY) {
            try_panel(v, &c, SPREAD);
            try_panel(v, &c, CANCELLING);
        }
    }
}

/* ---- one row ------------------------------------------------------------------------------ */

/* In place, and from panels. */
static void try_one_row(const variant *v, ptrdiff_t k, ptrdiff_t m, fnn_act act, data_kind kind)
{
    const fnn_dtype dt = v->dt;
    const ptrdiff_t width = v->kn->tile_vectors * v->kn->lanes, row = fnn_round_up(m, width);
    const matrix x = new_matrix(dt, 1, k, CONTIGUOUS), bias = new_matrix(dt, 1, m, CONTIGUOUS);
    const matrix w = new_matrix(dt, k, row, CONTIGUOUS), panels = new_matrix(dt, 1, k * row, CONTIGUOUS);
    fill(&x, kind, 1);
    fill(&bias, kind, 2);
    fill(&w, kind, 3);
    for (ptrdiff_t j = 0; j < m; j += width)
        v->kn->pack(k, fnn_min(width, m - j), fnn_at(dt, w.v.data, j), row, 1, width,
                    fnn_at_out(dt, panels.v.data, j * k));
    const fnn_in x_in = freeze(&x), w_in = freeze(&w), bias_in = freeze(&bias);
    freeze(&panels);
    for (int packed = 0; packed < 2; packed++) {
        const matrix y = new_matrix(dt, 1, m, CONTIGUOUS);
        v->kn->one_row(&(fnn_one_row){
            .k = k, .m = m, .x = x_in.data, .w = packed ? panels.v.data : w_in.data,
            .w_rs = packed ? width : row, .w_ps = packed ? width * k : width,
            .bias = bias_in.data, .act = act, .y = y.v.data });
        double worst = 0;
        for (ptrdiff_t j = 0; j < m; j++)
            worst = fmax(worst, miss(at(&y, 0, j),
                                     expect_act(dt, act, expect_dot(dt, get(dt, bias_in, 0, j), x_in, 0,
                                                                    w_in, j))));
        CHECK(worst <= 1, "k %td m %td act %d packed %d: %.3g bounds", k, m, act, packed, worst);
    }
    free_matrices();
}

void test_one_row(const variant *v)
{
    ptrdiff_t size[MOST_SIZES];
    const int count = sizes(v->kn, 19, size), lanes = v->kn->lanes;
    const ptrdiff_t wide[] = { 4 * lanes - 1, 4 * lanes + 1, 8 * lanes, 15 * lanes + 1 };
    const int levels[] = { count, count + 4, FNN_SOFTMAX, 0 };
    int level[MOST_FACTORS];
    for (pairs *p = new_pairs(levels); next_case(p, level);) {
        const ptrdiff_t k = size[level[0]];
        const ptrdiff_t m = level[1] < count ? size[level[1]] : wide[level[1] - count];
        try_one_row(v, k, m, (fnn_act)level[2], NARROW);
        if (level[2] == FNN_IDENTITY)
            try_one_row(v, k, m, FNN_IDENTITY, CANCELLING);
    }
}

/* ---- pack --------------------------------------------------------------------------------- */

static void try_pack(const variant *v, ptrdiff_t k, ptrdiff_t cols, ptrdiff_t width, layout how)
{
    const matrix w = new_matrix(v->dt, k, cols, how);
    const matrix packed = new_matrix(v->dt, k, width, CONTIGUOUS);
    fill(&w, SPREAD, 1);
    const fnn_in in = freeze(&w);
    v->kn->pack(k, cols, in.data, in.rs, in.cs, width, packed.v.data);
    bool same = true;
    for (ptrdiff_t p = 0; p < k; p++)
        for (ptrdiff_t j = 0; j < width; j++)
            same &= at(&packed, p, j) == (j < cols ? at(&w, p, j) : 0);
    CHECK(same, "k %td cols %td width %td layout %d", k, cols, width, how);
    free_matrices();
}

void test_pack(const variant *v)
{
    const ptrdiff_t lanes = v->kn->lanes, rows[] = { 0, 1, 2, 15, 16, 17, 33 };
    for (int how = 0; how < NLAYOUT; how++)
        for (int vectors = 1; vectors <= 8; vectors *= 2)
            for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
                const ptrdiff_t width = vectors * lanes;
                const ptrdiff_t cols[] = { 1, lanes - 1, lanes, lanes + 1, width - 1, width };
                for (size_t j = 0; j < sizeof cols / sizeof *cols; j++)
                    if (cols[j] <= width)
                        try_pack(v, rows[k], cols[j], width, (layout)how);
            }
}

/* ---- update ------------------------------------------------------------------------------- */

static void try_update(const variant *v, fnn_solver solver, double alpha, ptrdiff_t count,
                       data_kind kind)
{
    enum { W, G, S1, S2, RUNS };
    matrix run[RUNS];
    fnn_optimizer opt = fnn_optimizer_init(solver, 0.125, 0.9, alpha);
    approx *state[2], *w = calloc((size_t)count + 1, sizeof *w);
    for (int i = 0; i < RUNS; i++) {
        run[i] = new_matrix(v->dt, 1, count, CONTIGUOUS);
        fill(&run[i], kind, (uint64_t)i + 1);
    }
    for (int s = 0; s < 2; s++)
        state[s] = calloc((size_t)count + 1, sizeof *state[s]);
    for (ptrdiff_t j = 0; j < count; j++) {
        w[j] = exactly(at(&run[W], 0, j));
        for (int s = 0; s < 2; s++)
            put(v->dt, run[S1 + s].v, 0, j, 0);
    }
    freeze(&run[G]);
    for (int t = 0; t < 3; t++) {
        fnn_optimizer_advance(&opt);
        v->kn->update(&opt, count, run[W].v.data, run[G].v.data,
                      solver == FNN_SGD ? NULL : run[S1].v.data,
                      solver == FNN_ADAM ? run[S2].v.data : NULL);
        double worst = 0;
        for (ptrdiff_t j = 0; j < count; j++) {
            approx s[2] = { state[0][j], state[1][j] };
            w[j] = expect_update(v->dt, &opt, w[j], exactly(at(&run[G], 0, j)), s);
            worst = fmax(worst, miss(at(&run[W], 0, j), w[j]));
            for (int i = 0; i < 2; i++) {
                worst = fmax(worst, miss(at(&run[S1 + i], 0, j), s[i]));
                state[i][j] = s[i];
            }
        }
        CHECK(worst <= 1, "solver %d alpha %g count %td step %d: %.3g bounds", solver, alpha, count,
              t, worst);
    }
    free(w);
    free(state[0]);
    free(state[1]);
    free_matrices();
}

void test_update(const variant *v)
{
    ptrdiff_t size[MOST_SIZES];
    const int count = sizes(v->kn, 67, size);
    for (int solver = 0; solver < FNN_NSOLVER; solver++)
        for (int i = 0; i < count; i++) {
            try_update(v, (fnn_solver)solver, 0, size[i], SPREAD);
            try_update(v, (fnn_solver)solver, 0.0625, size[i], NARROW);
        }
}

void test_fma_burst(const variant *v)
{
    const double chains = (double)v->kn->tile_rows * v->kn->tile_vectors * v->kn->lanes;
    CHECK(v->kn->fma_burst(0) == 0, "no rounds, no operations");
    CHECK(v->kn->fma_burst(1000) == 2000 * chains, "operations of 1000 rounds");
}
