/* test_bits.c -- the same bits: each element is one chain of multiply-adds in the order of k,
 * whatever the batch, the block, the layout or the panel it is computed in. */
#include "naive.h"
#include "suites.h"

/* bias + x[0] w[0] + x[1] w[1] + ..., by C's fma; the portable set has none. */
static double chain(const variant *v, fnn_in x, fnn_in w, double start, ptrdiff_t i, ptrdiff_t j)
{
    const bool once = v->isa != FNN_SCALAR;
    double sum = start;
    for (ptrdiff_t p = 0; p < x.cols; p++) {
        const double x_p = get(v->dt, x, i, p), w_p = get(v->dt, w, p, j);
        if (v->dt == FNN_F64)
            sum = once ? fma(x_p, w_p, sum) : sum + x_p * w_p;
        else if (once)
            sum = fmaf((float)x_p, (float)w_p, (float)sum);
        else
            sum = (float)sum + (float)x_p * (float)w_p;
    }
    return sum;
}

/* Sizes beyond every block: 256 of K, 256 or 512 rows and 512 or 1024 columns. */
static void test_chain(const variant *v)
{
    const struct { ptrdiff_t n, k, m; layout x, w, y; } cases[] = {
        { 515, 21, 35, CONTIGUOUS, CONTIGUOUS, CONTIGUOUS },
        { 5, 515, 1030, PADDED, CONTIGUOUS, PADDED },
        { 1, 257, 131, ROWS_DOWN, PADDED, CONTIGUOUS },
        { 3, 300, 67, CONTIGUOUS, TRANSPOSED, CONTIGUOUS },
        { 260, 259, 70, TRANSPOSED, COLS_DOWN, TRANSPOSED },
        { 40, 19, 2048, CONTIGUOUS, CONTIGUOUS, CONTIGUOUS }, /* w's rows evict each other */
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const matrix x = new_matrix(v->dt, cases[c].n, cases[c].k, cases[c].x);
        const matrix w = new_matrix(v->dt, cases[c].k, cases[c].m, cases[c].w);
        const matrix b = new_matrix(v->dt, 1, cases[c].m, CONTIGUOUS);
        const matrix y = new_matrix(v->dt, cases[c].n, cases[c].m, cases[c].y);
        fill(&x, SPREAD, 1);
        fill(&w, SPREAD, 2);
        fill(&b, SPREAD, 3);
        const fnn_in x_in = freeze(&x), w_in = freeze(&w);
        CHECK(fnn_dense_forward(v->dt, FNN_IDENTITY, x_in, w_in, freeze(&b), y.v) == FNN_OK,
              "status");
        uint64_t state = 5;
        for (int sample = 0; sample < 2000; sample++) {
            const int edge = sample % 4; /* now and then the last row or column */
            const ptrdiff_t i = edge == 1 ? cases[c].n - 1 : next_index(&state, (int)cases[c].n);
            const ptrdiff_t j = edge == 2 ? cases[c].m - 1 : next_index(&state, (int)cases[c].m);
            const double right = chain(v, x_in, w_in, at(&b, 0, j), i, j);
            CHECK(at(&y, i, j) == right, "case %zu row %td column %td: %a, not %a", c, i, j,
                  at(&y, i, j), right);
        }
        free_matrices();
    }
}

/* Every split of a batch in two, and each row alone, give the rows of the whole. */
static void test_forward_splits(const variant *v)
{
    enum { N = 37, K = 21, M = 35 };
    for (int act = 0; act < FNN_NACT; act++) {
        const matrix x = new_matrix(v->dt, N, K, PADDED), w = new_matrix(v->dt, K, M, PADDED);
        const matrix whole = new_matrix(v->dt, N, M, PADDED);
        const matrix parts = new_matrix(v->dt, N, M, PADDED);
        fill(&x, NARROW, 1);
        fill(&w, NARROW, 2);
        const fnn_in x_in = freeze(&x), w_in = freeze(&w), b = { 0 };
        fnn_dense_forward(v->dt, act, x_in, w_in, b, whole.v);
        for (ptrdiff_t split = 0; split < N; split++) {
            const ptrdiff_t begins[] = { 0, split, split }, counts[] = { split, N - split, 1 };
            for (int part = 0; part < 3; part++) {
                fnn_dense_forward(v->dt, act, fnn_slice(v->dt, x_in, begins[part], counts[part]),
                                  w_in, b,
                                  fnn_slice_out(v->dt, parts.v, begins[part], counts[part]));
            }
            CHECK(same_bits(&whole, &parts), "act %d split at %td", act, split);
        }
        free_matrices();
    }
}

static void test_network_splits(const variant *v)
{
    enum { N = 530 };
    const design d = { FNN_SOFTMAX_CE, 3, { 5, 19, 33, 4 },
                       { FNN_SIGMOID, FNN_TANH, FNN_SOFTMAX } };
    fnn_network *net = new_network(v->dt, &d, 1);
    const matrix x = new_matrix(v->dt, N, 5, PADDED), whole = new_matrix(v->dt, N, 4, PADDED);
    const matrix parts = new_matrix(v->dt, N, 4, PADDED);
    fill(&x, NARROW, 1);
    const fnn_in x_in = freeze(&x);
    CHECK(fnn_network_forward(net, x_in, whole.v) == FNN_OK, "forward");
    const ptrdiff_t steps[] = { 1, 2, 3, 7, 16, 100, 255, 256, 257, 529 };
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        for (ptrdiff_t i = 0; i < N; i += steps[s]) {
            const ptrdiff_t n = fnn_min(steps[s], N - i);
            fnn_network_forward(net, fnn_slice(v->dt, x_in, i, n),
                                fnn_slice_out(v->dt, parts.v, i, n));
        }
        CHECK(same_bits(&whole, &parts), "%td rows at a time", steps[s]);
    }
    fnn_network_free(net);
}

/* The layouts of inputs and outputs do not change a bit either. */
static void test_layouts(const variant *v)
{
    enum { N = 41, K = 19, M = 35 };
    double x[N * K], w[K * M], y[N * M];
    const fnn_out plain[] = { { x, N, K, K, 1 }, { w, K, M, M, 1 }, { y, N, M, M, 1 } };
    uint64_t state = 3;
    for (int i = 0; i < 3; i++)
        for (ptrdiff_t e = 0; e < plain[i].rows * plain[i].cols; e++)
            put(v->dt, plain[i], e / plain[i].cols, e % plain[i].cols,
                next_real(&state, 20, 2) / 4);
    matrix first[4];
    for (int how = 0; how < NLAYOUT; how++) {
        matrix in[3], out[4];
        for (int i = 0; i < 3; i++) {
            in[i] = new_matrix(v->dt, plain[i].rows, plain[i].cols, (layout)how);
            copy_into(&in[i], plain[i].data);
            freeze(&in[i]);
        }
        const ptrdiff_t shapes[4][2] = { { N, M }, { N, K }, { K, M }, { 1, M } };
        for (int o = 0; o < 4; o++)
            out[o] = new_matrix(v->dt, shapes[o][0], shapes[o][1], (layout)((how + o) % NLAYOUT));
        fnn_dense_forward(v->dt, FNN_SIGMOID, fnn_as_in(in[0].v), fnn_as_in(in[1].v), (fnn_in){ 0 },
                          out[0].v);
        fnn_dense_backward(v->dt, FNN_TANH, fnn_as_in(in[0].v), fnn_as_in(in[1].v),
                           fnn_as_in(in[2].v),
                           fnn_as_in(out[0].v), out[1].v, out[2].v, out[3].v);
        for (int o = 0; o < 4; o++) {
            if (how == 0)
                first[o] = out[o];
            CHECK(same_bits(&first[o], &out[o]), "output %d in layout %d", o, how);
        }
    }
}

static const test bits_tests[] = {
    { "chain", test_chain }, { "forward splits", test_forward_splits },
    { "network splits", test_network_splits }, { "layouts", test_layouts },
};
SUITE(bits, EACH);
