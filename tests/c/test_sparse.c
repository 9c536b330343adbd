/* test_sparse.c -- sparse rows: the product against the dense one, whose bits it has, and against the
 * bound; the transposed; what is refused. */
#include "naive.h"
#include "suites.h"

/* A sparse matrix, and the same as a dense one. */
typedef struct {
    fnn_csr csr;
    matrix dense, values;
    int64_t *starts;
    void *places;
} twins;

/* Row i of three in seven has no values; of the others one in `sparsity` is not zero. */
static twins new_twins(fnn_dtype dt, ptrdiff_t n, ptrdiff_t d, int sparsity, bool wide, uint64_t seed)
{
    twins t = { .dense = new_matrix(dt, n, d, CONTIGUOUS) };
    uint64_t state = seed;
    ptrdiff_t stored = 0;
    t.starts = calloc((size_t)n + 1, sizeof *t.starts);
    must(t.starts != NULL, "calloc");
    fill(&t.dense, NARROW, seed);
    for (ptrdiff_t i = 0; i < n; i++) {
        for (ptrdiff_t j = 0; j < d; j++) {
            if (i % 7 < 3 || next_index(&state, sparsity))
                put(dt, t.dense.v, i, j, 0);
            stored += at(&t.dense, i, j) != 0;
        }
        t.starts[i + 1] = stored;
    }
    t.values = new_matrix(dt, 1, stored, CONTIGUOUS);
    t.places = malloc((size_t)stored * (wide ? 8 : 4) + 1); /* to the byte, for the sanitizer */
    must(t.places != NULL, "malloc");
    ptrdiff_t p = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = 0; j < d; j++) {
            if (at(&t.dense, i, j) == 0)
                continue;
            put(dt, t.values.v, 0, p, at(&t.dense, i, j));
            if (wide)
                ((int64_t *)t.places)[p++] = j;
            else
                ((int32_t *)t.places)[p++] = (int32_t)j;
        }
    t.csr = (fnn_csr){ n, d, freeze(&t.values).data, t.places, t.starts, wide };
    must(fnn_csr_check(t.csr, stored) == FNN_OK, "csr_check");
    freeze(&t.dense);
    return t;
}

static void free_twins(twins *t)
{
    free(t->starts);
    free(t->places);
}

static bool equal(const matrix *a, const matrix *b)
{
    for (ptrdiff_t i = 0; i < a->v.rows; i++)
        for (ptrdiff_t j = 0; j < a->v.cols; j++)
            if (!(at(a, i, j) == at(b, i, j))) /* so -0 is 0, and NaN nothing */
                return false;
    return true;
}

/* ---- the kernel --------------------------------------------------------------------------- */

static void try_kernel(const variant *v, ptrdiff_t m, bool accumulate, bool chosen)
{
    enum { N = 9, D = 23 };
    static const int64_t choice[] = { 8, 3, 3, 0, 5 };
    twins t = new_twins(v->dt, N, D, 3, accumulate, 7);
    const ptrdiff_t n = chosen ? 5 : N;
    const matrix w = new_matrix(v->dt, D, m, PADDED), bias = new_matrix(v->dt, 1, m, CONTIGUOUS);
    const matrix y = new_matrix(v->dt, n, m, PADDED), start = new_matrix(v->dt, n, m, PADDED);
    fill(&w, SPREAD, 8);
    fill(&bias, NARROW, 9);
    fill(&start, NARROW, 10);
    freeze(&w), freeze(&bias);
    if (accumulate)
        fnn_copy(v->dt, fnn_as_in(start.v), y.v);
    v->kn->sparse(&(fnn_sparse){
        .n = n, .cols = m, .values = t.csr.values, .places = t.csr.places, .wide = t.csr.wide,
        .starts = t.csr.starts, .rows = chosen ? choice : NULL, .w = w.v.data, .w_rs = w.v.rs,
        .w_ps = v->kn->tile_vectors * v->kn->lanes, .y = y.v.data, .y_rs = y.v.rs,
        .bias = bias.v.data, .accumulate = accumulate });
    double worst = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = 0; j < m; j++) {
            const double from = accumulate ? at(&start, i, j) : at(&bias, 0, j);
            worst = fmax(worst, miss(at(&y, i, j),
                                     expect_dot(v->dt, from, fnn_as_in(t.dense.v),
                                                chosen ? choice[i] : i, fnn_as_in(w.v), j)));
        }
    CHECK(worst <= 1, "m %td accumulate %d: %.3g bounds", m, accumulate, worst);
    CHECK(padding_intact(&y), "m %td: wrote beside y", m);
    free_twins(&t);
    free_matrices();
}

void test_sparse(const variant *v)
{
    const ptrdiff_t most = 17 * v->kn->lanes + 2;
    for (ptrdiff_t m = 1; m <= most; m += m < 20 ? 1 : 7)
        for (int how = 0; how < 4; how++)
            try_kernel(v, m, how % 2, how / 2);
}

/* ---- the driver --------------------------------------------------------------------------- */

static void try_forward(const variant *v, ptrdiff_t n, ptrdiff_t d, ptrdiff_t m, fnn_act act)
{
    twins t = new_twins(v->dt, n, d, 4, n % 2, 11);
    const matrix w = new_matrix(v->dt, d, m, CONTIGUOUS), b = new_matrix(v->dt, 1, m, CONTIGUOUS);
    const matrix y = new_matrix(v->dt, n, m, PADDED), dense = new_matrix(v->dt, n, m, CONTIGUOUS);
    fill(&w, NARROW, 12);
    fill(&b, NARROW, 13);
    const fnn_in w_in = freeze(&w), b_in = freeze(&b);
    must(!fnn_dense_forward(v->dt, act, fnn_as_in(t.dense.v), w_in, b_in, dense.v), "dense");
    for (int threads = 1; threads <= 3; threads++) {
        fnn_use_threads(threads);
        memset(y.memory, 0xff, y.bytes);
        CHECK(fnn_sparse_forward(v->dt, act, t.csr, w_in, b_in, y.v) == FNN_OK, "status");
        CHECK(equal(&y, &dense), "n %td d %td m %td act %d threads %d", n, d, m, act, threads);
        CHECK(padding_intact(&y), "n %td d %td m %td: wrote beside y", n, d, m);
    }
    fnn_use_threads(0);
    free_twins(&t);
    free_matrices();
}

static void forward(const variant *v)
{
    static const ptrdiff_t n[] = { 0, 1, 5, 40 }, d[] = { 1, 13, 300 }, m[] = { 1, 2, 10, 33, 100 };
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 5; k++)
                try_forward(v, n[i], d[j], m[k], (fnn_act)((i + j + k) % FNN_SOFTMAX));
    try_forward(v, 3000, 900, 30, FNN_TANH); /* enough for threads */
}

static void transposed(const variant *v)
{
    for (ptrdiff_t n = 0; n <= 30; n += 10) {
        twins t = new_twins(v->dt, n, 17, 3, n % 20 == 10, 14);
        const ptrdiff_t stored = (ptrdiff_t)t.starts[n];
        const matrix values = new_matrix(v->dt, 1, stored, CONTIGUOUS);
        int64_t *places = malloc((size_t)stored * sizeof *places + 1), starts[18];
        must(places != NULL, "malloc");
        CHECK(fnn_csr_transpose(v->dt, t.csr, values.v.data, places, starts) == FNN_OK, "status");
        const fnn_csr back = { 17, n, freeze(&values).data, places, starts, 1 };
        CHECK(fnn_csr_check(back, stored) == FNN_OK, "no valid matrix");
        CHECK(starts[17] == stored, "%td values became %td", stored, (ptrdiff_t)starts[17]);
        for (ptrdiff_t j = 0; j < 17; j++)
            for (int64_t p = starts[j]; p < starts[j + 1]; p++)
                CHECK(at(&values, 0, (ptrdiff_t)p) == at(&t.dense, (ptrdiff_t)places[p], j), "value");
        free(places);
        free_twins(&t);
        free_matrices();
    }
}

/* ---- networks ----------------------------------------------------------------------------- */

static const design designs[] = {
    { FNN_SOFTMAX_CE, 2, { 37, 21, 3 }, { FNN_TANH, FNN_SOFTMAX } },
    { FNN_SOFTMAX_CE, 1, { 37, 3 }, { FNN_SOFTMAX } },
    { FNN_SIGMOID_CE, 3, { 90, 130, 5, 3 }, { FNN_RELU, FNN_SIGMOID, FNN_SIGMOID } },
};

/* Rows, and labels in [0, 3) or, for the sigmoid, targets of both kinds. */
typedef struct { twins x; int64_t *labels; matrix targets, weights; fnn_targets y; } batch;

static batch new_batch(fnn_dtype dt, const design *d, ptrdiff_t n)
{
    batch b = { .x = new_twins(dt, n, d->size[0], 5, n % 2, 21),
                .labels = calloc((size_t)n, sizeof *b.labels),
                .targets = new_matrix(dt, n, 3, CONTIGUOUS), .weights = new_matrix(dt, 1, n, CONTIGUOUS) };
    must(b.labels != NULL, "calloc");
    for (ptrdiff_t i = 0; i < n; i++) {
        b.labels[i] = (5 * i + 1) % 3;
        put(dt, b.weights.v, 0, i, (double)(i % 3) / 2);
        for (ptrdiff_t j = 0; j < 3; j++)
            put(dt, b.targets.v, i, j, (double)((i + j) % 2));
    }
    b.y = (fnn_targets){ d->loss == FNN_SOFTMAX_CE ? b.labels : NULL, freeze(&b.targets),
                         freeze(&b.weights).data };
    return b;
}

static void free_batch(batch *b)
{
    free_twins(&b->x);
    free(b->labels);
}

static void try_outputs(const variant *v, const design *d, ptrdiff_t n, bool held)
{
    fnn_network *net = new_network(v->dt, d, 5);
    batch b = new_batch(v->dt, d, n);
    matrix y[2][MOST_LAYERS], out[2];
    fnn_out ys[2][MOST_LAYERS];
    for (int i = 0; i < 2; i++) {
        for (int l = 0; l < d->layers; l++) {
            y[i][l] = new_matrix(v->dt, n, d->size[l + 1], PADDED);
            ys[i][l] = y[i][l].v;
        }
        out[i] = new_matrix(v->dt, n, d->size[d->layers], PADDED);
    }
    if (!held)
        fnn_network_release(net);
    const fnn_in dense = fnn_as_in(b.x.dense.v);
    CHECK(!fnn_network_forward(net, dense, out[0].v), "dense");
    CHECK(!fnn_network_forward_sparse(net, b.x.csr, out[1].v), "sparse");
    CHECK(!fnn_network_activations(net, dense, ys[0]), "dense");
    CHECK(!fnn_network_activations_sparse(net, b.x.csr, ys[1]), "sparse");
    CHECK(equal(&out[0], &out[1]) && padding_intact(&out[1]), "n %td held %d: outputs", n, held);
    for (int l = 0; l < d->layers; l++)
        CHECK(equal(&y[0][l], &y[1][l]) && padding_intact(&y[1][l]), "n %td: layer %d", n, l);
    fnn_network_free(net);
    free_batch(&b);
    free_matrices();
}

static void outputs(const variant *v)
{
    static const ptrdiff_t n[] = { 0, 1, 2, 9, 300 };
    for (int i = 0; i < 5; i++)
        for (int d = 0; d < 3; d++)
            for (int held = 0; held < 2; held++)
                try_outputs(v, &designs[d], n[i], held);
}

static void try_gradients(const variant *v, const design *d, ptrdiff_t n, int threads)
{
    fnn_network *net = new_network(v->dt, d, 6);
    batch b = new_batch(v->dt, d, n);
    matrix g[2][2 * MOST_LAYERS];
    double loss[2] = { NAN, NAN };
    fnn_use_threads(threads);
    for (int i = 0; i < 2; i++) {
        fnn_out dw[MOST_LAYERS], db[MOST_LAYERS];
        for (int l = 0; l < d->layers; l++) {
            g[i][2 * l] = new_matrix(v->dt, d->size[l], d->size[l + 1], PADDED);
            g[i][2 * l + 1] = new_matrix(v->dt, 1, d->size[l + 1], CONTIGUOUS);
            dw[l] = g[i][2 * l].v, db[l] = g[i][2 * l + 1].v;
        }
        const fnn_status status =
            i ? fnn_network_gradients_sparse(net, b.x.csr, b.y, 0.01, &loss[i], dw, db)
              : fnn_network_gradients(net, fnn_as_in(b.x.dense.v), b.y, 0.01, &loss[i], dw, db);
        CHECK(status == FNN_OK, "status %d", status);
    }
    CHECK(loss[0] == loss[1], "n %td: loss %.17g, not %.17g", n, loss[1], loss[0]);
    for (int p = 0; p < 2 * d->layers; p++)
        CHECK(equal(&g[0][p], &g[1][p]) && padding_intact(&g[1][p]), "n %td gradient %d", n, p);
    fnn_use_threads(0);
    fnn_network_free(net);
    free_batch(&b);
    free_matrices();
}

static void gradients(const variant *v)
{
    static const ptrdiff_t n[] = { 3, 40, 600 };
    for (int i = 0; i < 3; i++)
        for (int d = 0; d < 3; d++)
            for (int threads = 1; threads <= 3; threads++)
                try_gradients(v, &designs[d], n[i], threads);
}

static void try_training(const variant *v, const design *d, ptrdiff_t batch_size, fnn_solver solver,
                         bool in_order, int threads)
{
    enum { N = 700, COUNT = 650 };
    static int64_t order[COUNT];
    for (int i = 0; i < COUNT; i++)
        order[i] = (int64_t)i * 33 % N;
    batch b = new_batch(v->dt, d, N);
    fnn_network *net[2];
    double loss[2] = { NAN, NAN }, parts[2];
    fnn_use_threads(threads);
    for (int i = 0; i < 2; i++) {
        net[i] = new_network(v->dt, d, 7);
        fnn_training *training;
        must(!fnn_training_new(net[i], fnn_optimizer_init(solver, 0.01, 0.5, 0.001), batch_size,
                               &training), "training_new");
        for (int epoch = 0; epoch < 2; epoch++) {
            const int64_t *rows = in_order ? NULL : order;
            const fnn_status status =
                i ? fnn_training_epoch_sparse(training, b.x.csr, b.y, rows, COUNT, NULL, NULL,
                                              &loss[i], parts)
                  : fnn_training_epoch(training, fnn_as_in(b.x.dense.v), b.y, rows, COUNT, NULL,
                                       NULL, &loss[i], NULL);
            CHECK(status == FNN_OK, "status %d", status);
        }
        fnn_training_free(training);
        fnn_network_refresh(net[i]);
    }
    CHECK(loss[0] == loss[1] && isfinite(loss[0]), "loss %.17g, not %.17g", loss[1], loss[0]);
    for (int l = 0; l < d->layers; l++) {
        const matrix w[] = { { .dt = v->dt, .v = fnn_network_weight(net[0], l) },
                             { .dt = v->dt, .v = fnn_network_weight(net[1], l) } };
        CHECK(equal(&w[0], &w[1]), "batches of %td, solver %d, threads %d: layer %d", batch_size,
              (int)solver, threads, l);
    }
    fnn_use_threads(0);
    fnn_network_free(net[0]), fnn_network_free(net[1]);
    free_batch(&b);
    free_matrices();
}

static void training(const variant *v)
{
    static const ptrdiff_t sizes[] = { 1, 50, 300, 10000 }; /* also of several blocks */
    for (int i = quick(); i < 4; i++)
        for (int d = 0; d < 3; d++)
            try_training(v, &designs[d], sizes[i], (fnn_solver)((i + d) % FNN_NSOLVER), i % 2,
                         1 + (i + d) % 3);
}

static void bad_rows(const variant *v)
{
    fnn_network *net = new_network(v->dt, &designs[0], 8);
    batch b = new_batch(v->dt, &designs[0], 9);
    fnn_training *training;
    must(!fnn_training_new(net, fnn_optimizer_init(FNN_SGD, 0.1, 0, 0), 4, &training), "new");
    double loss;
    const int64_t beyond = 9, below = -1;
#define TRY(x, order, count) \
    fnn_training_epoch_sparse(training, x, b.y, order, count, NULL, NULL, &loss, NULL)
    CHECK(TRY(b.x.csr, &beyond, 1) == FNN_EVALUE, "a row past the end");
    CHECK(TRY(b.x.csr, &below, 1) == FNN_EVALUE, "a row before the first");
    CHECK(TRY(b.x.csr, NULL, 0) == FNN_ESHAPE, "no rows");
    fnn_csr wider = b.x.csr;
    wider.cols++;
    CHECK(TRY(wider, NULL, 9) == FNN_ESHAPE, "columns");
#undef TRY
    const matrix y = new_matrix(v->dt, 9, 3, TRANSPOSED);
    CHECK(fnn_network_forward_sparse(net, b.x.csr, y.v) == FNN_ESHAPE, "columns of y");
    fnn_training_free(training);
    fnn_network_free(net);
    free_batch(&b);
    free_matrices();
}

/* ---- what is refused ---------------------------------------------------------------------- */

static void places(const variant *v)
{
    (void)v;
    static const struct { int64_t starts[3], places[2]; fnn_status status; } cases[] = {
        { { 0, 2, 2 }, { 0, 2 }, FNN_OK },     { { 0, 1, 2 }, { 2, 0 }, FNN_OK },
        { { 0, 1, 1 }, { 2, 99 }, FNN_OK },    { { 1, 1, 2 }, { 0, 1 }, FNN_EVALUE },
        { { 0, 2, 1 }, { 0, 1 }, FNN_EVALUE }, { { 0, 1, 3 }, { 0, 1 }, FNN_EVALUE },
        { { 0, 9, 2 }, { 0, 1 }, FNN_EVALUE }, { { 0, 2, 2 }, { 1, 1 }, FNN_EVALUE },
        { { 0, 2, 2 }, { 1, 0 }, FNN_EVALUE }, { { 0, 2, 2 }, { 0, 3 }, FNN_EVALUE },
        { { 0, 2, 2 }, { -1, 0 }, FNN_EVALUE },
        { { 0, INT64_MIN, 2 }, { 0, 1 }, FNN_EVALUE },
        { { 0, INT64_MAX, INT64_MAX }, { 0, 1 }, FNN_EVALUE },
        { { 0, 2, 2 }, { 0, INT64_MAX }, FNN_EVALUE },
    };
    static const double values[2];
    for (int wide = 0; wide < 2; wide++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            const int32_t narrow[] = { (int32_t)cases[i].places[0], (int32_t)cases[i].places[1] };
            if (!wide && narrow[1] != cases[i].places[1])
                continue;
            const void *at = wide ? (const void *)cases[i].places : narrow;
            const fnn_csr x = { 2, 3, values, at, cases[i].starts, wide };
            CHECK(fnn_csr_check(x, 2) == cases[i].status, "case %zu wide %d", i, wide);
        }
}

static void shapes(const variant *v)
{
    twins t = new_twins(v->dt, 5, 4, 2, true, 15);
    const matrix w = new_matrix(v->dt, 4, 3, CONTIGUOUS), b = new_matrix(v->dt, 1, 3, CONTIGUOUS);
    const matrix y = new_matrix(v->dt, 5, 3, CONTIGUOUS);
    fill(&w, NARROW, 16), fill(&b, NARROW, 17);
    const fnn_in w_in = fnn_as_in(w.v), b_in = fnn_as_in(b.v), none = { 0 };
#define TRY(act, w_, b_, y_) fnn_sparse_forward(v->dt, act, t.csr, w_, b_, y_)
    CHECK(TRY(FNN_RELU, w_in, none, y.v) == FNN_OK, "no bias");
    CHECK(TRY(FNN_SOFTMAX, w_in, b_in, y.v) == FNN_ESHAPE, "softmax");
    CHECK(TRY(FNN_RELU, fnn_slice(v->dt, w_in, 0, 3), b_in, y.v) == FNN_ESHAPE, "rows of w");
    CHECK(TRY(FNN_RELU, w_in, b_in, fnn_slice_out(v->dt, y.v, 0, 4)) == FNN_ESHAPE, "rows of y");
    fnn_in strided = w_in, narrow = b_in;
    strided.cs = 2, narrow.cols = 2;
    CHECK(TRY(FNN_RELU, strided, b_in, y.v) == FNN_ESHAPE, "columns of w");
    CHECK(TRY(FNN_RELU, w_in, narrow, y.v) == FNN_ESHAPE, "bias");
    fnn_out shared = y.v;
    shared.data = w.v.data, shared.rs = 0;
    CHECK(TRY(FNN_RELU, w_in, b_in, shared) == FNN_EALIAS, "y is w");
#undef TRY
    free_twins(&t);
    free_matrices();
}

static const test sparse_tests[] = {
    { "forward", forward }, { "outputs", outputs }, { "gradients", gradients },
    { "training", training }, { "bad rows", bad_rows }, { "transposed", transposed }, { "places", places }, { "shapes", shapes },
};
SUITE(sparse, GUARDED);
