/* training.c -- gradients of a network's loss, and epochs of minibatches. */
#include "network.h"

#include <string.h>
#include <time.h>

/* The rows that a gradient is over: x and its targets, in the order given or as they lie. */
typedef struct {
    fnn_in x;
    fnn_targets y;
    const int64_t *order; /* NULL: 0, 1, 2, ... */
    ptrdiff_t count;
} samples;

static ptrdiff_t sample(const samples *s, ptrdiff_t i) { return s->order ? s->order[i] : i; }

static double sum_of_weights(fnn_dtype dt, const samples *s, ptrdiff_t begin, ptrdiff_t end)
{
    double sum = 0;
    for (ptrdiff_t i = begin; s->y.weights && i < end; i++)
        sum += fnn_weight(dt, s->y, sample(s, i));
    return s->y.weights ? sum : (double)(end - begin);
}

/* What a layer needs for its part of a gradient. Where an update follows at once, only a chunk of
 * the rows of dw is kept, small enough to stay in the first-level cache in between. */
typedef struct {
    fnn_rhs w_t; /* the transposed weights, packed; not of the first layer */
    void *dw, *db;
    ptrdiff_t dw_rows, chunk_rows;
} layer_scratch;

enum { CHUNK_BYTES = 16 << 10 };

/* The parts of the workspace that a gradient is computed in, for blocks of up to `rows` rows. */
typedef struct {
    char *memory;
    ptrdiff_t rows;
    ptrdiff_t x_ld;
    void *x;                           /* gathered rows, x_ld apart */
    void *labels, *targets, *weights;  /* theirs; labels are int64 */
    void *activations, *delta[2];
    void *layers;                      /* layer_scratch, one for each layer */
    void *next_rows;                   /* where the rows of the next block lie */
    char *packed;                      /* where the layers' w_t are packed */
} scratch;

static layer_scratch *at_layer(const scratch *s, ptrdiff_t l)
{
    return (layer_scratch *)s->layers + l;
}

static fnn_in transposed_weight(const fnn_network *net, ptrdiff_t l)
{
    const fnn_out w = fnn_network_weight(net, l);
    return (fnn_in){ w.data, w.cols, w.rows, w.cs, w.rs };
}

static ptrdiff_t chunk_rows(const fnn_network *net, const fnn_kernels *kn, ptrdiff_t l)
{
    const ptrdiff_t row_bytes = net->layer[l].ld * (ptrdiff_t)fnn_sizeof(net->dt);
    const ptrdiff_t rows = fnn_round_up(CHUNK_BYTES / row_bytes + 1, kn->tile_rows);
    return fnn_min(rows, net->layer[l].k);
}

/* `whole`: keep all of every dw, for gradients that are delivered or gathered from many blocks. */
static bool take_scratch(fnn_network *net, const fnn_kernels *kn, ptrdiff_t rows, bool whole,
                         scratch *s)
{
    const fnn_dtype dt = net->dt;
    const ptrdiff_t m = net->layer[net->layers - 1].m;
    s->rows = rows;
    s->x_ld = fnn_leading(dt, net->inputs);
    /* The parts, in their order; int64 labels are as large as doubles. */
    const struct { void **at; fnn_dtype dt; ptrdiff_t a, b; } parts[] = {
        { &s->x, dt, rows, s->x_ld },
        { &s->labels, FNN_F64, rows, 1 },
        { &s->targets, dt, rows, m },
        { &s->weights, dt, rows, 1 },
        { &s->activations, dt, 1, net->activations },
        { &s->delta[0], dt, rows, net->widest },
        { &s->delta[1], dt, rows, net->widest },
        { &s->layers, FNN_F64, net->layers, sizeof(layer_scratch) / sizeof(double) + 1 },
        { &s->next_rows, FNN_F64, rows, sizeof(char *) / sizeof(double) + 1 },
    };
    enum { PARTS = sizeof parts / sizeof *parts };
    size_t bytes = 0;
    bool ok = s->x_ld >= net->inputs;
    for (int i = 0; ok && i < PARTS; i++)
        ok = fnn_reserve(&bytes, parts[i].dt, parts[i].a, parts[i].b);
    for (ptrdiff_t l = 0; ok && l < net->layers; l++) {
        const fnn_layer *at = &net->layer[l];
        const ptrdiff_t dw_rows = whole ? at->k : chunk_rows(net, kn, l);
        ok = fnn_reserve(&bytes, dt, dw_rows, at->ld) && fnn_reserve(&bytes, dt, 1, at->ld)
          && (l == 0 || fnn_rhs_reserve(kn, dt, rows, transposed_weight(net, l), &bytes));
    }
    s->memory = ok ? fnn_workspace_take(&net->workspace, bytes) : NULL;
    if (!s->memory)
        return false;
    char *cursor = s->memory;
    for (int i = 0; i < PARTS; i++)
        *parts[i].at = fnn_part(&cursor, parts[i].dt, parts[i].a, parts[i].b);
    for (ptrdiff_t l = 0; l < net->layers; l++) {
        const fnn_layer *at = &net->layer[l];
        layer_scratch *ls = at_layer(s, l);
        ls->chunk_rows = chunk_rows(net, kn, l);
        ls->dw_rows = whole ? at->k : ls->chunk_rows;
        char *begin = cursor;
        ls->dw = fnn_part(&cursor, dt, ls->dw_rows, at->ld);
        ls->db = fnn_part(&cursor, dt, 1, at->ld);
        memset(begin, 0, (size_t)(cursor - begin)); /* the padding stays zero */
    }
    s->packed = cursor;
    return true;
}

/* Bring rows i .. i + n - 1 of the samples together; returns x and fills in the rest. */
static fnn_in gather(const fnn_network *net, const samples *from, ptrdiff_t i, ptrdiff_t n,
                     const scratch *s, fnn_loss_rows *rows)
{
    const fnn_dtype dt = net->dt;
    const ptrdiff_t c = rows->c;
    const fnn_out x = { s->x, n, net->inputs, s->x_ld, 1 }, targets = { s->targets, n, c, c, 1 };
    rows->n = n;
    rows->labels = from->y.labels ? s->labels : NULL;
    rows->targets = targets.data;
    rows->targets_rs = targets.rs;
    rows->weights = from->y.weights ? s->weights : NULL;
    for (ptrdiff_t r = 0; r < n; r++) {
        const ptrdiff_t at = sample(from, i + r);
        if (from->y.labels)
            ((int64_t *)s->labels)[r] = from->y.labels[at];
        else
            fnn_copy(dt, fnn_slice(dt, from->y.targets, at, 1), fnn_slice_out(dt, targets, r, 1));
        if (from->y.weights)
            memcpy(fnn_at_out(dt, s->weights, r), fnn_at(dt, from->y.weights, at), fnn_sizeof(dt));
        if (from->order)
            fnn_copy(dt, fnn_slice(dt, from->x, at, 1), fnn_slice_out(dt, x, r, 1));
    }
    return from->order ? fnn_as_in(x) : fnn_slice(dt, from->x, i, n);
}

/* Rows i .. of the samples' x, those of the next block. */
static fnn_ahead look_ahead(fnn_dtype dt, const samples *from, ptrdiff_t i, const scratch *s)
{
    if (!from->order || from->x.cs != 1)
        return (fnn_ahead){ 0 };
    const char **row = s->next_rows;
    const ptrdiff_t rows = fnn_min(s->rows, from->count - i);
    for (ptrdiff_t r = 0; r < rows; r++)
        row[r] = fnn_at(dt, from->x.data, from->order[i + r] * from->x.rs);
    return (fnn_ahead){ .row = row, .rows = rows,
                        .bytes = from->x.cols * (ptrdiff_t)fnn_sizeof(dt) };
}

static fnn_out hidden(const fnn_network *net, const scratch *s, ptrdiff_t l, ptrdiff_t n)
{
    void *memory = fnn_at_out(net->dt, s->activations, net->layer[l].activation);
    return fnn_activation_at(net, memory, l, n);
}

/* Outputs of the hidden layers, logits, and delta of the last layer; returns the sum of the
 * weighted losses. */
static double forward_block(const fnn_network *net, const fnn_kernels *kn, fnn_in x,
                            fnn_loss_rows *rows, fnn_ahead *ahead, const scratch *s)
{
    const ptrdiff_t last = net->layers - 1, n = x.rows;
    for (ptrdiff_t l = 0; l < last; l++)
        fnn_layer_forward(net, kn, l, net->layer[l].act,
                          l ? fnn_as_in(hidden(net, s, l - 1, n)) : x, hidden(net, s, l, n), ahead);
    const fnn_out z = fnn_activation_at(net, s->delta[1], last, n);
    fnn_layer_forward(net, kn, last, FNN_IDENTITY,
                      last ? fnn_as_in(hidden(net, s, last - 1, n)) : x, z, ahead);
    rows->z = z.data;
    rows->dz = s->delta[0];
    rows->z_rs = rows->dz_rs = z.rs;
    return fnn_loss_block(kn, net->loss, rows);
}

struct fnn_training {
    fnn_network *net;
    fnn_optimizer opt;
    ptrdiff_t batch_size;
    void *state[2];
};

/* Update the `count` parameters that start at `at`; biases are not penalised. */
static void update(fnn_training *t, const fnn_kernels *kn, bool penalised, ptrdiff_t at,
                   ptrdiff_t count, const void *gradient)
{
    const fnn_dtype dt = t->net->dt;
    fnn_optimizer opt = t->opt;
    opt.alpha = penalised ? opt.alpha : 0;
    void *state[2];
    for (int i = 0; i < 2; i++)
        state[i] = t->state[i] ? fnn_at_out(dt, t->state[i], at) : NULL;
    kn->update(&opt, count, fnn_at_out(dt, t->net->memory, at), gradient, state[0], state[1]);
}

/* Backward for the rows x of which forward_block has been done; adds to the gradient unless they
 * are the first of their batch. With t, the gradient is then complete and each part of it updates
 * its parameters as soon as it is there. */
static void backward_block(const fnn_network *net, const fnn_kernels *kn, fnn_in x, bool first,
                           fnn_training *t, fnn_ahead *ahead, const scratch *s)
{
    const ptrdiff_t last = net->layers - 1, n = x.rows;
    fnn_out delta = fnn_activation_at(net, s->delta[0], last, n);
    for (ptrdiff_t l = last; l >= 0; l--) {
        /* forward: a_l = act(a_{l-1} w_l + b_l) */
        const fnn_layer *at = &net->layer[l];
        const layer_scratch *ls = at_layer(s, l);
        const fnn_in a = l ? fnn_as_in(hidden(net, s, l - 1, n)) : x;
        kn->column_sums(n, at->m, delta.data, delta.rs, !first, ls->db);
        if (t)
            update(t, kn, false, at->b, at->ld, ls->db);
        for (ptrdiff_t i = 0; i < at->k; i += ls->chunk_rows) {
            const ptrdiff_t r = fnn_min(ls->chunk_rows, at->k - i);
            void *dw = fnn_at_out(net->dt, ls->dw, i % ls->dw_rows * at->ld);
            const fnn_in a_i = { fnn_at(net->dt, a.data, i * a.cs), n, r, a.rs, a.cs };
            fnn_weight_gradient(kn, net->dt, a_i, fnn_as_in(delta), !first,
                                (fnn_out){ dw, r, at->m, at->ld, 1 }, ahead);
            if (t)
                update(t, kn, true, at->w + i * at->ld, r * at->ld, dw);
        }
        if (l > 0) { /* w_t was packed before any update */
            const fnn_out dx = fnn_activation_at(net, s->delta[(last - l + 1) % 2], l - 1, n);
            fnn_multiply(kn, net->dt, &(fnn_product){ .x = fnn_as_in(delta), .w = ls->w_t,
                                                      .y = dx, .a = a,
                                                      .a_act = net->layer[l - 1].act });
            delta = dx;
        }
    }
}

/* When to ask the caller whether to go on. */
typedef struct {
    fnn_poll ask;
    void *context;
    double asked; /* seconds on the clock */
} poll;

static bool stop_wanted(poll *p)
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

static double penalty(const fnn_network *net, const fnn_kernels *kn, double alpha)
{
    double squares = 0;
    for (ptrdiff_t l = 0; alpha > 0 && l < net->layers; l++) {
        const fnn_out w = fnn_network_weight(net, l);
        squares += kn->sum_of_squares(w.rows, w.cols, w.data, w.rs);
    }
    return 0.5 * alpha * squares;
}

/* Loss and gradient over samples begin .. end - 1, whose weights sum to `weight`; with t, one step
 * of it, unless the loss is not finite. */
static fnn_status batch(const fnn_network *net, const fnn_kernels *kn, const samples *from,
                        ptrdiff_t begin, ptrdiff_t end, double weight, double alpha,
                        fnn_training *t, poll *p, const scratch *s, double *loss)
{
    char *cursor = s->packed;
    for (ptrdiff_t l = 1; l < net->layers; l++)
        at_layer(s, l)->w_t = fnn_rhs_prepare(kn, net->dt, s->rows, transposed_weight(net, l),
                                              &cursor);
    double sum = 0;
    for (ptrdiff_t i = begin; i < end; i += s->rows) {
        if (stop_wanted(p))
            return FNN_ESTOPPED;
        const bool last = end - i <= s->rows;
        fnn_loss_rows rows = { .c = net->layer[net->layers - 1].m, .scale = 1 / weight };
        const fnn_in x = gather(net, from, i, fnn_min(s->rows, end - i), s, &rows);
        fnn_ahead ahead = look_ahead(net->dt, from, fnn_min(i + s->rows, end), s);
        sum += forward_block(net, kn, x, &rows, &ahead, s);
        if (last)
            *loss = sum / weight + penalty(net, kn, alpha);
        if (t && last && !isfinite(*loss))
            break;
        if (t && last)
            fnn_optimizer_advance(&t->opt);
        backward_block(net, kn, x, i == begin, last ? t : NULL, &ahead, s);
    }
    return FNN_OK;
}

static fnn_status check_samples(const fnn_network *net, const samples *s)
{
    if (net->loss == FNN_NLOSS || s->x.cols != net->inputs || s->count == 0)
        return FNN_ESHAPE;
    for (ptrdiff_t i = 0; s->order && i < s->count; i++)
        if (s->order[i] < 0 || s->order[i] >= s->x.rows)
            return FNN_EVALUE;
    const fnn_status status =
        fnn_check_targets(net->loss, s->y, s->x.rows, net->layer[net->layers - 1].m);
    if (status)
        return status;
    return sum_of_weights(net->dt, s, 0, s->count) > 0 ? FNN_OK : FNN_EVALUE;
}

/* No gradient on x, y, the parameters, or another gradient. */
static fnn_status check_gradients(const fnn_network *net, fnn_in x, fnn_targets y,
                                  const fnn_out *dw, const fnn_out *db)
{
    const fnn_in inputs[] = {
        x, y.labels ? (fnn_in){ 0 } : y.targets, { y.weights, 1, x.rows, x.rows, 1 },
        { net->memory, 1, net->parameters, net->parameters, 1 },
    };
    for (ptrdiff_t o = 0; o < 2 * net->layers; o++) {
        const fnn_out out = o % 2 ? db[o / 2] : dw[o / 2];
        fnn_status status = fnn_check_out(net->dt, out, inputs, 4);
        for (ptrdiff_t p = 0; !status && p < o; p++)
            if (fnn_overlap(net->dt, fnn_as_in(out), fnn_as_in(p % 2 ? db[p / 2] : dw[p / 2])))
                status = FNN_EALIAS;
        if (status)
            return status;
    }
    return FNN_OK;
}

fnn_status fnn_network_gradients(fnn_network *net, fnn_in x, fnn_targets y, double alpha,
                                 double *loss, const fnn_out *dw, const fnn_out *db)
{
    const fnn_dtype dt = net->dt;
    const fnn_kernels *kn = fnn_kernels_for(dt);
    if (!kn)
        return FNN_EISA;
    const samples all = { .x = x, .y = y, .count = x.rows };
    fnn_status status = check_samples(net, &all);
    for (ptrdiff_t l = 0; !status && l < net->layers; l++)
        if (!fnn_has_shape(fnn_as_in(dw[l]), net->layer[l].k, net->layer[l].m)
            || !fnn_has_shape(fnn_as_in(db[l]), 1, net->layer[l].m))
            status = FNN_ESHAPE;
    if (!status)
        status = check_gradients(net, x, y, dw, db);
    if (status)
        return status;
    scratch s;
    if (!take_scratch(net, kn, fnn_min(net->block_rows, x.rows), true, &s))
        return FNN_ENOMEM;
    status = batch(net, kn, &all, 0, x.rows, sum_of_weights(dt, &all, 0, x.rows), alpha, NULL,
                   &(poll){ 0 }, &s, loss);
    /* dw += alpha w is a step of gradient descent from dw, along w, at the rate -alpha. */
    const fnn_optimizer l2 = fnn_optimizer_init(FNN_SGD, -alpha, 0, 0);
    for (ptrdiff_t l = 0; l < net->layers; l++) {
        const fnn_layer *at = &net->layer[l];
        const layer_scratch *ls = at_layer(&s, l);
        if (alpha > 0)
            kn->update(&l2, at->k * at->ld, ls->dw, fnn_network_weight(net, l).data, NULL, NULL);
        fnn_copy(dt, (fnn_in){ ls->dw, at->k, at->m, at->ld, 1 }, dw[l]);
        fnn_copy(dt, (fnn_in){ ls->db, 1, at->m, at->ld, 1 }, db[l]);
    }
    fnn_workspace_give(&net->workspace, s.memory);
    return status;
}

/* ---- training ----------------------------------------------------------------------------- */

fnn_status fnn_training_new(fnn_network *net, fnn_optimizer opt, ptrdiff_t batch_size,
                            fnn_training **out)
{
    if (batch_size < 1 || net->loss == FNN_NLOSS)
        return FNN_ESHAPE;
    fnn_training *t = fnn_alloc(sizeof *t);
    if (!t)
        return FNN_ENOMEM;
    *t = (fnn_training){ .net = net, .opt = opt, .batch_size = batch_size };
    const int states = opt.solver == FNN_ADAM ? 2 : opt.solver == FNN_SGD ? 0 : 1;
    for (int i = 0; i < states; i++) {
        t->state[i] = fnn_alloc((size_t)net->parameters * fnn_sizeof(net->dt));
        if (!t->state[i]) {
            fnn_training_free(t);
            return FNN_ENOMEM;
        }
    }
    *out = t;
    return FNN_OK;
}

void fnn_training_free(fnn_training *t)
{
    if (!t)
        return;
    fnn_free(t->state[0]);
    fnn_free(t->state[1]);
    fnn_free(t);
}

fnn_status fnn_training_epoch(fnn_training *t, fnn_in x, fnn_targets y, const int64_t *order,
                              ptrdiff_t count, fnn_poll ask, void *context, double *loss)
{
    fnn_network *net = t->net;
    const fnn_kernels *kn = fnn_kernels_for(net->dt);
    if (!kn)
        return FNN_EISA;
    const samples all = { .x = x, .y = y, .order = order, .count = count };
    fnn_status status = check_samples(net, &all);
    if (status)
        return status;
    const ptrdiff_t batch_size = fnn_min(t->batch_size, count);
    const ptrdiff_t rows = fnn_min(net->block_rows, batch_size);
    scratch s;
    if (!take_scratch(net, kn, rows, batch_size > rows, &s))
        return FNN_ENOMEM;

    poll p = { .ask = ask, .context = context };
    const double total = sum_of_weights(net->dt, &all, 0, count);
    *loss = 0;
    for (ptrdiff_t begin = 0, end; begin < count; begin = end) {
        end = begin + fnn_min(batch_size, count - begin);
        const double weight = sum_of_weights(net->dt, &all, begin, end);
        if (!(weight > 0))
            continue;
        double batch_loss;
        status = batch(net, kn, &all, begin, end, weight, t->opt.alpha, t, &p, &s, &batch_loss);
        if (status)
            break;
        if (!isfinite(batch_loss)) {
            *loss = batch_loss;
            break;
        }
        *loss += batch_loss * weight / total;
    }
    fnn_workspace_give(&net->workspace, s.memory);
    return status;
}
