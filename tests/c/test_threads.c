/* test_threads.c -- many threads at once: networks of their own in training, one network and some
 * Gaussians that all of them ask, and the functions that share a workspace. `make tsan` runs this
 * under ThreadSanitizer. */
#include "naive.h"
#include "naive_models.h"
#include "suites.h"

#include <pthread.h>

enum { THREADS = 6, ROUNDS = 20, ROWS = 60 };
static const design small = { FNN_SOFTMAX_CE, 2, { 5, 33, 3 }, { FNN_SIGMOID, FNN_SOFTMAX } };

/* What one thread computes, and what it asks. */
typedef struct {
    fnn_dtype dt;
    fnn_network *shared;
    fnn_gaussians *gaussians;
    double outputs[ROWS * 3], softmax[ROWS * 3], dense[ROWS * 33], gradient[ROWS * 3],
        trained[ROWS * 3], posterior[ROWS * 3], log_density[ROWS], moments[3 * (2 + 5 * 7)],
        linear[3 * 6], hessian[18 * 18], linear_value;
    double loss, epoch_loss;
    fnn_status status; /* the first that was not OK */
} work;

static void keep(work *w, fnn_status status) { w->status = w->status ? w->status : status; }

static fnn_out rows_of(double *memory, ptrdiff_t cols)
{
    return (fnn_out){ memory, ROWS, cols, 1, ROWS }; /* by columns, which takes scratch memory */
}

static void *compute(void *work_)
{
    work *w = work_;
    const fnn_dtype dt = w->dt;
    double x[ROWS * 5];
    int64_t labels[ROWS], order[ROWS];
    uint64_t state = 1;
    const fnn_out x_v = rows_of(x, 5);
    for (ptrdiff_t i = 0; i < ROWS; i++) {
        labels[i] = i % 3;
        order[i] = (i * 7) % ROWS;
        for (ptrdiff_t j = 0; j < 5; j++)
            put(dt, x_v, i, j, next_real(&state, 20, 2));
    }
    const fnn_in x_in = fnn_as_in(x_v), weight = fnn_as_in(fnn_network_weight(w->shared, 0));
    const fnn_in narrow = { x, ROWS, 3, x_v.rs, x_v.cs };
    const fnn_targets y = { .labels = labels };

    for (int round = 0; round < ROUNDS; round++) {
        keep(w, fnn_network_forward(w->shared, x_in, rows_of(w->outputs, 3)));
        keep(w, fnn_softmax(dt, narrow, rows_of(w->softmax, 3)));
        keep(w, fnn_dense_forward(dt, FNN_TANH, x_in, weight, (fnn_in){ 0 },
                                  rows_of(w->dense, 33)));
        keep(w, fnn_loss_gradient(dt, FNN_SOFTMAX_CE, 0, narrow, y, &w->loss,
                                  rows_of(w->gradient, 3)));
    }
    const fnn_moments m = { w->moments, w->moments + 3, w->moments + 18, w->moments + 93,
                            w->moments + 108 };
    for (int round = 0; round < ROUNDS; round++) {
        keep(w, fnn_gaussians_evaluate(w->gaussians, FNN_PROBA, NULL, x_in,
                                       rows_of(w->posterior, 3)));
        keep(w, fnn_logsumexp(dt, x_in, (fnn_out){ w->log_density, ROWS, 1, 1, 1 }));
        keep(w, fnn_moments_of(dt, FNN_FULL, x_in, (fnn_in){ 0 }, labels, NULL, 3, m));
        keep(w, fnn_linear_loss(dt, FNN_SOFTMAX_CE, x_in, y, 3, 6, w->moments, 0.5,
                                &w->linear_value, w->linear, w->hessian));
    }
    fnn_network *own = new_network(dt, &small, 2);
    fnn_training *training = NULL;
    keep(w, fnn_training_new(own, fnn_optimizer_init(FNN_ADAM, 0.01, 0, 0), 8, &training));
    for (int epoch = 0; training && epoch < 3; epoch++)
        keep(w, fnn_training_epoch(training, x_in, y, order, ROWS, NULL, NULL, &w->epoch_loss,
                                   NULL));
    keep(w, fnn_network_forward(own, x_in, rows_of(w->trained, 3)));
    fnn_training_free(training);
    fnn_network_free(own);
    return NULL;
}

static void test_at_once(const variant *v)
{
    for (int dt = 0; dt < FNN_NDTYPE; dt++) {
        static work alone, of[THREADS];
        pthread_t thread[THREADS];
        fnn_network *shared = new_network((fnn_dtype)dt, &small, 1);
        naive_gaussians g =
            new_naive_gaussians((fnn_dtype)dt, FNN_SHARED, 3, 5, NEAR_MEANS, 0, 1);
        memset(&alone, 0, sizeof alone);
        alone.dt = (fnn_dtype)dt;
        alone.shared = shared;
        alone.gaussians = new_gaussians(&g);
        for (int t = 0; t < THREADS; t++)
            of[t] = alone;
        for (int t = 0; t < THREADS; t++)
            CHECK(pthread_create(&thread[t], NULL, compute, &of[t]) == 0, "thread %d", t);
        for (int t = 0; t < THREADS; t++)
            pthread_join(thread[t], NULL);
        compute(&alone);
        for (int t = 0; t < THREADS; t++) {
            CHECK(of[t].status == FNN_OK, "thread %d: status %d", t, of[t].status);
            const size_t results = offsetof(work, status) - offsetof(work, outputs);
            CHECK(memcmp(of[t].outputs, alone.outputs, results) == 0, "thread %d: other results",
                  t);
        }
        fnn_network_free(shared);
        fnn_gaussians_free(alone.gaussians);
        free_naive_gaussians(&g);
    }
    (void)v;
}

static const test threads_tests[] = { { "at once", test_at_once } };
SUITE(threads, EACH);
