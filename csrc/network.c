/* network.c -- a whole network: its layout, and outputs from rows. */
#include "network.h"

/* At most this many rows in a block, and for big networks so few that a block takes little time,
 * in between which training can be interrupted. */
enum { MOST_BLOCK_ROWS = 256, LEAST_BLOCK_ROWS = 32, BLOCK_FLOPS = 2000000000 };

/* Of all instruction sets. */
enum { WIDEST_PANEL_BYTES = 128 };

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
        const ptrdiff_t row = fnn_round_up(m, WIDEST_PANEL_BYTES / (ptrdiff_t)fnn_sizeof(net->dt));
        net->layer[l] = (fnn_layer){ .k = k, .m = m, .ld = ld, .act = acts[l], .w = total,
                                     .panels = net->panels_size, .biases = net->biases };
        if (ld < m || __builtin_mul_overflow(k, ld, &weights)
            || __builtin_add_overflow(total, weights, &net->layer[l].b)
            || __builtin_add_overflow(net->layer[l].b, ld, &total)
            || __builtin_mul_overflow(k, row, &weights)
            || __builtin_add_overflow(net->panels_size, weights, &net->panels_size))
            return false;
        widest = ld > widest ? ld : widest;
        net->biases += ld;
        net->flops += 2 * (double)k * (double)m;
    }
    net->inputs = sizes[0];
    net->parameters = total;
    net->widest = widest;
    if (total > PTRDIFF_MAX / MOST_BLOCK_ROWS)
        return false;
    const ptrdiff_t rows = BLOCK_FLOPS / 6 / fnn_min(total, BLOCK_FLOPS);
    net->block_rows = rows > MOST_BLOCK_ROWS ? MOST_BLOCK_ROWS
                    : rows < LEAST_BLOCK_ROWS ? LEAST_BLOCK_ROWS : rows;
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
    atomic_init(&net->holders, 1);
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
    fnn_free(net->panels);
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

/* ---- panels ------------------------------------------------------------------------------- */

void fnn_network_hold(fnn_network *net)
{
    atomic_fetch_add(&net->holders, 1);
    atomic_store(&net->packed_for, NULL);
}

void fnn_network_release(fnn_network *net) { atomic_fetch_sub(&net->holders, 1); }

bool fnn_network_make_panels(fnn_network *net)
{
    size_t bytes = 0;
    if (net->panels)
        return true;
    void *none = NULL;
    void *made = fnn_reserve(&bytes, net->dt, 1, net->panels_size) ? fnn_alloc(bytes) : NULL;
    if (made && !atomic_compare_exchange_strong(&net->panels, &none, made))
        fnn_free(made); /* another thread was faster */
    return net->panels != NULL;
}

static void pack_weights(fnn_network *net, const fnn_kernels *kn)
{
    for (ptrdiff_t l = 0; l < net->layers; l++)
        fnn_panels_pack(kn, net->dt, fnn_as_in(fnn_network_weight(net, l)),
                        fnn_at_out(net->dt, net->panels, net->layer[l].panels));
}

const void *fnn_network_panels(fnn_network *net, const fnn_kernels *kn)
{
    if (atomic_load_explicit(&net->holders, memory_order_relaxed) > 0)
        return NULL;
    const fnn_kernels *packed_for = atomic_load_explicit(&net->packed_for, memory_order_acquire);
    if (packed_for)
        return packed_for == kn ? net->panels : NULL;
    if (atomic_exchange(&net->packing, true))
        return NULL;
    const bool made = fnn_network_make_panels(net);
    if (made && !atomic_load(&net->packed_for)) {
        pack_weights(net, kn);
        atomic_store(&net->packed_for, kn);
    }
    atomic_store(&net->packing, false);
    return made && atomic_load(&net->packed_for) == kn ? net->panels : NULL;
}

void fnn_network_use_panels(fnn_network *net, const fnn_kernels *kn)
{
    if (atomic_load(&net->packed_for) != kn)
        pack_weights(net, kn);
}

void fnn_network_show_panels(fnn_network *net, const fnn_kernels *kn)
{
    for (ptrdiff_t l = 0; l < net->layers; l++)
        fnn_panels_unpack(kn, net->dt, fnn_at(net->dt, net->panels, net->layer[l].panels),
                          fnn_network_weight(net, l));
    atomic_store(&net->packed_for, atomic_load(&net->holders) > 0 ? NULL : kn);
}

fnn_rhs fnn_layer_factor(const fnn_network *net, const fnn_kernels *kn, ptrdiff_t l, ptrdiff_t n,
                         const void *panels)
{
    const fnn_layer *at = &net->layer[l];
    return panels ? fnn_rhs_panels(kn, n, at->k, at->m, fnn_at(net->dt, panels, at->panels))
                  : fnn_rhs_direct(kn, n, fnn_as_in(fnn_network_weight(net, l)));
}

/* ---- forward ------------------------------------------------------------------------------ */

fnn_product fnn_layer_product(const fnn_network *net, const fnn_kernels *kn, ptrdiff_t l, fnn_act act,
                              fnn_in x, fnn_out y, const void *panels)
{
    return (fnn_product){ .x = x, .y = y, .w = fnn_layer_factor(net, kn, l, x.rows, panels),
                          .bias = fnn_network_bias(net, l).data, .act = act };
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

/* Rows of x on their way through the layers: by way of scratch, in which the outputs of two layers
 * for `rows` rows have room, into y. */
typedef struct {
    const fnn_network *net;
    const fnn_kernels *kn;
    const void *panels;
    fnn_in x;
    fnn_out y;
    ptrdiff_t rows;
    char *scratch;
} pass;

static fnn_out output_of(const pass *p, ptrdiff_t l, fnn_out y, char *scratch)
{
    const fnn_network *net = p->net;
    if (l == net->layers - 1)
        return y;
    return fnn_activation_at(net, fnn_at_out(net->dt, scratch, l % 2 * p->rows * net->widest), l,
                             y.rows);
}

static fnn_status finish(const fnn_network *net, fnn_out y)
{
    return net->layer[net->layers - 1].act == FNN_SOFTMAX
         ? fnn_softmax(net->dt, fnn_as_in(y), y) : FNN_OK;
}

/* One block of rows through all layers. */
static void carry(const pass *p, fnn_in x, fnn_out y, char *scratch)
{
    for (ptrdiff_t l = 0; l < p->net->layers; l++) {
        const fnn_out to = output_of(p, l, y, scratch);
        const fnn_product product =
            fnn_layer_product(p->net, p->kn, l, epilogue_of(p->net, l), x, to, p->panels);
        fnn_multiply(p->kn, p->net->dt, &product);
        x = fnn_as_in(to);
    }
}

/* This part's share of the rows, a block after the other. */
static void carry_rows(void *p_, int part, int parts)
{
    const pass *p = p_;
    const fnn_dtype dt = p->net->dt;
    char *scratch = fnn_at_out(dt, p->scratch, part * 2 * p->rows * p->net->widest);
    const ptrdiff_t end = fnn_share(p->x.rows, part + 1, parts);
    for (ptrdiff_t i = fnn_share(p->x.rows, part, parts); i < end; i += p->rows) {
        const ptrdiff_t n = fnn_min(p->rows, end - i);
        carry(p, fnn_slice(dt, p->x, i, n), fnn_slice_out(dt, p->y, i, n), scratch);
    }
}

static ptrdiff_t forward_rows(const fnn_network *net, ptrdiff_t n)
{
    enum { BLOCK_BYTES = 512 << 10 };
    if (net->layers == 1)
        return n; /* nothing to keep in the cache: the product has its own blocks */
    const ptrdiff_t most = BLOCK_BYTES / (net->widest * (ptrdiff_t)fnn_sizeof(net->dt));
    return fnn_min(n, most < LEAST_BLOCK_ROWS ? LEAST_BLOCK_ROWS : most);
}

fnn_status fnn_network_forward(fnn_network *net, fnn_in x, fnn_out y)
{
    const fnn_kernels *kn = fnn_kernels_for(net->dt);
    if (!kn)
        return FNN_EISA;
    const fnn_status status = check_rows(net, x, y, net->layers - 1);
    if (status || x.rows == 0)
        return status;

    const int parts = (int)fnn_min(x.rows, fnn_parts(net->flops * (double)x.rows));
    const ptrdiff_t rows = forward_rows(net, (x.rows + parts - 1) / parts);
    size_t bytes = 0;
    if (!fnn_reserve(&bytes, net->dt, 2 * parts * (net->layers > 1), rows * net->widest))
        return FNN_ENOMEM;
    _Alignas(64) char few[1 << 13];
    char *scratch = bytes <= sizeof few ? few : fnn_workspace_take(&net->workspace, bytes);
    if (!scratch)
        return FNN_ENOMEM;
    pass p = { net, kn, fnn_network_panels(net, kn), x, y, rows, scratch };
    fnn_run(parts, carry_rows, &p);
    if (scratch != few)
        fnn_workspace_give(&net->workspace, scratch);
    return finish(net, y);
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
    const void *panels = fnn_network_panels(net, kn);
    for (ptrdiff_t l = 0; x.rows > 0 && l < net->layers; l++) {
        const fnn_product product = fnn_layer_product(
            net, kn, l, epilogue_of(net, l), l ? fnn_as_in(ys[l - 1]) : x, ys[l], panels);
        fnn_multiply(kn, net->dt, &product);
    }
    return finish(net, outputs);
}
