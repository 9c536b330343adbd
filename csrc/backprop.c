/* backprop.c -- a batch's loss and gradient, in two phases for each block of its rows.
 *
 * First the rows: they are brought together, taken forward through the layers, and their deltas back.
 * Each thread does so with some of the rows or, where the weights are many, with some of the columns of
 * each layer. Then the weights: dw = a' delta, of which each thread takes some chunks, all rows of the
 * block in order, and updates the weights that they belong to while they are in the first-level cache.
 * So an element of a gradient is one chain over the rows of the batch, and the bits depend neither on
 * the blocks nor on the threads.
 *
 *     weights, dw, state:  [panel 0: k rows of `width`] [panel 1] ...
 *                           chunk | chunk | chunk ...                a few rows of one panel
 */
#include "backprop.h"

#include <string.h>
#include <time.h>

enum { CHUNK_BYTES = 16 << 10 };

static ptrdiff_t panel_width(const fnn_kernels *kn) { return kn->tile_vectors * kn->lanes; }

/* Whole panels of the transposed weights, which are as many columns wide. */
static ptrdiff_t chunk_rows(const fnn_kernels *kn, fnn_dtype dt, ptrdiff_t k)
{
    const ptrdiff_t width = panel_width(kn);
    const ptrdiff_t most = CHUNK_BYTES / (width * (ptrdiff_t)fnn_sizeof(dt));
    const ptrdiff_t chunks = (k + most - 1) / most;
    return fnn_round_up((k + chunks - 1) / chunks, width);
}

/* Lay the scratch out from `cursor`, or, where that is NULL, add up its bytes. */
static bool lay_out(fnn_scratch *s, bool whole, char *cursor, size_t *bytes)
{
    const fnn_network *net = s->net;
    const fnn_kernels *kn = s->kn;
    const fnn_dtype dt = net->dt;
    const ptrdiff_t rows = s->rows, c = net->layer[net->layers - 1].m;
    bool ok = true;
#define PART(at, type, a, b)                                    \
    do {                                                        \
        if (cursor)                                             \
            (at) = fnn_part(&cursor, type, a, b);               \
        else                                                    \
            ok = ok && fnn_reserve(bytes, type, a, b);          \
    } while (0)
    const ptrdiff_t pointer = sizeof(void *) / sizeof(double);
    PART(s->layer, FNN_F64, net->layers, sizeof(fnn_layer_scratch) / sizeof(double) + 1);
    PART(s->x, dt, s->sparse ? 0 : rows, s->x_ld);
    PART(s->columns, dt, 1, s->stored);
    PART(s->rows_of, FNN_F32, 1, s->stored); /* int32 are as large as floats */
    PART(s->column_starts, FNN_F64, 1, s->sparse ? net->inputs + 1 : 0);
    PART(s->labels, FNN_F64, rows, 1); /* int64 are as large as doubles */
    PART(s->targets, dt, rows, c);
    PART(s->weights, dt, rows, 1);
    PART(s->losses, FNN_F64, rows, 1);
    PART(s->next_rows, FNN_F64, rows, pointer);
    PART(s->chunks, FNN_F64, s->parts, s->chunk_bytes / (ptrdiff_t)sizeof(double));
    for (ptrdiff_t l = 0; l < net->layers; l++) {
        const fnn_layer *at = &net->layer[l];
        fnn_layer_scratch unused, *ls = cursor ? &s->layer[l] : &unused;
        const ptrdiff_t row = fnn_panels_row(kn, at->m);
        const bool drops = s->dropout.rate && s->dropout.rate[l] > 0;
        PART(ls->a, dt, rows, at->ld);
        PART(ls->mask, dt, drops ? rows : 0, at->ld);
        PART(ls->dropped, dt, drops ? rows : 0, at->ld);
        PART(ls->delta, dt, rows, at->ld);
        PART(ls->delta_panels, dt, rows, row);
        PART(ls->w_t, dt, l ? at->m : 0, l ? fnn_panels_row(kn, at->k) : 0);
        PART(ls->dw, dt, whole ? at->k : 0, row);
        PART(ls->db, dt, 1, at->ld);
        if (cursor) {
            ls->dw = whole ? ls->dw : NULL;
            ls->mask = drops ? ls->mask : NULL;
            ls->chunk_rows = chunk_rows(kn, dt, at->k);
            /* What is past the columns stays zero. */
            memset(ls->delta, 0, (size_t)(rows * at->ld) * fnn_sizeof(dt));
            memset(ls->delta_panels, 0, (size_t)(rows * row) * fnn_sizeof(dt));
            memset(ls->db, 0, (size_t)at->ld * fnn_sizeof(dt));
            if (whole)
                memset(ls->dw, 0, (size_t)(at->k * row) * fnn_sizeof(dt));
        }
    }
#undef PART
    return ok;
}

/* The most values that a block of so many rows has. */
static ptrdiff_t most_stored(const fnn_samples *from, ptrdiff_t batch, ptrdiff_t rows)
{
    ptrdiff_t most = 0;
    for (ptrdiff_t begin = 0, end; from->csr && begin < from->count; begin = end) {
        end = begin + fnn_min(batch, from->count - begin);
        for (ptrdiff_t i = begin; i < end; i += rows) {
            const ptrdiff_t stored =
                fnn_stored(from->csr, from->order, i, i + fnn_min(rows, end - i));
            most = stored > most ? stored : most;
        }
    }
    return most;
}

bool fnn_scratch_take(fnn_network *net, const fnn_kernels *kn, const void *panels, ptrdiff_t rows,
                      bool whole, fnn_dropout dropout, const fnn_samples *from, ptrdiff_t batch,
                      fnn_scratch *s)
{
    *s = (fnn_scratch){ .net = net, .kn = kn, .panels = panels, .rows = rows, .dropout = dropout,
                        .x_ld = fnn_leading(net->dt, net->inputs),
                        .parts = fnn_parts(3 * net->flops * (double)rows),
                        .sparse = from->csr != NULL, .stored = most_stored(from, batch, rows) };
    s->chunk_bytes = CHUNK_BYTES + panel_width(kn) * panel_width(kn) * (ptrdiff_t)sizeof(double);
    size_t bytes = 0;
    if (s->x_ld < net->inputs || !lay_out(s, whole, NULL, &bytes))
        return false;
    s->memory = fnn_workspace_take(&net->workspace, bytes);
    if (!s->memory)
        return false;
    lay_out(s, whole, s->memory, NULL);
    memset(s->chunks, 0, (size_t)(s->parts * s->chunk_bytes));
    return true;
}

static void *panel_at(fnn_dtype dt, const void *panels, ptrdiff_t rows, ptrdiff_t i, ptrdiff_t j,
                      ptrdiff_t width)
{
    return fnn_at_out(dt, (void *)panels, j * rows + i * width);
}

/* Rows i .. i + r - 1 of layer l's weights, columns j .. j + cols - 1 of one panel, at w with rows rs
 * apart: to their places in the transposed panels. i is a multiple of their width. */
static void transpose_chunk(const fnn_scratch *s, ptrdiff_t l, ptrdiff_t i, ptrdiff_t r, ptrdiff_t j,
                            ptrdiff_t cols, const void *w, ptrdiff_t rs)
{
    const fnn_dtype dt = s->net->dt;
    const ptrdiff_t width = panel_width(s->kn), m = s->net->layer[l].m;
    for (ptrdiff_t at = 0; at < r; at += width)
        s->kn->pack(cols, fnn_min(width, r - at), fnn_at(dt, w, at * rs), 1, rs, width,
                    panel_at(dt, s->layer[l].w_t, m, j, i + at, width));
}

void fnn_scratch_transpose(const fnn_scratch *s)
{
    const fnn_network *net = s->net;
    const ptrdiff_t width = panel_width(s->kn);
    for (ptrdiff_t l = 1; l < net->layers; l++) {
        const fnn_layer *at = &net->layer[l];
        for (ptrdiff_t j = 0; j < at->m; j += width) {
            const void *w = s->panels ? fnn_at(net->dt, s->panels, at->panels + j * at->k)
                                      : fnn_at(net->dt, net->memory, at->w + j);
            transpose_chunk(s, l, 0, at->k, j, fnn_min(width, at->m - j), w,
                            s->panels ? width : at->ld);
        }
    }
}

/* ---- the rows ----------------------------------------------------------------------------- */

/* A block of a batch on its way. */
typedef struct {
    const fnn_scratch *s;
    const fnn_samples *from;
    ptrdiff_t begin, rows; /* of the samples */
    ptrdiff_t row;         /* of the batch, at which it begins */
    uint64_t key;          /* of what is dropped in this step */
    ptrdiff_t next_rows;   /* of the next block, whose places are in s->next_rows */
    fnn_in x;              /* in place, or gathered */
    fnn_loss_rows loss;
    bool first; /* of its batch */
    double alpha;
    bool by_columns; /* how the threads divide it */
    fnn_stepper *stepper; /* NULL, or what to do with the gradient, which is complete */
} block;

static ptrdiff_t sample(const fnn_samples *from, ptrdiff_t i)
{
    return from->order ? from->order[i] : i;
}

/* Bring rows begin .. end - 1 of the block together. */
static void gather(const block *b, ptrdiff_t begin, ptrdiff_t end)
{
    const fnn_scratch *s = b->s;
    const fnn_samples *from = b->from;
    const fnn_dtype dt = s->net->dt;
    const ptrdiff_t c = b->loss.c;
    const fnn_out x = { s->x, end, s->net->inputs, s->x_ld, 1 };
    const fnn_out targets = { s->targets, end, c, c, 1 };
    for (ptrdiff_t r = begin; r < end; r++) {
        const ptrdiff_t at = sample(from, b->begin + r);
        if (from->y.labels)
            ((int64_t *)s->labels)[r] = from->y.labels[at];
        else
            fnn_copy(dt, fnn_slice(dt, from->y.targets, at, 1), fnn_slice_out(dt, targets, r, 1));
        if (from->y.weights)
            memcpy(fnn_at_out(dt, s->weights, r), fnn_at(dt, from->y.weights, at), fnn_sizeof(dt));
        if (from->order && !from->csr)
            fnn_copy(dt, fnn_slice(dt, from->x, at, 1), fnn_slice_out(dt, x, r, 1));
    }
}

static fnn_out rows_at(const fnn_scratch *s, void *memory, ptrdiff_t l, ptrdiff_t i, ptrdiff_t n)
{
    return fnn_activation_at(s->net, fnn_at_out(s->net->dt, memory, i * s->net->layer[l].ld), l, n);
}

/* Columns j .. end - 1 of the first layer's z or a, from n sparse rows from i on. */
static void first_layer(const block *b, ptrdiff_t i, ptrdiff_t n, ptrdiff_t j, ptrdiff_t end)
{
    const fnn_scratch *s = b->s;
    const fnn_network *net = s->net;
    const int64_t *order = b->from->order;
    fnn_out y = rows_at(s, s->layer[0].a, 0, i, n);
    y.data = fnn_at_out(net->dt, y.data, j);
    y.cols = end - j;
    fnn_first_layer(net, s->kn, b->from->csr, order ? order + b->begin + i : NULL, b->begin + i,
                    net->layers > 1 ? net->layer[0].act : FNN_IDENTITY, y, j, s->panels);
}

/* What the layer after l takes as its input. */
static fnn_out input_at(const fnn_scratch *s, ptrdiff_t l, ptrdiff_t i, ptrdiff_t n)
{
    return rows_at(s, s->layer[l].mask ? s->layer[l].dropped : s->layer[l].a, l, i, n);
}

/* y = x * mask for columns j .. end - 1 of n rows from i on: the kernel's e^z has itself for derivative. */
static void mask_rows(const block *b, ptrdiff_t l, ptrdiff_t i, ptrdiff_t n, ptrdiff_t j,
                      ptrdiff_t end, void *x, void *y)
{
    const fnn_scratch *s = b->s;
    const ptrdiff_t ld = s->net->layer[l].ld, at = i * ld + j;
    s->kn->delta(FNN_EXP, n, end - j, fnn_at(s->net->dt, s->layer[l].mask, at), ld,
                 fnn_at(s->net->dt, x, at), ld, fnn_at_out(s->net->dt, y, at), ld);
}

/* forward: dropped_l = a_l * mask_l */
static void drop(const block *b, ptrdiff_t l, ptrdiff_t i, ptrdiff_t n, ptrdiff_t j, ptrdiff_t end)
{
    const fnn_scratch *s = b->s;
    const fnn_layer_scratch *ls = &s->layer[l];
    const ptrdiff_t ld = s->net->layer[l].ld;
    if (!ls->mask || j >= end)
        return;
    const double rate = s->dropout.rate[l];
    s->kn->dropout_mask(&(fnn_mask){
        .key = fnn_mix(b->key + (uint64_t)l), .row = b->row + i, .col = j, .n = n, .m = end - j,
        .least = (uint32_t)(rate * 0x1p32), .scale = 1 / (1 - rate),
        .mask = fnn_at_out(s->net->dt, ls->mask, i * ld + j), .mask_rs = ld });
    mask_rows(b, l, i, n, j, end, ls->a, ls->dropped);
}

/* backward: delta_l *= mask_l */
static void drop_delta(const block *b, ptrdiff_t l, ptrdiff_t i, ptrdiff_t n, ptrdiff_t j,
                       ptrdiff_t end)
{
    const fnn_layer_scratch *ls = &b->s->layer[l];
    if (ls->mask && j < end)
        mask_rows(b, l, i, n, j, end, ls->delta, ls->delta);
}

/* The products: z_l or a_l from a_{l-1}, and delta_{l-1} from delta_l, for n rows from i on. */
static fnn_product forward_product(const block *b, ptrdiff_t l, ptrdiff_t i, ptrdiff_t n)
{
    const fnn_scratch *s = b->s;
    const fnn_network *net = s->net;
    const fnn_in x = l ? fnn_as_in(input_at(s, l - 1, i, n))
                       : fnn_slice(net->dt, b->x, i, n);
    return fnn_layer_product(net, s->kn, l, l < net->layers - 1 ? net->layer[l].act : FNN_IDENTITY, x,
                             rows_at(s, s->layer[l].a, l, i, n), s->panels);
}

/* Layer l of n rows from i on. */
static void forward_rows(const block *b, ptrdiff_t l, ptrdiff_t i, ptrdiff_t n)
{
    const fnn_scratch *s = b->s;
    const ptrdiff_t m = s->net->layer[l].m;
    if (l == 0 && b->from->csr) {
        first_layer(b, i, n, 0, m);
    } else {
        const fnn_product product = forward_product(b, l, i, n);
        fnn_multiply(s->kn, s->net->dt, &product);
    }
    drop(b, l, i, n, 0, m);
}

static fnn_product backward_product(const block *b, ptrdiff_t l, ptrdiff_t i, ptrdiff_t n)
{
    const fnn_scratch *s = b->s;
    const fnn_layer *at = &s->net->layer[l];
    /* forward: a_l = act(a_{l-1} w_l + b_l) */
    return (fnn_product){ .x = fnn_as_in(rows_at(s, s->layer[l].delta, l, i, n)),
                          .w = fnn_rhs_panels(s->kn, n, at->m, at->k, s->layer[l].w_t),
                          .y = rows_at(s, s->layer[l - 1].delta, l - 1, i, n),
                          .a = fnn_as_in(rows_at(s, s->layer[l - 1].a, l - 1, i, n)),
                          .a_act = s->net->layer[l - 1].act };
}

/* The losses of rows i .. i + n - 1 and the delta of the last layer, from its logits. */
static void loss_of_rows(const block *b, ptrdiff_t i, ptrdiff_t n)
{
    const fnn_scratch *s = b->s;
    const fnn_network *net = s->net;
    const ptrdiff_t last = net->layers - 1;
    const fnn_out z = rows_at(s, s->layer[last].a, last, i, n);
    fnn_loss_rows rows = b->loss;
    rows.n = n;
    rows.z = z.data;
    rows.z_rs = rows.dz_rs = z.rs;
    rows.dz = rows_at(s, s->layer[last].delta, last, i, n).data;
    rows.labels = rows.labels ? rows.labels + i : NULL;
    rows.targets = fnn_at(net->dt, rows.targets, i * rows.targets_rs);
    rows.weights = rows.weights ? fnn_at(net->dt, rows.weights, i) : NULL;
    rows.losses += i;
    fnn_loss_block(s->kn, net->loss, &rows);
}

/* Columns begin .. end - 1, whole panels, of delta_l to where the second phase wants them. */
static void pack_delta(const block *b, ptrdiff_t l, ptrdiff_t i, ptrdiff_t n, ptrdiff_t begin,
                       ptrdiff_t end)
{
    const fnn_scratch *s = b->s;
    const fnn_dtype dt = s->net->dt;
    const ptrdiff_t width = panel_width(s->kn);
    const fnn_out delta = rows_at(s, s->layer[l].delta, l, i, n);
    for (ptrdiff_t j = begin; j < end; j += width)
        s->kn->pack(n, fnn_min(width, end - j), fnn_at(dt, delta.data, j), delta.rs, 1, width,
                    panel_at(dt, s->layer[l].delta_panels, b->rows, i, j, width));
}

/* Each part takes some rows all the way: nothing has to be waited for. */
static void rows_part(void *b_, int part, int parts)
{
    const block *b = b_;
    const fnn_scratch *s = b->s;
    const ptrdiff_t i = fnn_share(b->rows, part, parts);
    const ptrdiff_t n = fnn_share(b->rows, part + 1, parts) - i, last = s->net->layers - 1;
    if (n == 0)
        return;
    gather(b, i, i + n);
    for (ptrdiff_t l = 0; l <= last; l++)
        forward_rows(b, l, i, n);
    loss_of_rows(b, i, n);
    for (ptrdiff_t l = last; l >= 0; l--) {
        pack_delta(b, l, i, n, 0, s->net->layer[l].m);
        if (l > 0) {
            const fnn_product product = backward_product(b, l, i, n);
            fnn_multiply(s->kn, s->net->dt, &product);
            drop_delta(b, l - 1, i, n, 0, s->net->layer[l - 1].m);
        }
    }
}

/* Each part takes some columns of every layer, layer after layer, so that it needs no more of the
 * weights than what it has updated itself, which is still in its own cache. */
typedef struct { const block *b; ptrdiff_t l; } layer_job;

/* The part's columns of m, whole panels: where they begin, and, for the next part, where they end. */
static ptrdiff_t first_column(const block *b, ptrdiff_t m, int part, int parts)
{
    const ptrdiff_t width = panel_width(b->s->kn), panels = (m + width - 1) / width;
    return fnn_min(m, fnn_share(panels, part, parts) * width);
}

static void multiply_columns(const block *b, const fnn_product *p, int part, int parts)
{
    const ptrdiff_t j = first_column(b, p->y.cols, part, parts);
    const ptrdiff_t end = first_column(b, p->y.cols, part + 1, parts);
    if (j >= end)
        return;
    const fnn_product product = fnn_product_columns(b->s->net->dt, *p, j, end);
    fnn_multiply(b->s->kn, b->s->net->dt, &product);
}

static void gather_part(void *b_, int part, int parts)
{
    const block *b = b_;
    gather(b, fnn_share(b->rows, part, parts), fnn_share(b->rows, part + 1, parts));
}

static void forward_part(void *job_, int part, int parts)
{
    const layer_job *job = job_;
    const block *b = job->b;
    const ptrdiff_t m = b->s->net->layer[job->l].m;
    const ptrdiff_t j = first_column(b, m, part, parts), end = first_column(b, m, part + 1, parts);
    if (j >= end)
        return;
    if (job->l == 0 && b->from->csr) {
        first_layer(b, 0, b->rows, j, end);
    } else {
        const fnn_product product = forward_product(b, job->l, 0, b->rows);
        multiply_columns(b, &product, part, parts);
    }
    drop(b, job->l, 0, b->rows, j, end);
}

static void loss_part(void *b_, int part, int parts)
{
    const block *b = b_;
    const ptrdiff_t i = fnn_share(b->rows, part, parts);
    loss_of_rows(b, i, fnn_share(b->rows, part + 1, parts) - i);
}

static void backward_part(void *job_, int part, int parts)
{
    const layer_job *job = job_;
    const block *b = job->b;
    const fnn_layer *at = &b->s->net->layer[job->l];
    pack_delta(b, job->l, 0, b->rows, first_column(b, at->m, part, parts),
               first_column(b, at->m, part + 1, parts));
    if (job->l > 0) {
        const fnn_product product = backward_product(b, job->l, 0, b->rows);
        multiply_columns(b, &product, part, parts);
        drop_delta(b, job->l - 1, 0, b->rows, first_column(b, at->k, part, parts),
                   first_column(b, at->k, part + 1, parts));
    }
}

static void columns_phase(block *b, int parts)
{
    const ptrdiff_t last = b->s->net->layers - 1;
    fnn_run(parts, gather_part, b);
    for (ptrdiff_t l = 0; l <= last; l++)
        fnn_run(parts, forward_part, &(layer_job){ b, l });
    fnn_run(parts, loss_part, b);
    for (ptrdiff_t l = last; l >= 0; l--)
        fnn_run(parts, backward_part, &(layer_job){ b, l });
}

/* Whether that pays: the weights are much to hand over, each part's share stays in its cache or is
 * updated after every block, and the widest layer is wide enough. */
static bool by_columns(const fnn_scratch *s, int parts, bool one_block)
{
    enum { MUCH_BYTES = 64 << 10, CACHE_BYTES = 1280 << 10, LEAST_PANELS = 2 };
    const fnn_network *net = s->net;
    const ptrdiff_t bytes = net->panels_size * (ptrdiff_t)fnn_sizeof(net->dt);
    return parts > 1 && s->panels && bytes >= MUCH_BYTES
        && (one_block || bytes / parts <= CACHE_BYTES)
        && net->widest >= LEAST_PANELS * parts * panel_width(s->kn);
}

/* ---- the weights -------------------------------------------------------------------------- */

/* Update `count` parameters; `at` is where their state is. */
static void update(const block *b, bool penalised, void *w, ptrdiff_t at, ptrdiff_t count,
                   const void *gradient)
{
    const fnn_dtype dt = b->s->net->dt;
    fnn_optimizer opt = b->stepper->opt;
    opt.alpha = penalised ? b->alpha : 0;
    void *state[2];
    for (int i = 0; i < 2; i++)
        state[i] = b->stepper->state[i] ? fnn_at_out(dt, b->stepper->state[i], at) : NULL;
    b->s->kn->update(&opt, count, w, gradient, state[0], state[1]);
}

static void bias_gradient(const block *b, ptrdiff_t l)
{
    const fnn_network *net = b->s->net;
    const fnn_layer *at = &net->layer[l];
    const fnn_layer_scratch *ls = &b->s->layer[l];
    b->s->kn->column_sums(b->rows, at->m, ls->delta, at->ld, !b->first, ls->db);
    if (b->stepper)
        update(b, false, fnn_network_bias(net, l).data, net->panels_size + at->biases, at->ld,
               ls->db);
}

/* The block's sparse rows, transposed: dw_1 = x' delta_1 is a product of sparse rows, too, each chain in
 * the order of the block's rows. */
static void transpose_rows(const block *b)
{
    const fnn_scratch *s = b->s;
    const fnn_csr *x = b->from->csr;
    int64_t *starts = s->column_starts;
    memset(starts, 0, ((size_t)x->cols + 1) * sizeof *starts);
    for (int fill = 0; fill < 2; fill++) {
        for (ptrdiff_t r = 0; r < b->rows; r++) {
            const ptrdiff_t row = sample(b->from, b->begin + r), end = (ptrdiff_t)x->starts[row + 1];
            for (ptrdiff_t p = (ptrdiff_t)x->starts[row]; p < end; p++) {
                const ptrdiff_t j = x->wide ? (ptrdiff_t)((const int64_t *)x->places)[p]
                                            : (ptrdiff_t)((const int32_t *)x->places)[p];
                if (!fill) {
                    starts[j + 1]++;
                    continue;
                }
                const ptrdiff_t to = (ptrdiff_t)starts[j]++;
                s->rows_of[to] = (int32_t)r;
                if (s->net->dt == FNN_F32)
                    ((float *)s->columns)[to] = ((const float *)x->values)[p];
                else
                    ((double *)s->columns)[to] = ((const double *)x->values)[p];
            }
        }
        for (ptrdiff_t j = 0; !fill && j < x->cols; j++)
            starts[j + 1] += starts[j];
    }
    memmove(starts + 1, starts, (size_t)x->cols * sizeof *starts);
    starts[0] = 0;
}

/* Rows i .. i + r - 1 of the panel of dw_l that starts at column j. */
static void chunk_gradient(const block *b, ptrdiff_t l, ptrdiff_t i, ptrdiff_t r, ptrdiff_t j,
                           void *chunk, fnn_ahead *ahead)
{
    const fnn_scratch *s = b->s;
    const fnn_network *net = s->net;
    const fnn_dtype dt = net->dt;
    const fnn_layer *at = &net->layer[l];
    const fnn_layer_scratch *ls = &s->layer[l];
    const ptrdiff_t width = panel_width(s->kn), cols = fnn_min(width, at->m - j);
    const fnn_in a = l ? fnn_as_in(input_at(s, l - 1, 0, b->rows)) : b->x;
    const ptrdiff_t offset = j * at->k + i * width;
    int vectors = 1; /* of the panel; the others stay zero */
    while (vectors * s->kn->lanes < cols)
        vectors *= 2;
    void *dw = ls->dw ? fnn_at_out(dt, ls->dw, offset) : chunk;
    if (!ls->dw && vectors < s->kn->tile_vectors)
        memset(dw, 0, (size_t)(r * width) * fnn_sizeof(dt));
    if (l == 0 && b->from->csr)
        s->kn->sparse(&(fnn_sparse){
            .n = r, .cols = vectors * s->kn->lanes, .values = s->columns, .places = s->rows_of,
            .starts = s->column_starts + i,
            .w = panel_at(dt, ls->delta_panels, b->rows, 0, j, width), .w_rs = width, .w_ps = 0,
            .y = dw, .y_rs = width, .accumulate = !b->first });
    else
        s->kn->panel(&(fnn_panel){
            .n = r, .k = b->rows, .cols = vectors * s->kn->lanes,
            .x = fnn_at(dt, a.data, i * a.cs), .x_rs = a.cs, .x_cs = a.rs,
            .w = panel_at(dt, ls->delta_panels, b->rows, 0, j, width), .w_rs = width,
            .w_vectors = vectors, .y = dw, .y_rs = width, .y_cs = 1, .accumulate = !b->first,
            .ahead = ahead });
    if (b->stepper) {
        void *w = fnn_at_out(dt, net->panels, at->panels + offset);
        update(b, true, w, at->panels + offset, r * width, dw);
        if (l > 0)
            transpose_chunk(s, l, i, r, j, cols, w, width);
    }
}

static void weights_part(void *b_, int part, int parts)
{
    const block *b = b_;
    const fnn_scratch *s = b->s;
    const fnn_network *net = s->net;
    const ptrdiff_t width = panel_width(s->kn);
    /* What this part will gather next comes from memory meanwhile. */
    const ptrdiff_t next = fnn_share(b->next_rows, part, parts);
    fnn_ahead ahead = { .row = s->next_rows + next,
                        .rows = fnn_share(b->next_rows, part + 1, parts) - next,
                        .bytes = net->inputs * (ptrdiff_t)fnn_sizeof(net->dt) };
    for (ptrdiff_t l = net->layers - 1; l >= 0; l--) {
        const fnn_layer *at = &net->layer[l];
        const ptrdiff_t step = s->layer[l].chunk_rows, panels = (at->m + width - 1) / width;
        /* The part's share of what each row has in all panels; or of the panels, of which it has had
         * the columns of delta already. Row by row, so that a is read once. */
        const ptrdiff_t count = b->by_columns ? panels : panels * at->k;
        const ptrdiff_t begin = fnn_share(count, part, parts), end = fnn_share(count, part + 1, parts);
        if (l % parts == part)
            bias_gradient(b, l);
        for (ptrdiff_t i = 0; i < at->k; i += step) {
            const ptrdiff_t rows = fnn_min(step, at->k - i);
            for (ptrdiff_t j = 0; j < panels; j++) {
                const ptrdiff_t place = b->by_columns ? j : i * panels + j * rows;
                if (place >= begin && place < end)
                    chunk_gradient(b, l, i, rows, j * width, s->chunks + part * s->chunk_bytes,
                                   &ahead);
            }
        }
    }
}

/* ---- the batch ---------------------------------------------------------------------------- */

static bool stop_wanted(fnn_interrupt *p)
{
    enum { EVERY_MS = 50 };
    if (!p->ask)
        return false;
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    const double seconds = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    if (fabs(seconds - p->asked) < 1e-3 * EVERY_MS)
        return false;
    p->asked = seconds;
    return p->ask(p->context) != 0;
}

static double penalty(const fnn_scratch *s, double alpha)
{
    const fnn_network *net = s->net;
    const ptrdiff_t width = panel_width(s->kn);
    double squares = 0;
    for (ptrdiff_t l = 0; alpha > 0 && l < net->layers; l++) {
        const fnn_layer *at = &net->layer[l];
        if (s->panels)
            squares += s->kn->sum_of_squares(at->k, at->m, fnn_at(net->dt, s->panels, at->panels),
                                             width, width, width * at->k);
        else
            squares += s->kn->sum_of_squares(at->k, at->m, fnn_network_weight(net, l).data, at->ld,
                                             width, width);
    }
    return 0.5 * alpha * squares;
}

/* Of the products of a block forward. */
static double flops_of(const block *b)
{
    const fnn_network *net = b->s->net;
    const double dense = net->flops * (double)b->rows;
    if (!b->from->csr)
        return dense;
    const fnn_layer *first = &net->layer[0];
    const ptrdiff_t stored =
        fnn_stored(b->from->csr, b->from->order, b->begin, b->begin + b->rows);
    return dense - 2 * (double)first->k * (double)first->m * (double)b->rows
         + fnn_sparse_work((double)stored, b->rows, first->m);
}

/* Of the weights phase, in which each weight is a sum and is updated: of dense rows all but the products
 * is little beside these. */
static double weights_flops(const block *b, double flops)
{
    const double flops_a_weight = 10;
    return b->from->csr ? flops + flops_a_weight * (double)b->s->net->panels_size : flops;
}

static block new_block(const fnn_scratch *s, const fnn_samples *from, ptrdiff_t begin,
                       ptrdiff_t rows, double weight)
{
    const fnn_network *net = s->net;
    const ptrdiff_t c = net->layer[net->layers - 1].m;
    return (block){
        .s = s, .from = from, .begin = begin, .rows = rows,
        .x = from->csr ? from->x : from->order ? (fnn_in){ s->x, rows, net->inputs, s->x_ld, 1 }
                         : fnn_slice(net->dt, from->x, begin, rows),
        .loss = { .c = c, .scale = 1 / weight, .delta = net->huber_delta, .losses = s->losses,
                  .labels = from->y.labels ? s->labels : NULL,
                  .targets = s->targets, .targets_rs = c,
                  .weights = from->y.weights ? s->weights : NULL },
    };
}

/* Note where the rows of the block that begins at sample i lie. */
static ptrdiff_t look_ahead(const fnn_scratch *s, const fnn_samples *from, ptrdiff_t i)
{
    if (!from->order || from->csr || from->x.cs != 1)
        return 0;
    const ptrdiff_t rows = fnn_min(s->rows, from->count - i);
    for (ptrdiff_t r = 0; r < rows; r++)
        s->next_rows[r] = fnn_at(s->net->dt, from->x.data, from->order[i + r] * from->x.rs);
    return rows;
}

fnn_status fnn_batch(const fnn_scratch *s, const fnn_samples *from, ptrdiff_t begin, ptrdiff_t end,
                     double weight, double alpha, fnn_stepper *stepper, fnn_interrupt *interrupt,
                     double loss[2])
{
    double sum = 0;
    for (ptrdiff_t i = begin; i < end; i += s->rows) {
        if (stop_wanted(interrupt))
            return FNN_ESTOPPED;
        block b = new_block(s, from, i, fnn_min(s->rows, end - i), weight);
        b.row = i - begin;
        b.key = stepper ? fnn_mix(fnn_mix(s->dropout.seed) + (uint64_t)stepper->opt.steps) : 0;
        /* Half of the work counts: what one thread has written, the others have to fetch. */
        const double flops = flops_of(&b) / 2;
        const int parts = (int)fnn_min(s->parts, fnn_parts(2 * flops));
        b.by_columns = by_columns(s, parts, end - begin <= s->rows);
        if (b.by_columns)
            columns_phase(&b, parts);
        else
            fnn_run(parts, rows_part, &b);
        double losses = 0;
        for (ptrdiff_t r = 0; r < b.rows; r++)
            losses += s->losses[r];
        sum += losses;
        const bool last = end - i <= s->rows;
        if (last) {
            loss[0] = sum / weight;
            loss[1] = penalty(s, alpha);
        }
        if (stepper && last && !isfinite(loss[0] + loss[1]))
            break;
        if (stepper && last)
            fnn_optimizer_advance(&stepper->opt);
        b.first = i == begin;
        b.alpha = alpha;
        b.stepper = last ? stepper : NULL;
        b.next_rows = look_ahead(s, from, fnn_min(i + s->rows, from->count));
        if (from->csr)
            transpose_rows(&b);
        fnn_run((int)fnn_min(s->parts, fnn_parts(weights_flops(&b, flops))), weights_part, &b);
    }
    return FNN_OK;
}
