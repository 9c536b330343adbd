/* fastnn.h -- the public C interface: dense layers, losses, optimisers and whole networks.
 *
 * Letters, everywhere: n samples (rows), k inputs of a layer, m outputs of a layer, c classes.
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

typedef enum { FNN_IDENTITY, FNN_SIGMOID, FNN_TANH, FNN_RELU, FNN_SOFTMAX, FNN_NACT } fnn_act;

typedef enum { FNN_MAP_EXP, FNN_MAP_LOG1P, FNN_MAP_SIGMOID, FNN_MAP_TANH, FNN_NMAP } fnn_function;

typedef enum { FNN_SOFTMAX_CE, FNN_SIGMOID_CE, FNN_SQUARED_ERROR, FNN_NLOSS } fnn_loss;

typedef enum { FNN_SGD, FNN_MOMENTUM, FNN_NESTEROV, FNN_ADAM, FNN_NSOLVER } fnn_solver;

typedef enum { FNN_SCALAR, FNN_NEON, FNN_AVX2, FNN_AVX512, FNN_NISA } fnn_isa;

/* A matrix of rows x cols elements; element (i, j) is data[i * rs + j * cs]. */
typedef struct { const void *data; ptrdiff_t rows, cols, rs, cs; } fnn_in;
typedef struct {       void *data; ptrdiff_t rows, cols, rs, cs; } fnn_out;

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

/* ---- layers ------------------------------------------------------------------------------- */

/* y = fn(x), elementwise; y may be x itself. */
FNN_API fnn_status fnn_map(fnn_dtype dt, fnn_function fn, fnn_in x, fnn_out y);

/* y = softmax of each row of z; y may be z itself. */
FNN_API fnn_status fnn_softmax(fnn_dtype dt, fnn_in z, fnn_out y);

/* y = act(x w + b): x (n, k), w (k, m), b (1, m) or data NULL, y (n, m). */
FNN_API fnn_status fnn_dense_forward(fnn_dtype dt, fnn_act act, fnn_in x, fnn_in w, fnn_in b,
                                     fnn_out y);

/* With delta = dy * act'(y):  dx = delta w^T, dw = x^T delta, db = column sums of delta.
 * Any of dx, dw, db may have data NULL and is then not computed. */
FNN_API fnn_status fnn_dense_backward(fnn_dtype dt, fnn_act act, fnn_in x, fnn_in w, fnn_in y,
                                      fnn_in dy, fnn_out dx, fnn_out dw, fnn_out db);

/* *loss = weighted mean over the rows of z of the loss, dz = its gradient; both from logits. */
FNN_API fnn_status fnn_loss_gradient(fnn_dtype dt, fnn_loss fn, fnn_in z, fnn_targets y,
                                     double *loss, fnn_out dz);

/* ---- optimisers --------------------------------------------------------------------------- */

typedef struct {
    fnn_solver solver;
    double learning_rate;
    double momentum;      /* momentum and nesterov */
    double beta1, beta2;  /* adam: decay of the two averages; epsilon keeps the divisor positive */
    double epsilon;
    double alpha;         /* L2: alpha * w is added to the gradient */
    /* Set by fnn_optimizer_advance: beta1^t, beta2^t, and the rate of step t, which for adam is
     * learning_rate * sqrt(1 - beta2^t) / (1 - beta1^t). */
    double beta1_power, beta2_power, rate;
} fnn_optimizer;

/* The usual constants (adam 0.9, 0.999, 1e-8), before the first step. */
FNN_API fnn_optimizer fnn_optimizer_init(fnn_solver solver, double learning_rate, double momentum,
                                         double alpha);

/* Start the next step; call it once before the fnn_update calls of that step. */
FNN_API void fnn_optimizer_advance(fnn_optimizer *opt);

/* w -= the step for gradient g, all contiguous, `count` elements. s1 and s2 hold the optimiser's
 * state, zero before the first step: momentum and nesterov use s1, adam both, sgd none (NULL). */
FNN_API fnn_status fnn_update(fnn_dtype dt, const fnn_optimizer *opt, ptrdiff_t count, void *w,
                              const void *g, void *s1, void *s2);

/* ---- networks ----------------------------------------------------------------------------- */

typedef struct fnn_network fnn_network;

/* layers >= 1 layers of sizes[0] -> sizes[1] -> ... -> sizes[layers], all >= 1; acts[l] is the
 * activation of layer l, softmax only for the last one. The loss follows from that last one:
 * softmax and sigmoid their cross-entropy, identity the squared error; others have none.
 * Parameters start at zero. */
FNN_API fnn_status fnn_network_new(fnn_dtype dt, ptrdiff_t layers, const ptrdiff_t *sizes,
                                   const fnn_act *acts, fnn_network **net);
FNN_API void fnn_network_free(fnn_network *net);

/* Views of the parameters, valid as long as the network: w (k, m), b (1, m), cs == 1. */
FNN_API fnn_out fnn_network_weight(const fnn_network *net, ptrdiff_t layer);
FNN_API fnn_out fnn_network_bias(const fnn_network *net, ptrdiff_t layer);

/* y = the outputs for the rows of x. */
FNN_API fnn_status fnn_network_forward(fnn_network *net, fnn_in x, fnn_out y);

/* ys[l] = the output of layer l for the rows of x, l = 0 .. layers - 1. */
FNN_API fnn_status fnn_network_activations(fnn_network *net, fnn_in x, const fnn_out *ys);

/* *loss = weighted mean of the loss + alpha / 2 * sum of squared weights; dw[l], db[l] its
 * gradient. */
FNN_API fnn_status fnn_network_gradients(fnn_network *net, fnn_in x, fnn_targets y, double alpha,
                                         double *loss, const fnn_out *dw, const fnn_out *db);

/* A training run: an optimiser and its state for one network. */
typedef struct fnn_training fnn_training;
FNN_API fnn_status fnn_training_new(fnn_network *net, fnn_optimizer opt, ptrdiff_t batch_size,
                                    fnn_training **training);
FNN_API void fnn_training_free(fnn_training *training);

/* Called every few milliseconds with its context; a non-zero answer stops the epoch. */
typedef int (*fnn_poll)(void *context);

/* One epoch of minibatches: rows order[0], order[1], ... of x, `batch_size` a step, the last batch
 * as short as need be; batches whose weights sum to zero are skipped. *loss is the mean of the
 * batches' losses, each as it was before its step, weighted by the batches' weights. If a batch's
 * loss is not finite the epoch ends before its step and *loss is that value. After FNN_ESTOPPED
 * the parameters are those of the last whole step. poll may be NULL. */
FNN_API fnn_status fnn_training_epoch(fnn_training *training, fnn_in x, fnn_targets y,
                                      const int64_t *order, ptrdiff_t count, fnn_poll poll,
                                      void *context, double *loss);

/* ---- measuring ---------------------------------------------------------------------------- */

/* Run `iterations` rounds of independent fused multiply-adds in registers, which is the most that
 * the machine can do with the set in use; *flops = the floating-point operations done. */
FNN_API fnn_status fnn_fma_burst(fnn_dtype dt, ptrdiff_t iterations, double *flops);

#endif
