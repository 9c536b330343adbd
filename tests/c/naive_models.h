/* naive_models.h -- Gaussians, moments and linear losses written as the formulas, in long double,
 * and how far from them the library may be: bounds of the roundings of its algorithms, each of
 * which is described at the head of its file (csrc/gaussian.c, moments.c, linear.c). */
#ifndef FNN_NAIVE_MODELS_H
#define FNN_NAIVE_MODELS_H

#include "oracle.h"

/* Those that linear models take come first. */
enum { LINEAR_LOSSES = FNN_SQUARED_ERROR + 1 };

/* ---- Gaussians ---------------------------------------------------------------------------- */

/* c Gaussians as fnn_gaussians_new takes them, in f64, whatever dt is. */
typedef struct {
    fnn_dtype dt;
    fnn_covariance covariance;
    ptrdiff_t c, d;
    double *means, *factors;
    bool own_centres;     /* a mean lies far from the common centre                          */
    long double *centres; /* (c, d): the point that is subtracted for each class             */
    long double *inverse; /* W = L^-1 of each factor                                         */
    long double *growth;  /* |W| |L| |W|: times d eps, how far a computed W may be from that */
} naive_gaussians;

enum { NEAR_MEANS, FAR_MEANS, NMEANS };

/* Well-conditioned ones, whose means are a few or very many deviations apart, around `base` in each
 * dimension. What is above the diagonal of a factor is NaN. */
naive_gaussians new_naive_gaussians(fnn_dtype dt, fnn_covariance covariance, ptrdiff_t c,
                                    ptrdiff_t d, int means, double base, uint64_t seed);
void free_naive_gaussians(naive_gaussians *g);

/* The same for the library. */
fnn_gaussians *new_gaussians(const naive_gaussians *g);

/* Rows near the means, and now and then one that is far from all. */
void fill_samples(const naive_gaussians *g, const matrix *x, uint64_t seed);

/* z_k = log N(x; k) + offsets_k for row i of x. For `what` which depends on differences of these
 * only, they may differ by the same number from that, and have smaller bounds. */
void naive_joint(const naive_gaussians *g, fnn_posterior what, const double *offsets, fnn_in x,
                 ptrdiff_t i, approx *z);

/* log N(x_i; mean_i, L_i L_i') as fnn_gaussian_paired computes it. */
approx naive_paired(fnn_dtype dt, fnn_in x, fnn_in means, fnn_in factors, ptrdiff_t i);

/* ---- moments ------------------------------------------------------------------------------ */

typedef struct {
    fnn_covariance covariance;
    ptrdiff_t c, d;
    approx *weight, *mean, *scatter, *third, *fourth; /* as in fnn_moments; third, fourth: all */
} naive_moments;

/* Chunks of rows do not go on beyond row `cut`: for moments of two parts that are added. */
naive_moments new_naive_moments(fnn_dtype dt, fnn_covariance covariance, fnn_in x, fnn_in extra,
                                const int64_t *labels, const void *weights, ptrdiff_t c,
                                ptrdiff_t cut);
void free_naive_moments(naive_moments *m);

/* By how many bounds the worst entry is off. */
double miss_moments(const naive_moments *right, fnn_moments got);

/* ---- linear models ------------------------------------------------------------------------ */

typedef struct {
    fnn_dtype dt;
    fnn_loss fn;
    fnn_in x;
    fnn_targets y;
    ptrdiff_t c, width;
    double alpha;
    approx loss, *gradient; /* (c, width) */
    approx *p, *share;      /* (n, c): probabilities; (n,): weight / sum of weights * mass */
} naive_linear;

naive_linear new_naive_linear(fnn_dtype dt, fnn_loss fn, fnn_in x, fnn_targets y, ptrdiff_t c,
                              ptrdiff_t width, const double *theta, double alpha);
void free_naive_linear(naive_linear *l);

/* The shape of the Hessian, and its element (i, j). */
ptrdiff_t hessian_rows(const naive_linear *l);
ptrdiff_t hessian_cols(const naive_linear *l);
approx naive_hessian(const naive_linear *l, ptrdiff_t i, ptrdiff_t j);

#endif
