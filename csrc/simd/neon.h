/* neon.h -- the vector vocabulary (see scalar.h) for aarch64 NEON. */
#ifndef FNN_SIMD_NEON_H
#define FNN_SIMD_NEON_H

#include <string.h>

typedef float32x4_t f32_v;
typedef float64x2_t f64_v;
enum { f32_lanes = 4, f64_lanes = 2 };
static const float f32_rounder = 0x1.8p23f + 127;
static const double f64_rounder = 0x1.8p52 + 1023;

static inline f32_v f32_load(const float *p) { return vld1q_f32(p); }
static inline f64_v f64_load(const double *p) { return vld1q_f64(p); }
static inline void f32_store(float *p, f32_v v) { vst1q_f32(p, v); }
static inline void f64_store(double *p, f64_v v) { vst1q_f64(p, v); }
static inline f32_v f32_set1(float s) { return vdupq_n_f32(s); }
static inline f64_v f64_set1(double s) { return vdupq_n_f64(s); }

static inline f32_v f32_load_n(const float *p, ptrdiff_t n, f32_v fill)
{
    float lane[4];
    f32_store(lane, fill);
    memcpy(lane, p, (size_t)n * sizeof *p);
    return f32_load(lane);
}
static inline f64_v f64_load_n(const double *p, ptrdiff_t n, f64_v fill)
{
    double lane[2];
    f64_store(lane, fill);
    memcpy(lane, p, (size_t)n * sizeof *p);
    return f64_load(lane);
}
static inline void f32_store_n(float *p, f32_v v, ptrdiff_t n)
{
    float32x2_t part = vget_low_f32(v);
    if (n & 4) {
        f32_store(p, v);
        return;
    }
    if (n & 2) {
        vst1_f32(p, part);
        part = vget_high_f32(v);
        p += 2;
    }
    if (n & 1)
        vst1_lane_f32(p, part, 0);
}
static inline void f64_store_n(double *p, f64_v v, ptrdiff_t n)
{
    if (n & 2)
        f64_store(p, v);
    else
        vst1q_lane_f64(p, v, 0);
}

static inline f32_v f32_add(f32_v a, f32_v b) { return vaddq_f32(a, b); }
static inline f64_v f64_add(f64_v a, f64_v b) { return vaddq_f64(a, b); }
static inline f32_v f32_sub(f32_v a, f32_v b) { return vsubq_f32(a, b); }
static inline f64_v f64_sub(f64_v a, f64_v b) { return vsubq_f64(a, b); }
static inline f32_v f32_mul(f32_v a, f32_v b) { return vmulq_f32(a, b); }
static inline f64_v f64_mul(f64_v a, f64_v b) { return vmulq_f64(a, b); }
static inline f32_v f32_div(f32_v a, f32_v b) { return vdivq_f32(a, b); }
static inline f64_v f64_div(f64_v a, f64_v b) { return vdivq_f64(a, b); }
static inline f32_v f32_sqrt(f32_v v) { return vsqrtq_f32(v); }
static inline f64_v f64_sqrt(f64_v v) { return vsqrtq_f64(v); }
static inline f32_v f32_fma(f32_v a, f32_v b, f32_v c) { return vfmaq_f32(c, a, b); }
static inline f64_v f64_fma(f64_v a, f64_v b, f64_v c) { return vfmaq_f64(c, a, b); }
static inline f32_v f32_fnma(f32_v a, f32_v b, f32_v c) { return vfmsq_f32(c, a, b); }
static inline f64_v f64_fnma(f64_v a, f64_v b, f64_v c) { return vfmsq_f64(c, a, b); }
/* vmaxq would prefer NaN; the vocabulary takes the second operand. */
static inline f32_v f32_max(f32_v a, f32_v b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
static inline f64_v f64_max(f64_v a, f64_v b) { return vbslq_f64(vcgtq_f64(a, b), a, b); }

static inline f32_v f32_copysign(f32_v v, f32_v s)
{
    return vbslq_f32(vdupq_n_u32(0x80000000u), s, v);
}
static inline f64_v f64_copysign(f64_v v, f64_v s)
{
    return vbslq_f64(vdupq_n_u64(0x8000000000000000u), s, v);
}
static inline f32_v f32_minus_abs(f32_v v) { return f32_copysign(v, f32_set1(-0.0f)); }
static inline f64_v f64_minus_abs(f64_v v) { return f64_copysign(v, f64_set1(-0.0)); }
static inline f32_v f32_select_lt(f32_v a, f32_v b, f32_v yes, f32_v no)
{
    return vbslq_f32(vcltq_f32(a, b), yes, no);
}
static inline f64_v f64_select_lt(f64_v a, f64_v b, f64_v yes, f64_v no)
{
    return vbslq_f64(vcltq_f64(a, b), yes, no);
}
static inline f32_v f32_select_sign(f32_v s, f32_v yes, f32_v no)
{
    return vbslq_f32(vcltzq_s32(vreinterpretq_s32_f32(s)), yes, no);
}
static inline f64_v f64_select_sign(f64_v s, f64_v yes, f64_v no)
{
    return vbslq_f64(vcltzq_s64(vreinterpretq_s64_f64(s)), yes, no);
}
static inline int f32_any_lt(f32_v a, f32_v b) { return vmaxvq_u32(vcltq_f32(a, b)) != 0; }
static inline int f64_any_lt(f64_v a, f64_v b)
{
    return vmaxvq_u32(vreinterpretq_u32_u64(vcltq_f64(a, b))) != 0;
}
static inline f32_v f32_pow2(f32_v t)
{
    return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(t), 23));
}
static inline f64_v f64_pow2(f64_v t)
{
    return vreinterpretq_f64_u64(vshlq_n_u64(vreinterpretq_u64_f64(t), 52));
}
/* In two factors, so that the first product is exact and only the second rounds. */
static inline f32_v f32_ldexp(f32_v v, f32_v n)
{
    const f32_v rounder = f32_set1(f32_rounder);
    const f32_v t = f32_fma(n, f32_set1(0.5f), rounder), rest = f32_sub(n, f32_sub(t, rounder));
    return f32_mul(f32_mul(v, f32_pow2(t)), f32_pow2(f32_add(rest, rounder)));
}
static inline f64_v f64_ldexp(f64_v v, f64_v n)
{
    const f64_v rounder = f64_set1(f64_rounder);
    const f64_v t = f64_fma(n, f64_set1(0.5), rounder), rest = f64_sub(n, f64_sub(t, rounder));
    return f64_mul(f64_mul(v, f64_pow2(t)), f64_pow2(f64_add(rest, rounder)));
}
static inline f32_v f32_exponent(f32_v v)
{
    const uint32x4_t offset = vdupq_n_u32(0x3f800000 - 0x3f3504f3);
    const uint32x4_t biased = vshrq_n_u32(vaddq_u32(vreinterpretq_u32_f32(v), offset), 23);
    return f32_sub(vcvtq_f32_u32(biased), f32_set1(127));
}
static inline f64_v f64_exponent(f64_v v)
{
    const uint64x2_t offset = vdupq_n_u64(0x3ff0000000000000 - 0x3fe6a09e667f3bcd);
    const uint64x2_t biased = vshrq_n_u64(vaddq_u64(vreinterpretq_u64_f64(v), offset), 52);
    return f64_sub(vcvtq_f64_u64(biased), f64_set1(1023));
}

static inline f32_v f32_exchange(f32_v v, const int half)
{
    return half == 2 ? vextq_f32(v, v, 2) : vrev64q_f32(v);
}
static inline f64_v f64_exchange(f64_v v, const int half)
{
    (void)half;
    return vextq_f64(v, v, 1);
}

static inline float f32_first(f32_v v) { return vgetq_lane_f32(v, 0); }
static inline double f64_first(f64_v v) { return vgetq_lane_f64(v, 0); }

enum { f32_ldexp_is_cheap = 0, f64_ldexp_is_cheap = 0 };

/* The main tile: 24 accumulators of 32 registers. */
enum { f32_tile_rows = 12, f64_tile_rows = 12, f32_tile_vectors = 2, f64_tile_vectors = 2 };

#endif
