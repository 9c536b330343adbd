/* test_panels.c -- networks whose views nobody holds: the same bits from the packed weights, and
 * whatever was written into the views is seen. */
#include "naive.h"
#include "network.h"
#include "suites.h"

#include <pthread.h>

extern long fnn_fail_allocation;

static const design designs[] = {
    { FNN_SOFTMAX_CE, 3, { 5, 19, 33, 4 }, { FNN_SIGMOID, FNN_TANH, FNN_SOFTMAX } },
    { FNN_SIGMOID_CE, 1, { 7, 1 }, { FNN_SIGMOID } },
    { FNN_SQUARED_ERROR, 2, { 300, 65, 2 }, { FNN_RELU, FNN_IDENTITY } },
    { FNN_SOFTMAX_CE, 2, { 40, 1100, 40 }, { FNN_TANH, FNN_SOFTMAX } }, /* few rows: in columns */
};
enum { DESIGNS = sizeof designs / sizeof *designs, MOST_ROWS = 270 };
static const ptrdiff_t row_counts[] = { 1, 2, 7, 40, MOST_ROWS };
enum { ROW_COUNTS = sizeof row_counts / sizeof *row_counts };
static const int thread_counts[] = { 1, 3, 16 };
enum { THREAD_COUNTS = sizeof thread_counts / sizeof *thread_counts };

static int designs_tried(void) { return quick() ? DESIGNS - 1 : DESIGNS; }

/* ---- what a network computes --------------------------------------------------------------- */

static void absorb(uint64_t *hash, const matrix *m)
{
    for (ptrdiff_t i = 0; i < m->v.rows; i++)
        for (ptrdiff_t j = 0; j < m->v.cols; j++) {
            const double value = at(m, i, j);
            uint64_t bits;
            memcpy(&bits, &value, sizeof bits);
            *hash = (*hash ^ bits) * 0x100000001b3u;
        }
}

/* A hash of outputs, activations, loss and gradients for n rows. */
static uint64_t compute(const variant *v, const design *d, fnn_network *net, ptrdiff_t n)
{
    static int64_t labels[MOST_ROWS];
    const ptrdiff_t c = d->size[d->layers];
    const matrix x = new_matrix(v->dt, n, d->size[0], CONTIGUOUS);
    const matrix y = new_matrix(v->dt, n, c, PADDED);
    matrix of[3 * MOST_LAYERS];
    fnn_out views[3 * MOST_LAYERS];
    double loss = 0;
    fill(&x, NARROW, 1);
    for (ptrdiff_t i = 0; i < n; i++)
        labels[i] = i % (c == 1 ? 2 : c);
    for (int l = 0; l < d->layers; l++) {
        of[l] = new_matrix(v->dt, n, d->size[l + 1], PADDED);
        of[d->layers + l] = new_matrix(v->dt, d->size[l], d->size[l + 1], PADDED);
        of[2 * d->layers + l] = new_matrix(v->dt, 1, d->size[l + 1], PADDED);
    }
    for (int i = 0; i < 3 * d->layers; i++)
        views[i] = of[i].v;
    const fnn_in x_in = freeze(&x);
    CHECK(fnn_network_forward(net, x_in, y.v) == FNN_OK, "forward");
    CHECK(fnn_network_activations(net, x_in, views) == FNN_OK, "activations");
    CHECK(fnn_network_gradients(net, x_in, (fnn_targets){ .labels = labels }, 0.25, &loss,
                                views + d->layers, views + 2 * d->layers) == FNN_OK, "gradients");
    CHECK(same_bits(&y, &of[d->layers - 1]), "forward and activations differ");
    uint64_t hash;
    memcpy(&hash, &loss, sizeof hash);
    for (int i = 0; i < 3 * d->layers; i++)
        absorb(&hash, &of[i]);
    free_matrices();
    return hash;
}

static matrix forward(const variant *v, const design *d, fnn_network *net, ptrdiff_t n)
{
    const matrix x = new_matrix(v->dt, n, d->size[0], CONTIGUOUS);
    const matrix y = new_matrix(v->dt, n, d->size[d->layers], CONTIGUOUS);
    fill(&x, NARROW, 1);
    CHECK(fnn_network_forward(net, freeze(&x), y.v) == FNN_OK, "forward");
    return y;
}

/* ---- tests --------------------------------------------------------------------------------- */

static void test_same_bits(const variant *v)
{
    for (int i = 0; i < designs_tried(); i++)
        for (int r = 0; r < ROW_COUNTS; r++) {
            fnn_network *net = new_network(v->dt, &designs[i], 1);
            fnn_use_threads(1);
            const uint64_t held = compute(v, &designs[i], net, row_counts[r]);
            for (int released = 0; released < 2; released++) {
                for (int t = 0; t < THREAD_COUNTS; t++) {
                    fnn_use_threads(thread_counts[t]);
                    const uint64_t again = compute(v, &designs[i], net, row_counts[r]);
                    CHECK(held == again,
                          "design %d, %td rows, %d threads, released %d", i, row_counts[r],
                          thread_counts[t], released);
                }
                fnn_network_release(net);
            }
            CHECK(net->panels && net->packed_for == v->kn, "the panels were not used");
            fnn_use_threads(0);
            fnn_network_hold(net);
            fnn_network_free(net);
        }
}

/* The last row and column of each layer, where a panel that is packed wrongly would differ. */
static void write_into(const variant *v, const design *d, fnn_network *net, double value)
{
    for (int l = 0; l < d->layers; l++) {
        put(v->dt, fnn_network_weight(net, l), d->size[l] - 1, d->size[l + 1] - 1, value);
        put(v->dt, fnn_network_bias(net, l), 0, 0, -value);
    }
}

static void test_what_is_written_is_seen(const variant *v)
{
    for (int i = 0; i < designs_tried(); i++)
        for (int r = 0; r < ROW_COUNTS; r++) {
            const design *d = &designs[i];
            fnn_network *net = new_network(v->dt, d, 1), *twin = new_network(v->dt, d, 1);
            fnn_network_release(net);
            for (int time = 0; time < 3; time++) {
                matrix y = forward(v, d, net, row_counts[r]);
                const matrix before = forward(v, d, twin, row_counts[r]);
                CHECK(same_bits(&y, &before), "design %d, before", i);
                fnn_network_hold(net);
                fnn_network_hold(net);
                write_into(v, d, net, 0.5 + time);
                write_into(v, d, twin, 0.5 + time);
                const matrix right = forward(v, d, twin, row_counts[r]);
                CHECK(!same_bits(&before, &right), "design %d: nothing to be seen", i);
                for (int holders = 2; holders >= 0; holders--) {
                    y = forward(v, d, net, row_counts[r]);
                    CHECK(same_bits(&y, &right), "design %d, %td rows, held %d times", i,
                          row_counts[r], holders);
                    if (holders > 0)
                        fnn_network_release(net);
                }
                free_matrices();
            }
            fnn_network_free(net);
            fnn_network_free(twin);
        }
}

static void test_no_memory_for_panels(const variant *v)
{
    for (int i = 0; i < designs_tried(); i++)
        for (int r = 0; r < ROW_COUNTS; r++) {
            const design *d = &designs[i];
            fnn_network *net = new_network(v->dt, d, 1);
            const matrix right = forward(v, d, net, row_counts[r]);
            fnn_network_release(net);
            fnn_fail_allocation = 1; /* that of the panels: there is a workspace by now */
            matrix y = forward(v, d, net, row_counts[r]);
            CHECK(fnn_fail_allocation == 0 && !net->panels, "design %d: nothing failed", i);
            CHECK(same_bits(&y, &right), "design %d, %td rows, without panels", i, row_counts[r]);
            fnn_fail_allocation = 0;
            y = forward(v, d, net, row_counts[r]);
            CHECK(net->panels != NULL, "design %d: no panels afterwards", i);
            CHECK(same_bits(&y, &right), "design %d, %td rows, with panels", i, row_counts[r]);
            fnn_network_free(net);
            free_matrices();
        }
}

/* ---- several threads ----------------------------------------------------------------------- */

enum { THREADS = 4 };

typedef struct {
    fnn_network *net;
    pthread_barrier_t *all;
    fnn_in x;
    fnn_out y;
    fnn_status status;
    int threads;
} caller;

static void *call(void *c_)
{
    caller *c = c_;
    fnn_use_threads(c->threads);
    pthread_barrier_wait(c->all);
    c->status = fnn_network_forward(c->net, c->x, c->y);
    return NULL;
}

static void test_first_use_by_several_threads(const variant *v)
{
    const ptrdiff_t counts[] = { 1, 2, 40 };
    for (int time = 0; time < (quick() ? 3 : 12); time++)
        for (int i = 0; i < designs_tried(); i++) {
            const design *d = &designs[i];
            const ptrdiff_t n = counts[time % 3];
            fnn_network *net = new_network(v->dt, d, 1);
            const matrix right = forward(v, d, net, n);
            const matrix x = new_matrix(v->dt, n, d->size[0], CONTIGUOUS);
            fill(&x, NARROW, 1);
            fnn_network_release(net);
            pthread_barrier_t all;
            pthread_t thread[THREADS];
            caller of[THREADS];
            matrix y[THREADS];
            pthread_barrier_init(&all, NULL, THREADS);
            freeze(&x);
            for (int t = 0; t < THREADS; t++) {
                y[t] = new_matrix(v->dt, n, d->size[d->layers], CONTIGUOUS);
                of[t] = (caller){ net, &all, fnn_as_in(x.v), y[t].v, FNN_OK, 1 + t };
                must(pthread_create(&thread[t], NULL, call, &of[t]) == 0, "pthread_create");
            }
            for (int t = 0; t < THREADS; t++) {
                pthread_join(thread[t], NULL);
                CHECK(of[t].status == FNN_OK && same_bits(&y[t], &right), "design %d, thread %d",
                      i, t);
            }
            pthread_barrier_destroy(&all);
            fnn_network_free(net);
            free_matrices();
        }
}

/* ---- instruction sets ---------------------------------------------------------------------- */

/* Panels that one set has packed are of no use to another one. */
static void test_another_set(const variant *v)
{
    const design *d = &designs[0];
    for (int isa = 0; isa < FNN_NISA; isa++) {
        if (!fnn_isa_available((fnn_isa)isa))
            continue;
        for (int r = 0; r < ROW_COUNTS; r++) {
            fnn_network *net = new_network(v->dt, d, 1), *twin = new_network(v->dt, d, 1);
            fnn_network_release(net);
            compute(v, d, net, row_counts[r]);
            fnn_set_isa((fnn_isa)isa);
            const uint64_t right = compute(v, d, twin, row_counts[r]);
            const uint64_t other = compute(v, d, net, row_counts[r]);
            CHECK(right == other, "%td rows, packed for %s, used by %s",
                  row_counts[r], fnn_isa_name(v->isa), fnn_isa_name((fnn_isa)isa));
            fnn_set_isa(v->isa);
            fnn_network_free(net);
            fnn_network_free(twin);
        }
    }
}

/* Views that are taken while a prediction packs, and written when it is over. */
static void test_views_taken_during_a_prediction(const variant *v)
{
    static const design big = { FNN_SQUARED_ERROR, 2, { 1000, 1000, 2 },
                                { FNN_TANH, FNN_IDENTITY } };
    for (int time = 0; time < (quick() ? 2 : 10); time++) {
        fnn_network *net = new_network(v->dt, &big, 1);
        const matrix x = new_matrix(v->dt, 2, 1000, CONTIGUOUS);
        const matrix y = new_matrix(v->dt, 2, 2, CONTIGUOUS);
        fill(&x, NARROW, 1);
        fnn_network_release(net);
        pthread_barrier_t all;
        pthread_t thread;
        caller of = { net, &all, freeze(&x), y.v, FNN_OK, 1 };
        pthread_barrier_init(&all, NULL, 2);
        must(pthread_create(&thread, NULL, call, &of) == 0, "pthread_create");
        pthread_barrier_wait(&all);
        while (!net->panels) /* which then are filled */
            continue;
        fnn_network_hold(net);
        pthread_join(thread, NULL);
        write_into(v, &big, net, 2);
        const matrix right = forward(v, &big, net, 2);
        fnn_network_release(net);
        const matrix after = forward(v, &big, net, 2);
        CHECK(of.status == FNN_OK && !same_bits(&y, &right), "time %d: nothing to be seen", time);
        CHECK(same_bits(&after, &right), "time %d: what was written is not seen", time);
        pthread_barrier_destroy(&all);
        fnn_network_free(net);
        free_matrices();
    }
}

/* What one set has trained, several threads ask for at once with another one. */
static void test_first_use_after_training_with_another_set(const variant *v)
{
    static const design big = { FNN_SQUARED_ERROR, 2, { 500, 1000, 2 },
                                { FNN_TANH, FNN_IDENTITY } };
    for (int isa = 0; isa < FNN_NISA; isa++)
        for (int time = 0; fnn_isa_available((fnn_isa)isa) && time < (quick() ? 1 : 4); time++) {
            fnn_network *net = new_network(v->dt, &big, 1);
            fnn_training *training = NULL;
            const matrix x = new_matrix(v->dt, 2, 500, CONTIGUOUS);
            const matrix y = new_matrix(v->dt, 2, 2, CONTIGUOUS);
            const int64_t order[] = { 0, 1 };
            double loss;
            matrix outputs[THREADS];
            caller of[THREADS];
            pthread_t thread[THREADS];
            pthread_barrier_t all;
            fill(&x, NARROW, 1);
            fill(&y, NARROW, 2);
            const fnn_targets targets = { .targets = freeze(&y) };
            fnn_network_release(net);
            must(fnn_training_new(net, fnn_optimizer_init(FNN_ADAM, 0.01, 0, 0), 2, &training)
                 == FNN_OK, "fnn_training_new");
            CHECK(fnn_training_epoch(training, freeze(&x), targets, order, 2, NULL, NULL, &loss,
                                     NULL) == FNN_OK, "epoch");
            fnn_set_isa((fnn_isa)isa);
            pthread_barrier_init(&all, NULL, THREADS);
            for (int t = 0; t < THREADS; t++) {
                outputs[t] = new_matrix(v->dt, 2, 2, CONTIGUOUS);
                of[t] = (caller){ net, &all, fnn_as_in(x.v), outputs[t].v, FNN_OK, 1 };
                must(pthread_create(&thread[t], NULL, call, &of[t]) == 0, "pthread_create");
            }
            for (int t = 0; t < THREADS; t++)
                pthread_join(thread[t], NULL);
            fnn_network_hold(net);
            const matrix right = forward(v, &big, net, 2);
            for (int t = 0; t < THREADS; t++)
                CHECK(of[t].status == FNN_OK && same_bits(&outputs[t], &right),
                      "trained by %s, used by %s, thread %d", fnn_isa_name(v->isa),
                      fnn_isa_name((fnn_isa)isa), t);
            fnn_set_isa(v->isa);
            pthread_barrier_destroy(&all);
            fnn_training_free(training);
            fnn_network_free(net);
            free_matrices();
        }
}

/* ---- training ------------------------------------------------------------------------------ */

enum { SAMPLES = 200, BATCH = 8, FEW = 800, MOST = 1 << 20 };
static const design trained = { FNN_SOFTMAX_CE, 2, { 20, 50, 4 }, { FNN_TANH, FNN_SOFTMAX } };

/* One epoch of `count` rows in small steps. */
static void train(const variant *v, fnn_training *training, ptrdiff_t count, fnn_poll poll,
                  void *context)
{
    static int64_t labels[SAMPLES], order[MOST];
    const matrix x = new_matrix(v->dt, SAMPLES, 20, CONTIGUOUS);
    uint64_t state = 1;
    double loss;
    fill(&x, NARROW, 1);
    for (int i = 0; i < SAMPLES; i++)
        labels[i] = i % 4;
    for (ptrdiff_t i = 0; i < count; i++)
        order[i] = next_index(&state, SAMPLES);
    CHECK(fnn_training_epoch(training, freeze(&x), (fnn_targets){ .labels = labels }, order, count,
                             poll, context, &loss, NULL) == FNN_OK, "epoch");
    free_matrices();
}

static fnn_training *new_training(fnn_network *net)
{
    fnn_training *training = NULL;
    must(fnn_training_new(net, fnn_optimizer_init(FNN_ADAM, 0.001, 0, 0), BATCH, &training)
         == FNN_OK, "fnn_training_new");
    return training;
}

typedef struct { fnn_network *net; int calls; } onlooker;

/* As a signal handler may: look at the weights, and predict. */
static int look(void *o_)
{
    onlooker *o = o_;
    double x[20] = { 0 }, y[4];
    o->calls++;
    fnn_network_hold(o->net);
    fnn_network_release(o->net);
    CHECK(fnn_network_forward(o->net, (fnn_in){ x, 1, 20, 20, 1 }, (fnn_out){ y, 1, 4, 4, 1 })
          == FNN_OK, "forward");
    return 0;
}

static void test_predictions_leave_a_training_alone(const variant *v)
{
    fnn_network *net = new_network(v->dt, &trained, 1), *twin = new_network(v->dt, &trained, 1);
    fnn_training *of_net = new_training(net), *of_twin = new_training(twin);
    onlooker o = { net, 0 };
    fnn_network_release(net);
    for (ptrdiff_t count = FEW; count <= MOST && o.calls < 2; count *= 4) {
        o.calls = 0; /* the first one comes before the first step */
        train(v, of_net, count, look, &o);
        train(v, of_twin, count, NULL, NULL);
    }
    const uint64_t right = compute(v, &trained, twin, 7), found = compute(v, &trained, net, 7);
    CHECK(o.calls > 1, "nobody looked between two steps");
    CHECK(right == found, "%d looks: another network", o.calls);
    fnn_training_free(of_net);
    fnn_training_free(of_twin);
    fnn_network_free(net);
    fnn_network_free(twin);
}

/* Sets with FMA compute the same bits, so they may take turns. */
static void test_another_set_between_epochs(const variant *v)
{
    for (int isa = FNN_SCALAR + 1; isa < FNN_NISA && v->isa != FNN_SCALAR; isa++) {
        if (!fnn_isa_available((fnn_isa)isa))
            continue;
        fnn_network *net = new_network(v->dt, &trained, 1);
        fnn_network *twin = new_network(v->dt, &trained, 1);
        fnn_training *of_net = new_training(net), *of_twin = new_training(twin);
        fnn_network_release(net);
        for (int epoch = 0; epoch < 3; epoch++) {
            fnn_set_isa(epoch % 2 ? (fnn_isa)isa : v->isa);
            train(v, of_net, FEW, NULL, NULL);
            fnn_set_isa(v->isa);
            train(v, of_twin, FEW, NULL, NULL);
        }
        CHECK(compute(v, &trained, net, 7) == compute(v, &trained, twin, 7), "%s and %s in turn",
              fnn_isa_name(v->isa), fnn_isa_name((fnn_isa)isa));
        fnn_training_free(of_net);
        fnn_training_free(of_twin);
        fnn_network_free(net);
        fnn_network_free(twin);
    }
}

static const test panels_tests[] = {
    { "same bits", test_same_bits }, { "what is written is seen", test_what_is_written_is_seen },
    { "no memory for panels", test_no_memory_for_panels },
    { "first use by several threads", test_first_use_by_several_threads },
    { "another set", test_another_set },
    { "views taken during a prediction", test_views_taken_during_a_prediction },
    { "first use after training with another set", test_first_use_after_training_with_another_set },
    { "predictions leave a training alone", test_predictions_leave_a_training_alone },
    { "another set between epochs", test_another_set_between_epochs },
};
SUITE(panels, EACH);
