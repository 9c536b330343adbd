/* vmath.inc.h -- exp, sigmoid, tanh and log1p on one vector.
 *
 * exp:   n = round(x / ln 2), r = x - n ln 2 in two steps, exp(x) = 2^n (1 + q(r)) with the
 *        polynomial q(r) = r + r^2 P(r) ~ expm1(r) on |r| <= ln 2 / 2.
 * log1p: k with 1 + x = 2^k (1 + f), f in [sqrt(1/2) - 1, sqrt(2) - 1], s = f / (2 + f), and
 *        log(1 + f) = f - (h - s (h + R(s^2))), h = f^2 / 2  (W. Kahan's arrangement).
 * Maximum errors are stated at each function with the argument that attains them, for the sets
 * with FMA: f32 over all 2^32 arguments, f64 over 10^8; tests/test_vmath.py checks them.
 * Polynomials: coefficients.h, made by fit/polynomials.py. */
#include "coefficients.h"

/* The constants of this dtype; a macro, for they are named by T. */
#define CONST(name) V(set1)(FNN_PASTE(FNN_PASTE(name, _), T))

/* c[0] + c[1] x + ... by halves (Estrin): more than one chain, for latency is what limits here. */
FNN_INLINE VEC FN(polynomial)(VEC x, const REAL *c, const int terms)
{
    VEC a[16];
    FNN_UNROLL
    for (int i = 0; i < terms; i++)
        a[i] = V(set1)(c[i]);
    FNN_UNROLL
    for (int n = terms; n > 1; n = (n + 1) / 2) {
        FNN_UNROLL
        for (int i = 0; i < n / 2; i++)
            a[i] = V(fma)(a[2 * i + 1], x, a[2 * i]);
        if (n % 2)
            a[n / 2] = a[n - 1];
        x = V(mul)(x, x);
    }
    return a[0];
}

#define CHOOSE_REAL(f32_value, f64_value) ((REAL)(sizeof(REAL) == 4 ? (f32_value) : (f64_value)))
#define CHOOSE(f32_value, f64_value) V(set1)(CHOOSE_REAL(f32_value, f64_value))

/* x = n ln 2 + r with n = *t - rounder; returns q ~ expm1(r). */
FNN_INLINE VEC FN(reduce)(VEC x, VEC *t, VEC *n)
{
    const VEC rounder = V(set1)(FNN_PASTE(T, _rounder));
    *t = V(fma)(x, CONST(log2e), rounder);
    *n = V(sub)(*t, rounder);
    const VEC r = V(fnma)(*n, CONST(ln2_lo), V(fnma)(*n, CONST(ln2_hi), x));
    const VEC p = FN(polynomial)(r, FNN_PASTE(expm1_, T), FNN_PASTE(FNN_EXPM1_TERMS_, T));
    return V(fma)(V(mul)(r, r), p, r);
}

/* exp(x) for x <= 0. Below the first limit the result is 0, below the second it is subnormal and
 * must be rounded only once. max() takes its second operand, and so keeps, a NaN. */
FNN_INLINE VEC FN(exp_nonpositive)(VEC x)
{
    VEC t, n;
    x = V(max)(CHOOSE(-104, -746), x);
    const VEC p = V(add)(V(set1)(1), FN(reduce)(x, &t, &n));
    if (V(ldexp_is_cheap))
        return V(ldexp)(p, n);
    if (__builtin_expect(V(any_lt)(x, CHOOSE(-87, -708)), 0))
        return V(ldexp)(p, n);
    return V(mul)(p, V(pow2)(t));
}

/* The same, where many x may be far below, or minus infinity for what is not there: to compute their
 * results by underflow would take a hundred cycles. */
FNN_INLINE VEC FN(exp_or_zero)(VEC x)
{
    const VEC low = CHOOSE(-104, -746), zero = V(set1)(0);
    return V(select_lt)(x, low, zero, FN(exp_nonpositive)(V(select_lt)(x, low, zero, x)));
}

/* Maximum error: f32 1.05 ulp at -0x1.0ef292p+4, f64 1.03 ulp at -0x1.1da58f97697e8p+2. */
FNN_INLINE VEC FN(exp)(VEC x)
{
    const VEC low = CHOOSE(-104, -746), high = CHOOSE(89, 710);
    VEC t, n;
    x = V(max)(low, V(select_lt)(high, x, high, x));
    const VEC q = FN(reduce)(x, &t, &n);
    return V(ldexp)(V(add)(V(set1)(1), q), n);
}

/* 1 / (1 + exp(-x)) = (x < 0 ? e : 1) / (1 + e), e = exp(-|x|): never overflows, and underflows
 * gradually. Maximum error: f32 2.40 ulp at -0x1.0a111ap+2,
 * f64 2.43 ulp at -0x1.8f3789501855p+2. */
FNN_INLINE VEC FN(sigmoid)(VEC x)
{
    const VEC one = V(set1)(1);
    const VEC e = FN(exp_nonpositive)(V(minus_abs)(x));
    return V(div)(V(select_sign)(x, e, one), V(add)(one, e));
}

/* With s = expm1(-2|x|): |tanh x| = -s / (2 + s). For small |x|, n is 0 and s = q keeps its
 * relative precision, so that no branch is needed. Maximum error: f32 2.50 ulp at 0x1.205368p+2,
 * f64 2.70 ulp at -0x1.c40b323251328p-3. */
FNN_INLINE VEC FN(tanh)(VEC x)
{
    const VEC z = V(max)(CHOOSE(-20, -40), V(mul)(V(set1)(2), V(minus_abs)(x)));
    VEC t, n;
    const VEC q = FN(reduce)(z, &t, &n), scale = V(pow2)(t);
    const VEC s = V(fma)(scale, q, V(sub)(scale, V(set1)(1)));
    return V(copysign)(V(div)(s, V(add)(V(set1)(2), s)), x);
}

/* Maximum error: f32 1.39 ulp at 0x1.b1d8cap-2, f64 1.41 ulp at 0x1.a85ff71217dcbp-2. */
FNN_INLINE VEC FN(log1p)(VEC x)
{
    const VEC one = V(set1)(1), zero = V(set1)(0), infinity = V(set1)((REAL)INFINITY);
    const VEC k = V(exponent)(V(add)(one, x));
    const VEC scale = V(ldexp)(one, V(sub)(zero, k));
    const VEC f = V(fma)(x, scale, V(sub)(scale, one)); /* (1 + x) / 2^k - 1, rounded once */
    const VEC s = V(div)(f, V(add)(V(set1)(2), f));
    const VEC z = V(mul)(s, s);
    const VEC p = FN(polynomial)(z, FNN_PASTE(log1p_, T), FNN_PASTE(FNN_LOG1P_TERMS_, T));
    const VEC h = V(mul)(V(mul)(f, f), V(set1)((REAL)0.5));
    const VEC tail = V(fma)(s, V(fma)(p, z, h), V(mul)(k, CONST(ln2_lo)));
    VEC y = V(fma)(k, CONST(ln2_hi), V(sub)(f, V(sub)(h, tail)));
    const VEC minus_one = V(set1)(-1), pole = V(sub)(zero, infinity);
    y = V(select_lt)(minus_one, x, y, V(select_lt)(x, minus_one, V(sub)(pole, pole), pole));
    y = V(select_lt)(x, infinity, y, x); /* infinity and NaN stay */
    return V(copysign)(y, x);
}
