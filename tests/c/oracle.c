/* oracle.c -- see oracle.h. */
#include "oracle.h"

double miss(double got, approx right)
{
    if (isnan(got) || isnan(right.value))
        return (isnan(got) != 0) == (isnan(right.value) != 0) ? 0 : INFINITY;
    if ((long double)got == right.value)
        return 0;
    const long double distance = fabsl(got - right.value);
    return right.bound > 0 ? (double)(distance / right.bound) : INFINITY;
}

long double eps_of(fnn_dtype dt) { return dt == FNN_F32 ? FLT_EPSILON : DBL_EPSILON; }
long double tiny_of(fnn_dtype dt) { return dt == FNN_F32 ? 0x1p-149L : 0x1p-1074L; }

/* ---- arithmetic --------------------------------------------------------------------------- */

approx add(fnn_dtype dt, approx a, approx b)
{
    const long double value = a.value + b.value;
    return (approx){ value, a.bound + b.bound + eps_of(dt) * fabsl(value) };
}

approx subtract(fnn_dtype dt, approx a, approx b)
{
    return add(dt, a, (approx){ -b.value, b.bound });
}

approx multiply(fnn_dtype dt, approx a, approx b)
{
    const long double value = a.value * b.value;
    return (approx){ value, fabsl(a.value) * b.bound + fabsl(b.value) * a.bound
                          + a.bound * b.bound + eps_of(dt) * fabsl(value) + tiny_of(dt) };
}

approx expect_dot(fnn_dtype dt, double start, fnn_in x, ptrdiff_t i, fnn_in w, ptrdiff_t j)
{
    long double sum = start, magnitude = fabsl(sum);
    for (ptrdiff_t p = 0; p < x.cols; p++) {
        const long double product = (long double)get(dt, x, i, p) * get(dt, w, p, j);
        sum += product;
        magnitude += fabsl(product);
    }
    const long double k = (long double)x.cols;
    return (approx){ sum, (k + 2) * eps_of(dt) * magnitude + k * tiny_of(dt) };
}

approx dot(fnn_dtype dt, approx start, ptrdiff_t k, const approx *x, ptrdiff_t x_stride,
           const approx *w, ptrdiff_t w_stride)
{
    approx sum = start;
    for (ptrdiff_t p = 0; p < k; p++)
        sum = add(dt, sum, multiply(dt, x[p * x_stride], w[p * w_stride]));
    return sum;
}

/* ---- functions ---------------------------------------------------------------------------- */

long double map_value(fnn_function fn, long double x)
{
    switch (fn) {
    case FNN_MAP_EXP: return expl(x);
    case FNN_MAP_LOG1P: return log1pl(x);
    case FNN_MAP_SIGMOID: return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x));
    default: return tanhl(x);
    }
}

/* f32: the most over all arguments, rounded up, which FASTNN_TEST_STRIDE=1 in test_vmath.c shows
 *   1.0538 exp(-0x1.0ef292p+4)        1.3928 log1p(0x1.b1d8cap-2)
 *   2.4019 sigmoid(-0x1.0a111ap+2)    2.4984 tanh(0x1.205368p+2)
 * f64: above the most of 80 million samples of each
 *   1.0234 exp(-0x1.1da58f97697e8p+2)         1.4004 log1p(0x1.a85ff71217dcbp-2)
 *   2.4268 sigmoid(-0x1.8f3789501855p+2)      2.6904 tanh(-0x1.c40b323251328p-3) */
double map_ulps(fnn_dtype dt, fnn_function fn)
{
    static const double ulps[FNN_NDTYPE][FNN_NMAP] = {
        [FNN_F32] = { [FNN_MAP_EXP] = 1.06, [FNN_MAP_LOG1P] = 1.4,
                      [FNN_MAP_SIGMOID] = 2.41, [FNN_MAP_TANH] = 2.5 },
        [FNN_F64] = { [FNN_MAP_EXP] = 1.1, [FNN_MAP_LOG1P] = 1.5,
                      [FNN_MAP_SIGMOID] = 2.5, [FNN_MAP_TANH] = 2.75 },
    };
    return ulps[dt][fn];
}

static approx rounded(fnn_dtype dt, long double value, double ulps, long double bound)
{
    return (approx){ value, bound + ulps * (eps_of(dt) * fabsl(value) + tiny_of(dt)) };
}

approx expect_map(fnn_dtype dt, fnn_function fn, double x)
{
    return rounded(dt, map_value(fn, x), map_ulps(dt, fn), 0);
}

approx expect_act(fnn_dtype dt, fnn_act act, approx z)
{
    switch (act) { /* the steepest slopes are 1/4, 1 and 1 */
    case FNN_SIGMOID:
        return rounded(dt, map_value(FNN_MAP_SIGMOID, z.value), map_ulps(dt, FNN_MAP_SIGMOID),
                       z.bound / 4);
    case FNN_TANH:
        return rounded(dt, map_value(FNN_MAP_TANH, z.value), map_ulps(dt, FNN_MAP_TANH), z.bound);
    case FNN_RELU: return (approx){ z.value > 0 ? z.value : 0, z.bound };
    case FNN_EXP:
        if (expl(z.value) > (dt == FNN_F32 ? FLT_MAX : DBL_MAX))
            return (approx){ INFINITY, 0 };
        return rounded(dt, map_value(FNN_MAP_EXP, z.value), map_ulps(dt, FNN_MAP_EXP),
                       expl(z.value) * expm1l(z.bound));
    default: return z;
    }
}

approx expect_slope(fnn_dtype dt, fnn_act act, approx a)
{
    const long double square = a.value * a.value, eps = eps_of(dt);
    switch (act) {
    case FNN_SIGMOID:
        return (approx){ a.value - square, fabsl(1 - 2 * a.value) * a.bound + a.bound * a.bound
                                         + eps * (fabsl(a.value) + square) + tiny_of(dt) };
    case FNN_TANH:
        return (approx){ 1 - square, 2 * fabsl(a.value) * a.bound + a.bound * a.bound
                                   + eps * (1 + square) };
    case FNN_RELU: return (approx){ a.value > 0, fabsl(a.value) < a.bound };
    case FNN_EXP: return a;
    default: return exactly(1);
    }
}

/* ---- rows --------------------------------------------------------------------------------- */

/* Each exponential is off by the rounding of its argument, at most eps |z - max z|, and its own
 * error; their sum by the mean of that and an addition for each 16 of them and four to fold. */
approx expect_softmax(fnn_dtype dt, ptrdiff_t c, const approx *z, approx *p)
{
    long double most = -INFINITY, sum = 0, mean_distance = 0, z_bound = 0;
    for (ptrdiff_t j = 0; j < c; j++) {
        most = fmaxl(most, z[j].value);
        z_bound = fmaxl(z_bound, z[j].bound);
    }
    for (ptrdiff_t j = 0; j < c; j++) {
        const long double e = expl(z[j].value - most);
        sum += e;
        mean_distance += e * (most - z[j].value);
    }
    mean_distance /= sum;
    const long double exp_ulps = map_ulps(dt, FNN_MAP_EXP), eps = eps_of(dt);
    const long double of_sum = eps * (mean_distance + exp_ulps + (long double)(c / 16) + 5)
                             + expm1l(2 * z_bound);
    for (ptrdiff_t j = 0; p && j < c; j++) {
        const long double p_j = expl(z[j].value - most) / sum;
        const long double of_e = eps * (most - z[j].value + exp_ulps + 1)
                               + expm1l(z[j].bound + z_bound);
        p[j] = rounded(dt, p_j, 1, p_j * (of_e + of_sum));
    }
    const long double log_sum = logl(sum);
    return rounded(dt, log_sum, map_ulps(dt, FNN_MAP_LOG1P), of_sum);
}

/* With top = max z and rest = the sum of exp(z_k - top) over all but one largest z_k, log sum exp z
 * is top + log1p(rest). Errors of z move it by their largest at most, and log p_k = z_k - log sum
 * exp z by twice that times 1 - p_k, for it is the others' mass that it depends on. The rest is
 * rounding: of differences, of exponentials, of their sum, in which all terms are positive. */
void expect_posterior(fnn_dtype dt, fnn_posterior what, ptrdiff_t c, const approx *z, approx *y)
{
    const long double eps = eps_of(dt), exp_ulps = map_ulps(dt, FNN_MAP_EXP);
    ptrdiff_t first = 0;
    long double rest = 0, of_rest = 0, z_bound = 0;
    for (ptrdiff_t k = 0; k < c; k++) {
        first = z[k].value > z[first].value ? k : first;
        z_bound = fmaxl(z_bound, z[k].bound);
    }
    const long double top = z[first].value, moved = expl(2 * z_bound);
    for (ptrdiff_t k = 0; k < c; k++)
        if (k != first) {
            const long double e = expl(z[k].value - top);
            rest += e;
            of_rest += e * eps * (top - z[k].value + exp_ulps);
        }
    const long double terms = (long double)c;
    of_rest = (of_rest + (terms + 1) * eps * rest + terms * tiny_of(dt)) * moved;
    const long double log_sum = log1pl(rest), of_sum = of_rest / (1 + rest);
    const approx log_rest = rounded(dt, log_sum, map_ulps(dt, FNN_MAP_LOG1P), of_sum);
    if (what == FNN_LOG_DENSITY) {
        y[0] = rounded(dt, top + log_sum, 1, z_bound + log_rest.bound);
        return;
    }
    for (ptrdiff_t k = 0; k < c; k++) {
        const long double d = z[k].value - top, p = expl(d) / (1 + rest);
        const long double others = k == first ? rest / (1 + rest) : 1 - p;
        const long double by_z = others * 2 * z_bound * moved;
        const long double relative = eps * (exp_ulps - d + 1) + of_sum + expm1l(by_z);
        y[k] = what == FNN_JOINT ? z[k]
             : what == FNN_PROBA ? rounded(dt, p, 2, p * relative)
             : rounded(dt, d - log_sum, 1, by_z - eps * d + log_rest.bound);
    }
}

double miss_posterior(fnn_dtype dt, fnn_posterior what, ptrdiff_t c, const approx *z,
                      const double *y)
{
    if (what == FNN_LABEL) { /* one that may be the largest */
        const ptrdiff_t label = y[0] >= 0 && y[0] < (double)c ? (ptrdiff_t)y[0] : 0;
        if (y[0] != (double)label)
            return INFINITY;
        for (ptrdiff_t k = 0; k < c; k++)
            if (z[label].value + z[label].bound < z[k].value - z[k].bound)
                return INFINITY;
        return 0;
    }
    approx *right = calloc((size_t)c, sizeof *right);
    must(right != NULL, "calloc");
    expect_posterior(dt, what, c, z, right);
    double worst = 0;
    for (ptrdiff_t k = 0; k < (what == FNN_LOG_DENSITY ? 1 : c); k++)
        worst = fmax(worst, miss(y[k], right[k]));
    free(right);
    return worst;
}

void target_row(fnn_dtype dt, fnn_targets y, ptrdiff_t i, ptrdiff_t c, double *row)
{
    for (ptrdiff_t j = 0; j < c; j++)
        row[j] = !y.labels ? get(dt, y.targets, i, j)
               : c == 1 ? (double)y.labels[i] : y.labels[i] == j;
}

/* dz_j = g (p_j - y_j), where g is rounded too. */
static approx scaled_difference(fnn_dtype dt, approx p, double y, double g)
{
    const approx g_rounded = { g, eps_of(dt) * fabsl((long double)g) };
    return multiply(dt, subtract(dt, p, exactly(y)), g_rounded);
}

static approx softmax_loss(fnn_dtype dt, ptrdiff_t c, const approx *z, const double *y, double g,
                           approx *dz)
{
    const approx log_sum = expect_softmax(dt, c, z, dz);
    long double most = -INFINITY, s = 0, s_magnitude = 0, z_bound = 0;
    for (ptrdiff_t j = 0; j < c; j++) {
        most = fmaxl(most, z[j].value);
        z_bound = fmaxl(z_bound, z[j].bound);
        s += y[j];
        s_magnitude += fabsl((long double)y[j]);
    }
    const long double of_s = (long double)c * eps_of(FNN_F64) * s_magnitude; /* a sum in double */
    approx loss = { s * log_sum.value, fabsl(s) * log_sum.bound + of_s * log_sum.value };
    long double magnitude = fabsl(loss.value);
    for (ptrdiff_t j = 0; j < c; j++) {
        const long double term = y[j] * (most - z[j].value);
        loss.value += term;
        loss.bound += fabsl((long double)y[j]) * (z[j].bound + z_bound);
        magnitude += fabsl(term);
        if (s != 1) /* s p is rounded */
            dz[j] = multiply(dt, (approx){ s, of_s + eps_of(dt) * fabsl(s) }, dz[j]);
        dz[j] = scaled_difference(dt, dz[j], y[j], g);
    }
    loss.bound += ((long double)c + 3) * eps_of(FNN_F64) * magnitude;
    return loss;
}

static approx sigmoid_loss(fnn_dtype dt, ptrdiff_t c, const approx *z, const double *y, double g,
                           approx *dz)
{
    approx loss = { 0, 0 };
    long double magnitude = 0;
    for (ptrdiff_t j = 0; j < c; j++) {
        const long double z_j = z[j].value, e = expl(-fabsl(z_j)), soft = log1pl(e);
        const long double linear = z_j > 0 ? z_j * (1 - y[j]) : -z_j * y[j];
        /* |d/de log1p(e)| <= 1, and the slope of the loss is at most 1 + |y| */
        const approx of_e = rounded(dt, e, map_ulps(dt, FNN_MAP_EXP), 0);
        const approx of_soft = rounded(dt, soft, map_ulps(dt, FNN_MAP_LOG1P), of_e.bound);
        loss.value += linear + soft;
        loss.bound += of_soft.bound + (1 + fabsl((long double)y[j])) * z[j].bound;
        magnitude += fabsl(linear) + soft;
        dz[j] = scaled_difference(dt, expect_act(dt, FNN_SIGMOID, z[j]), y[j], g);
    }
    loss.bound += ((long double)c + 3) * eps_of(FNN_F64) * magnitude;
    return loss;
}

static approx squared_loss(fnn_dtype dt, ptrdiff_t c, const approx *z, const double *y, double g,
                           approx *dz)
{
    approx loss = { 0, 0 };
    for (ptrdiff_t j = 0; j < c; j++) {
        const approx d = { z[j].value - y[j], z[j].bound };
        loss.value += 0.5L * d.value * d.value;
        loss.bound += (fabsl(d.value) + d.bound) * d.bound;
        dz[j] = scaled_difference(dt, z[j], y[j], g);
    }
    loss.bound += ((long double)c + 3) * eps_of(FNN_F64) * loss.value;
    return loss;
}

static approx poisson_loss(fnn_dtype dt, ptrdiff_t c, const approx *z, const double *y, double g,
                           approx *dz)
{
    approx loss = { 0, 0 };
    long double magnitude = 0;
    for (ptrdiff_t j = 0; j < c; j++) {
        const approx mean = expect_act(dt, FNN_EXP, z[j]);
        const long double counted = y[j] * z[j].value;
        loss.value += mean.value - counted;
        loss.bound += mean.bound + fabsl((long double)y[j]) * z[j].bound;
        magnitude += mean.value + fabsl(counted);
        dz[j] = scaled_difference(dt, mean, y[j], g);
    }
    loss.bound += ((long double)c + 3) * eps_of(FNN_F64) * magnitude;
    return loss;
}

static approx scaled(fnn_dtype dt, approx slope, double g)
{
    const approx g_rounded = { g, eps_of(dt) * fabsl((long double)g) };
    return multiply(dt, slope, g_rounded);
}

static approx huber_loss(fnn_dtype dt, ptrdiff_t c, const approx *z, const double *y, double g,
                         approx *dz)
{
    const long double delta = HUBER_DELTA;
    approx loss = { 0, 0 };
    for (ptrdiff_t j = 0; j < c; j++) {
        const approx r = subtract(dt, z[j], exactly(y[j]));
        const long double size = fabsl(r.value), most = fminl(size, delta);
        loss.value += size <= delta ? 0.5L * size * size : delta * (size - 0.5L * delta);
        loss.bound += (most + z[j].bound) * z[j].bound + 4 * eps_of(FNN_F64) * most * size;
        /* the slope moves no faster than r does; delta is rounded, too */
        dz[j] = scaled(dt, (approx){ copysignl(most, r.value), r.bound + eps_of(dt) * delta }, g);
    }
    loss.bound += ((long double)c + 3) * eps_of(FNN_F64) * loss.value;
    return loss;
}

static approx absolute_error(fnn_dtype dt, ptrdiff_t c, const approx *z, const double *y, double g,
                             approx *dz)
{
    approx loss = { 0, 0 };
    for (ptrdiff_t j = 0; j < c; j++) {
        const approx r = { z[j].value - y[j], z[j].bound };
        const long double sign = r.value > 0 ? 1 : r.value < 0 ? -1 : 0;
        loss.value += fabsl(r.value);
        loss.bound += r.bound;
        /* on which side of 0 it is may not be known */
        dz[j] = scaled(dt, (approx){ sign, r.bound >= fabsl(r.value) && r.bound > 0 ? 2 : 0 }, g);
    }
    loss.bound += ((long double)c + 3) * eps_of(FNN_F64) * loss.value;
    return loss;
}

approx expect_loss(fnn_dtype dt, fnn_loss fn, ptrdiff_t c, const approx *z, const double *y,
                   double g, approx *dz)
{
    switch (fn) {
    case FNN_SOFTMAX_CE: return softmax_loss(dt, c, z, y, g, dz);
    case FNN_SIGMOID_CE: return sigmoid_loss(dt, c, z, y, g, dz);
    case FNN_SQUARED_ERROR: return squared_loss(dt, c, z, y, g, dz);
    case FNN_POISSON: return poisson_loss(dt, c, z, y, g, dz);
    case FNN_HUBER: return huber_loss(dt, c, z, y, g, dz);
    default: return absolute_error(dt, c, z, y, g, dz);
    }
}

/* ---- optimisers --------------------------------------------------------------------------- */

approx expect_update(fnn_dtype dt, const fnn_optimizer *opt, approx w, approx g, approx state[2])
{
    const long double eps = eps_of(dt);
#define CONSTANT(name, of) const approx name = { of, eps * fabsl((long double)(of)) }
    CONSTANT(alpha, opt->alpha);
    CONSTANT(rate, opt->rate);
    g = add(dt, g, multiply(dt, alpha, w));
    const approx step = multiply(dt, rate, g);
    switch (opt->solver) {
    case FNN_SGD: return subtract(dt, w, step);
    case FNN_MOMENTUM:
    case FNN_NESTEROV: {
        CONSTANT(mu, opt->momentum);
        state[0] = subtract(dt, multiply(dt, mu, state[0]), step);
        if (opt->solver == FNN_MOMENTUM)
            return add(dt, w, state[0]);
        return add(dt, w, subtract(dt, multiply(dt, mu, state[0]), step));
    }
    default: {
        CONSTANT(b1, opt->beta1);
        CONSTANT(b2, opt->beta2);
        CONSTANT(c1, 1 - opt->beta1);
        CONSTANT(c2, 1 - opt->beta2);
        state[0] = add(dt, multiply(dt, b1, state[0]), multiply(dt, c1, g));
        state[1] = add(dt, multiply(dt, b2, state[1]), multiply(dt, c2, multiply(dt, g, g)));
        /* sqrt over [value - bound, value + bound], and three roundings of the quotient */
        const long double v = state[1].value, root = sqrtl(v);
        const long double least = sqrtl(fmaxl(v - state[1].bound, 0));
        const long double divisor = root + opt->epsilon;
        const long double relative = (root - least) / (least + opt->epsilon) + 4 * eps;
        const approx up = multiply(dt, rate, state[0]);
        const long double move = up.value / divisor;
        return subtract(dt, w, (approx){ move, up.bound / divisor * (1 + relative)
                                               + fabsl(move) * relative });
    }
    }
#undef CONSTANT
}
