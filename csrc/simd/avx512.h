/* avx512.h -- the vector vocabulary (see scalar.h) for AVX-512 F, DQ, BW and VL. */
#ifndef FNN_SIMD_AVX512_H
#define FNN_SIMD_AVX512_H

typedef __m512 f32_v;
typedef __m512d f64_v;
enum { f32_lanes = 16, f64_lanes = 8 };
static const float f32_rounder = 0x1.8p23f + 127;
static const double f64_rounder = 0x1.8p52 + 1023;

static inline __mmask16 avx512_first16(ptrdiff_t n) { return (__mmask16)((1u << n) - 1); }
static inline __mmask8 avx512_first8(ptrdiff_t n) { return (__mmask8)((1u << n) - 1); }

static inline f32_v f32_load(const float *p) { return _mm512_loadu_ps(p); }
static inline f64_v f64_load(const double *p) { return _mm512_loadu_pd(p); }
static inline void f32_store(float *p, f32_v v) { _mm512_storeu_ps(p, v); }
static inline void f64_store(double *p, f64_v v) { _mm512_storeu_pd(p, v); }
static inline f32_v f32_set1(float s) { return _mm512_set1_ps(s); }
static inline f64_v f64_set1(double s) { return _mm512_set1_pd(s); }
static inline f32_v f32_load_n(const float *p, ptrdiff_t n, f32_v fill)
{
    return _mm512_mask_loadu_ps(fill, avx512_first16(n), p);
}
static inline f64_v f64_load_n(const double *p, ptrdiff_t n, f64_v fill)
{
    return _mm512_mask_loadu_pd(fill, avx512_first8(n), p);
}
static inline void f32_store_n(float *p, f32_v v, ptrdiff_t n)
{
    _mm512_mask_storeu_ps(p, avx512_first16(n), v);
}
static inline void f64_store_n(double *p, f64_v v, ptrdiff_t n)
{
    _mm512_mask_storeu_pd(p, avx512_first8(n), v);
}

static inline f32_v f32_add(f32_v a, f32_v b) { return _mm512_add_ps(a, b); }
static inline f64_v f64_add(f64_v a, f64_v b) { return _mm512_add_pd(a, b); }
static inline f32_v f32_sub(f32_v a, f32_v b) { return _mm512_sub_ps(a, b); }
static inline f64_v f64_sub(f64_v a, f64_v b) { return _mm512_sub_pd(a, b); }
static inline f32_v f32_mul(f32_v a, f32_v b) { return _mm512_mul_ps(a, b); }
static inline f64_v f64_mul(f64_v a, f64_v b) { return _mm512_mul_pd(a, b); }
static inline f32_v f32_div(f32_v a, f32_v b) { return _mm512_div_ps(a, b); }
static inline f64_v f64_div(f64_v a, f64_v b) { return _mm512_div_pd(a, b); }
static inline f32_v f32_sqrt(f32_v v) { return _mm512_sqrt_ps(v); }
static inline f64_v f64_sqrt(f64_v v) { return _mm512_sqrt_pd(v); }
static inline f32_v f32_fma(f32_v a, f32_v b, f32_v c) { return _mm512_fmadd_ps(a, b, c); }
static inline f64_v f64_fma(f64_v a, f64_v b, f64_v c) { return _mm512_fmadd_pd(a, b, c); }
static inline f32_v f32_fnma(f32_v a, f32_v b, f32_v c) { return _mm512_fnmadd_ps(a, b, c); }
static inline f64_v f64_fnma(f64_v a, f64_v b, f64_v c) { return _mm512_fnmadd_pd(a, b, c); }
static inline f32_v f32_max(f32_v a, f32_v b) { return _mm512_max_ps(a, b); }
static inline f64_v f64_max(f64_v a, f64_v b) { return _mm512_max_pd(a, b); }

static inline f32_v f32_minus_abs(f32_v v) { return _mm512_or_ps(v, f32_set1(-0.0f)); }
static inline f64_v f64_minus_abs(f64_v v) { return _mm512_or_pd(v, f64_set1(-0.0)); }
static inline f32_v f32_copysign(f32_v v, f32_v s)
{
    const f32_v sign = f32_set1(-0.0f);
    return _mm512_or_ps(_mm512_andnot_ps(sign, v), _mm512_and_ps(sign, s));
}
static inline f64_v f64_copysign(f64_v v, f64_v s)
{
    const f64_v sign = f64_set1(-0.0);
    return _mm512_or_pd(_mm512_andnot_pd(sign, v), _mm512_and_pd(sign, s));
}
static inline f32_v f32_select_lt(f32_v a, f32_v b, f32_v yes, f32_v no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
}
static inline f64_v f64_select_lt(f64_v a, f64_v b, f64_v yes, f64_v no)
{
    return _mm512_mask_blend_pd(_mm512_cmp_pd_mask(a, b, _CMP_LT_OQ), no, yes);
}
static inline f32_v f32_select_sign(f32_v s, f32_v yes, f32_v no)
{
    return _mm512_mask_blend_ps(_mm512_movepi32_mask(_mm512_castps_si512(s)), no, yes);
}
static inline f64_v f64_select_sign(f64_v s, f64_v yes, f64_v no)
{
    return _mm512_mask_blend_pd(_mm512_movepi64_mask(_mm512_castpd_si512(s)), no, yes);
}
static inline int f32_any_lt(f32_v a, f32_v b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
static inline int f64_any_lt(f64_v a, f64_v b) { return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ); }
static inline f32_v f32_pow2(f32_v t)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(t), 23));
}
static inline f64_v f64_pow2(f64_v t)
{
    return _mm512_castsi512_pd(_mm512_slli_epi64(_mm512_castpd_si512(t), 52));
}
static inline f32_v f32_ldexp(f32_v v, f32_v n) { return _mm512_scalef_ps(v, n); }
static inline f64_v f64_ldexp(f64_v v, f64_v n) { return _mm512_scalef_pd(v, n); }
static inline f32_v f32_exponent(f32_v v)
{
    const __m512i offset = _mm512_set1_epi32(0x3f800000 - 0x3f3504f3);
    const __m512i biased = _mm512_srli_epi32(_mm512_add_epi32(_mm512_castps_si512(v), offset), 23);
    return f32_sub(_mm512_cvtepi32_ps(biased), f32_set1(127));
}
static inline f64_v f64_exponent(f64_v v)
{
    const __m512i offset = _mm512_set1_epi64(0x3ff0000000000000 - 0x3fe6a09e667f3bcd);
    const __m512i biased = _mm512_srli_epi64(_mm512_add_epi64(_mm512_castpd_si512(v), offset), 52);
    return f64_sub(_mm512_cvtepi64_pd(biased), f64_set1(1023));
}

static inline f32_v f32_exchange(f32_v v, const int half)
{
    return half == 8 ? _mm512_shuffle_f32x4(v, v, 0x4e) : half == 4 ? _mm512_shuffle_f32x4(v, v, 0xb1)
         : half == 2 ? _mm512_permute_ps(v, 0x4e) : _mm512_permute_ps(v, 0xb1);
}
static inline f64_v f64_exchange(f64_v v, const int half)
{
    return half == 4 ? _mm512_shuffle_f64x2(v, v, 0x4e)
         : half == 2 ? _mm512_shuffle_f64x2(v, v, 0xb1) : _mm512_permute_pd(v, 0x55);
}

static inline float f32_first(f32_v v) { return _mm512_cvtss_f32(v); }
static inline double f64_first(f64_v v) { return _mm512_cvtsd_f64(v); }

enum { f32_ldexp_is_cheap = 1, f64_ldexp_is_cheap = 1 };

/* The main tile: 28 accumulators, 2 vectors of w and one of x in 32 registers. */
enum { f32_tile_rows = 14, f64_tile_rows = 14, f32_tile_vectors = 2, f64_tile_vectors = 2 };

#endif
