/* test_dispatch.c -- which instruction set is in use. Must run before anything else asks. */
#include "suites.h"

#include <sys/wait.h>
#include <unistd.h>

/* Run `ask` in a process of its own, in which FASTNN_ISA is `wanted`. */
static bool in_child(const char *wanted, bool (*ask)(fnn_isa isa), fnn_isa isa)
{
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        setenv("FASTNN_ISA", wanted, 1);
        _exit(ask(isa) ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status)
        && WEXITSTATUS(status) == EXIT_SUCCESS;
}

static fnn_status forward_status(void)
{
    double one = 1, y = 0;
    const fnn_in in = { &one, 1, 1, 1, 1 };
    return fnn_dense_forward(FNN_F64, FNN_IDENTITY, in, in, in, (fnn_out){ &y, 1, 1, 1, 1 });
}

static bool is_in_use(fnn_isa isa) { return fnn_get_isa() == isa && forward_status() == FNN_OK; }

static bool is_best(fnn_isa isa)
{
    (void)isa;
    for (int better = (int)fnn_get_isa() + 1; better < FNN_NISA; better++)
        if (fnn_isa_available((fnn_isa)better))
            return false;
    return forward_status() == FNN_OK;
}

/* But for fnn_all_finite, which has an answer anyway. */
static bool models_refused(void)
{
    double x[] = { 0.5, 0.5 }, y[] = { 1, 1, 1, 1, 1 };
    ptrdiff_t pivot = 0;
    const fnn_in in = { x, 1, 1, 1, 1 }, none = { 0 };
    const fnn_out out = { y, 1, 1, 1, 1 };
    const fnn_targets targets = { NULL, in, NULL };
    const fnn_moments m = { y, y + 1, y + 2, y + 3, y + 4 };
    fnn_gaussians *made = NULL;
    return fnn_log_softmax(FNN_F64, in, out) == FNN_EISA
        && fnn_logsumexp(FNN_F64, in, out) == FNN_EISA
        && fnn_all_finite(FNN_F64, in) == 1
        && fnn_cholesky(1, y, &pivot) == FNN_EISA && fnn_cholesky_solve(1, x, 1, y) == FNN_EISA
        && fnn_triangular_inverse(1, x, y) == FNN_EISA && fnn_dot(1, x, x, y) == FNN_EISA
        && fnn_gaussians_new(FNN_F64, FNN_FULL, 1, 1, x, x, &made) == FNN_EISA && !made
        && fnn_gaussian_paired(FNN_F64, in, in, in, out) == FNN_EISA
        && fnn_moments_of(FNN_F64, FNN_FULL, in, none, NULL, NULL, 1, m) == FNN_EISA
        && fnn_linear_loss(FNN_F64, FNN_SQUARED_ERROR, in, targets, 1, 1, x, 0, y, y + 1, NULL)
           == FNN_EISA
        && y[0] == 1 && y[1] == 1;
}

static bool is_refused(fnn_isa isa)
{
    (void)isa;
    double x = 1, flops = 0;
    const fnn_in in = { &x, 1, 1, 1, 1 };
    const fnn_out out = { &x, 1, 1, 1, 1 }, none = { 0 };
    const fnn_targets y = { NULL, in, NULL };
    const fnn_optimizer opt = fnn_optimizer_init(FNN_SGD, 1, 0, 0);
    fnn_network *net = NULL;
    fnn_training *training = NULL;
    const ptrdiff_t ones[] = { 1, 1 };
    const fnn_act act = FNN_IDENTITY;
    const bool made =
        fnn_network_new(FNN_F64, 1, ones, &act, &net) == FNN_OK
        && fnn_training_new(net, opt, 1, &training) == FNN_OK;
    const bool refused = made && strcmp(fnn_isa_name(fnn_get_isa()), "none") == 0
        && forward_status() == FNN_EISA
        && fnn_dense_backward(FNN_F64, FNN_IDENTITY, in, in, in, in, none, none, none) == FNN_EISA
        && fnn_map(FNN_F64, FNN_MAP_EXP, in, out) == FNN_EISA
        && fnn_softmax(FNN_F64, in, out) == FNN_EISA
        && fnn_loss_gradient(FNN_F64, FNN_SQUARED_ERROR, 0, in, y, &flops, out) == FNN_EISA
        && fnn_update(FNN_F64, &opt, 1, &x, &x, NULL, NULL) == FNN_EISA
        && fnn_network_forward(net, in, out) == FNN_EISA
        && fnn_network_activations(net, in, &out) == FNN_EISA
        && fnn_network_gradients(net, in, y, 0, &flops, &out, &out) == FNN_EISA
        && fnn_training_epoch(training, in, y, (int64_t[]){ 0 }, 1, NULL, NULL, &flops, NULL)
               == FNN_EISA
        && fnn_fma_burst(FNN_F64, 1, &flops) == FNN_EISA && models_refused();
    fnn_training_free(training);
    fnn_network_free(net);
    return refused && fnn_set_isa(FNN_SCALAR) == FNN_OK && is_in_use(FNN_SCALAR);
}

static void test_environment(const variant *v)
{
    for (int isa = 0; isa < FNN_NISA; isa++) {
        const bool available = fnn_isa_available((fnn_isa)isa);
        CHECK(in_child(fnn_isa_name((fnn_isa)isa), available ? is_in_use : is_refused,
                       (fnn_isa)isa),
              "FASTNN_ISA=%s", fnn_isa_name((fnn_isa)isa));
    }
    CHECK(in_child("", is_best, FNN_SCALAR), "FASTNN_ISA empty: the best set");
    CHECK(in_child("sse9", is_refused, FNN_SCALAR), "FASTNN_ISA=sse9");
    (void)v;
}

static void test_choice(const variant *v)
{
    const fnn_isa before = fnn_get_isa();
    for (int isa = 0; isa < FNN_NISA; isa++) {
        const bool available = fnn_isa_available((fnn_isa)isa);
        CHECK(fnn_set_isa((fnn_isa)isa) == (available ? FNN_OK : FNN_EISA), "set %d", isa);
        CHECK(!available || fnn_get_isa() == (fnn_isa)isa, "%d is in use", isa);
        CHECK((fnn_kernels_of((fnn_isa)isa) != NULL) == available, "table of %d", isa);
        for (int dt = 0; available && dt < FNN_NDTYPE; dt++)
            CHECK(fnn_kernels_for((fnn_dtype)dt) == &fnn_kernels_of((fnn_isa)isa)[dt],
                  "table of %d in use", isa);
    }
    CHECK(fnn_isa_available(FNN_SCALAR), "scalar is everywhere");
    CHECK(fnn_set_isa(FNN_NISA) == FNN_EISA, "no such set");
    fnn_set_isa(before);
    double flops = 0;
    CHECK(fnn_fma_burst(v->dt, 10, &flops) == FNN_OK && flops > 0, "%g operations", flops);
}

static const test dispatch_tests[] = {
    { "environment", test_environment }, { "choice", test_choice },
};
SUITE(dispatch, ONCE);
