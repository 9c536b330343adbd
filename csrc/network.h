/* network.h -- how a network lies in memory; for network.c and training.c.
 *
 * Parameters lie in one run of memory, layer after layer: w, k rows of `ld` elements, of which the
 * first m count and the others stay zero; then b, one such row. That is what views show. Beside it
 * there are the panels, the weights once more as the product reads them (see dense.c): outputs are
 * computed from them while nobody holds the views, and training changes them in place.
 *
 * Rows pass through all layers in blocks, whose activations stay in the second-level cache; and
 * as every sum over rows is one chain that goes on from block to block, the size of the blocks
 * does not change a bit of any result. */
#ifndef FNN_NETWORK_H
#define FNN_NETWORK_H

#include "internal.h"

#include <stdatomic.h>

typedef struct {
    ptrdiff_t k, m, ld; /* ld: row stride of w, and of this layer's activations */
    fnn_act act;
    ptrdiff_t w, b;       /* where they start in the parameters */
    ptrdiff_t panels;     /* where w starts in the panels */
    ptrdiff_t biases;     /* where b would start if all biases lay together */
} fnn_layer;

struct fnn_network {
    fnn_dtype dt;
    fnn_loss loss; /* FNN_NLOSS: the last activation has none */
    double huber_delta;
    ptrdiff_t layers, inputs, parameters, biases, widest, block_rows;
    double flops;   /* of the products for one row */
    double outputs; /* of all layers, for one row */
    bool small_row; /* one row is for one thread, and its activations fit on the stack */
    void *memory;
    _Atomic long holders; /* of the views, who may write */
    void *_Atomic panels; /* NULL until they are wanted */
    ptrdiff_t panels_size;
    _Atomic(const fnn_kernels *) packed_for; /* NULL: the panels are not what the views show */
    bool views_old;                          /* then the panels are what counts */
    bool in_training;                        /* the panels are changing, and nobody may pack */
    fnn_workspace workspace;
    fnn_layer layer[];
};

/* Room for the panels; false if there is none to be had. */
bool fnn_network_make_panels(fnn_network *net);

/* The panels, packed now if need be; NULL while somebody holds the views, while another thread is
 * packing, or if they are packed for another instruction set. */
const void *fnn_network_panels(fnn_network *net, const fnn_kernels *kn);

/* Bring the panels, for which there is room, up to date; the same before they are changed, and when
 * they have been. */
void fnn_network_use_panels(fnn_network *net, const fnn_kernels *kn);
void fnn_network_change_panels(fnn_network *net, const fnn_kernels *kn);
void fnn_network_changed_panels(fnn_network *net, const fnn_kernels *kn);

/* Layer l's w as the factor of n rows, from the panels or, where that is NULL, in place. */
fnn_rhs fnn_layer_factor(const fnn_network *net, const fnn_kernels *kn, ptrdiff_t l, ptrdiff_t n,
                         const void *panels);

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

/* y = act(x w + b) with the first layer's parameters, of the columns from j on, which starts a panel:
 * for rows of x, row number rows[i] for each row i of y, or, where rows is NULL, those from `first` on. */
void fnn_first_layer(const fnn_network *net, const fnn_kernels *kn, const fnn_csr *x,
                     const int64_t *rows, ptrdiff_t first, fnn_act act, fnn_out y, ptrdiff_t j,
                     const void *panels);

/* Stored values of rows begin .. end - 1, in the order given or as they lie. */
ptrdiff_t fnn_stored(const fnn_csr *x, const int64_t *order, ptrdiff_t begin, ptrdiff_t end);

/* y = act(x w + b) with layer l's parameters. */
fnn_product fnn_layer_product(const fnn_network *net, const fnn_kernels *kn, ptrdiff_t l, fnn_act act,
                              fnn_in x, fnn_out y, const void *panels);

#endif
