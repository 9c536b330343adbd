/* oracle.h -- what right results are, in long double, and how far from that the library may be.
 *
 * Bounds are derived, not guessed: eps = 2^-23 or 2^-52, twice the error of one rounding, which
 * leaves room for the portable tier, whose multiply-add rounds twice. Errors of operands are
 * carried along (running error analysis), so that whole networks have a bound too. */
#ifndef FNN_ORACLE_H
#define FNN_ORACLE_H

#include "harness.h"

/* A value, and how far from it a right result may lie. */
typedef struct { long double value, bound; } approx;

static inline approx exactly(long double value) { return (approx){ value, 0 }; }

/* |got - value| / bound: above 1, `got` is wrong. NaN is infinitely wrong. */
double miss(double got, approx right);

long double eps_of(fnn_dtype dt);
/* The distance of subnormal numbers. */
long double tiny_of(fnn_dtype dt);

approx add(fnn_dtype dt, approx a, approx b);
approx subtract(fnn_dtype dt, approx a, approx b);
approx multiply(fnn_dtype dt, approx a, approx b);

/* start + row i of x times column j of w: within (k + 2) eps (|start| + |x| |w|). */
approx expect_dot(fnn_dtype dt, double start, fnn_in x, ptrdiff_t i, fnn_in w, ptrdiff_t j);

/* The same for k operands that have errors of their own. */
approx dot(fnn_dtype dt, approx start, ptrdiff_t k, const approx *x, ptrdiff_t x_stride,
           const approx *w, ptrdiff_t w_stride);

/* The functions, and how many units in the last place they may be off. */
long double map_value(fnn_function fn, long double x);
double map_ulps(fnn_dtype dt, fnn_function fn);
approx expect_map(fnn_dtype dt, fnn_function fn, double x);

/* act(z), not softmax; act'(z) from a = act(z). */
approx expect_act(fnn_dtype dt, fnn_act act, approx z);
approx expect_slope(fnn_dtype dt, fnn_act act, approx a);

/* p = softmax of one row of c logits; returns the logarithm of the sum of exp(z - max z). */
approx expect_softmax(fnn_dtype dt, ptrdiff_t c, const approx *z, approx *p);

/* What is made of c joint log densities z of one row, in y: c of them, or one. Not FNN_LABEL. */
void expect_posterior(fnn_dtype dt, fnn_posterior what, ptrdiff_t c, const approx *z, approx *y);
/* The same for results, label included: by how many bounds the worst of them is off. */
double miss_posterior(fnn_dtype dt, fnn_posterior what, ptrdiff_t c, const approx *z,
                      const double *y);

/* The loss of one row, and dz = g times its gradient; that of FNN_HUBER for this delta. */
#define HUBER_DELTA 0.7
approx expect_loss(fnn_dtype dt, fnn_loss fn, ptrdiff_t c, const approx *z, const double *y,
                   double g, approx *dz);

/* Row i of what a batch is compared with, one-hot if y has labels. */
void target_row(fnn_dtype dt, fnn_targets y, ptrdiff_t i, ptrdiff_t c, double *row);

/* The parameter w after a step, and the state, which is updated. */
approx expect_update(fnn_dtype dt, const fnn_optimizer *opt, approx w, approx g, approx state[2]);

#endif
