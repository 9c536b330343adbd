/* network.c -- a whole network: its layout, and outputs from rows. */
#include "network.h"

#include <pthread.h>

/* At most this many rows in a block, and for big networks so few that a block takes little time,
 * in between which training can be interrupted. */
enum { MOST_BLOCK_ROWS = 256, LEAST_BLOCK_ROWS = 32, BLOCK_FLOPS = 2000000000 };

enum { SMALL_ROW_BYTES = 4 << 10 };

/* Of all instruction sets. */
enum { WIDEST_PANEL_BYTES = 128 };

static fnn_loss loss_of(fnn_act output)
{
    return output == FNN_SOFTMAX ? FNN_SOFTMAX_CE
         : output == FNN_SIGMOID ? FNN_SIGMOID_CE
         : output == FNN_IDENTITY ? FNN_SQUARED_ERROR
         : output == FNN_EXP ? FNN_POISSON : FNN_NLOSS;
}

fnn_status fnn_network_set_loss(fnn_network *net, fnn_loss loss, double huber_delta)
{
    const fnn_act output = net->layer[net->layers - 1].act;
    const bool other = output == FNN_IDENTITY && (loss == FNN_HUBER || loss == FNN_ABSOLUTE_ERROR);
    if ((!other && loss != loss_of(output)) || (loss == FNN_HUBER && !(huber_delta > 0)))
        return FNN_EVALUE;
    net->loss = loss;
    net->huber_delta = huber_delta;
    return FNN_OK;
}

/* In floating-point operations; the weights have to be read, too, which counts where there are few rows
 * to use them for, and the activations to be computed, where layers are narrow. */
static double work_of(const fnn_network *net, ptrdiff_t n)
{
    const double flops_a_byte = 4, flops_an_activation = 30;
    return (net->flops + flops_an_activation * net->outputs) * (double)n
         + flops_a_byte * (double)net->parameters * (double)fnn_sizeof(net->dt);
}

/* Lay the layers out; false if their size overflows. */
static bool lay_out(fnn_network *net, const ptrdiff_t *sizes, const fnn_act *acts)
{
    ptrdiff_t total = 0, widest = 0;
    for (ptrdiff_t l = 0; l < net->layers; l++) {
        const ptrdiff_t k = sizes[l], m = sizes[l + 1], ld = fnn_leading(net->dt, m);
        ptrdiff_t weights;
        if (ld < m)
            return false; /* before anything is rounded up */
        const ptrdiff_t row = fnn_round_up(m, WIDEST_PANEL_BYTES / (ptrdiff_t)fnn_sizeof(net->dt));
        net->layer[l] = (fnn_layer){ .k = k, .m = m, .ld = ld, .act = acts[l], .w = total,
                                     .panels = net->panels_size, .biases = net->biases };
        if (__builtin_mul_overflow(k, ld, &weights)
            || __builtin_add_overflow(total, weights, &net->layer[l].b)
            || __builtin_add_overflow(net->layer[l].b, ld, &total)
            || __builtin_mul_overflow(k, row, &weights)
            || __builtin_add_overflow(net->panels_size, weights, &net->panels_size))
            return false;
        widest = ld > widest ? ld : widest;
        net->biases += ld;
        net->flops += 2 * (double)k * (double)m;
        net->outputs += (double)m;
    }
    net->inputs = sizes[0];
    net->parameters = total;
    net->widest = widest;
    net->small_row = work_of(net, 1) < 2 * FNN_PART_WORK
                  && widest * (ptrdiff_t)fnn_sizeof(net->dt) <= SMALL_ROW_BYTES;
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

/* Whether views or panels count changes under this lock. It is one of all networks, so that a fork can
 * take it: no child finds it taken for ever. Nothing waits for anything else under it. */
static pthread_mutex_t ownership = PTHREAD_MUTEX_INITIALIZER;

static void lock_as_it_is(void) { pthread_mutex_lock(&ownership); }
static void unlock(void) { pthread_mutex_unlock(&ownership); }
static void watch_forks(void) { pthread_atfork(lock_as_it_is, unlock, unlock); }

static void lock(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    lock_as_it_is();
}

/* Under the lock. */
static void refresh(fnn_network *net)
{
    if (!net->views_old)
        return;
    for (ptrdiff_t l = 0; l < net->layers; l++)
        fnn_panels_unpack(net->packed_for, net->dt,
                          fnn_at(net->dt, net->panels, net->layer[l].panels),
                          fnn_network_weight(net, l));
    net->views_old = false;
}

void fnn_network_refresh(fnn_network *net)
{
    lock();
    refresh(net);
    unlock();
}

/* Who sees a holder also sees the views up to date. */
void fnn_network_hold(fnn_network *net)
{
    lock();
    refresh(net);
    if (!net->in_training)
        atomic_store(&net->packed_for, NULL);
    atomic_fetch_add(&net->holders, 1);
    unlock();
}

void fnn_network_release(fnn_network *net) { atomic_fetch_sub(&net->holders, 1); }

bool fnn_network_make_panels(fnn_network *net)
{
    size_t bytes = 0;
    lock();
    if (!net->panels && fnn_reserve(&bytes, net->dt, 1, net->panels_size))
        net->panels = fnn_alloc(bytes);
    unlock();
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
    if (atomic_load_explicit(&net->holders, memory_order_acquire) > 0)
        return NULL;
    if (atomic_load_explicit(&net->packed_for, memory_order_acquire) == kn)
        return net->panels;
    const bool room = fnn_network_make_panels(net);
    lock();
    if (net->holders == 0 && !net->in_training) {
        refresh(net);
        if (room && !net->packed_for) {
            pack_weights(net, kn);
            atomic_store(&net->packed_for, kn);
        }
    }
    const void *panels = net->holders == 0 && net->packed_for == kn ? net->panels : NULL;
    unlock();
    return panels;
}

/* Under the lock. */
static void use(fnn_network *net, const fnn_kernels *kn)
{
    if (net->packed_for == kn)
        return;
    refresh(net);
    pack_weights(net, kn);
}

void fnn_network_use_panels(fnn_network *net, const fnn_kernels *kn)
{
    lock();
    use(net, kn);
    unlock();
}

void fnn_network_change_panels(fnn_network *net, const fnn_kernels *kn)
{
    lock();
    use(net, kn);
    atomic_store(&net->packed_for, kn);
    net->in_training = true;
    unlock();
}

void fnn_network_changed_panels(fnn_network *net, const fnn_kernels *kn)
{
    lock();
    net->in_training = false;
    net->views_old = true;
    assert(net->packed_for == kn);
    if (net->holders > 0) {
        refresh(net);
        atomic_store(&net->packed_for, NULL);
    }
    (void)kn;
    unlock();
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

void fnn_first_layer(const fnn_network *net, const fnn_kernels *kn, const fnn_csr *x,
                     const int64_t *rows, ptrdiff_t first, fnn_act act, fnn_out y, ptrdiff_t j,
                     const void *panels)
{
    const fnn_layer *at = &net->layer[0];
    const ptrdiff_t width = kn->tile_vectors * kn->lanes;
    kn->sparse(&(fnn_sparse){
        .n = y.rows, .cols = y.cols, .values = x->values, .places = x->places, .wide = x->wide != 0,
        .starts = x->starts + (rows ? 0 : first), .rows = rows,
        .w = panels ? fnn_at(net->dt, panels, at->panels + j * at->k)
                    : fnn_at(net->dt, net->memory, at->w + j),
        .w_rs = panels ? width : at->ld, .w_ps = panels ? width * at->k : width,
        .y = y.data, .y_rs = y.rs, .bias = fnn_at(net->dt, net->memory, at->b + j), .act = act });
}

ptrdiff_t fnn_stored(const fnn_csr *x, const int64_t *order, ptrdiff_t begin, ptrdiff_t end)
{
    if (!order)
        return (ptrdiff_t)(x->starts[end] - x->starts[begin]);
    ptrdiff_t stored = 0;
    for (ptrdiff_t i = begin; i < end; i++)
        stored += (ptrdiff_t)(x->starts[order[i] + 1] - x->starts[order[i]]);
    return stored;
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
    fnn_in x;           /* of sparse rows only their shape */
    fnn_out y;
    ptrdiff_t rows;
    char *scratch;
    const fnn_csr *csr; /* NULL, or the rows */
} pass;

static fnn_out output_of(const pass *p, ptrdiff_t l, fnn_out y, char *scratch)
{
    const fnn_network *net = p->net;
    if (l == net->layers - 1)
        return y;
    return fnn_activation_at(net, fnn_at_out(net->dt, scratch, l % 2 * p->rows * net->widest), l,
                             y.rows);
}

static bool in_place(ptrdiff_t cs, ptrdiff_t cols) { return cs == 1 || cols == 1; }

/* Softmax, if that is the last activation, of rows that a kernel can take as they lie. */
static void finish(const pass *p, fnn_out y)
{
    if (p->net->layer[p->net->layers - 1].act == FNN_SOFTMAX && in_place(y.cs, y.cols))
        p->kn->softmax(y.rows, y.cols, y.data, y.rs, y.data, y.rs);
}

/* Of other rows. */
static fnn_status finish_odd(const fnn_network *net, fnn_out y)
{
    return net->layer[net->layers - 1].act == FNN_SOFTMAX && !in_place(y.cs, y.cols)
         ? fnn_softmax(net->dt, fnn_as_in(y), y) : FNN_OK;
}

/* One block of rows, which starts at row i, through all layers. */
static void carry(const pass *p, ptrdiff_t i, fnn_out y, char *scratch)
{
    fnn_in x = p->csr ? p->x : fnn_slice(p->net->dt, p->x, i, y.rows);
    for (ptrdiff_t l = 0; l < p->net->layers; l++) {
        const fnn_out to = output_of(p, l, y, scratch);
        if (l == 0 && p->csr) {
            fnn_first_layer(p->net, p->kn, p->csr, NULL, i, epilogue_of(p->net, 0), to, 0,
                            p->panels);
        } else {
            const fnn_product product =
                fnn_layer_product(p->net, p->kn, l, epilogue_of(p->net, l), x, to, p->panels);
            fnn_multiply(p->kn, p->net->dt, &product);
        }
        x = fnn_as_in(to);
    }
    finish(p, y);
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
        carry(p, i, fnn_slice_out(dt, p->y, i, n), scratch);
    }
}

/* A layer of few rows: its columns are divided, in whole panels. */
typedef struct {
    const fnn_kernels *kn;
    fnn_dtype dt;
    fnn_product product;
} columns;

static void columns_part(void *c_, int part, int parts)
{
    const columns *c = c_;
    const ptrdiff_t m = c->product.y.cols, width = fnn_panels_row(c->kn, 1);
    const ptrdiff_t panels = (m + width - 1) / width;
    const ptrdiff_t j = fnn_share(panels, part, parts) * width;
    const ptrdiff_t end = fnn_min(m, fnn_share(panels, part + 1, parts) * width);
    if (j >= end)
        return;
    const fnn_product product = fnn_product_columns(c->dt, c->product, j, end);
    fnn_multiply(c->kn, c->dt, &product);
}

/* All rows through all layers, layer by layer. */
static void carry_columns(const pass *p, int parts)
{
    const fnn_network *net = p->net;
    fnn_in x = p->x;
    for (ptrdiff_t l = 0; l < net->layers; l++) {
        const fnn_out to = output_of(p, l, p->y, p->scratch);
        columns c = { p->kn, net->dt,
                      fnn_layer_product(net, p->kn, l, epilogue_of(net, l), x, to, p->panels) };
        const double share = (double)(net->layer[l].k * net->layer[l].m) / (double)net->parameters;
        fnn_run(share * parts < 1 ? 1 : parts, columns_part, &c);
        x = fnn_as_in(to);
    }
    finish(p, p->y);
}

/* One row of a network that is small, so that its fixed costs count: nothing to be divided, and no
 * memory to be had. */
static void carry_one_row(const fnn_network *net, const fnn_kernels *kn, const void *panels,
                          const void *x, void *y)
{
    _Alignas(64) char memory[2][SMALL_ROW_BYTES];
    const ptrdiff_t last = net->layers - 1, width = kn->tile_vectors * kn->lanes;
    for (ptrdiff_t l = 0; l <= last; l++) {
        const fnn_layer *at = &net->layer[l];
        fnn_one_row job = { .k = at->k, .m = at->m, .x = x, .y = l < last ? memory[l % 2] : y,
                            .bias = fnn_at(net->dt, net->memory, at->b),
                            .act = epilogue_of(net, l) };
        job.w = panels ? fnn_at(net->dt, panels, at->panels) : fnn_at(net->dt, net->memory, at->w);
        job.w_rs = panels ? width : at->ld;
        job.w_ps = panels ? width * at->k : width;
        kn->one_row(&job);
        x = job.y;
    }
    if (net->layer[last].act == FNN_SOFTMAX)
        kn->softmax(1, net->layer[last].m, y, 0, y, 0);
}

static bool is_small(const fnn_network *net, fnn_in x, fnn_out y)
{
    return x.rows == 1 && net->small_row && in_place(x.cs, x.cols) && in_place(y.cs, y.cols);
}

static ptrdiff_t forward_rows(const fnn_network *net, ptrdiff_t n)
{
    enum { BLOCK_BYTES = 512 << 10 };
    if (net->layers == 1)
        return n; /* nothing to keep in the cache: the product has its own blocks */
    const ptrdiff_t most = BLOCK_BYTES / (net->widest * (ptrdiff_t)fnn_sizeof(net->dt));
    return fnn_min(n, most < LEAST_BLOCK_ROWS ? LEAST_BLOCK_ROWS : most);
}

/* The work of sparse rows. */
static double work_of_stored(const fnn_network *net, const fnn_csr *x)
{
    const fnn_layer *first = &net->layer[0];
    const double skipped = 2 * (double)first->k * (double)first->m * (double)x->rows;
    return work_of(net, x->rows) - skipped
         + fnn_sparse_work((double)fnn_stored(x, NULL, 0, x->rows), x->rows, first->m);
}

static fnn_status forward(fnn_network *net, const fnn_csr *csr, fnn_in x, fnn_out y)
{
    const fnn_kernels *kn = fnn_kernels_for(net->dt);
    if (!kn)
        return FNN_EISA;
    const fnn_status status = check_rows(net, x, y, net->layers - 1);
    if (status || x.rows == 0)
        return status;

    const void *panels = fnn_network_panels(net, kn);
    if (!csr && is_small(net, x, y)) {
        carry_one_row(net, kn, panels, x.data, y.data);
        return FNN_OK;
    }
    enum { LEAST_ROWS = 8 }; /* of a part; fewer share the columns instead */
    int parts = fnn_parts(csr ? work_of_stored(net, csr) : work_of(net, x.rows));
    if (csr) /* whose columns are not divided */
        parts = (int)fnn_min(parts, (x.rows + LEAST_ROWS - 1) / LEAST_ROWS);
    const bool by_rows = csr || parts == 1 || x.rows >= parts * LEAST_ROWS;
    const ptrdiff_t rows = by_rows ? forward_rows(net, (x.rows + parts - 1) / parts) : x.rows;
    size_t bytes = 0;
    if (!fnn_reserve(&bytes, net->dt, 2 * (by_rows ? parts : 1) * (net->layers > 1),
                     rows * net->widest))
        return FNN_ENOMEM;
    char *scratch = fnn_workspace_take(&net->workspace, bytes);
    if (!scratch)
        return FNN_ENOMEM;
    pass p = { net, kn, panels, x, y, rows, scratch, csr };
    if (by_rows)
        fnn_run(parts, carry_rows, &p);
    else
        carry_columns(&p, parts);
    fnn_workspace_give(&net->workspace, scratch);
    return finish_odd(net, y);
}

fnn_status fnn_network_forward(fnn_network *net, fnn_in x, fnn_out y)
{
    return forward(net, NULL, x, y);
}

static fnn_in shape_of(const fnn_csr *x) { return (fnn_in){ NULL, x->rows, x->cols, 0, 1 }; }

fnn_status fnn_network_forward_sparse(fnn_network *net, fnn_csr x, fnn_out y)
{
    return in_place(y.cs, y.cols) || y.rows == 0 ? forward(net, &x, shape_of(&x), y) : FNN_ESHAPE;
}

static fnn_status activations(fnn_network *net, const fnn_csr *csr, fnn_in x, const fnn_out *ys)
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
    const int parts = (int)fnn_min(fnn_parts(net->flops * (double)x.rows), x.rows / 8 + 1);
    for (ptrdiff_t l = 0; x.rows > 0 && l < net->layers; l++) {
        if (l == 0 && csr) {
            fnn_first_layer(net, kn, csr, NULL, 0, epilogue_of(net, 0), ys[0], 0, panels);
            continue;
        }
        const fnn_product product = fnn_layer_product(
            net, kn, l, epilogue_of(net, l), l ? fnn_as_in(ys[l - 1]) : x, ys[l], panels);
        fnn_multiply_in_parts(kn, net->dt, &product, parts);
    }
    finish(&(pass){ .net = net, .kn = kn }, outputs);
    return finish_odd(net, outputs);
}

fnn_status fnn_network_activations(fnn_network *net, fnn_in x, const fnn_out *ys)
{
    return activations(net, NULL, x, ys);
}

fnn_status fnn_network_activations_sparse(fnn_network *net, fnn_csr x, const fnn_out *ys)
{
    return in_place(ys[0].cs, ys[0].cols) || x.rows == 0 ? activations(net, &x, shape_of(&x), ys)
                                                         : FNN_ESHAPE;
}
