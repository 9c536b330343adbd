/* test_memory.c -- each allocation of each function fails once: the function says so, nothing is
 * lost (as AddressSanitizer sees), and the next call gives what it always gave. */
#include "naive.h"
#include "suites.h"

extern long fnn_fail_allocation;

enum { ROWS = 40 };
static const design small = { FNN_SOFTMAX_CE, 3, { 5, 33, 7, 3 },
                              { FNN_TANH, FNN_SIGMOID, FNN_SOFTMAX } };

/* What the calls work on. Columns are not contiguous, so that all of them need scratch memory. */
typedef struct {
    fnn_dtype dt;
    matrix x, w, b, z, dx, dw, db, dz, out[3], grad_w[3], grad_b[3];
    int64_t labels[ROWS], order[ROWS];
    fnn_network *net;
    fnn_training *training;
    double loss;
} state;

static void make(state *s, fnn_dtype dt)
{
    const struct { matrix *m; ptrdiff_t rows, cols; } shapes[] = {
        { &s->x, ROWS, 5 }, { &s->w, 5, 3 }, { &s->b, 1, 3 }, { &s->z, ROWS, 3 },
        { &s->dx, ROWS, 5 },
        { &s->dw, 5, 3 }, { &s->db, 1, 3 }, { &s->dz, ROWS, 3 }, { &s->out[0], ROWS, 33 },
        { &s->out[1], ROWS, 7 }, { &s->out[2], ROWS, 3 }, { &s->grad_w[0], 5, 33 },
        { &s->grad_w[1], 33, 7 }, { &s->grad_w[2], 7, 3 }, { &s->grad_b[0], 1, 33 },
        { &s->grad_b[1], 1, 7 }, { &s->grad_b[2], 1, 3 },
    };
    s->dt = dt;
    s->loss = 0;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        *shapes[i].m = new_matrix(dt, shapes[i].rows, shapes[i].cols, SPREAD_OUT);
        fill(shapes[i].m, NARROW, i + 1);
    }
    for (int i = 0; i < ROWS; i++) {
        s->labels[i] = i % 3;
        s->order[i] = ROWS - 1 - i;
    }
    s->net = new_network(dt, &small, 1);
    s->training = NULL;
    CHECK(fnn_training_new(s->net, fnn_optimizer_init(FNN_ADAM, 0.0625, 0, 0.25), 16, &s->training)
          == FNN_OK, "training");
}

static void drop(state *s)
{
    fnn_training_free(s->training);
    fnn_network_free(s->net);
}

/* Parameters and all matrices. */
static bool same_states(const state *a, const state *b)
{
    const matrix *const of_a = &a->x, *const of_b = &b->x;
    bool same = a->loss == b->loss;
    for (int i = 0; i < 17; i++)
        same &= same_bits(&of_a[i], &of_b[i]);
    for (int l = 0; l < small.layers; l++) {
        const matrix w[] = { { .dt = a->dt, .v = fnn_network_weight(a->net, l) },
                             { .dt = a->dt, .v = fnn_network_weight(b->net, l) } };
        same &= same_bits(&w[0], &w[1]);
    }
    return same;
}

static fnn_status call_map(state *s)
{
    return fnn_map(s->dt, FNN_MAP_EXP, fnn_as_in(s->z.v), s->dz.v);
}
static fnn_status call_softmax(state *s) { return fnn_softmax(s->dt, fnn_as_in(s->z.v), s->dz.v); }
static fnn_status call_forward(state *s)
{
    return fnn_dense_forward(s->dt, FNN_SOFTMAX, fnn_as_in(s->x.v), fnn_as_in(s->w.v),
                             fnn_as_in(s->b.v), s->dz.v);
}
static fnn_status call_backward(state *s)
{
    return fnn_dense_backward(s->dt, FNN_TANH, fnn_as_in(s->x.v), fnn_as_in(s->w.v),
                              fnn_as_in(s->z.v),
                              fnn_as_in(s->z.v), s->dx.v, s->dw.v, s->db.v);
}
static fnn_status call_loss(state *s)
{
    return fnn_loss_gradient(s->dt, FNN_SOFTMAX_CE, 0, fnn_as_in(s->z.v),
                             (fnn_targets){ .labels = s->labels }, &s->loss, s->dz.v);
}
static fnn_status call_network_forward(state *s)
{
    return fnn_network_forward(s->net, fnn_as_in(s->x.v), s->out[2].v);
}
static fnn_status call_activations(state *s)
{
    const fnn_out ys[] = { s->out[0].v, s->out[1].v, s->out[2].v };
    return fnn_network_activations(s->net, fnn_as_in(s->x.v), ys);
}
static fnn_status call_gradients(state *s)
{
    const fnn_out dw[] = { s->grad_w[0].v, s->grad_w[1].v, s->grad_w[2].v };
    const fnn_out db[] = { s->grad_b[0].v, s->grad_b[1].v, s->grad_b[2].v };
    return fnn_network_gradients(s->net, fnn_as_in(s->x.v), (fnn_targets){ .labels = s->labels },
                                 0.25,
                                 &s->loss, dw, db);
}
static fnn_status call_epoch(state *s)
{
    return fnn_training_epoch(s->training, fnn_as_in(s->x.v), (fnn_targets){ .labels = s->labels },
                              s->order, ROWS, NULL, NULL, &s->loss, NULL);
}

/* As many rows, each with one value. */
static fnn_csr sparse_rows(const state *s)
{
    static float narrow[ROWS];
    static double wide[ROWS];
    static int32_t places[ROWS];
    static int64_t starts[ROWS + 1];
    for (int i = 0; i < ROWS; i++) {
        narrow[i] = (float)(wide[i] = i % 3 - 1.5);
        places[i] = i % 5;
        starts[i + 1] = i + 1;
    }
    return (fnn_csr){ ROWS, 5, s->dt == FNN_F32 ? (const void *)narrow : wide, places, starts, 0 };
}
static fnn_status call_sparse_forward(state *s)
{
    double y[ROWS * 3];
    return fnn_network_forward_sparse(s->net, sparse_rows(s), (fnn_out){ y, ROWS, 3, 3, 1 });
}
static fnn_status call_sparse_epoch(state *s)
{
    return fnn_training_epoch_sparse(s->training, sparse_rows(s),
                                     (fnn_targets){ .labels = s->labels }, s->order, ROWS, NULL,
                                     NULL, &s->loss, NULL);
}
static fnn_status call_network_new(state *s)
{
    fnn_network *net = NULL;
    const fnn_status status = fnn_network_new(s->dt, small.layers, small.size, small.act, &net);
    CHECK((status == FNN_OK) == (net != NULL), "a network if and only if it is OK");
    fnn_network_free(net);
    return status;
}
static fnn_status call_training_new(state *s)
{
    fnn_training *training = NULL;
    const fnn_status status =
        fnn_training_new(s->net, fnn_optimizer_init(FNN_ADAM, 1, 0, 0), 1, &training);
    CHECK((status == FNN_OK) == (training != NULL), "a training if and only if it is OK");
    fnn_training_free(training);
    return status;
}

/* How many allocations there are at least. */
static const struct { const char *name; fnn_status (*call)(state *); int least; } calls[] = {
    { "map", call_map, 1 }, { "softmax", call_softmax, 1 }, { "dense_forward", call_forward, 1 },
    { "dense_backward", call_backward, 1 }, { "loss_gradient", call_loss, 1 },
    { "network_forward", call_network_forward, 2 }, { "network_activations", call_activations, 1 },
    { "network_gradients", call_gradients, 1 }, { "training_epoch", call_epoch, 1 },
    { "network_forward_sparse", call_sparse_forward, 1 },
    { "training_epoch_sparse", call_sparse_epoch, 1 },
    { "network_new", call_network_new, 2 }, { "training_new", call_training_new, 3 },
};

static void test_failures(const variant *v)
{
    for (size_t c = 0; c < sizeof calls / sizeof *calls; c++) {
        bool failed = true;
        for (long nth = 1; failed; nth++) {
            state hit, spared;
            make(&hit, v->dt);
            make(&spared, v->dt);
            fnn_workspace_clear(&fnn_shared_workspace);
            fnn_fail_allocation = nth;
            const fnn_status status = calls[c].call(&hit);
            failed = fnn_fail_allocation == 0;
            fnn_fail_allocation = 0;
            CHECK(status == (failed ? FNN_ENOMEM : FNN_OK), "%s, allocation %ld: status %d",
                  calls[c].name, nth, status);
            CHECK(failed || nth > calls[c].least, "%s allocates only %ld times", calls[c].name,
                  nth - 1);
            if (failed) { /* once more, with memory */
                CHECK(calls[c].call(&hit) == FNN_OK, "%s after allocation %ld", calls[c].name, nth);
                CHECK(calls[c].call(&spared) == FNN_OK, "%s", calls[c].name);
                CHECK(same_states(&hit, &spared), "%s after allocation %ld: other results",
                      calls[c].name, nth);
            }
            drop(&hit);
            drop(&spared);
            free_matrices();
        }
    }
}

/* Steady work allocates nothing. */
static void test_steady(const variant *v)
{
    state s;
    make(&s, v->dt);
    for (size_t c = 0; c < 11; c++)
        for (int time = 0; time < 2; time++) {
            fnn_fail_allocation = time ? 1 : 0; /* the second time nothing may be needed */
            const fnn_status status = calls[c].call(&s);
            CHECK(status == FNN_OK, "%s, time %d: status %d", calls[c].name, time, status);
            fnn_fail_allocation = 0;
        }
    drop(&s);
}

/* Sizes that overflow are refused before any allocation. */
static void test_overflow(const variant *v)
{
    const ptrdiff_t most = PTRDIFF_MAX;
    double two[2] = { 1, 1 };
    const fnn_in row = { two, 1, most / 64, 0, 0 };
    size_t bytes = 0;
    CHECK(!fnn_reserve(&bytes, v->dt, most, most), "product");
    CHECK(!fnn_reserve(&bytes, v->dt, most, 1), "bytes");
    CHECK(fnn_reserve(&bytes, v->dt, most / 32, 1) && bytes <= (size_t)most, "half the memory");
    const fnn_out out = { two + 1, 1, most / 64, most / 64, 2 };
    CHECK(fnn_map(v->dt, FNN_MAP_EXP, row, out) == FNN_ENOMEM, "rows that no memory holds");
    CHECK(fnn_leading(v->dt, most) < most, "leading dimension");
}

static const test memory_tests[] = {
    { "failures", test_failures }, { "steady", test_steady }, { "overflow", test_overflow },
};
SUITE(memory, EACH);
