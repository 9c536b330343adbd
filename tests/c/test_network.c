/* test_network.c -- networks against their naive twins, and training against its own parts. */
#include "naive.h"
#include "suites.h"

/* The last entry has no loss. */
static const design designs[] = {
    { FNN_SOFTMAX_CE, 3, { 5, 19, 33, 4 }, { FNN_SIGMOID, FNN_TANH, FNN_SOFTMAX } },
    { FNN_SIGMOID_CE, 2, { 7, 17, 1 }, { FNN_RELU, FNN_SIGMOID } },
    { FNN_SQUARED_ERROR, 1, { 3, 2 }, { FNN_IDENTITY } },
    { FNN_SOFTMAX_CE, 2, { 130, 33, 4 }, { FNN_RELU, FNN_SOFTMAX } }, /* dw in several chunks */
    { FNN_SIGMOID_CE, 4, { 1, 1, 2, 65, 3 }, { FNN_TANH, FNN_IDENTITY, FNN_SIGMOID, FNN_SIGMOID } },
    { FNN_POISSON, 2, { 6, 18, 2 }, { FNN_TANH, FNN_EXP } },
    { FNN_HUBER, 2, { 5, 17, 3 }, { FNN_SIGMOID, FNN_IDENTITY } },
    { FNN_ABSOLUTE_ERROR, 1, { 5, 33 }, { FNN_IDENTITY } },
    { FNN_NLOSS, 2, { 4, 9, 3 }, { FNN_TANH, FNN_RELU } },
};
enum { DESIGNS = sizeof designs / sizeof *designs, TRAINABLE = DESIGNS - 1 };

/* Rows up to and beyond one block of 256. */
static const ptrdiff_t row_counts[] = { 1, 2, 5, 31, 257, 515 };
enum { ROW_COUNTS = sizeof row_counts / sizeof *row_counts };

static ptrdiff_t outputs(const design *d) { return d->size[d->layers]; }

static double worst_output(fnn_dtype dt, const naive *twin, int l, const matrix *y)
{
    const bool last = l == twin->d->layers - 1;
    const ptrdiff_t m = twin->d->size[l + 1];
    double worst = 0;
    for (ptrdiff_t i = 0; i < y->v.rows; i++) {
        approx p[MOST_SIZES * 4];
        if (last && twin->d->act[l] == FNN_SOFTMAX)
            expect_softmax(dt, m, twin->a[l] + i * m, p);
        for (ptrdiff_t j = 0; j < m; j++) {
            const approx a = twin->a[l][i * m + j];
            const approx right = !last ? a : twin->d->act[l] == FNN_SOFTMAX ? p[j]
                               : expect_act(dt, twin->d->act[l], a);
            worst = fmax(worst, miss(at(y, i, j), right));
        }
    }
    return worst;
}

static void try_outputs(const variant *v, const design *d, ptrdiff_t n, layout from, layout to)
{
    fnn_network *net = new_network(v->dt, d, 1);
    naive twin = new_naive(v->dt, d, net);
    const matrix x = new_matrix(v->dt, n, d->size[0], from);
    const matrix y = new_matrix(v->dt, n, outputs(d), to);
    matrix a[MOST_LAYERS];
    fnn_out views[MOST_LAYERS];
    fill(&x, NARROW, 1);
    for (int l = 0; l < d->layers; l++) {
        a[l] = new_matrix(v->dt, n, d->size[l + 1], l % 2 ? from : to);
        views[l] = a[l].v;
    }
    naive_forward(&twin, freeze(&x));
    CHECK(fnn_network_forward(net, fnn_as_in(x.v), y.v) == FNN_OK, "forward");
    CHECK(fnn_network_activations(net, fnn_as_in(x.v), views) == FNN_OK, "activations");
    for (int l = 0; l < d->layers; l++) {
        const double worst = worst_output(v->dt, &twin, l, &a[l]);
        CHECK(worst <= 1, "layer %d of %d, %td rows: %.3g bounds", l, d->layers, n, worst);
        CHECK(padding_intact(&a[l]), "wrote beside the output of layer %d", l);
    }
    CHECK(same_bits(&y, &a[d->layers - 1]), "forward and activations differ, %td rows", n);
    CHECK(padding_intact(&y), "wrote beside y");
    free_naive(&twin);
    fnn_network_free(net);
    free_matrices();
}

static void test_outputs(const variant *v)
{
    const int levels[] = { DESIGNS, ROW_COUNTS - quick(), NLAYOUT, NLAYOUT, 0 };
    int level[MOST_FACTORS];
    for (pairs *p = new_pairs(levels); next_case(p, level);)
        try_outputs(v, &designs[level[0]], row_counts[level[1]], (layout)level[2],
                    (layout)level[3]);
}

/* ---- gradients ---------------------------------------------------------------------------- */

/* A batch: x, and labels or targets, and weights or none. */
typedef struct { matrix x, y, w; int64_t labels[600]; fnn_targets targets; } batch;

static void new_batch(batch *b, fnn_dtype dt, const design *d, ptrdiff_t n, layout how,
                      bool labelled,
                      bool weighted)
{
    const ptrdiff_t c = outputs(d);
    b->x = new_matrix(dt, n, d->size[0], how);
    b->y = new_matrix(dt, n, c, how);
    b->w = new_matrix(dt, 1, n, CONTIGUOUS);
    fill(&b->x, NARROW, 1);
    fill(&b->y, NARROW, 2);
    fill(&b->w, NARROW, 3);
    for (ptrdiff_t i = 0; i < n; i++) {
        b->labels[i] = i * 7 % 5 % (c == 1 ? 2 : c);
        put(dt, b->w.v, 0, i, i % 5 == 1 ? 0 : fabs(at(&b->w, 0, i)));
    }
    b->targets = (fnn_targets){ labelled ? b->labels : NULL, freeze(&b->y),
                                weighted ? freeze(&b->w).data : NULL };
    freeze(&b->x);
}

static void new_gradients(const variant *v, const design *d, layout how, matrix *dw, matrix *db,
                          fnn_out *dw_v, fnn_out *db_v)
{
    for (int l = 0; l < d->layers; l++) {
        dw[l] = new_matrix(v->dt, d->size[l], d->size[l + 1], how);
        db[l] = new_matrix(v->dt, 1, d->size[l + 1], how);
        dw_v[l] = dw[l].v;
        db_v[l] = db[l].v;
    }
}

static void try_gradients(const variant *v, const design *d, ptrdiff_t n, layout how, bool labelled,
                          bool weighted, double alpha)
{
    fnn_network *net = new_network(v->dt, d, 1);
    naive twin = new_naive(v->dt, d, net);
    matrix dw[MOST_LAYERS], db[MOST_LAYERS];
    fnn_out dw_v[MOST_LAYERS], db_v[MOST_LAYERS];
    batch b;
    double loss = 0, worst = 0;
    new_batch(&b, v->dt, d, n, how, labelled, weighted);
    new_gradients(v, d, how, dw, db, dw_v, db_v);
    naive_forward(&twin, fnn_as_in(b.x.v));
    const approx right = naive_gradients(&twin, fnn_as_in(b.x.v), b.targets, alpha);
    CHECK(fnn_network_gradients(net, fnn_as_in(b.x.v), b.targets, alpha, &loss, dw_v, db_v)
          == FNN_OK, "status");
    CHECK(miss(loss, right) <= 1, "loss %.17g, not %.17Lg", loss, right.value);
    for (int l = 0; l < d->layers; l++) {
        const ptrdiff_t m = d->size[l + 1];
        for (ptrdiff_t j = 0; j < m; j++) {
            worst = fmax(worst, miss(at(&db[l], 0, j), twin.db[l][j]));
            for (ptrdiff_t p = 0; p < d->size[l]; p++)
                worst = fmax(worst, miss(at(&dw[l], p, j), twin.dw[l][p * m + j]));
        }
        CHECK(padding_intact(&dw[l]) && padding_intact(&db[l]), "wrote beside gradients of %d", l);
    }
    CHECK(worst <= 1,
          "%d layers, %td rows, layout %d, labels %d, weights %d, alpha %g: %.3g bounds",
          d->layers, n, how, labelled, weighted, alpha, worst);
    free_naive(&twin);
    fnn_network_free(net);
    free_matrices();
}

static void test_gradients(const variant *v)
{
    const int levels[] = { TRAINABLE, ROW_COUNTS - quick(), NLAYOUT, 2, 2, 2, 0 };
    int level[MOST_FACTORS];
    for (pairs *p = new_pairs(levels); next_case(p, level);) {
        if (row_counts[level[1]] == 2 && level[4])
            continue; /* both weights are then needed */
        if (quick() && row_counts[level[1]] > 31 && designs[level[0]].size[0] > 100)
            continue;
        try_gradients(v, &designs[level[0]], row_counts[level[1]], (layout)level[2], level[3],
                      level[4],
                      level[5] ? 0.0625 : 0);
    }
}

/* ---- epochs ------------------------------------------------------------------------------- */

enum { ROWS = 330 };

/* One step by gradients and updates, of the rows that x, y and the others are views of. */
static double step(const variant *v, fnn_network *net, const design *d, fnn_in x, fnn_targets y,
                   fnn_optimizer *opt, matrix state[2][MOST_LAYERS][2], matrix *dw, matrix *db)
{
    fnn_out dw_v[MOST_LAYERS], db_v[MOST_LAYERS];
    double loss;
    for (int l = 0; l < d->layers; l++) {
        dw_v[l] = dw[l].v;
        db_v[l] = db[l].v;
    }
    CHECK(fnn_network_gradients(net, x, y, opt->alpha, &loss, dw_v, db_v) == FNN_OK, "gradients");
    fnn_optimizer_advance(opt);
    fnn_optimizer plain = *opt;
    plain.alpha = 0; /* it is in the gradients already */
    for (int l = 0; l < d->layers; l++) {
        const fnn_out part[] = { fnn_network_weight(net, l), fnn_network_bias(net, l) };
        const fnn_out gradient[] = { dw_v[l], db_v[l] };
        for (int i = 0; i < 2; i++)
            for (ptrdiff_t row = 0; row < part[i].rows; row++)
                fnn_update(v->dt, &plain, part[i].cols, fnn_slice_out(v->dt, part[i], row, 1).data,
                           fnn_slice_out(v->dt, gradient[i], row, 1).data,
                           fnn_slice_out(v->dt, state[0][l][i].v, row, 1).data,
                           fnn_slice_out(v->dt, state[1][l][i].v, row, 1).data);
    }
    return loss;
}

/* One epoch in such steps: bit for bit what fnn_training_epoch does. */
static double epoch_in_steps(const variant *v, fnn_network *net, const design *d, const batch *b,
                             ptrdiff_t batch_size, const int64_t *order, fnn_optimizer *opt,
                             matrix state[2][MOST_LAYERS][2])
{
    const fnn_dtype dt = v->dt;
    const matrix x = new_matrix(dt, batch_size, d->size[0], PADDED);
    const matrix y = new_matrix(dt, batch_size, outputs(d), PADDED);
    const matrix w = new_matrix(dt, 1, batch_size, CONTIGUOUS);
    matrix dw[MOST_LAYERS], db[MOST_LAYERS];
    fnn_out dw_v[MOST_LAYERS], db_v[MOST_LAYERS];
    int64_t labels[ROWS];
    double mean = 0, total = 0;
    new_gradients(v, d, CONTIGUOUS, dw, db, dw_v, db_v);
    for (ptrdiff_t i = 0; i < ROWS; i++)
        total += fnn_weight(dt, b->targets, order[i]);
    for (ptrdiff_t begin = 0; begin < ROWS; begin += batch_size) {
        const ptrdiff_t n = fnn_min(batch_size, ROWS - begin);
        double weight = 0;
        for (ptrdiff_t r = 0; r < n; r++) {
            const ptrdiff_t i = order[begin + r];
            fnn_copy(dt, fnn_slice(dt, fnn_as_in(b->x.v), i, 1), fnn_slice_out(dt, x.v, r, 1));
            fnn_copy(dt, fnn_slice(dt, fnn_as_in(b->y.v), i, 1), fnn_slice_out(dt, y.v, r, 1));
            put(dt, w.v, 0, r, fnn_weight(dt, b->targets, i));
            labels[r] = b->labels[i];
            weight += fnn_weight(dt, b->targets, i);
        }
        const fnn_targets targets = { b->targets.labels ? labels : NULL,
                                      fnn_slice(dt, fnn_as_in(y.v), 0, n), w.v.data };
        mean += step(v, net, d, fnn_slice(dt, fnn_as_in(x.v), 0, n), targets, opt, state, dw, db)
              * weight / total;
    }
    return mean;
}

static bool same_parameters(fnn_dtype dt, const design *d, const fnn_network *a,
                            const fnn_network *b)
{
    for (int l = 0; l < d->layers; l++) {
        const matrix pairs_of[][2] = {
            { { .dt = dt, .v = fnn_network_weight(a, l) },
              { .dt = dt, .v = fnn_network_weight(b, l) } },
            { { .dt = dt, .v = fnn_network_bias(a, l) },
              { .dt = dt, .v = fnn_network_bias(b, l) } },
        };
        if (!same_bits(&pairs_of[0][0], &pairs_of[0][1])
            || !same_bits(&pairs_of[1][0], &pairs_of[1][1]))
            return false;
    }
    return true;
}

static void new_order(int64_t *order, uint64_t seed)
{
    for (int i = 0; i < ROWS; i++)
        order[i] = next_index(&seed, ROWS); /* rows may come twice, or never */
}

static void try_epochs(const variant *v, const design *d, fnn_solver solver, ptrdiff_t batch_size,
                       layout how, bool labelled, bool weighted, double alpha)
{
    fnn_network *net[2] = { new_network(v->dt, d, 1), new_network(v->dt, d, 1) };
    fnn_optimizer opt = fnn_optimizer_init(solver, 0.0625, 0.9, alpha);
    fnn_training *training = NULL;
    matrix state[2][MOST_LAYERS][2];
    int64_t order[ROWS];
    batch b;
    new_batch(&b, v->dt, d, ROWS, how, labelled, weighted);
    for (int s = 0; s < 2; s++)
        for (int l = 0; l < d->layers; l++)
            for (int i = 0; i < 2; i++) {
                state[s][l][i] = new_matrix(v->dt, i ? 1 : d->size[l], d->size[l + 1], CONTIGUOUS);
                memset(state[s][l][i].memory, 0, state[s][l][i].bytes);
            }
    CHECK(fnn_training_new(net[0], opt, batch_size, &training) == FNN_OK, "training");
    for (uint64_t epoch = 0; epoch < 2; epoch++) {
        double loss = 0;
        new_order(order, epoch + 1);
        CHECK(fnn_training_epoch(training, fnn_as_in(b.x.v), b.targets, order, ROWS, NULL, NULL,
                                 &loss, NULL)
              == FNN_OK, "epoch");
        const double mean = epoch_in_steps(v, net[1], d, &b, batch_size, order, &opt, state);
        CHECK(loss == mean, "solver %d: loss %.17g, by steps %.17g", solver, loss, mean);
        CHECK(same_parameters(v->dt, d, net[0], net[1]),
              "solver %d, layout %d, labels %d, alpha %g",
              solver, how, labelled, alpha);
    }
    fnn_training_free(training);
    fnn_network_free(net[0]);
    fnn_network_free(net[1]);
    free_matrices();
}

static void test_epochs(const variant *v)
{
    const ptrdiff_t batch_sizes[] = { 16, 300 }; /* within a block, and beyond */
    const int levels[] = { TRAINABLE, FNN_NSOLVER, NLAYOUT, 2, 2, 2, 2, 0 };
    int level[MOST_FACTORS];
    for (pairs *p = new_pairs(levels); next_case(p, level);)
        try_epochs(v, &designs[level[0]], (fnn_solver)level[1], batch_sizes[level[6]],
                   (layout)level[2], level[3], level[4], level[5] ? 0.0625 : 0);
}

/* The twin's bounds are tight enough to see one weight that is 1 % off. */
static void test_twin(const variant *v)
{
    const design *d = &designs[0];
    fnn_network *net = new_network(v->dt, d, 1);
    naive twin = new_naive(v->dt, d, net);
    const matrix x = new_matrix(v->dt, 5, d->size[0], PADDED);
    const matrix y = new_matrix(v->dt, 5, outputs(d), PADDED);
    fill(&x, NARROW, 1);
    naive_forward(&twin, fnn_as_in(x.v));
    for (int off = 0; off < 2; off++) {
        const fnn_out w = fnn_network_weight(net, 1);
        put(v->dt, w, 0, 0, get(v->dt, fnn_as_in(w), 0, 0) * (off ? 1.01 : 1));
        CHECK(fnn_network_forward(net, fnn_as_in(x.v), y.v) == FNN_OK, "forward");
        const double worst = worst_output(v->dt, &twin, d->layers - 1, &y);
        CHECK((worst > 1) == off, "%.3g bounds", worst);
    }
    free_naive(&twin);
    fnn_network_free(net);
}

static const test network_tests[] = {
    { "twin", test_twin }, { "outputs", test_outputs }, { "gradients", test_gradients },
    { "epochs", test_epochs },
};
SUITE(network, EACH);
