/* scalar.h -- the vector vocabulary in plain C: one lane, and the definition of what each
 * operation means. The other headers of this folder say the same with intrinsics.
 *
 *   load(p) store(p, v)       any alignment
 *   load_n(p, n, fill)        the first n lanes, 0 < n <= lanes; the others from fill; reads no more
 *   store_n(p, v, n)          writes the first n lanes and no more
 *   set1(s)
 *   add sub mul div sqrt      IEEE, rounded to nearest even
 *   fma(a, b, c)              a * b + c, rounded once (here, and only here, twice: the portable
 *                             tier has no FMA, which is why its bits differ)
 *   fnma(a, b, c)             c - a * b, likewise
 *   max(a, b)                 a > b ? a : b, so b if either is NaN
 *   minus_abs(v)              sets the sign bit, NaN included
 *   copysign(v, s)            takes the sign bit of s, NaN included
 *   select_lt(a, b, yes, no)  a < b ? yes : no, per lane
 *   select_sign(s, yes, no)   sign bit of s ? yes : no, per lane
 *   any_lt(a, b)              whether a < b in any lane; an int
 *   pow2(t)                   2^n for t = n + rounder, n an integer that is a normal exponent
 *   ldexp(v, n)               v * 2^n rounded once, 0.5 <= |v| <= 2, n an integer, |n| <= 200
 *                             (f64: 2000); NaN if v is
 *   exponent(v)               the integer e with 2^-e v in [sqrt(1/2), sqrt(2)), v normal, > 0
 *   exchange(v, half)         lane i becomes lane i xor half, a power of two below the number of lanes
 *   first(v)                  lane 0
 *   ldexp_is_cheap            1 if ldexp takes no longer than pow2 and a product
 *
 * rounder is a number so large that adding it rounds to an integer, and such that the low bits of
 * the sum n + rounder are the biased exponent of 2^n. */
#ifndef FNN_SIMD_SCALAR_H
#define FNN_SIMD_SCALAR_H

#include <string.h>

typedef float f32_v;
typedef double f64_v;
enum { f32_lanes = 1, f64_lanes = 1 };
static const float f32_rounder = 0x1.8p23f + 127;
static const double f64_rounder = 0x1.8p52 + 1023;

/* Both dtypes share this text; BITS is the unsigned integer of the same size, MANT the bits of the
 * fraction, BIAS that of the exponent. */
#define FNN_SCALAR_OPS(T, REAL, BITS, MANT, BIAS)                                               \
    static inline T##_v T##_load(const REAL *p) { return *p; }                                  \
    static inline void T##_store(REAL *p, T##_v v) { *p = v; }                                  \
    static inline T##_v T##_load_n(const REAL *p, ptrdiff_t n, T##_v fill)                      \
    {                                                                                           \
        (void)n, (void)fill;                                                                    \
        return *p;                                                                              \
    }                                                                                           \
    static inline void T##_store_n(REAL *p, T##_v v, ptrdiff_t n) { (void)n, *p = v; }          \
    static inline T##_v T##_set1(REAL s) { return s; }                                          \
    static inline T##_v T##_add(T##_v a, T##_v b) { return a + b; }                             \
    static inline T##_v T##_sub(T##_v a, T##_v b) { return a - b; }                             \
    static inline T##_v T##_mul(T##_v a, T##_v b) { return a * b; }                             \
    static inline T##_v T##_div(T##_v a, T##_v b) { return a / b; }                             \
    static inline T##_v T##_fma(T##_v a, T##_v b, T##_v c) { return a * b + c; }                \
    static inline T##_v T##_fnma(T##_v a, T##_v b, T##_v c) { return c - a * b; }               \
    static inline T##_v T##_max(T##_v a, T##_v b) { return a > b ? a : b; }                     \
    static inline BITS T##_bits(T##_v v)                                                        \
    {                                                                                           \
        BITS u;                                                                                 \
        memcpy(&u, &v, sizeof u);                                                               \
        return u;                                                                               \
    }                                                                                           \
    static inline T##_v T##_from_bits(BITS u)                                                   \
    {                                                                                           \
        T##_v v;                                                                                \
        memcpy(&v, &u, sizeof v);                                                               \
        return v;                                                                               \
    }                                                                                           \
    static inline T##_v T##_minus_abs(T##_v v)                                                  \
    {                                                                                           \
        return T##_from_bits(T##_bits(v) | ~((BITS)-1 >> 1));                                   \
    }                                                                                           \
    static inline T##_v T##_copysign(T##_v v, T##_v s)                                          \
    {                                                                                           \
        const BITS sign = ~((BITS)-1 >> 1);                                                     \
        return T##_from_bits((T##_bits(v) & ~sign) | (T##_bits(s) & sign));                     \
    }                                                                                           \
    static inline T##_v T##_select_lt(T##_v a, T##_v b, T##_v yes, T##_v no)                    \
    {                                                                                           \
        return a < b ? yes : no;                                                                \
    }                                                                                           \
    static inline T##_v T##_select_sign(T##_v s, T##_v yes, T##_v no)                           \
    {                                                                                           \
        return T##_bits(s) & ~((BITS)-1 >> 1) ? yes : no;                                       \
    }                                                                                           \
    static inline int T##_any_lt(T##_v a, T##_v b) { return a < b; }                            \
    static inline T##_v T##_pow2(T##_v t) { return T##_from_bits(T##_bits(t) << MANT); }        \
    static inline T##_v T##_ldexp(T##_v v, T##_v n) /* only the second product rounds */        \
    {                                                                                           \
        const T##_v half = (n * (REAL)0.5 + T##_rounder) - T##_rounder;                         \
        return v * T##_pow2(half + T##_rounder) * T##_pow2(n - half + T##_rounder);             \
    }                                                                                           \
    static inline T##_v T##_exponent(T##_v v)                                                   \
    {                                                                                           \
        const BITS offset = T##_bits(1) - T##_bits((REAL)0.70710678118654752440);   \
        return (T##_v)((T##_bits(v) + offset) >> MANT) - BIAS;                      \
    }

FNN_SCALAR_OPS(f32, float, uint32_t, 23, 127)
FNN_SCALAR_OPS(f64, double, uint64_t, 52, 1023)

static inline f32_v f32_sqrt(f32_v v) { return sqrtf(v); }
static inline f64_v f64_sqrt(f64_v v) { return sqrt(v); }

/* There is no half of one lane. */
static inline f32_v f32_exchange(f32_v v, const int half) { return (void)half, v; }
static inline f64_v f64_exchange(f64_v v, const int half) { return (void)half, v; }

static inline float f32_first(f32_v v) { return v; }
static inline double f64_first(f64_v v) { return v; }

enum { f32_ldexp_is_cheap = 0, f64_ldexp_is_cheap = 0 };

/* The main tile of the matrix product: rows x vectors of accumulators. */
enum { f32_tile_rows = 4, f64_tile_rows = 4, f32_tile_vectors = 4, f64_tile_vectors = 4 };

#endif
