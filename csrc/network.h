/* network.h -- how a network lies in memory; for network.c and training.c.
 *
 * Parameters lie in one run of memory, layer after layer: w, k rows of `ld` elements, of which the
 * first m count and the others stay zero; then b, one such row. Gradients and the optimiser's
 * state have the same layout, so that one step is a walk over four runs of memory.
 *
 * Rows pass through all layers in blocks, whose activations stay in the second-level cache; and
 * as every sum over rows is one chain that goes on from block to block, the size of the blocks
 * does not change a bit of any result. */
#ifndef FNN_NETWORK_H
#define FNN_NETWORK_H

#include "internal.h"

typedef struct {
    ptrdiff_t k, m, ld; /* ld: row stride of w, and of this layer's activations */
    fnn_act act;
    ptrdiff_t w, b;       /* where they start in the parameters */
    ptrdiff_t activation; /* where the layer's output for a block of rows starts */
} fnn_layer;

struct fnn_network {
    fnn_dtype dt;
    fnn_loss loss; /* FNN_NLOSS: the last activation has none */
    ptrdiff_t layers, inputs, parameters, widest, block_rows, activations;
    void *memory;
    fnn_workspace workspace;
    fnn_layer layer[];
};

/* Layer l's part of anything laid out like the parameters. */
FNN_INLINE fnn_out fnn_weight_in(const fnn_network *net, void *memory, ptrdiff_t l)
{
    const fnn_layer *at = &net->layer[l];
    return (fnn_out){ fnn_at_out(net->dt, memory, at->w), at->k, at->m, at->ld, 1 };
}
FNN_INLINE fnn_out fnn_bias_in(const fnn_network *net, void *memory, ptrdiff_t l)
{
    const fnn_layer *at = &net->layer[l];
    return (fnn_out){ fnn_at_out(net->dt, memory, at->b), 1, at->m, at->ld, 1 };
}

/* Room at `memory` for the outputs of layer l for n rows. */
FNN_INLINE fnn_out fnn_activation_at(const fnn_network *net, void *memory, ptrdiff_t l,
                                     ptrdiff_t n)
{
    return (fnn_out){ memory, n, net->layer[l].m, net->layer[l].ld, 1 };
}

/* y = act(x w + b) with layer l's parameters. */
void fnn_layer_forward(const fnn_network *net, const fnn_kernels *kn, ptrdiff_t l, fnn_act act,
                       fnn_in x, fnn_out y, fnn_ahead *ahead);

#endif
