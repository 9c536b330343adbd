/* fastnn.h -- the public C interface: dense layers, losses, optimisers, whole networks; Gaussians,
 * their statistics, and the losses of linear models.
 *
 * Letters, everywhere: n samples (rows), k inputs of a layer, m outputs of a layer, d features,
 * c classes.
 * Arrays cross this interface as strided views; strides count elements, may be negative or zero
 * (inputs only), and must describe memory aligned for the element type.
 * Nothing here keeps a pointer after it returns, except fnn_network, which owns its memory.
 * Every function may be called from several threads at once on distinct outputs.
 */
#ifndef FASTNN_H
#define FASTNN_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define FNN_API __attribute__((visibility("default")))
#else
#define FNN_API
#endif

typedef enum { FNN_F32, FNN_F64, FNN_NDTYPE } fnn_dtype;

typedef enum {
    FNN_OK,
    FNN_ESHAPE,     /* shapes do not chain, or a mean over no rows was asked for            */
    FNN_EALIAS,     /* an output overlaps an input, or a second output                      */
    FNN_EVALUE,     /* a label or row index out of range, weights whose sum is not positive  */
    FNN_ENOMEM,     /* scratch memory could not be had, or its size overflows                */
    FNN_EISA,       /* this machine or build lacks the instruction set                       */
    FNN_ESTOPPED,   /* the caller's poll function asked to stop                              */
    FNN_NSTATUS
} fnn_status;

typedef enum {
    FNN_IDENTITY, FNN_SIGMOID, FNN_TANH, FNN_RELU, FNN_EXP, FNN_SOFTMAX, FNN_NACT
} fnn_act;

typedef enum { FNN_MAP_EXP, FNN_MAP_LOG1P, FNN_MAP_SIGMOID, FNN_MAP_TANH, FNN_NMAP } fnn_function;

/* Of logits z and targets y, summed over the columns of a row. Linear models take the first three. */
typedef enum {
    FNN_SOFTMAX_CE,
    FNN_SIGMOID_CE,
    FNN_SQUARED_ERROR,  /* 1/2 r^2, r = z - y                                     */
    FNN_POISSON,        /* exp(z) - y z                                           */
    FNN_HUBER,          /* 1/2 r^2 where |r| <= delta, else delta (|r| - delta/2) */
    FNN_ABSOLUTE_ERROR, /* |r|; its derivative at 0 is taken for 0                */
    FNN_NLOSS
} fnn_loss;

typedef enum { FNN_SGD, FNN_MOMENTUM, FNN_NESTEROV, FNN_ADAM, FNN_NSOLVER } fnn_solver;

typedef enum { FNN_FULL, FNN_SHARED, FNN_DIAG, FNN_NCOVARIANCE } fnn_covariance;

/* What to make of the joint log densities z_k = log p(x, k) of a row. */
typedef enum {
    FNN_JOINT,       /* z_k                                                      */
    FNN_LOG_PROBA,   /* z_k - log sum exp z                                      */
    FNN_PROBA,       /* exp of that                                              */
    FNN_LOG_DENSITY, /* log sum exp z, one number a row                          */
    FNN_LABEL,       /* the first k of the largest z_k, one number a row         */
    FNN_NPOSTERIOR
} fnn_posterior;

typedef enum { FNN_SCALAR, FNN_NEON, FNN_AVX2, FNN_AVX512, FNN_NISA } fnn_isa;

/* A matrix of rows x cols elements; element (i, j) is data[i * rs + j * cs]. */
typedef struct { const void *data; ptrdiff_t rows, cols, rs, cs; } fnn_in;
typedef struct {       void *data; ptrdiff_t rows, cols, rs, cs; } fnn_out;

/* A sparse matrix, row after row: row i has values[p] in column places[p], and zero elsewhere, for
 * starts[i] <= p < starts[i + 1]. places are int64_t if wide, else int32_t. Functions trust what
 * fnn_csr_check says of it. */
typedef struct {
    ptrdiff_t rows, cols;
    const void *values, *places;
    const int64_t *starts; /* rows + 1 */
    int wide;
} fnn_csr;

/* What a batch is compared with: class labels in [0, c) standing for one-hot rows (with a single
 * column: 0 or 1 standing for the value itself; softmax: only 0), or, when labels is NULL, a
 * matrix (n, c). weights is NULL (all 1) or holds n finite weights >= 0 of the matrices' type. */
typedef struct {
    const int64_t *labels;
    fnn_in targets;
    const void *weights;
} fnn_targets;

/* ---- instruction sets --------------------------------------------------------------------- */

/* The set in use: the best of this machine, or FASTNN_ISA from the environment. If that names a
 * set that this machine lacks, every computing function returns FNN_EISA until fnn_set_isa. */
FNN_API fnn_isa fnn_get_isa(void);
FNN_API fnn_status fnn_set_isa(fnn_isa isa);
FNN_API int fnn_isa_available(fnn_isa isa);
FNN_API const char *fnn_isa_name(fnn_isa isa);

/* ---- threads ------------------------------------------------------------------------------ */

/* The most threads that a call computes with, its own included: at first FASTNN_NUM_THREADS or
 * OMP_NUM_THREADS from the environment, else as many as the process may use processors (affinity,
 * control group). Out of range is brought into range. Results do not depend on it. Threads are
 * started when first needed; a call that finds them busy does without. */
FNN_API int fnn_get_num_threads(void);
FNN_API void fnn_set_num_threads(int threads);
/* For the calls of this thread alone, until it says otherwise; 0: the number above. Returns what it
 * said before. */
FNN_API int fnn_use_threads(int threads);

/* ---- layers ------------------------------------------------------------------------------- */

/* y = fn(x), elementwise; y may be x itself. */
FNN_API fnn_status fnn_map(fnn_dtype dt, fnn_function fn, fnn_in x, fnn_out y);

/* y = softmax of each row of z; y may be z itself. */
FNN_API fnn_status fnn_softmax(fnn_dtype dt, fnn_in z, fnn_out y);

/* y = z - log sum exp z of each row; y may be z itself. */
FNN_API fnn_status fnn_log_softmax(fnn_dtype dt, fnn_in z, fnn_out y);

/* y (n, 1) = log sum exp z of each row of z. */
FNN_API fnn_status fnn_logsumexp(fnn_dtype dt, fnn_in z, fnn_out y);

/* 1 if no element is infinite or NaN. */
FNN_API int fnn_all_finite(fnn_dtype dt, fnn_in x);

/* y = act(x w + b): x (n, k), w (k, m), b (1, m) or data NULL, y (n, m). */
FNN_API fnn_status fnn_dense_forward(fnn_dtype dt, fnn_act act, fnn_in x, fnn_in w, fnn_in b,
                                     fnn_out y);

/* With delta = dy * act'(y):  dx = delta w^T, dw = x^T delta, db = column sums of delta.
 * Any of dx, dw, db may have data NULL and is then not computed. */
FNN_API fnn_status fnn_dense_backward(fnn_dtype dt, fnn_act act, fnn_in x, fnn_in w, fnn_in y,
                                      fnn_in dy, fnn_out dx, fnn_out dw, fnn_out db);

/* *loss = weighted mean over the rows of z of the loss, dz = its gradient; both from logits.
 * huber_delta > 0 is the delta of FNN_HUBER. */
FNN_API fnn_status fnn_loss_gradient(fnn_dtype dt, fnn_loss fn, double huber_delta, fnn_in z,
                                     fnn_targets y, double *loss, fnn_out dz);

/* ---- optimisers --------------------------------------------------------------------------- */

typedef struct {
    fnn_solver solver;
    double learning_rate;
    double momentum;      /* momentum and nesterov */
    double beta1, beta2;  /* adam: decay of the two averages; epsilon keeps the divisor positive */
    double epsilon;
    double alpha;         /* L2: alpha * w is added to the gradient */
    /* Set by fnn_optimizer_advance: t, beta1^t, beta2^t, and the rate of step t, which for adam is
     * learning_rate * sqrt(1 - beta2^t) / (1 - beta1^t). */
    int64_t steps;
    double beta1_power, beta2_power, rate;
} fnn_optimizer;

/* The usual constants (adam 0.9, 0.999, 1e-8), before the first step; the caller may change them, and
 * between steps learning_rate, momentum and alpha. */
FNN_API fnn_optimizer fnn_optimizer_init(fnn_solver solver, double learning_rate, double momentum,
                                         double alpha);

/* Start the next step; call it once before the fnn_update calls of that step. */
FNN_API void fnn_optimizer_advance(fnn_optimizer *opt);

/* Go on after so many steps of another training, whose state s1 and s2 are. */
FNN_API void fnn_optimizer_resume(fnn_optimizer *opt, int64_t steps);

/* w -= the step for gradient g, all contiguous, `count` elements. s1 and s2 hold the optimiser's
 * state, zero before the first step: momentum and nesterov use s1, adam both, sgd none (NULL). */
FNN_API fnn_status fnn_update(fnn_dtype dt, const fnn_optimizer *opt, ptrdiff_t count, void *w,
                              const void *g, void *s1, void *s2);

/* ---- networks ----------------------------------------------------------------------------- */

typedef struct fnn_network fnn_network;

/* layers >= 1 layers of sizes[0] -> sizes[1] -> ... -> sizes[layers], all >= 1; acts[l] is the
 * activation of layer l, softmax only for the last one. The loss follows from that last one:
 * softmax and sigmoid their cross-entropy, identity the squared error, exp that of Poisson; others
 * have none. Parameters start at zero. */
FNN_API fnn_status fnn_network_new(fnn_dtype dt, ptrdiff_t layers, const ptrdiff_t *sizes,
                                   const fnn_act *acts, fnn_network **net);
FNN_API void fnn_network_free(fnn_network *net);

/* Another loss for a last activation of identity: FNN_HUBER or FNN_ABSOLUTE_ERROR, or the one that
 * there is. FNN_EVALUE if it does not fit; not to be called during anything else. */
FNN_API fnn_status fnn_network_set_loss(fnn_network *net, fnn_loss loss, double huber_delta);

/* Views of the parameters, valid as long as the network: w (k, m), b (1, m), cs == 1. They may be
 * read and written by whoever holds the network, as its maker does until the first release. While
 * nobody does, outputs and training are faster: they use a packed copy of the weights, made when
 * first needed, and what the views show may be old. */
FNN_API fnn_out fnn_network_weight(const fnn_network *net, ptrdiff_t layer);
FNN_API fnn_out fnn_network_bias(const fnn_network *net, ptrdiff_t layer);
FNN_API void fnn_network_hold(fnn_network *net);
FNN_API void fnn_network_release(fnn_network *net);
/* Bring what the views show up to date, for reading until the next training. */
FNN_API void fnn_network_refresh(fnn_network *net);

/* y = the outputs for the rows of x. */
FNN_API fnn_status fnn_network_forward(fnn_network *net, fnn_in x, fnn_out y);

/* ys[l] = the output of layer l for the rows of x, l = 0 .. layers - 1. */
FNN_API fnn_status fnn_network_activations(fnn_network *net, fnn_in x, const fnn_out *ys);

/* The same for sparse rows; the columns of y, or of ys[0], are contiguous (else FNN_ESHAPE). These
 * functions, and fnn_network_gradients_sparse and fnn_training_epoch_sparse, give the bits that dense
 * rows do while the weights are finite, and take time for the values that are stored. */
FNN_API fnn_status fnn_network_forward_sparse(fnn_network *net, fnn_csr x, fnn_out y);
FNN_API fnn_status fnn_network_activations_sparse(fnn_network *net, fnn_csr x, const fnn_out *ys);

/* *loss = weighted mean of the loss + alpha / 2 * sum of squared weights; dw[l], db[l] its
 * gradient. */
FNN_API fnn_status fnn_network_gradients_sparse(fnn_network *net, fnn_csr x, fnn_targets y,
                                                double alpha, double *loss, const fnn_out *dw,
                                                const fnn_out *db);
FNN_API fnn_status fnn_network_gradients(fnn_network *net, fnn_in x, fnn_targets y, double alpha,
                                         double *loss, const fnn_out *dw, const fnn_out *db);

/* A training run: an optimiser and its state for one network. */
typedef struct fnn_training fnn_training;
FNN_API fnn_status fnn_training_new(fnn_network *net, fnn_optimizer opt, ptrdiff_t batch_size,
                                    fnn_training **training);
FNN_API void fnn_training_free(fnn_training *training);

/* The optimiser as it is now. Between epochs its learning rate may be changed, or the number of its
 * steps, which the next one follows. */
FNN_API const fnn_optimizer *fnn_training_optimizer(const fnn_training *training);
FNN_API void fnn_training_set_learning_rate(fnn_training *training, double learning_rate);
FNN_API void fnn_training_resume(fnn_training *training, int64_t steps);

/* What it keeps of each parameter, to be read or set between epochs: which = 0 is s1 of fnn_update,
 * 1 is s2, for w[l] (k, m) and b[l] (1, m) of all layers. FNN_ESHAPE if the solver has no such state
 * or a shape is another one; then nothing has changed. */
FNN_API fnn_status fnn_training_state(fnn_training *training, int which, const fnn_out *w,
                                      const fnn_out *b);
FNN_API fnn_status fnn_training_set_state(fnn_training *training, int which, const fnn_in *w,
                                          const fnn_in *b);

/* Whether the alpha of a batch is the optimiser's over the sum of the batch's weights, for a penalty
 * that stands beside the sum of a data set's losses and not beside their mean. At first it is not. */
FNN_API void fnn_training_divide_alpha(fnn_training *training, int divide);

/* From now on drop outputs of hidden layers in training: of each hidden layer the share rates[l], in
 * [0, 1), becomes 0, and the others are divided by 1 - rates[l]. Which ones follows from seed, the
 * number of the step, the layer, and row and column in the minibatch alone. FNN_EVALUE if a rate is out
 * of range. */
FNN_API fnn_status fnn_training_set_dropout(fnn_training *training, const double *rates,
                                            uint64_t seed);

/* Keep a copy of the parameters as they are now; put the last one back. */
FNN_API fnn_status fnn_training_keep(fnn_training *training);
FNN_API void fnn_training_restore(fnn_training *training);

/* 1 if no parameter is infinite or NaN. */
FNN_API int fnn_training_all_finite(const fnn_training *training);

/* Called every few milliseconds with its context; a non-zero answer stops the epoch. */
typedef int (*fnn_poll)(void *context);

/* One epoch of minibatches: rows order[0], order[1], ... of x, `batch_size` a step, the last batch
 * as short as need be; batches whose weights sum to zero are skipped. *loss is the mean of the
 * batches' losses, each as it was before its step, weighted by the batches' weights; parts is NULL or
 * gets that of the data alone and that of the penalty alone. If a batch's loss is not finite the
 * epoch ends before its step and *loss and parts are that batch's. After FNN_ESTOPPED the parameters
 * are those of the last whole step. poll may be NULL. */
FNN_API fnn_status fnn_training_epoch(fnn_training *training, fnn_in x, fnn_targets y,
                                      const int64_t *order, ptrdiff_t count, fnn_poll poll,
                                      void *context, double *loss, double parts[2]);
FNN_API fnn_status fnn_training_epoch_sparse(fnn_training *training, fnn_csr x, fnn_targets y,
                                             const int64_t *order, ptrdiff_t count, fnn_poll poll,
                                             void *context, double *loss, double parts[2]);

/* ---- symmetric positive definite matrices -------------------------------------------------- */

/* All are f64, (d, d), contiguous, row after row. */

/* Replace A, of which the lower triangle is read, by its Cholesky factor L, zero above the diagonal.
 * *pivot is -1, or the first column whose pivot is not positive (FNN_EVALUE). */
FNN_API fnn_status fnn_cholesky(ptrdiff_t d, double *a, ptrdiff_t *pivot);

/* b (d, t) = (L L')^-1 b */
FNN_API fnn_status fnn_cholesky_solve(ptrdiff_t d, const double *l, ptrdiff_t t, double *b);

/* inverse = L^-1, zero above the diagonal. */
FNN_API fnn_status fnn_triangular_inverse(ptrdiff_t d, const double *l, double *inverse);

/* a_0 b_0 + a_1 b_1 + ..., summed in an order that does not depend on the machine. */
FNN_API fnn_status fnn_dot(ptrdiff_t count, const double *a, const double *b, double *dot);

/* ---- Gaussians ---------------------------------------------------------------------------- */

/* c Gaussians in d dimensions, prepared for evaluation; immutable. means is (c, d); factors are the
 * lower Cholesky factors (c, d, d), the one of all (d, d), or standard deviations (c, d). Everything
 * is contiguous and f64, whatever the dtype that is computed in; diagonals are positive. */
typedef struct fnn_gaussians fnn_gaussians;
FNN_API fnn_status fnn_gaussians_new(fnn_dtype dt, fnn_covariance covariance, ptrdiff_t c,
                                     ptrdiff_t d, const double *means, const double *factors,
                                     fnn_gaussians **gaussians);
FNN_API void fnn_gaussians_free(fnn_gaussians *gaussians);

/* y = what of z_ik = log N(x_i; k) + offsets_k; offsets may be NULL, all zero. y is (n, c), for
 * FNN_LOG_DENSITY (n, 1). NaN in a row of x stays in that row. */
FNN_API fnn_status fnn_gaussians_evaluate(const fnn_gaussians *gaussians, fnn_posterior what,
                                          const double *offsets, fnn_in x, fnn_out y);

/* labels_i = the class of row i. A NaN never is the largest. */
FNN_API fnn_status fnn_gaussians_classify(const fnn_gaussians *gaussians, const double *offsets,
                                          fnn_in x, int64_t *labels);

/* y_i (n, 1) = log N(x_i; mean_i, L_i L_i') for n Gaussians of their own: means (n, d), and factors
 * (n, d * d), each a lower Cholesky factor with contiguous rows. */
FNN_API fnn_status fnn_gaussian_paired(fnn_dtype dt, fnn_in x, fnn_in means, fnn_in factors,
                                       fnn_out y);

/* ---- moments ------------------------------------------------------------------------------ */

/* Weighted sums over the rows of each class, u = x - mean of its class; all contiguous. FNN_SHARED
 * adds the scatters of all classes in one, FNN_DIAG keeps their diagonals. third and fourth are kept
 * for FNN_FULL only, else NULL. A class without weight is all zero. */
typedef struct {
    double *weight;  /* (c,)                                                      */
    double *mean;    /* (c, d)                                                    */
    double *scatter; /* sum of w u u': (c, d, d); FNN_SHARED (d, d); FNN_DIAG (c, d) */
    double *third;   /* sum of w |u|^2 u: (c, d)                                  */
    double *fourth;  /* sum of w |u|^4: (c,)                                      */
} fnn_moments;

/* The moments of the rows of x, extended by the columns of `extra` (data NULL: none). labels in
 * [0, c), or NULL: all 0; weights NULL (all 1) or n numbers >= 0 of type dt. Rows of a class are
 * taken in order, 256 at a time. */
FNN_API fnn_status fnn_moments_of(fnn_dtype dt, fnn_covariance covariance, fnn_in x, fnn_in extra,
                                  const int64_t *labels, const void *weights, ptrdiff_t c,
                                  fnn_moments moments);

/* total += sign * part for moments of FNN_FULL: with sign 1 those of both parts' rows, with -1 those
 * of the rows without part's. A class whose weight does not stay positive becomes zero. */
FNN_API fnn_status fnn_moments_add(ptrdiff_t c, ptrdiff_t d, fnn_moments total, fnn_moments part,
                                   double sign);

/* ---- linear models ------------------------------------------------------------------------ */

/* z = x w' + b with theta = [w | b], contiguous (c, width), width d or d + 1 (with b):
 * *loss = weighted mean of the loss + alpha / 2 * sum of squares of w; gradient (c, width) its
 * gradient. hessian may be NULL; else, both triangles and all contiguous: for FNN_SOFTMAX_CE
 * (c width, c width), for FNN_SIGMOID_CE (c, width, width), one block a column of z, for
 * FNN_SQUARED_ERROR (width, width), which all columns share. */
FNN_API fnn_status fnn_linear_loss(fnn_dtype dt, fnn_loss fn, fnn_in x, fnn_targets y, ptrdiff_t c,
                                   ptrdiff_t width, const double *theta, double alpha,
                                   double *loss, double *gradient, double *hessian);

/* ---- sparse matrices ---------------------------------------------------------------------- */

/* FNN_OK if starts begin at 0, do not decrease and end at most at `stored`, and all places that they
 * lead to are columns, increasing within a row; else FNN_EVALUE. */
FNN_API fnn_status fnn_csr_check(fnn_csr x, ptrdiff_t stored);

/* y = act(x w + b): w (k, m), b (1, m) or data NULL, y (n, m); the columns of w and y are contiguous
 * (else FNN_ESHAPE), and act is no softmax. Each element is one chain of FMAs in the order of x's
 * places: the same bits as fnn_dense_forward for finite w, but for the sign of zeros. */
FNN_API fnn_status fnn_sparse_forward(fnn_dtype dt, fnn_act act, fnn_csr x, fnn_in w, fnn_in b,
                                      fnn_out y);

/* The transposed matrix: values, places (int64_t) as many as x has, starts (cols + 1). */
FNN_API fnn_status fnn_csr_transpose(fnn_dtype dt, fnn_csr x, void *values, int64_t *places,
                                     int64_t *starts);

/* ---- measuring ---------------------------------------------------------------------------- */

/* Run `iterations` rounds of independent fused multiply-adds in registers, which is the most that
 * the machine can do with the set in use; *flops = the floating-point operations done. */
FNN_API fnn_status fnn_fma_burst(fnn_dtype dt, ptrdiff_t iterations, double *flops);

#endif
