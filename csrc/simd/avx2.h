/* avx2.h -- the vector vocabulary (see scalar.h) for AVX2 with FMA. */
#ifndef FNN_SIMD_AVX2_H
#define FNN_SIMD_AVX2_H

typedef __m256 f32_v;
typedef __m256d f64_v;
enum { f32_lanes = 8, f64_lanes = 4 };
static const float f32_rounder = 0x1.8p23f + 127;
static const double f64_rounder = 0x1.8p52 + 1023;

/* Loading 8 (4) of these from index 8 - n (4 - n) gives a mask of the first n lanes. */
static const int32_t avx2_mask32[16] = { -1, -1, -1, -1, -1, -1, -1, -1 };
static const int64_t avx2_mask64[8] = { -1, -1, -1, -1 };

static inline f32_v f32_load(const float *p) { return _mm256_loadu_ps(p); }
static inline f64_v f64_load(const double *p) { return _mm256_loadu_pd(p); }
static inline void f32_store(float *p, f32_v v) { _mm256_storeu_ps(p, v); }
static inline void f64_store(double *p, f64_v v) { _mm256_storeu_pd(p, v); }
static inline f32_v f32_set1(float s) { return _mm256_set1_ps(s); }
static inline f64_v f64_set1(double s) { return _mm256_set1_pd(s); }

static inline f32_v f32_load_n(const float *p, ptrdiff_t n, f32_v fill)
{
    const __m256i mask = _mm256_loadu_si256((const __m256i *)(avx2_mask32 + 8 - n));
    return _mm256_blendv_ps(fill, _mm256_maskload_ps(p, mask), _mm256_castsi256_ps(mask));
}
static inline f64_v f64_load_n(const double *p, ptrdiff_t n, f64_v fill)
{
    const __m256i mask = _mm256_loadu_si256((const __m256i *)(avx2_mask64 + 4 - n));
    return _mm256_blendv_pd(fill, _mm256_maskload_pd(p, mask), _mm256_castsi256_pd(mask));
}

/* By halves: masked stores take twelve cycles on Zen 4. */
static inline void f32_store_n(float *p, f32_v v, ptrdiff_t n)
{
    __m128 part = _mm256_castps256_ps128(v);
    if (n & 8) {
        f32_store(p, v);
        return;
    }
    if (n & 4) {
        _mm_storeu_ps(p, part);
        part = _mm256_extractf128_ps(v, 1);
        p += 4;
    }
    if (n & 2) {
        _mm_storel_pi((__m64 *)p, part);
        part = _mm_movehl_ps(part, part);
        p += 2;
    }
    if (n & 1)
        _mm_store_ss(p, part);
}
static inline void f64_store_n(double *p, f64_v v, ptrdiff_t n)
{
    __m128d part = _mm256_castpd256_pd128(v);
    if (n & 4) {
        f64_store(p, v);
        return;
    }
    if (n & 2) {
        _mm_storeu_pd(p, part);
        part = _mm256_extractf128_pd(v, 1);
        p += 2;
    }
    if (n & 1)
        _mm_store_sd(p, part);
}

static inline f32_v f32_add(f32_v a, f32_v b) { return _mm256_add_ps(a, b); }
static inline f64_v f64_add(f64_v a, f64_v b) { return _mm256_add_pd(a, b); }
static inline f32_v f32_sub(f32_v a, f32_v b) { return _mm256_sub_ps(a, b); }
static inline f64_v f64_sub(f64_v a, f64_v b) { return _mm256_sub_pd(a, b); }
static inline f32_v f32_mul(f32_v a, f32_v b) { return _mm256_mul_ps(a, b); }
static inline f64_v f64_mul(f64_v a, f64_v b) { return _mm256_mul_pd(a, b); }
static inline f32_v f32_div(f32_v a, f32_v b) { return _mm256_div_ps(a, b); }
static inline f64_v f64_div(f64_v a, f64_v b) { return _mm256_div_pd(a, b); }
static inline f32_v f32_sqrt(f32_v v) { return _mm256_sqrt_ps(v); }
static inline f64_v f64_sqrt(f64_v v) { return _mm256_sqrt_pd(v); }
static inline f32_v f32_fma(f32_v a, f32_v b, f32_v c) { return _mm256_fmadd_ps(a, b, c); }
static inline f64_v f64_fma(f64_v a, f64_v b, f64_v c) { return _mm256_fmadd_pd(a, b, c); }
static inline f32_v f32_fnma(f32_v a, f32_v b, f32_v c) { return _mm256_fnmadd_ps(a, b, c); }
static inline f64_v f64_fnma(f64_v a, f64_v b, f64_v c) { return _mm256_fnmadd_pd(a, b, c); }
static inline f32_v f32_max(f32_v a, f32_v b) { return _mm256_max_ps(a, b); }
static inline f64_v f64_max(f64_v a, f64_v b) { return _mm256_max_pd(a, b); }

static inline f32_v f32_minus_abs(f32_v v) { return _mm256_or_ps(v, f32_set1(-0.0f)); }
static inline f64_v f64_minus_abs(f64_v v) { return _mm256_or_pd(v, f64_set1(-0.0)); }
static inline f32_v f32_copysign(f32_v v, f32_v s)
{
    const f32_v sign = f32_set1(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(sign, v), _mm256_and_ps(sign, s));
}
static inline f64_v f64_copysign(f64_v v, f64_v s)
{
    const f64_v sign = f64_set1(-0.0);
    return _mm256_or_pd(_mm256_andnot_pd(sign, v), _mm256_and_pd(sign, s));
}
static inline f32_v f32_select_lt(f32_v a, f32_v b, f32_v yes, f32_v no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
static inline f64_v f64_select_lt(f64_v a, f64_v b, f64_v yes, f64_v no)
{
    return _mm256_blendv_pd(no, yes, _mm256_cmp_pd(a, b, _CMP_LT_OQ));
}
static inline f32_v f32_select_sign(f32_v s, f32_v yes, f32_v no)
{
    return _mm256_blendv_ps(no, yes, s);
}
static inline f64_v f64_select_sign(f64_v s, f64_v yes, f64_v no)
{
    return _mm256_blendv_pd(no, yes, s);
}
static inline int f32_any_lt(f32_v a, f32_v b)
{
    return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
static inline int f64_any_lt(f64_v a, f64_v b)
{
    return _mm256_movemask_pd(_mm256_cmp_pd(a, b, _CMP_LT_OQ));
}
static inline f32_v f32_pow2(f32_v t)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(t), 23));
}
static inline f64_v f64_pow2(f64_v t)
{
    return _mm256_castsi256_pd(_mm256_slli_epi64(_mm256_castpd_si256(t), 52));
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
    const __m256i offset = _mm256_set1_epi32(0x3f800000 - 0x3f3504f3);
    const __m256i biased = _mm256_srli_epi32(_mm256_add_epi32(_mm256_castps_si256(v), offset), 23);
    return f32_sub(_mm256_cvtepi32_ps(biased), f32_set1(127));
}
/* There is no 64-bit conversion: 2^52 + e has e in its low bits. */
static inline f64_v f64_exponent(f64_v v)
{
    const __m256i offset = _mm256_set1_epi64x(0x3ff0000000000000 - 0x3fe6a09e667f3bcd);
    const __m256i biased = _mm256_srli_epi64(_mm256_add_epi64(_mm256_castpd_si256(v), offset), 52);
    const f64_v shifted = _mm256_or_pd(_mm256_castsi256_pd(biased), f64_set1(0x1p52));
    return f64_sub(shifted, f64_set1(0x1p52 + 1023));
}

static inline f32_v f32_exchange(f32_v v, const int half)
{
    return half == 4 ? _mm256_permute2f128_ps(v, v, 1)
         : half == 2 ? _mm256_permute_ps(v, 0x4e) : _mm256_permute_ps(v, 0xb1);
}
static inline f64_v f64_exchange(f64_v v, const int half)
{
    return half == 2 ? _mm256_permute2f128_pd(v, v, 1) : _mm256_permute_pd(v, 5);
}

static inline float f32_first(f32_v v) { return _mm256_cvtss_f32(v); }
static inline double f64_first(f64_v v) { return _mm256_cvtsd_f64(v); }

enum { f32_ldexp_is_cheap = 0, f64_ldexp_is_cheap = 0 };

/* The main tile: 12 accumulators, 2 vectors of w and one of x fill the 16 registers. A round of k is
 * six cycles, so that the loop itself counts: four rounds at a time are 1% faster. */
#define FNN_TILE_LOOP FNN_UNROLL_BY(4)
enum { f32_tile_rows = 6, f64_tile_rows = 6, f32_tile_vectors = 2, f64_tile_vectors = 2 };

#endif
