/* network.c -- a whole network: its layout, and outputs from rows. */
#include "network.h"

/* At most this many rows in a block, and for big networks so few that a block takes little time,
 * in between which training can be interrupted. */
enum { MOST_BLOCK_ROWS = 256, LEAST_BLOCK_ROWS = 32, BLOCK_FLOPS = 2000000000 };

static fnn_loss loss_of(fnn_act output)
{
    return output == FNN_SOFTMAX ? FNN_SOFTMAX_CE
         : output == FNN_SIGMOID ? FNN_SIGMOID_CE
         : output == FNN_IDENTITY ? FNN_SQUARED_ERROR : FNN_NLOSS;
}

/* Lay the layers out; false if their size overflows. */
static bool lay_out(fnn_network *net, const ptrdiff_t *sizes, const fnn_act *acts)
{
    ptrdiff_t total = 0, widest = 0;
    for (ptrdiff_t l = 0; l < net->layers; l++) {
        const ptrdiff_t k = sizes[l], m = sizes[l + 1], ld = fnn_leading(net->dt, m);
        ptrdiff_t weights;
        net->layer[l] = (fnn_layer){ .k = k, .m = m, .ld = ld, .act = acts[l], .w = total };
        if (ld < m || __builtin_mul_overflow(k, ld, &weights)
            || __builtin_add_overflow(total, weights, &net->layer[l].b)
            || __builtin_add_overflow(net->layer[l].b, ld, &total))
            return false;
        widest = ld > widest ? ld : widest;
    }
    net->inputs = sizes[0];
    net->parameters = total;
    net->widest = widest;
    if (total > PTRDIFF_MAX / MOST_BLOCK_ROWS)
        return false;
    const ptrdiff_t rows = BLOCK_FLOPS / 6 / fnn_min(total, BLOCK_FLOPS);
    net->block_rows = rows > MOST_BLOCK_ROWS ? MOST_BLOCK_ROWS
                    : rows < LEAST_BLOCK_ROWS ? LEAST_BLOCK_ROWS : rows;
    for (ptrdiff_t l = 0; l < net->layers; l++) {
        net->layer[l].activation = net->activations;
        net->activations += net->block_rows * net->layer[l].ld;
    }
    return true;
}

fnn_status fnn_network_new(fnn_dtype dt, ptrdiff_t layers, const ptrdiff_t *sizes,
                           const fnn_act *acts, fnn_network **out)
{
    if (layers < 1)
        return FNN_ESHAPE;
    for (ptrdiff_t l = 0; l <= layers; l++)
        if (sizes[l] < 1 || (l < layers - 1 && acts[l] == FNN_SOFTMAX))
            return FNN_ESHAPE;
    size_t bytes = 0;
    if ((size_t)layers > PTRDIFF_MAX / sizeof(fnn_layer) - 1)
        return FNN_ENOMEM;
    fnn_network *net = fnn_alloc(sizeof *net + (size_t)layers * sizeof(fnn_layer));
    if (!net)
        return FNN_ENOMEM;
    net->dt = dt;
    net->layers = layers;
    net->loss = loss_of(acts[layers - 1]);
    if (lay_out(net, sizes, acts) && fnn_reserve(&bytes, dt, 1, net->parameters))
        net->memory = fnn_alloc(bytes);
    if (!net->memory) {
        fnn_free(net);
        return FNN_ENOMEM;
    }
    *out = net;
    return FNN_OK;
}

void fnn_network_free(fnn_network *net)
{
    if (!net)
        return;
    fnn_workspace_clear(&net->workspace);
    fnn_free(net->memory);
    fnn_free(net);
}

fnn_out fnn_network_weight(const fnn_network *net, ptrdiff_t l)
{
    return fnn_weight_in(net, net->memory, l);
}
fnn_out fnn_network_bias(const fnn_network *net, ptrdiff_t l)
{
    return fnn_bias_in(net, net->memory, l);
}

/* ---- forward ------------------------------------------------------------------------------ */

/* y = act(x w + b) with layer l's parameters. w is not packed: its rows are readable to their
 * ends, and lie well for the cache. */
void fnn_layer_forward(const fnn_network *net, const fnn_kernels *kn, ptrdiff_t l, fnn_act act,
                       fnn_in x, fnn_out y, fnn_ahead *ahead)
{
    fnn_multiply(kn, net->dt, &(fnn_product){
        .x = x, .y = y, .w = fnn_rhs_direct(kn, x.rows, fnn_as_in(fnn_network_weight(net, l))),
        .bias = fnn_network_bias(net, l).data, .act = act, .ahead = ahead });
}

/* The activation that the product's epilogue does; softmax, which needs whole rows, follows. */
static fnn_act epilogue_of(const fnn_network *net, ptrdiff_t l)
{
    return net->layer[l].act == FNN_SOFTMAX ? FNN_IDENTITY : net->layer[l].act;
}

static fnn_status check_rows(const fnn_network *net, fnn_in x, fnn_out y, ptrdiff_t l)
{
    if (x.cols != net->inputs || !fnn_has_shape(fnn_as_in(y), x.rows, net->layer[l].m))
        return FNN_ESHAPE;
    const fnn_in inputs[] = { x, { net->memory, 1, net->parameters, net->parameters, 1 } };
    return fnn_check_out(net->dt, y, inputs, 2);
}

fnn_status fnn_network_forward(fnn_network *net, fnn_in x, fnn_out y)
{
    const fnn_kernels *kn = fnn_kernels_for(net->dt);
    if (!kn)
        return FNN_EISA;
    const ptrdiff_t last = net->layers - 1;
    const fnn_status status = check_rows(net, x, y, last);
    if (status || x.rows == 0)
        return status;

    const ptrdiff_t rows = fnn_min(net->block_rows, x.rows);
    size_t bytes = 0;
    if (!fnn_reserve(&bytes, net->dt, 2 * rows, net->widest))
        return FNN_ENOMEM;
    char *scratch = fnn_workspace_take(&net->workspace, bytes);
    if (!scratch)
        return FNN_ENOMEM;
    for (ptrdiff_t i = 0; i < x.rows; i += rows) {
        const ptrdiff_t n = fnn_min(rows, x.rows - i);
        fnn_in a = fnn_slice(net->dt, x, i, n);
        for (ptrdiff_t l = 0; l < last; l++) {
            void *half = fnn_at_out(net->dt, scratch, l % 2 * rows * net->widest);
            const fnn_out next = fnn_activation_at(net, half, l, n);
            fnn_layer_forward(net, kn, l, net->layer[l].act, a, next, NULL);
            a = fnn_as_in(next);
        }
        fnn_layer_forward(net, kn, last, epilogue_of(net, last), a,
                          fnn_slice_out(net->dt, y, i, n), NULL);
    }
    fnn_workspace_give(&net->workspace, scratch);
    return net->layer[last].act == FNN_SOFTMAX ? fnn_softmax(net->dt, fnn_as_in(y), y) : FNN_OK;
}

fnn_status fnn_network_activations(fnn_network *net, fnn_in x, const fnn_out *ys)
{
    const fnn_kernels *kn = fnn_kernels_for(net->dt);
    if (!kn)
        return FNN_EISA;
    for (ptrdiff_t l = 0; l < net->layers; l++) {
        const fnn_status status = check_rows(net, x, ys[l], l);
        if (status)
            return status;
        for (ptrdiff_t below = 0; below < l; below++)
            if (fnn_overlap(net->dt, fnn_as_in(ys[l]), fnn_as_in(ys[below])))
                return FNN_EALIAS;
    }
    const fnn_out outputs = ys[net->layers - 1];
    for (ptrdiff_t l = 0; x.rows > 0 && l < net->layers; l++)
        fnn_layer_forward(net, kn, l, epilogue_of(net, l), l ? fnn_as_in(ys[l - 1]) : x, ys[l],
                          NULL);
    return net->layer[net->layers - 1].act == FNN_SOFTMAX
         ? fnn_softmax(net->dt, fnn_as_in(outputs), outputs) : FNN_OK;
}
