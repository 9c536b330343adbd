/* naive.h -- networks for tests, and the same written as the formulas, in the running error
 * analysis of oracle.h. */
#ifndef FNN_NAIVE_H
#define FNN_NAIVE_H

#include "oracle.h"

enum { MOST_LAYERS = 4 };

/* What a network is to be; loss must be one that the last activation has. */
typedef struct {
    fnn_loss loss;
    int layers;
    ptrdiff_t size[MOST_LAYERS + 1];
    fnn_act act[MOST_LAYERS];
} design;

/* A network with parameters that are multiples of 2^-12, exact in both dtypes. */
fnn_network *new_network(fnn_dtype dt, const design *d, uint64_t seed);

typedef struct {
    fnn_dtype dt;
    const design *d;
    approx *w[MOST_LAYERS], *b[MOST_LAYERS];   /* parameters */
    approx *dw[MOST_LAYERS], *db[MOST_LAYERS]; /* their gradients */
    approx *a[MOST_LAYERS];                    /* outputs for the rows last seen; of the last */
} naive;                                       /* layer the logits */

/* A twin of net as it is now. */
naive new_naive(fnn_dtype dt, const design *d, const fnn_network *net);
void free_naive(naive *twin);

void naive_forward(naive *twin, fnn_in x);
/* Fills dw and db after naive_forward; returns the loss. */
approx naive_gradients(naive *twin, fnn_in x, fnn_targets y, double alpha);

#endif
