/* optim.inc.h -- one step of an optimiser over a run of parameters, and the FMA burst. */

/* g + alpha w: the gradient of loss + alpha / 2 * w^2. */
#define EACH_PARAMETER(body)                                                           \
    EACH_VECTOR(j, lanes, count) {                                                     \
        const VEC w_j = FN(get)(w + j, lanes);                                 \
        const VEC g_j = V(fma)(alpha, w_j, FN(get)(g + j, lanes));             \
        body                                                                           \
    }

static void FN(update)(const fnn_optimizer *opt, ptrdiff_t count, void *w_, const void *g_,
                       void *s1_, void *s2_)
{
    REAL *w = w_, *s1 = s1_, *s2 = s2_;
    const REAL *g = g_;
    const VEC alpha = V(set1)((REAL)opt->alpha);
    const VEC rate = V(set1)((REAL)opt->rate), mu = V(set1)((REAL)opt->momentum);
    switch (opt->solver) {
    case FNN_SGD:
        EACH_PARAMETER(FN(put)(w + j, V(fnma)(rate, g_j, w_j), lanes);)
        break;
    case FNN_MOMENTUM:
    case FNN_NESTEROV: {
        /* v = mu v - rate g;  w += v, or, looking ahead, w += mu v - rate g. */
        const bool ahead = opt->solver == FNN_NESTEROV;
        EACH_PARAMETER({
            const VEC step = V(mul)(rate, g_j);
            const VEC v = V(sub)(V(mul)(mu, FN(get)(s1 + j, lanes)), step);
            FN(put)(s1 + j, v, lanes);
            const VEC move = ahead ? V(sub)(V(mul)(mu, v), step) : v;
            FN(put)(w + j, V(add)(w_j, move), lanes);
        })
        break;
    }
    case FNN_ADAM: {
        /* D. Kingma and J. Ba (2015); opt->rate holds both bias corrections. */
        const VEC b1 = V(set1)((REAL)opt->beta1), b2 = V(set1)((REAL)opt->beta2);
        const VEC c1 = V(set1)((REAL)(1 - opt->beta1)), c2 = V(set1)((REAL)(1 - opt->beta2));
        const VEC eps = V(set1)((REAL)opt->epsilon);
        EACH_PARAMETER({
            const VEC m = V(fma)(c1, g_j, V(mul)(b1, FN(get)(s1 + j, lanes)));
            const VEC v = V(fma)(c2, V(mul)(g_j, g_j), V(mul)(b2, FN(get)(s2 + j, lanes)));
            FN(put)(s1 + j, m, lanes);
            FN(put)(s2 + j, v, lanes);
            const VEC move = V(div)(V(mul)(rate, m), V(add)(V(sqrt)(v), eps));
            FN(put)(w + j, V(sub)(w_j, move), lanes);
        })
        break;
    }
    default: assert(!"no such solver");
    }
}
#undef EACH_PARAMETER

/* As many independent chains as the main tile has accumulators. */
static double FN(fma_burst)(ptrdiff_t iterations)
{
    enum { CHAINS = TILE_ROWS * TILE_VECTORS };
    VEC acc[CHAINS];
    const VEC a = V(set1)((REAL)0.5), b = V(set1)(1);
    FNN_UNROLL
    for (int i = 0; i < CHAINS; i++)
        acc[i] = V(set1)((REAL)i);
    for (ptrdiff_t t = 0; t < iterations; t++) {
        FNN_UNROLL
        for (int i = 0; i < CHAINS; i++)
            acc[i] = V(fma)(acc[i], a, b);
    }
    VEC sum = acc[0];
    for (int i = 1; i < CHAINS; i++)
        sum = V(add)(sum, acc[i]);
    volatile REAL sink[LANES]; /* so that the work is not optimised away */
    REAL lane[LANES];
    V(store)(lane, sum);
    for (int i = 0; i < LANES; i++)
        sink[i] = lane[i];
    (void)sink;
    return 2.0 * CHAINS * LANES * (double)iterations;
}
