/* test_golden.c -- hashes of results that every instruction set with FMA shares, on every machine.
 *
 * The data are made of integers and exact in both dtypes; no library function takes part. */
#include "naive.h"
#include "suites.h"

/* ---- hashes and data ---------------------------------------------------------------------- */

typedef struct { fnn_dtype dt; uint64_t hash, seed; } digest;

/* G. Fowler, L. C. Noll and K.-P. Vo. */
static void absorb(digest *d, const void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        d->hash = (d->hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
}
static void absorb_view(digest *d, fnn_out v)
{
    for (ptrdiff_t i = 0; i < v.rows; i++)
        for (ptrdiff_t j = 0; j < v.cols; j++)
            absorb(d, fnn_at(d->dt, v.data, i * v.rs + j * v.cs), fnn_sizeof(d->dt));
}

/* Multiples of 2^-12 in (-4, 4), some scaled down or up. */
static matrix data(digest *d, ptrdiff_t rows, ptrdiff_t cols)
{
    static const double scales[] = { 1, 1, 1, 0.0625, 2 };
    const matrix m = new_matrix(d->dt, rows, cols, PADDED);
    d->seed++;
    uint64_t state = d->seed;
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < cols; j++) {
            const int integer = next_index(&state, 32767) - 16383;
            put(d->dt, m.v, i, j, integer / 4096.0 * scales[next_index(&state, 5)]);
        }
    return m;
}
static matrix result(digest *d, ptrdiff_t rows, ptrdiff_t cols)
{
    return new_matrix(d->dt, rows, cols, PADDED);
}
static fnn_in in(matrix m) { return fnn_as_in(m.v); }

/* ---- what is hashed ----------------------------------------------------------------------- */

static void forward(digest *d, fnn_act act, ptrdiff_t n, ptrdiff_t k, ptrdiff_t m)
{
    const matrix x = data(d, n, k), w = data(d, k, m), b = data(d, 1, m), y = result(d, n, m);
    for (ptrdiff_t p = 0; p < k; p++) /* pre-activations of order 1 */
        for (ptrdiff_t j = 0; j < m; j++)
            put(d->dt, w.v, p, j, at(&w, p, j) / 32);
    CHECK(fnn_dense_forward(d->dt, act, in(x), in(w), in(b), y.v) == FNN_OK, "forward");
    absorb_view(d, y.v);
}
static void forward_identity(digest *d) { forward(d, FNN_IDENTITY, 3, 515, 40); }
static void forward_sigmoid(digest *d) { forward(d, FNN_SIGMOID, 1, 5, 3); }
static void forward_tanh(digest *d) { forward(d, FNN_TANH, 7, 33, 19); }
static void forward_relu(digest *d) { forward(d, FNN_RELU, 33, 300, 70); }
static void forward_softmax(digest *d) { forward(d, FNN_SOFTMAX, 64, 257, 17); }

static void map(digest *d, fnn_function fn)
{
    const matrix x = data(d, 40, 41), y = result(d, 40, 41);
    for (ptrdiff_t i = 0; i < 40; i++) /* from tiny to where results over- and underflow */
        for (ptrdiff_t j = 0; j < 41; j++) {
            const double scale = i < 10 ? 1 : i < 20 ? 0x1p-20 : i < 30 ? 16
                               : d->dt == FNN_F32 ? 32 : 256;
            const double value = at(&x, i, j) * scale;
            put(d->dt, x.v, i, j, fn == FNN_MAP_LOG1P && value <= -1 ? -value : value);
        }
    CHECK(fnn_map(d->dt, fn, in(x), y.v) == FNN_OK, "map");
    absorb_view(d, y.v);
}
static void map_exp(digest *d) { map(d, FNN_MAP_EXP); }
static void map_log1p(digest *d) { map(d, FNN_MAP_LOG1P); }
static void map_sigmoid(digest *d) { map(d, FNN_MAP_SIGMOID); }
static void map_tanh(digest *d) { map(d, FNN_MAP_TANH); }

static void softmax(digest *d)
{
    for (ptrdiff_t c = 1; c < 70; c += 3) {
        const matrix z = data(d, 3, c), y = result(d, 3, c);
        CHECK(fnn_softmax(d->dt, in(z), y.v) == FNN_OK, "softmax");
        absorb_view(d, y.v);
        free_matrices();
    }
}

static void backward(digest *d, fnn_act act, ptrdiff_t n, ptrdiff_t k, ptrdiff_t m)
{
    const matrix x = data(d, n, k), w = data(d, k, m), y = data(d, n, m), dy = data(d, n, m);
    const matrix dx = result(d, n, k), dw = result(d, k, m), db = result(d, 1, m);
    CHECK(fnn_dense_backward(d->dt, act, in(x), in(w), in(y), in(dy), dx.v, dw.v, db.v) == FNN_OK,
          "backward");
    absorb_view(d, dx.v);
    absorb_view(d, dw.v);
    absorb_view(d, db.v);
}
static void backward_identity(digest *d) { backward(d, FNN_IDENTITY, 5, 3, 300); }
static void backward_sigmoid(digest *d) { backward(d, FNN_SIGMOID, 300, 7, 5); }
static void backward_tanh(digest *d) { backward(d, FNN_TANH, 37, 35, 33); }
static void backward_relu(digest *d) { backward(d, FNN_RELU, 1, 17, 9); }
static void backward_softmax(digest *d) { backward(d, FNN_SOFTMAX, 37, 9, 35); }

static void loss(digest *d, fnn_loss fn)
{
    for (ptrdiff_t c = 1; c <= 35; c += 17)
        for (int kind = 0; kind < 4; kind++) { /* bit 0: labels, bit 1: weights */
            const matrix z = data(d, 70, c), y = data(d, 70, c), dz = result(d, 70, c);
            double weights[70], value = 0;
            int64_t labels[70];
            for (ptrdiff_t i = 0; i < 70; i++) {
                labels[i] = i % (c == 1 && fn != FNN_SOFTMAX_CE ? 2 : c);
                put(d->dt, (fnn_out){ weights, 1, 70, 70, 1 }, 0, i, (double)(i % 9) / 4);
            }
            const fnn_targets targets = { kind & 1 ? labels : NULL, in(y),
                                          kind & 2 ? weights : NULL };
            CHECK(fnn_loss_gradient(d->dt, fn, 0.5, in(z), targets, &value, dz.v) == FNN_OK,
                  "loss");
            absorb(d, &value, sizeof value);
            absorb_view(d, dz.v);
            free_matrices();
        }
}
static void loss_softmax(digest *d) { loss(d, FNN_SOFTMAX_CE); }
static void loss_sigmoid(digest *d) { loss(d, FNN_SIGMOID_CE); }
static void loss_squared(digest *d) { loss(d, FNN_SQUARED_ERROR); }
static void loss_poisson(digest *d) { loss(d, FNN_POISSON); }
static void loss_huber(digest *d) { loss(d, FNN_HUBER); }
static void loss_absolute(digest *d) { loss(d, FNN_ABSOLUTE_ERROR); }

static void update(digest *d, fnn_solver solver)
{
    double run[4][37];
    fnn_out v[4];
    fnn_optimizer opt = fnn_optimizer_init(solver, 0.1, 0.9, 0.01);
    for (int i = 0; i < 4; i++) {
        const matrix m = data(d, 1, 37);
        v[i] = (fnn_out){ run[i], 1, 37, 37, 1 };
        fnn_copy(d->dt, in(m), v[i]);
    }
    memset(run[2], 0, 2 * sizeof run[2]); /* the state */
    for (int t = 0; t < 5; t++) {
        fnn_optimizer_advance(&opt);
        CHECK(fnn_update(d->dt, &opt, 37, run[0], run[1], run[2], run[3]) == FNN_OK, "update");
        absorb_view(d, v[0]);
    }
}
static void update_sgd(digest *d) { update(d, FNN_SGD); }
static void update_momentum(digest *d) { update(d, FNN_MOMENTUM); }
static void update_nesterov(digest *d) { update(d, FNN_NESTEROV); }
static void update_adam(digest *d) { update(d, FNN_ADAM); }

static bool released; /* nobody holds the views of networks */

static fnn_network *golden_network(fnn_dtype dt, const design *of)
{
    fnn_network *net = new_network(dt, of, 9);
    if (released)
        fnn_network_release(net);
    return net;
}

/* Outputs, gradients, and two epochs of 300 rows. */
static void train_with(digest *d, const design *of, fnn_solver solver, ptrdiff_t batch_size,
                       const double *dropout)
{
    enum { N = 300 };
    fnn_network *net = golden_network(d->dt, of);
    fnn_training *training = NULL;
    const ptrdiff_t c = of->size[of->layers];
    const matrix x = data(d, N, of->size[0]), y = result(d, N, c);
    int64_t labels[N], order[N];
    uint64_t state = 1;
    for (int i = 0; i < N; i++) {
        labels[i] = i % (c == 1 ? 2 : c);
        order[i] = next_index(&state, N);
    }
    const fnn_targets targets = { .labels = labels };
    const fnn_optimizer opt = fnn_optimizer_init(solver, 0.01, 0.9, 0.001);
    CHECK(fnn_training_new(net, opt, batch_size, &training) == FNN_OK, "training");
    CHECK(!dropout || fnn_training_set_dropout(training, dropout, 3) == FNN_OK, "dropout");
    for (int epoch = 0; epoch < 2; epoch++) {
        double value = 0;
        CHECK(fnn_training_epoch(training, in(x), targets, order, N, NULL, NULL, &value, NULL)
              == FNN_OK, "epoch");
        absorb(d, &value, sizeof value);
    }
    fnn_network_refresh(net);
    for (int l = 0; l < of->layers; l++) {
        absorb_view(d, fnn_network_weight(net, l));
        absorb_view(d, fnn_network_bias(net, l));
    }
    CHECK(fnn_network_forward(net, in(x), y.v) == FNN_OK, "forward");
    absorb_view(d, y.v);
    fnn_training_free(training);
    fnn_network_free(net);
}
static void train(digest *d, const design *of, fnn_solver solver, ptrdiff_t batch_size)
{
    train_with(d, of, solver, batch_size, NULL);
}
static const design classifier = { FNN_SOFTMAX_CE, 3, { 20, 33, 17, 10 },
                                   { FNN_SIGMOID, FNN_TANH, FNN_SOFTMAX } };
static const design binary = { FNN_SIGMOID_CE, 2, { 9, 65, 1 }, { FNN_RELU, FNN_SIGMOID } };
static const design regression = { FNN_SQUARED_ERROR, 2, { 7, 19, 3 }, { FNN_TANH, FNN_IDENTITY } };
static const design counts = { FNN_POISSON, 2, { 9, 21, 4 }, { FNN_SIGMOID, FNN_EXP } };
static const design robust = { FNN_HUBER, 2, { 7, 35, 3 }, { FNN_TANH, FNN_IDENTITY } };
static void train_adam(digest *d) { train(d, &classifier, FNN_ADAM, 32); }
static void train_nesterov(digest *d) { train(d, &binary, FNN_NESTEROV, 300); }
static void train_sgd(digest *d) { train(d, &regression, FNN_SGD, 7); }
static void train_poisson(digest *d) { train(d, &counts, FNN_ADAM, 50); }
static void train_huber(digest *d) { train(d, &robust, FNN_MOMENTUM, 32); }

/* These are work for several threads. */
static const design wide = { FNN_SOFTMAX_CE, 3, { 40, 150, 90, 10 },
                             { FNN_RELU, FNN_SIGMOID, FNN_SOFTMAX } };
static const design widest = { FNN_SQUARED_ERROR, 2, { 300, 1100, 40 },
                               { FNN_TANH, FNN_IDENTITY } };
static void train_wide(digest *d)
{
    CHECK(fnn_parts(2.0 * 300 * (40 * 150 + 150 * 90)) > 1 || fnn_parts(1e9) == 1, "little work");
    train(d, &wide, FNN_MOMENTUM, 290); /* more than a block of rows, and few */
}
static void train_dropout(digest *d)
{
    train_with(d, &wide, FNN_ADAM, 290, (const double[]){ 0.25, 0.5 });
}
static void network_columns(digest *d)
{
    CHECK(fnn_parts(4.0 * 300 * 1100 * 4) > 1 || fnn_parts(1e9) == 1, "little work");
    fnn_network *net = golden_network(d->dt, &widest);
    for (ptrdiff_t n = 1; n <= 3; n++) {
        const matrix x = data(d, n, 300), y = result(d, n, 40);
        CHECK(fnn_network_forward(net, in(x), y.v) == FNN_OK, "forward");
        absorb_view(d, y.v);
    }
    fnn_network_free(net);
}

/* Factors of c matrices of order d, and means, in f64: exact numbers, a diagonal from 1 on. */
static void gaussians(digest *d, fnn_covariance covariance, ptrdiff_t c, ptrdiff_t dim,
                      double apart)
{
    const ptrdiff_t n = 70, size = covariance == FNN_DIAG ? dim : dim * dim;
    const matrix x = data(d, n, dim), means = data(d, c, dim), l = data(d, c * size, 1);
    double mean[16 * 40], factor[16 * 40 * 40];
    for (ptrdiff_t i = 0; i < c * dim; i++)
        mean[i] = at(&means, i / dim, i % dim) + (double)(i / dim) * apart;
    for (ptrdiff_t i = 0; i < c * size; i++)
        factor[i] = covariance == FNN_DIAG || i % size % (dim + 1) == 0 ? 1 + fabs(at(&l, i, 0))
                                                                        : at(&l, i, 0) / 64;
    fnn_gaussians *g = NULL;
    CHECK(fnn_gaussians_new(d->dt, covariance, c, dim, mean, factor, &g) == FNN_OK, "gaussians");
    for (int what = 0; what < FNN_NPOSTERIOR; what++) {
        const matrix y = result(d, n, what <= FNN_PROBA ? c : 1);
        CHECK(fnn_gaussians_evaluate(g, (fnn_posterior)what, NULL, in(x), y.v) == FNN_OK, "y");
        absorb_view(d, y.v);
    }
    fnn_gaussians_free(g);
}
static void gaussians_full(digest *d) { gaussians(d, FNN_FULL, 3, 17, 0); }
static void gaussians_far(digest *d) { gaussians(d, FNN_SHARED, 4, 9, 100); }
static void gaussians_shared(digest *d) { gaussians(d, FNN_SHARED, 5, 33, 0); }
static void gaussians_diag(digest *d) { gaussians(d, FNN_DIAG, 10, 5, 1); }

static void moments(digest *d, fnn_covariance covariance)
{
    enum { N = 700, D = 19, C = 2 };
    const matrix x = data(d, N, D), w = data(d, 1, N);
    double sums[C * (2 + 2 * D + D * D)] = { 0 }, weights[N];
    int64_t labels[N];
    for (int i = 0; i < N; i++) {
        labels[i] = i % 3 == 0;
        put(d->dt, (fnn_out){ weights, 1, N, N, 1 }, 0, i, fabs(at(&w, 0, i)));
    }
    const fnn_moments m = { sums, sums + C, sums + C * (1 + D), sums + C * (1 + D + D * D),
                            sums + C * (1 + 2 * D + D * D) };
    CHECK(fnn_moments_of(d->dt, covariance, in(x), (fnn_in){ 0 }, labels, weights, C, m) == FNN_OK,
          "moments");
    absorb(d, sums, sizeof sums);
}
static void moments_full(digest *d) { moments(d, FNN_FULL); }
static void moments_shared(digest *d) { moments(d, FNN_SHARED); }
static void moments_diag(digest *d) { moments(d, FNN_DIAG); }

static void linear(digest *d, fnn_loss fn, ptrdiff_t c)
{
    enum { N = 600, D = 21 };
    const matrix x = data(d, N, D), t = data(d, 3, D + 1);
    double theta[3 * (D + 1)], gradient[3 * (D + 1)], hessian[9 * (D + 1) * (D + 1)] = { 0 };
    double value = 0;
    int64_t labels[N];
    for (int i = 0; i < N; i++)
        labels[i] = i % (c == 1 ? 2 : c);
    for (ptrdiff_t i = 0; i < 3 * (D + 1); i++)
        theta[i] = at(&t, i / (D + 1), i % (D + 1)) / 16;
    const fnn_targets y = { .labels = labels };
    CHECK(fnn_linear_loss(d->dt, fn, in(x), y, c, D + 1, theta, 0.5, &value, gradient, hessian)
          == FNN_OK, "linear");
    absorb(d, &value, sizeof value);
    absorb(d, gradient, (size_t)(c * (D + 1)) * sizeof *gradient);
    absorb(d, hessian, sizeof hessian);
}
static void linear_softmax(digest *d) { linear(d, FNN_SOFTMAX_CE, 3); }
static void linear_sigmoid(digest *d) { linear(d, FNN_SIGMOID_CE, 1); }
static void linear_squared(digest *d) { linear(d, FNN_SQUARED_ERROR, 2); }

static void cholesky(digest *d)
{
    enum { D = 130 };
    const matrix a = data(d, D, D);
    double *s = malloc(D * D * sizeof *s);
    must(s != NULL, "memory");
    for (ptrdiff_t i = 0; i < D; i++)
        for (ptrdiff_t j = 0; j < D; j++)
            s[i * D + j] = i == j ? 2 * D : at(&a, i > j ? i : j, i > j ? j : i) / 4;
    ptrdiff_t pivot = 0;
    CHECK(fnn_cholesky(D, s, &pivot) == FNN_OK && pivot == -1, "cholesky");
    absorb(d, s, D * D * sizeof *s);
    double b[D];
    for (ptrdiff_t i = 0; i < D; i++)
        b[i] = at(&a, i, 0);
    CHECK(fnn_cholesky_solve(D, s, 1, b) == FNN_OK, "solve");
    absorb(d, b, sizeof b);
    free(s);
}

static void gaussian_paired(digest *d)
{
    enum { N = 20, D = 50 };
    const matrix x = data(d, N, D), means = data(d, N, D), factors = data(d, N, D * D);
    const matrix y = result(d, N, 1);
    for (ptrdiff_t i = 0; i < N; i++)
        for (ptrdiff_t e = 0; e < D * D; e++) {
            const double l = at(&factors, i, e);
            put(d->dt, factors.v, i, e, e % (D + 1) == 0 ? 1 + fabs(l) : l / 64);
        }
    CHECK(fnn_gaussian_paired(d->dt, in(x), in(means), in(factors), y.v) == FNN_OK, "paired");
    absorb_view(d, y.v);
}

static void log_sums(digest *d)
{
    for (ptrdiff_t c = 1; c < 70; c += 4) {
        const matrix z = data(d, 67, c), p = result(d, 67, c), sum = result(d, 67, 1);
        CHECK(fnn_log_softmax(d->dt, in(z), p.v) == FNN_OK, "log_softmax");
        CHECK(fnn_logsumexp(d->dt, in(z), sum.v) == FNN_OK, "logsumexp");
        absorb_view(d, p.v);
        absorb_view(d, sum.v);
        free_matrices();
    }
}

/* Of columns with others beside them, of two parts, their sum, and what is left of it. */
static void moments_add(digest *d)
{
    enum { N = 600, CUT = 270, D = 11, EXTRA = 2, C = 3, WIDTH = D + EXTRA };
    enum { SIZE = C * (2 + 2 * WIDTH + WIDTH * WIDTH) };
    const matrix x = data(d, N, D), extra = data(d, N, EXTRA);
    double sums[2][SIZE];
    int64_t labels[N];
    fnn_moments m[2];
    for (int i = 0; i < N; i++)
        labels[i] = i % 7 % C;
    for (int part = 0; part < 2; part++) {
        const ptrdiff_t begin = part * CUT, n = part ? N - CUT : CUT;
        double *s = sums[part];
        m[part] = (fnn_moments){ s, s + C, s + C * (1 + WIDTH), s + C * (1 + WIDTH + WIDTH * WIDTH),
                                 s + C * (1 + 2 * WIDTH + WIDTH * WIDTH) };
        CHECK(fnn_moments_of(d->dt, FNN_FULL, fnn_slice(d->dt, in(x), begin, n),
                             fnn_slice(d->dt, in(extra), begin, n), labels + begin, NULL, C,
                             m[part]) == FNN_OK, "moments");
    }
    for (int sign = 1; sign >= -1; sign -= 2) {
        CHECK(fnn_moments_add(C, WIDTH, m[0], m[1], sign) == FNN_OK, "add");
        absorb(d, sums[0], sizeof sums[0]);
    }
}

/* Weighted targets of any sum, no intercept. */
static void linear_targets(digest *d)
{
    enum { N = 300, D = 9, C = 3 };
    const matrix x = data(d, N, D), t = data(d, C, D), y = data(d, N, C), w = data(d, 1, N);
    double theta[C * D], gradient[C * D], hessian[C * D * C * D], weights[N];
    for (ptrdiff_t i = 0; i < N; i++)
        put(d->dt, (fnn_out){ weights, 1, N, N, 1 }, 0, i, fabs(at(&w, 0, i)));
    for (ptrdiff_t i = 0; i < C * D; i++)
        theta[i] = at(&t, i / D, i % D) / 16;
    for (int fn = 0; fn <= FNN_SQUARED_ERROR; fn++) {
        const fnn_targets targets = { NULL, in(y), weights };
        double value = 0;
        memset(hessian, 0, sizeof hessian);
        CHECK(fnn_linear_loss(d->dt, (fnn_loss)fn, in(x), targets, C, D, theta, 0.25, &value,
                              gradient, hessian) == FNN_OK, "linear");
        absorb(d, &value, sizeof value);
        absorb(d, gradient, sizeof gradient);
        absorb(d, hessian, sizeof hessian);
    }
}

static void triangular(digest *d)
{
    enum { D = 70, T = 5 };
    const matrix a = data(d, D, D), columns = data(d, D, T);
    double l[D * D], inverse[D * D], b[D * T], dot;
    for (ptrdiff_t i = 0; i < D; i++) {
        for (ptrdiff_t j = 0; j < D; j++)
            l[i * D + j] = j > i ? 0 : j == i ? 1 + fabs(at(&a, i, i)) : at(&a, i, j) / 64;
        for (ptrdiff_t j = 0; j < T; j++)
            b[i * T + j] = at(&columns, i, j);
    }
    CHECK(fnn_triangular_inverse(D, l, inverse) == FNN_OK, "inverse");
    absorb(d, inverse, sizeof inverse);
    CHECK(fnn_dot(D * T, l, b, &dot) == FNN_OK, "dot");
    absorb(d, &dot, sizeof dot);
    CHECK(fnn_cholesky_solve(D, l, T, b) == FNN_OK, "solve");
    absorb(d, b, sizeof b);
}

static const struct { const char *name; void (*run)(digest *); } items[] = {
#define ITEM(name) { #name, name },
    ITEM(forward_identity) ITEM(forward_sigmoid) ITEM(forward_tanh) ITEM(forward_relu)
    ITEM(forward_softmax) ITEM(map_exp) ITEM(map_log1p) ITEM(map_sigmoid) ITEM(map_tanh)
    ITEM(softmax) ITEM(backward_identity) ITEM(backward_sigmoid) ITEM(backward_tanh)
    ITEM(backward_relu) ITEM(backward_softmax) ITEM(loss_softmax) ITEM(loss_sigmoid)
    ITEM(loss_squared) ITEM(update_sgd) ITEM(update_momentum) ITEM(update_nesterov)
    ITEM(update_adam) ITEM(train_adam) ITEM(train_nesterov) ITEM(train_sgd)
    ITEM(gaussians_full) ITEM(gaussians_far) ITEM(gaussians_shared) ITEM(gaussians_diag)
    ITEM(moments_full) ITEM(moments_shared) ITEM(moments_diag)
    ITEM(linear_softmax) ITEM(linear_sigmoid) ITEM(linear_squared) ITEM(cholesky)
    ITEM(gaussian_paired) ITEM(log_sums) ITEM(moments_add) ITEM(linear_targets) ITEM(triangular)
    ITEM(train_wide) ITEM(network_columns) ITEM(loss_poisson) ITEM(loss_huber) ITEM(loss_absolute)
    ITEM(train_poisson) ITEM(train_huber) ITEM(train_dropout)
#undef ITEM
};
enum { ITEMS = sizeof items / sizeof *items };

/* ---- comparison --------------------------------------------------------------------------- */

enum { FMA, PORTABLE, TIERS };
static const struct { const char *name; uint64_t hash[TIERS][FNN_NDTYPE]; } golden[] = {
#define GOLDEN(name, fma_f32, fma_f64, portable_f32, portable_f64) \
    { name, { { fma_f32, fma_f64 }, { portable_f32, portable_f64 } } },
#include "golden.h"
#undef GOLDEN
};
enum { GOLDENS = sizeof golden / sizeof *golden };

static uint64_t hash_of(int item, fnn_dtype dt)
{
    digest d = { dt, 0xcbf29ce484222325u, (uint64_t)item * 100 };
    items[item].run(&d);
    free_matrices();
    return d.hash;
}

static void test_hashes(const variant *v)
{
    const int tier = v->isa == FNN_SCALAR ? PORTABLE : FMA;
    CHECK((int)GOLDENS == (int)ITEMS, "%d hashes for %d results", GOLDENS, ITEMS);
    for (int i = 0; i < ITEMS && i < GOLDENS; i++) {
        const uint64_t hash = hash_of(i, v->dt), right = golden[i].hash[tier][v->dt];
        CHECK(strcmp(items[i].name, golden[i].name) == 0, "%s where %s should be", golden[i].name,
              items[i].name);
        CHECK(hash == right, "%s: 0x%016llx, not 0x%016llx", items[i].name,
              (unsigned long long)hash, (unsigned long long)right);
    }
}

/* Neither the threads nor who holds the views of a network. */
static void test_threads_do_not_matter(const variant *v)
{
    static const int threads[] = { 1, 2, 3, 7, 16 };
    const int tier = v->isa == FNN_SCALAR ? PORTABLE : FMA;
    for (int run = 0; run < 10; run++) {
        fnn_use_threads(threads[run / 2]);
        released = run % 2;
        for (int i = 0; i < ITEMS && i < GOLDENS; i++) {
            const bool network = strncmp(items[i].name, "train", 5) == 0
                              || strncmp(items[i].name, "network", 7) == 0;
            if (!network && (released || quick()))
                continue;
            CHECK(hash_of(i, v->dt) == golden[i].hash[tier][v->dt],
                  "%s: other bits with %d threads%s", items[i].name, threads[run / 2],
                  released ? ", released" : "");
        }
    }
    released = false;
    fnn_use_threads(0);
}

/* Another seed must give another hash, or the hash sees nothing. */
static void test_hashes_differ(const variant *v)
{
    for (int i = 0; i < ITEMS; i++) {
        digest d = { v->dt, 0xcbf29ce484222325u, (uint64_t)i * 100 + 50 };
        items[i].run(&d);
        free_matrices();
        CHECK(d.hash != hash_of(i, v->dt), "%s does not depend on its data", items[i].name);
    }
}

static const test golden_tests[] = {
    { "hashes", test_hashes }, { "hashes differ", test_hashes_differ },
    { "threads do not matter", test_threads_do_not_matter },
};
SUITE(golden, EACH);

void print_golden(void)
{
    const fnn_isa tiers[TIERS] = { fnn_get_isa(), FNN_SCALAR };
    for (int i = 0; i < ITEMS; i++) {
        printf("GOLDEN(\"%s\"", items[i].name);
        for (int t = 0; t < TIERS; t++)
            for (int dt = 0; dt < FNN_NDTYPE; dt++) {
                fnn_set_isa(tiers[t]);
                printf(",%s0x%016llx", t + dt == 0 ? "\n       " : " ",
                       (unsigned long long)hash_of(i, (fnn_dtype)dt));
            }
        puts(")");
    }
}
