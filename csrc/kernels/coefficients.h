/* Coefficients of the elementwise functions, made by `python csrc/fit/polynomials.py --write`.
 *
 * Errors are relative to the function, with exact arithmetic, in units of eps (2^-23 and 2^-52):
 * of the best polynomial, then of the one below, whose coefficients are rounded. Lowest order first. */
#ifndef FNN_COEFFICIENTS_H
#define FNN_COEFFICIENTS_H

/* expm1(r) = r + r^2 (c0 + c1 r + ...), |r| <= 0.34658. */
#define FNN_EXPM1_TERMS_f32 5
/* Error: 0.11 eps, rounded 0.11 eps. */
static const float expm1_f32[FNN_EXPM1_TERMS_f32] = {
    0x1.fffffep-2f, /* 0.49999997 */
    0x1.5554b4p-3f, /* 0.166665465 */
    0x1.5556f8p-5f, /* 0.0416674465 */
    0x1.12252ep-7f, /* 0.00836624857 */
    0x1.6b95d6p-10f, /* 0.00138696784 */
};
#define FNN_EXPM1_TERMS_f64 11
/* Error: 0.0012 eps, rounded 0.0013 eps. */
static const double expm1_f64[FNN_EXPM1_TERMS_f64] = {
    0x1.0000000000000p-1, /* 0.5 */
    0x1.5555555555559p-3, /* 0.16666666666666677 */
    0x1.5555555555559p-5, /* 0.041666666666666692 */
    0x1.111111110f709p-7, /* 0.008333333333321773 */
    0x1.6c16c16c167d4p-10, /* 0.0013888888888886524 */
    0x1.a01a01af9c455p-13, /* 0.00019841269885348631 */
    0x1.a01a019e6a1b9p-16, /* 2.4801587295593503e-05 */
    0x1.71ddf93a87054p-19, /* 2.7557245208098208e-06 */
    0x1.27e4f89466427p-22, /* 2.7557315120937682e-07 */
    0x1.af5d00c5cee9ep-26, /* 2.5108648291805924e-08 */
    0x1.1f38ff38fbf0fp-29, /* 2.0898197863988074e-09 */
};

/* log1p(f) = 2 s + s z (c0 + c1 z + ...), s = f / (2 + f), z = s^2 <= 0.02946. */
#define FNN_LOG1P_TERMS_f32 4
/* Error: 4.0e-5 eps, rounded 0.00021 eps. */
static const float log1p_f32[FNN_LOG1P_TERMS_f32] = {
    0x1.555554p-1f, /* 0.666666627 */
    0x1.999c26p-2f, /* 0.400009722 */
    0x1.23d3eep-2f, /* 0.284988135 */
    0x1.f135cap-3f, /* 0.242778376 */
};
#define FNN_LOG1P_TERMS_f64 7
/* Error: 0.0056 eps, rounded 0.0056 eps. */
static const double log1p_f64[FNN_LOG1P_TERMS_f64] = {
    0x1.5555555555592p-1, /* 0.6666666666666734 */
    0x1.999999997fec1p-2, /* 0.39999999999416153 */
    0x1.24924941e9ef9p-2, /* 0.2857142874222372 */
    0x1.c71c520abf639p-3, /* 0.2222219857721244 */
    0x1.74663f5ccd518p-3, /* 0.18183564664801888 */
    0x1.39a19ecdffd94p-3, /* 0.15314029756698899 */
    0x1.2f070c28e1716p-3, /* 0.14796266078717996 */
};

/* exp(x) = 2^n exp(r), n = round(x log2e), r = (x - n ln2_hi) - n ln2_lo, where n ln2_hi is exact for
 * |n| <= 160 (f32) and 1100 (f64). */
static const float log2e_f32 = 0x1.715476p+0f; /* 1.44269502 */
static const float ln2_hi_f32 = 0x1.62e400p-1f; /* 0.693145752 */
static const float ln2_lo_f32 = 0x1.7f7d1cp-20f; /* 1.42860677e-06 */
static const double log2e_f64 = 0x1.71547652b82fep+0; /* 1.4426950408889634 */
static const double ln2_hi_f64 = 0x1.62e42fefa3800p-1; /* 0.69314718055989033 */
static const double ln2_lo_f64 = 0x1.ef35793c76730p-45; /* 5.4979230187083712e-14 */

#endif
