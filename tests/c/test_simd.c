/* test_simd.c -- each operation of each vector set against simd/scalar.h, lane by lane. */
#include "suites.h"

#include "kernels/probe.inc.h"
#include "simd/scalar.h"

enum { MOST_LANES = 16 };
typedef union { float f32[MOST_LANES]; double f64[MOST_LANES]; } lanes;

#define PROBE_NAME(name, statement) #name,
static const char *const op_names[] = { FNN_PROBE_OPS(PROBE_NAME, ) };
#undef PROBE_NAME

static void set(fnn_dtype dt, lanes *v, int i, double x)
{
    if (dt == FNN_F32)
        v->f32[i] = (float)x;
    else
        v->f64[i] = x;
}
static double lane(fnn_dtype dt, const lanes *v, int i)
{
    return dt == FNN_F32 ? (double)v->f32[i] : v->f64[i];
}
static uint64_t bits(fnn_dtype dt, const lanes *v, int i)
{
    uint64_t u = 0;
    memcpy(&u, dt == FNN_F32 ? (const void *)&v->f32[i] : &v->f64[i], fnn_sizeof(dt));
    return u;
}

/* These move bits about and so keep those of a NaN; for others one NaN is as good as another. */
static bool moves_bits(int op)
{
    return op <= FNN_PROBE_set1 || op == FNN_PROBE_max || op == FNN_PROBE_minus_abs
        || op == FNN_PROBE_copysign || op == FNN_PROBE_select_lt || op == FNN_PROBE_select_sign;
}

static void compare(const variant *v, int op, int i, const lanes *got, const lanes *right,
                    const lanes *a, const lanes *b, const lanes *c)
{
    const fnn_dtype dt = v->dt;
    const bool same = bits(dt, got, i) == bits(dt, right, i);
    const bool both_nan = isnan(lane(dt, got, i)) && isnan(lane(dt, right, i));
    CHECK(same || (both_nan && !moves_bits(op)), "%s(%a, %a, %a) in lane %d is %a, not %a",
          op_names[op], lane(dt, a, i), lane(dt, b, i), lane(dt, c, i), i, lane(dt, got, i),
          lane(dt, right, i));
}

/* What scalar.h says of lane i; of fma and fnma, which round only once elsewhere, what C says. */
static void scalar_lane(const variant *v, int op, int i, const lanes *a, const lanes *b,
                        const lanes *c, lanes *right)
{
    const fnn_dtype dt = v->dt;
    const size_t size = fnn_sizeof(dt);
    const bool once = v->isa != FNN_SCALAR && (op == FNN_PROBE_fma || op == FNN_PROBE_fnma);
    if (once && dt == FNN_F32)
        right->f32[i] = fmaf(op == FNN_PROBE_fma ? a->f32[i] : -a->f32[i], b->f32[i], c->f32[i]);
    else if (once)
        right->f64[i] = fma(op == FNN_PROBE_fma ? a->f64[i] : -a->f64[i], b->f64[i], c->f64[i]);
    else
        CHECK(fnn_kernels_of(FNN_SCALAR)[dt].probe(
                  op, (const char *)a + i * size, (const char *)b + i * size,
                  (const char *)c + i * size, 1, (char *)right + i * size) == 0,
              "scalar has no %s", op_names[op]);
}

static void try_op(const variant *v, int op, const lanes *a, const lanes *b, const lanes *c)
{
    lanes got, right;
    CHECK(v->kn->probe(op, a, b, c, v->kn->lanes, &got) == 0, "no %s", op_names[op]);
    bool any = false;
    for (int i = 0; i < v->kn->lanes; i++) {
        scalar_lane(v, op, i, a, b, c, &right);
        if (op == FNN_PROBE_set1)
            set(v->dt, &right, i, lane(v->dt, a, 0));
        any |= op == FNN_PROBE_any_lt && lane(v->dt, &right, i) != 0;
        if (op != FNN_PROBE_any_lt)
            compare(v, op, i, &got, &right, a, b, c);
    }
    if (op == FNN_PROBE_any_lt) {
        set(v->dt, &right, 0, any);
        compare(v, op, 0, &got, &right, a, b, c);
    }
}

/* NaN of both signs, infinities, zeros, subnormals, huge, ordinary, and ties for the fma. */
static int specials(fnn_dtype dt, double *list)
{
    const double tiny = dt == FNN_F32 ? 0x1p-149 : 0x1p-1074;
    const double least = dt == FNN_F32 ? FLT_MIN : DBL_MIN;
    const double most = dt == FNN_F32 ? FLT_MAX : DBL_MAX, eps = (double)eps_of(dt);
    const double plain[] = { 0, tiny, 3 * tiny, least - tiny, least, 1e-3, 0.5, 1 - eps / 2, 1,
                             1 + eps, 1.5, 3, 1 / eps, 1 / eps + 1, most / 2, most, INFINITY, NAN };
    enum { COUNT = sizeof plain / sizeof *plain };
    for (int i = 0; i < COUNT; i++) {
        list[2 * i] = plain[i];
        list[2 * i + 1] = copysign(plain[i], -1.0);
    }
    return 2 * COUNT;
}

static void test_everywhere(const variant *v)
{
    double list[64];
    const int count = specials(v->dt, list), width = v->kn->lanes;
    lanes a, b, c;
    for (int op = 0; op < FNN_PROBE_pow2; op++) /* the later ones have domains */
        for (long at = 0; at < (long)count * count * count; at += width) {
            for (int i = 0; i < width; i++) {
                const long triple = (at + i) % ((long)count * count * count);
                set(v->dt, &a, i, list[triple % count]);
                set(v->dt, &b, i, list[triple / count % count]);
                set(v->dt, &c, i, list[triple / count / count]);
            }
            if (op != FNN_PROBE_load_n && op != FNN_PROBE_store_n
                && (!quick() || at / width % 7 == op % 7))
                try_op(v, op, &a, &b, &c);
        }
}

static void test_first(const variant *v)
{
    lanes a, got;
    for (int i = 0; i < v->kn->lanes; i++)
        set(v->dt, &a, i, i + 1);
    v->kn->probe(FNN_PROBE_first, &a, &a, &a, 1, &got);
    CHECK(lane(v->dt, &got, 0) == 1, "first");
}

/* any_lt must see each single lane. */
static void test_one_lane(const variant *v)
{
    for (int hot = 0; hot < v->kn->lanes; hot++) {
        lanes a, b;
        for (int i = 0; i < v->kn->lanes; i++) {
            set(v->dt, &a, i, 1);
            set(v->dt, &b, i, i == hot ? 2 : 1);
        }
        try_op(v, FNN_PROBE_any_lt, &a, &b, &a);
    }
}

static void test_domains(const variant *v)
{
    const bool f32 = v->dt == FNN_F32;
    const int bias = f32 ? 127 : 1023, reach = f32 ? 200 : 2000, width = v->kn->lanes;
    const double rounder = f32 ? (double)f32_rounder : f64_rounder;
    uint64_t state = 7;
    lanes a, b;
    for (int n = -reach; n <= reach; n += width) {
        for (int i = 0; i < width; i++) {
            const int e = n + i < 1 - bias ? 1 - bias : n + i > bias ? bias : n + i;
            set(v->dt, &a, i, e + rounder);
        }
        try_op(v, FNN_PROBE_pow2, &a, &a, &a);

        /* Values that are ties when they end up subnormal, and others; now and then a NaN. */
        for (int round = 0; round < 8; round++) {
            for (int i = 0; i < width; i++) {
                const double value = next_real(&state, round < 4 ? 3 : f32 ? 23 : 52, 0);
                set(v->dt, &a, i, round == 7 && i == 1 ? NAN : round % 2 ? value / 2 : value);
                set(v->dt, &b, i, n + i > reach ? reach : n + i);
            }
            try_op(v, FNN_PROBE_ldexp, &a, &b, &a);
        }

        for (int i = 0; i < width; i++) {
            const double exact_root = 0.70710678118654752440;
            const double root = f32 ? (double)(float)exact_root : exact_root;
            const int ulps = next_index(&state, 5) - 2;
            const double near_root = root * (1 + (double)eps_of(v->dt) * ulps);
            const double value = i % 2 ? near_root : fabs(next_real(&state, f32 ? 23 : 52, 0));
            const int e = n + i < 2 - bias ? 2 - bias : n + i > bias ? bias : n + i;
            set(v->dt, &a, i, ldexp(value, e));
        }
        try_op(v, FNN_PROBE_exponent, &a, &a, &a);
    }
}

/* load_n and store_n at the edge of a page, for each n. */
static void test_probe_edges(const variant *v)
{
    const int width = v->kn->lanes;
    for (int n = 1; n <= width; n++) {
        const matrix from = new_matrix(v->dt, 1, n, CONTIGUOUS);
        const matrix to = new_matrix(v->dt, 1, n, CONTIGUOUS);
        fill(&from, SPREAD, 3);
        lanes value, fillers, got;
        for (int i = 0; i < width; i++) {
            set(v->dt, &fillers, i, -i - 1);
            set(v->dt, &value, i, i + 10);
        }
        v->kn->probe(FNN_PROBE_load_n, freeze(&from).data, &fillers, &fillers, n, &got);
        for (int i = 0; i < width; i++) {
            const double right = i < n ? at(&from, 0, i) : lane(v->dt, &fillers, i);
            CHECK(lane(v->dt, &got, i) == right, "load_n(%d) lane %d", n, i);
        }
        v->kn->probe(FNN_PROBE_store_n, &value, &value, &value, n, to.v.data);
        for (int i = 0; i < n; i++)
            CHECK(at(&to, 0, i) == i + 10, "store_n(%d) lane %d", n, i);
        free_matrices();
    }
}

static void test_exchange(const variant *v)
{
    for (int half = 1; half < v->kn->lanes; half *= 2) {
        lanes a, got;
        for (int i = 0; i < v->kn->lanes; i++)
            set(v->dt, &a, i, i + 1);
        v->kn->probe(FNN_PROBE_exchange, &a, &a, &a, half, &got);
        for (int i = 0; i < v->kn->lanes; i++)
            CHECK(lane(v->dt, &got, i) == (i ^ half) + 1, "exchange(%d) lane %d", half, i);
    }
}

void test_probe(const variant *v)
{
    lanes any = { { 0 } };
    CHECK(v->kn->probe(FNN_NPROBE, &any, &any, &any, 1, &any) != 0, "an operation too many");
    test_everywhere(v);
    test_one_lane(v);
    test_domains(v);
    test_probe_edges(v);
    test_exchange(v);
    test_first(v);
}
