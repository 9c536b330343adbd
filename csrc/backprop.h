/* backprop.h -- the loss of a batch and its gradient, from which its parameters may be updated at
 * once; for training.c. */
#ifndef FNN_BACKPROP_H
#define FNN_BACKPROP_H

#include "network.h"

/* The rows that a gradient is over: x and its targets, in the order given or as they lie. */
typedef struct {
    fnn_in x; /* of sparse rows only their shape */
    fnn_targets y;
    const int64_t *order; /* NULL: 0, 1, 2, ... */
    ptrdiff_t count;
    const fnn_csr *csr; /* NULL, or the rows */
} fnn_samples;

/* What an optimiser keeps: for each parameter, where the parameter is in the panels or, behind
 * those, in the biases one after another. */
typedef struct {
    fnn_optimizer opt;
    void *state[2];
} fnn_stepper;

/* Which outputs of hidden layers are dropped; the others are divided by 1 - rate. */
typedef struct {
    double *rate; /* of each layer, the last one's 0; NULL: none */
    uint64_t seed;
} fnn_dropout;

/* What a layer needs for its part of a gradient. */
typedef struct {
    void *a;            /* (rows, ld): its output, for the rows of a block */
    void *mask;         /* (rows, ld), or NULL where nothing is dropped: what its output is multiplied by */
    void *dropped;      /* (rows, ld): the product */
    void *delta;        /* (rows, ld) */
    void *delta_panels; /* the same, as the factor of dw */
    void *w_t;          /* the transposed weights in panels; not of the first layer */
    void *dw, *db;      /* panels, or NULL where updates follow at once; (ld,) */
    ptrdiff_t chunk_rows;
} fnn_layer_scratch;

/* The memory that a gradient is computed in, for blocks of up to `rows` rows. */
typedef struct {
    fnn_network *net;
    const fnn_kernels *kn;
    const void *panels; /* the weights; NULL: as the views show them */
    fnn_dropout dropout;
    char *memory;
    ptrdiff_t rows, x_ld;
    int parts;                        /* the most that there is room for */
    void *x;                          /* gathered rows, x_ld apart */
    void *labels, *targets, *weights; /* theirs; labels are int64 */
    double *losses;                   /* each row's, weighted */
    const char **next_rows;           /* where the rows of the next block lie */
    char *chunks;                     /* of each part, chunk_bytes apart */
    ptrdiff_t chunk_bytes;
    fnn_layer_scratch *layer;
    /* For sparse rows: those of a block, transposed, with room for so many values. */
    bool sparse;
    ptrdiff_t stored;
    void *columns;       /* values */
    int32_t *rows_of;    /* of the block */
    int64_t *column_starts; /* (inputs + 1,) */
} fnn_scratch;

/* Take the memory, which the workspace of net gets back. `whole`: keep all of dw, for gradients that
 * are delivered, or gathered from several blocks. The blocks are those of batches of `batch` samples.
 * False if there is none. */
bool fnn_scratch_take(fnn_network *net, const fnn_kernels *kn, const void *panels, ptrdiff_t rows,
                      bool whole, fnn_dropout dropout, const fnn_samples *from, ptrdiff_t batch,
                      fnn_scratch *s);

/* The transposed weights from the weights; updates keep them. */
void fnn_scratch_transpose(const fnn_scratch *s);

/* Whether the caller wants to go on. */
typedef struct {
    fnn_poll ask;
    void *context;
    double asked; /* seconds on the clock */
} fnn_interrupt;

/* Loss and gradient over samples begin .. end - 1, whose weights sum to `weight`; with a stepper, one
 * step of it, unless the loss is not finite. The gradient is left in dw and db; the loss is
 * loss[0], the data's, and loss[1], the penalty for alpha. */
fnn_status fnn_batch(const fnn_scratch *s, const fnn_samples *from, ptrdiff_t begin, ptrdiff_t end,
                     double weight, double alpha, fnn_stepper *stepper, fnn_interrupt *interrupt,
                     double loss[2]);

#endif
