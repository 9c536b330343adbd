/* optimizer.c -- the state of an optimiser and one step of it. */
#include "internal.h"

fnn_optimizer fnn_optimizer_init(fnn_solver solver, double learning_rate, double momentum,
                                 double alpha)
{
    return (fnn_optimizer){
        .solver = solver, .learning_rate = learning_rate, .momentum = momentum, .alpha = alpha,
        .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8,
        .beta1_power = 1, .beta2_power = 1, .rate = learning_rate,
    };
}

static void multiply_powers(fnn_optimizer *opt)
{
    opt->beta1_power *= opt->beta1;
    opt->beta2_power *= opt->beta2;
}

void fnn_optimizer_advance(fnn_optimizer *opt)
{
    opt->steps++;
    opt->rate = opt->learning_rate;
    if (opt->solver != FNN_ADAM)
        return;
    multiply_powers(opt);
    opt->rate = opt->learning_rate * sqrt(1 - opt->beta2_power) / (1 - opt->beta1_power);
}

/* As advancing does it, so that the next step has the same bits: until nothing changes any more. */
void fnn_optimizer_resume(fnn_optimizer *opt, int64_t steps)
{
    opt->steps = steps;
    opt->beta1_power = opt->beta2_power = 1;
    for (int64_t t = 0; opt->solver == FNN_ADAM && t < steps; t++) {
        const double before = opt->beta1_power, before2 = opt->beta2_power;
        multiply_powers(opt);
        if (opt->beta1_power == before && opt->beta2_power == before2)
            return;
    }
}

fnn_status fnn_update(fnn_dtype dt, const fnn_optimizer *opt, ptrdiff_t count, void *w,
                      const void *g, void *s1, void *s2)
{
    const fnn_kernels *kn = fnn_kernels_for(dt);
    if (!kn)
        return FNN_EISA;
    kn->update(opt, count, w, g, s1, s2);
    return FNN_OK;
}
