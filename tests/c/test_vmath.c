/* test_vmath.c -- the errors of exp, log1p, sigmoid and tanh in units in the last place, over
 * samples of all arguments, and their special values.
 *
 * FASTNN_TEST_STRIDE=1 tries every float; otherwise every so many of them. */
#include "suites.h"

enum { BLOCK = 4096 };
static const char *const names[FNN_NMAP] = { "exp", "log1p", "sigmoid", "tanh" };

/* What is right, for floats to double's precision, which is quicker. */
static long double right_value(fnn_dtype dt, fnn_function fn, double x)
{
    if (dt == FNN_F64)
        return map_value(fn, x);
    switch (fn) {
    case FNN_MAP_EXP: return exp(x);
    case FNN_MAP_LOG1P: return log1p(x);
    case FNN_MAP_SIGMOID: return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
    default: return tanh(x);
    }
}

/* |got - right| in units of the last place of a result of right's magnitude. */
static double ulps_off(fnn_dtype dt, double got, long double right)
{
    const long double most = dt == FNN_F32 ? (long double)FLT_MAX : (long double)DBL_MAX;
    const int digits = dt == FNN_F32 ? FLT_MANT_DIG : DBL_MANT_DIG;
    if (isnan(right) || isnan(got))
        return isnan(right) && isnan(got) ? 0 : INFINITY;
    if (fabsl(right) > most || isinf(got)) { /* beyond, or rounds to beyond, the largest number */
        const long double beyond = most * (1 + eps_of(dt) / 4);
        return isinf(got) && fabsl(right) >= beyond * (1 - 4 * eps_of(dt)) ? 0
             : fabsl(right) <= beyond && !isinf(got) ? 0 : INFINITY;
    }
    int exponent;
    frexpl(right, &exponent);
    const long double ulp = right == 0 ? tiny_of(dt) : ldexpl(1, exponent - digits);
    return (double)(fabsl(got - right) / fmaxl(ulp, tiny_of(dt)));
}

typedef struct { double ulps, witness; } extreme;

static void observe(const variant *v, fnn_function fn, int count, const double *x, extreme *most)
{
    static union { float f32[BLOCK]; double f64[BLOCK]; } in, out;
    const fnn_out in_view = { &in, 1, count, count, 1 };
    for (int j = 0; j < count; j++)
        put(v->dt, in_view, 0, j, x[j]);
    v->kn->map(fn, count, &in, &out);
    for (int j = 0; j < count; j++) {
        const double got = get(v->dt, (fnn_in){ &out, 1, count, count, 1 }, 0, j);
        const double ulps = ulps_off(v->dt, got, right_value(v->dt, fn, x[j]));
        if (ulps > most->ulps)
            *most = (extreme){ ulps, x[j] };
    }
}

/* Evenly over the bit patterns of floats, from `first` by `stride`. */
static void sweep_floats(const variant *v, fnn_function fn, extreme *most)
{
    const char *wanted = getenv("FASTNN_TEST_STRIDE");
    const uint64_t stride = wanted ? strtoull(wanted, NULL, 10) : quick() ? 400009 : 2503;
    static double x[BLOCK];
    int count = 0;
    for (uint64_t u = 0; u <= UINT32_MAX; u += stride ? stride : 1) {
        const uint32_t pattern = (uint32_t)u;
        float value;
        memcpy(&value, &pattern, sizeof value);
        x[count++] = value;
        if (count == BLOCK) {
            observe(v, fn, count, x, most);
            count = 0;
        }
    }
    observe(v, fn, count, x, most);
}

/* Arguments where the functions change, of every exponent, and special ones. */
static void sample(const variant *v, fnn_function fn, extreme *most)
{
    static double x[BLOCK];
    uint64_t state = 11;
    const int bits = v->dt == FNN_F32 ? 23 : 52, blocks = quick() ? 1 : v->dt == FNN_F32 ? 4 : 100;
    for (int block = 0; block < blocks; block++) {
        for (int j = 0; j < BLOCK; j++) {
            const double any = next_real(&state, bits, j % 4 ? 4 : 60);
            x[j] = j % 4 == 1 ? any * 30 : any;
            if (v->dt == FNN_F32)
                x[j] = (float)x[j];
        }
        observe(v, fn, BLOCK, x, most);
    }
}

static void test_errors(const variant *v)
{
    printf("           %-7s %s ", fnn_isa_name(v->isa), dtype_name(v->dt));
    for (int fn = 0; fn < FNN_NMAP; fn++) {
        extreme most = { 0, 0 };
        sample(v, (fnn_function)fn, &most);
        if (v->dt == FNN_F32)
            sweep_floats(v, (fnn_function)fn, &most);
        printf(" %s %.3f ulp at %a%s", names[fn], most.ulps, most.witness,
               fn < FNN_NMAP - 1 ? "," : "\n");
        CHECK(most.ulps <= map_ulps(v->dt, (fnn_function)fn), "%s is %.3f ulp off at %a", names[fn],
              most.ulps, most.witness);
    }
}

static void test_specials(const variant *v)
{
    const double tiny = (double)tiny_of(v->dt), most = v->dt == FNN_F32 ? FLT_MAX : DBL_MAX;
    const struct { fnn_function fn; double x, y; } cases[] = {
        { FNN_MAP_EXP, 0, 1 }, { FNN_MAP_EXP, -0.0, 1 }, { FNN_MAP_EXP, INFINITY, INFINITY },
        { FNN_MAP_EXP, -INFINITY, 0 }, { FNN_MAP_EXP, most, INFINITY }, { FNN_MAP_EXP, -most, 0 },
        { FNN_MAP_EXP, tiny, 1 }, { FNN_MAP_EXP, NAN, NAN },
        { FNN_MAP_LOG1P, 0, 0 }, { FNN_MAP_LOG1P, -0.0, -0.0 }, { FNN_MAP_LOG1P, -1, -INFINITY },
        { FNN_MAP_LOG1P, -1.5, NAN }, { FNN_MAP_LOG1P, -INFINITY, NAN },
        { FNN_MAP_LOG1P, INFINITY, INFINITY }, { FNN_MAP_LOG1P, tiny, tiny },
        { FNN_MAP_LOG1P, -tiny, -tiny }, { FNN_MAP_LOG1P, NAN, NAN },
        { FNN_MAP_SIGMOID, 0, 0.5 }, { FNN_MAP_SIGMOID, -0.0, 0.5 },
        { FNN_MAP_SIGMOID, INFINITY, 1 }, { FNN_MAP_SIGMOID, -INFINITY, 0 },
        { FNN_MAP_SIGMOID, most, 1 }, { FNN_MAP_SIGMOID, -most, 0 }, { FNN_MAP_SIGMOID, NAN, NAN },
        { FNN_MAP_TANH, 0, 0 }, { FNN_MAP_TANH, -0.0, -0.0 }, { FNN_MAP_TANH, INFINITY, 1 },
        { FNN_MAP_TANH, -INFINITY, -1 }, { FNN_MAP_TANH, most, 1 }, { FNN_MAP_TANH, tiny, tiny },
        { FNN_MAP_TANH, -tiny, -tiny }, { FNN_MAP_TANH, NAN, NAN },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double out[1];
        const fnn_out view = { out, 1, 1, 1, 1 };
        put(v->dt, view, 0, 0, cases[i].x);
        v->kn->map(cases[i].fn, 1, out, out);
        const double y = get(v->dt, fnn_as_in(view), 0, 0);
        const bool both_nan = isnan(y) && isnan(cases[i].y);
        CHECK(both_nan || (y == cases[i].y && signbit(y) == signbit(cases[i].y)), "%s(%a) is %a",
              names[cases[i].fn], cases[i].x, y);
    }
}

/* Gradual underflow: sigmoid and exp of ever smaller numbers pass through the subnormal ones. */
static void test_underflow(const variant *v)
{
    const double from = v->dt == FNN_F32 ? -86 : -707, to = v->dt == FNN_F32 ? -104 : -746;
    extreme most = { 0, 0 };
    double before = 1;
    for (double x = from; x > to; x -= 0x1p-6) {
        for (int fn = 0; fn < FNN_NMAP; fn += FNN_MAP_SIGMOID)
            observe(v, (fnn_function)fn, 1, &x, &most);
        double out[1];
        const fnn_out view = { out, 1, 1, 1, 1 };
        put(v->dt, view, 0, 0, x);
        v->kn->map(FNN_MAP_SIGMOID, 1, out, out);
        const double y = get(v->dt, fnn_as_in(view), 0, 0);
        CHECK(y <= before && (y > 0 || x < to + 1), "sigmoid(%a) is %a", x, y);
        before = y;
    }
    CHECK(most.ulps <= 1.5, "%.3f ulp at %a", most.ulps, most.witness);
}

static const test vmath_tests[] = {
    { "errors", test_errors }, { "specials", test_specials }, { "underflow", test_underflow },
};
SUITE(vmath, EACH);
