/* training.c -- gradients of a network's loss, and epochs of minibatches. */
#include "backprop.h"

#include <string.h>

static double sum_of_weights(fnn_dtype dt, const fnn_samples *s, ptrdiff_t begin, ptrdiff_t end)
{
    double sum = 0;
    for (ptrdiff_t i = begin; s->y.weights && i < end; i++)
        sum += fnn_weight(dt, s->y, s->order ? s->order[i] : i);
    return s->y.weights ? sum : (double)(end - begin);
}

static fnn_status check_samples(const fnn_network *net, const fnn_samples *s)
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

/* dw += alpha w: a step of gradient descent from dw, along w, at the rate -alpha. */
static void add_penalty(const fnn_scratch *s, ptrdiff_t l, double alpha)
{
    const fnn_dtype dt = s->net->dt;
    const fnn_layer *at = &s->net->layer[l];
    const fnn_optimizer step = fnn_optimizer_init(FNN_SGD, -alpha, 0, 0);
    const ptrdiff_t width = fnn_panels_row(s->kn, 1);
    void *dw = s->layer[l].dw;
    if (s->panels) {
        const void *w = fnn_at(dt, s->panels, at->panels);
        s->kn->update(&step, at->k * fnn_panels_row(s->kn, at->m), dw, w, NULL, NULL);
        return;
    }
    const fnn_out w = fnn_network_weight(s->net, l); /* rows, of which a panel has pieces */
    for (ptrdiff_t j = 0; j < w.cols; j += width)
        for (ptrdiff_t i = 0; i < w.rows; i++)
            s->kn->update(&step, fnn_min(width, w.cols - j),
                          fnn_at_out(dt, dw, j * w.rows + i * width),
                          fnn_at(dt, w.data, i * w.rs + j), NULL, NULL);
}

static fnn_status gradients(fnn_network *net, const fnn_csr *csr, fnn_in x, fnn_targets y,
                            double alpha, double *loss, const fnn_out *dw, const fnn_out *db)
{
    const fnn_dtype dt = net->dt;
    const fnn_kernels *kn = fnn_kernels_for(dt);
    if (!kn)
        return FNN_EISA;
    const fnn_samples all = { .x = x, .y = y, .count = x.rows, .csr = csr };
    fnn_status status = check_samples(net, &all);
    for (ptrdiff_t l = 0; !status && l < net->layers; l++)
        if (!fnn_has_shape(fnn_as_in(dw[l]), net->layer[l].k, net->layer[l].m)
            || !fnn_has_shape(fnn_as_in(db[l]), 1, net->layer[l].m))
            status = FNN_ESHAPE;
    if (!status)
        status = check_gradients(net, x, y, dw, db);
    if (status)
        return status;
    fnn_scratch s;
    if (!fnn_scratch_take(net, kn, fnn_network_panels(net, kn), fnn_min(net->block_rows, x.rows),
                          true, (fnn_dropout){ 0 }, &all, x.rows, &s))
        return FNN_ENOMEM;
    fnn_scratch_transpose(&s);
    double parts[2];
    status = fnn_batch(&s, &all, 0, x.rows, sum_of_weights(dt, &all, 0, x.rows), alpha, NULL,
                       &(fnn_interrupt){ 0 }, parts);
    *loss = parts[0] + parts[1];
    for (ptrdiff_t l = 0; l < net->layers; l++) {
        const fnn_layer *at = &net->layer[l];
        if (alpha > 0)
            add_penalty(&s, l, alpha);
        fnn_panels_unpack(kn, dt, s.layer[l].dw, dw[l]);
        fnn_copy(dt, (fnn_in){ s.layer[l].db, 1, at->m, at->ld, 1 }, db[l]);
    }
    fnn_workspace_give(&net->workspace, s.memory);
    return status;
}

fnn_status fnn_network_gradients(fnn_network *net, fnn_in x, fnn_targets y, double alpha,
                                 double *loss, const fnn_out *dw, const fnn_out *db)
{
    return gradients(net, NULL, x, y, alpha, loss, dw, db);
}

static fnn_in shape_of(const fnn_csr *x) { return (fnn_in){ NULL, x->rows, x->cols, 0, 1 }; }

fnn_status fnn_network_gradients_sparse(fnn_network *net, fnn_csr x, fnn_targets y, double alpha,
                                        double *loss, const fnn_out *dw, const fnn_out *db)
{
    return gradients(net, &x, shape_of(&x), y, alpha, loss, dw, db);
}

/* ---- training ----------------------------------------------------------------------------- */

struct fnn_training {
    fnn_network *net;
    const fnn_kernels *kn; /* NULL before the first epoch; then for all, as the state lies in panels */
    fnn_stepper stepper;
    ptrdiff_t batch_size;
    bool divide_alpha;
    fnn_dropout dropout;
    void *kept; /* NULL, or panels and biases, as the state has them */
};

static const fnn_kernels *set_of(fnn_training *t)
{
    if (!t->kn)
        t->kn = fnn_kernels_for(t->net->dt);
    return t->kn;
}

static int states_of(fnn_solver solver)
{
    return solver == FNN_ADAM ? 2 : solver == FNN_SGD ? 0 : 1;
}

fnn_status fnn_training_new(fnn_network *net, fnn_optimizer opt, ptrdiff_t batch_size,
                            fnn_training **out)
{
    if (batch_size < 1 || net->loss == FNN_NLOSS)
        return FNN_ESHAPE;
    fnn_training *t = fnn_alloc(sizeof *t);
    if (!t)
        return FNN_ENOMEM;
    *t = (fnn_training){ .net = net, .stepper.opt = opt, .batch_size = batch_size };
    size_t bytes = 0;
    bool ok = fnn_network_make_panels(net)
           && fnn_reserve(&bytes, net->dt, 1, net->panels_size + net->biases);
    for (int i = 0; ok && i < states_of(opt.solver); i++) {
        t->stepper.state[i] = fnn_alloc(bytes);
        ok = t->stepper.state[i] != NULL;
    }
    if (!ok) {
        fnn_training_free(t);
        return FNN_ENOMEM;
    }
    *out = t;
    return FNN_OK;
}

void fnn_training_free(fnn_training *t)
{
    if (!t)
        return;
    fnn_free(t->kept);
    fnn_free(t->dropout.rate);
    fnn_free(t->stepper.state[0]);
    fnn_free(t->stepper.state[1]);
    fnn_free(t);
}

const fnn_optimizer *fnn_training_optimizer(const fnn_training *t) { return &t->stepper.opt; }

void fnn_training_set_learning_rate(fnn_training *t, double learning_rate)
{
    t->stepper.opt.learning_rate = learning_rate;
}

void fnn_training_resume(fnn_training *t, int64_t steps)
{
    fnn_optimizer_resume(&t->stepper.opt, steps);
}

void fnn_training_divide_alpha(fnn_training *t, int divide) { t->divide_alpha = divide; }

fnn_status fnn_training_set_dropout(fnn_training *t, const double *rates, uint64_t seed)
{
    const ptrdiff_t hidden = t->net->layers - 1;
    for (ptrdiff_t l = 0; l < hidden; l++)
        if (!(rates[l] >= 0 && rates[l] < 1))
            return FNN_EVALUE;
    if (!t->dropout.rate)
        t->dropout.rate = fnn_alloc((size_t)(hidden + 1) * sizeof *rates);
    if (!t->dropout.rate)
        return FNN_ENOMEM;
    for (ptrdiff_t l = 0; l < hidden; l++)
        t->dropout.rate[l] = rates[l];
    t->dropout.seed = seed;
    return FNN_OK;
}

/* Whether there is state number `which`, and layer l's part of it has the shapes of w and b. */
static fnn_status check_layer_state(fnn_training *t, int which, ptrdiff_t l, fnn_in w, fnn_in b)
{
    const fnn_layer *at = &t->net->layer[l];
    if (!set_of(t))
        return FNN_EISA;
    const bool fits = which >= 0 && which < states_of(t->stepper.opt.solver)
                   && fnn_has_shape(w, at->k, at->m) && fnn_has_shape(b, 1, at->m);
    return fits ? FNN_OK : FNN_ESHAPE;
}

/* Where the state of layer l's weights is, and that of its biases, as one row. */
static void *state_of_weights(const fnn_training *t, int which, ptrdiff_t l)
{
    const fnn_network *net = t->net;
    return fnn_at_out(net->dt, t->stepper.state[which], net->layer[l].panels);
}
static fnn_out state_of_biases(const fnn_training *t, int which, ptrdiff_t l)
{
    const fnn_network *net = t->net;
    const fnn_layer *at = &net->layer[l];
    void *row = fnn_at_out(net->dt, t->stepper.state[which], net->panels_size + at->biases);
    return (fnn_out){ row, 1, at->m, at->ld, 1 };
}

fnn_status fnn_training_state(fnn_training *t, int which, const fnn_out *w, const fnn_out *b)
{
    const fnn_network *net = t->net;
    for (ptrdiff_t l = 0; l < net->layers; l++) {
        const fnn_in w_l = fnn_as_in(w[l]), b_l = fnn_as_in(b[l]);
        const fnn_status status = check_layer_state(t, which, l, w_l, b_l);
        if (status)
            return status;
    }
    for (ptrdiff_t l = 0; l < net->layers; l++) {
        fnn_panels_unpack(t->kn, net->dt, state_of_weights(t, which, l), w[l]);
        fnn_copy(net->dt, fnn_as_in(state_of_biases(t, which, l)), b[l]);
    }
    return FNN_OK;
}

fnn_status fnn_training_set_state(fnn_training *t, int which, const fnn_in *w, const fnn_in *b)
{
    const fnn_network *net = t->net;
    for (ptrdiff_t l = 0; l < net->layers; l++) {
        const fnn_status status = check_layer_state(t, which, l, w[l], b[l]);
        if (status)
            return status;
    }
    for (ptrdiff_t l = 0; l < net->layers; l++) {
        fnn_panels_pack(t->kn, net->dt, w[l], state_of_weights(t, which, l));
        fnn_copy(net->dt, b[l], state_of_biases(t, which, l));
    }
    return FNN_OK;
}

/* Copy the biases to where they lie together, or back. */
static void copy_biases(const fnn_network *net, void *together, bool back)
{
    for (ptrdiff_t l = 0; l < net->layers; l++) {
        const fnn_layer *at = &net->layer[l];
        void *here = fnn_network_bias(net, l).data, *there = fnn_at_out(net->dt, together, at->biases);
        memcpy(back ? here : there, back ? there : here, (size_t)at->ld * fnn_sizeof(net->dt));
    }
}

static size_t panels_bytes(const fnn_network *net)
{
    return (size_t)net->panels_size * fnn_sizeof(net->dt);
}

fnn_status fnn_training_keep(fnn_training *t)
{
    fnn_network *net = t->net;
    const fnn_kernels *kn = set_of(t);
    size_t bytes = 0;
    if (!kn)
        return FNN_EISA;
    if (!t->kept && fnn_reserve(&bytes, net->dt, 1, net->panels_size + net->biases))
        t->kept = fnn_alloc(bytes);
    if (!t->kept)
        return FNN_ENOMEM;
    fnn_network_use_panels(net, kn);
    memcpy(t->kept, net->panels, panels_bytes(net));
    copy_biases(net, (char *)t->kept + panels_bytes(net), false);
    return FNN_OK;
}

void fnn_training_restore(fnn_training *t)
{
    fnn_network *net = t->net;
    if (!t->kept)
        return;
    fnn_network_change_panels(net, t->kn);
    memcpy(net->panels, t->kept, panels_bytes(net));
    copy_biases(net, (char *)t->kept + panels_bytes(net), true);
    fnn_network_changed_panels(net, t->kn);
}

int fnn_training_all_finite(const fnn_training *t)
{
    const fnn_network *net = t->net;
    const fnn_kernels *kn = t->kn;
    bool finite = true; /* before the first epoch nothing is known, nor asked */
    for (ptrdiff_t l = 0; kn && finite && l < net->layers; l++) {
        const fnn_layer *at = &net->layer[l];
        /* What is behind a layer's panels may be left from panels of another set. */
        finite = kn->all_finite(1, at->k * fnn_panels_row(kn, at->m),
                                fnn_at(net->dt, net->panels, at->panels), 0)
              && kn->all_finite(1, at->m, fnn_network_bias(net, l).data, 0);
    }
    return finite;
}

/* The panels are where the weights are during an epoch. */
static fnn_status steps(fnn_training *t, const fnn_scratch *s, const fnn_samples *all,
                        fnn_interrupt *interrupt, double *loss, double parts[2])
{
    const fnn_dtype dt = t->net->dt;
    const ptrdiff_t batch_size = fnn_min(t->batch_size, all->count);
    const double total = sum_of_weights(dt, all, 0, all->count), alpha = t->stepper.opt.alpha;
    *loss = parts[0] = parts[1] = 0;
    for (ptrdiff_t begin = 0, end; begin < all->count; begin = end) {
        end = begin + fnn_min(batch_size, all->count - begin);
        const double weight = sum_of_weights(dt, all, begin, end);
        if (!(weight > 0))
            continue;
        double of_batch[2];
        const fnn_status status =
            fnn_batch(s, all, begin, end, weight, t->divide_alpha ? alpha / weight : alpha,
                      &t->stepper, interrupt, of_batch);
        if (status)
            return status;
        const double batch_loss = of_batch[0] + of_batch[1];
        if (!isfinite(batch_loss)) {
            *loss = batch_loss;
            memcpy(parts, of_batch, sizeof of_batch);
            break;
        }
        *loss += batch_loss * weight / total;
        for (int i = 0; i < 2; i++)
            parts[i] += of_batch[i] * weight / total;
    }
    return FNN_OK;
}

static fnn_status epoch(fnn_training *t, const fnn_samples *from, fnn_poll ask, void *context,
                        double *loss, double parts[2])
{
    fnn_network *net = t->net;
    const fnn_kernels *kn = set_of(t);
    if (!kn)
        return FNN_EISA;
    fnn_status status = check_samples(net, from);
    if (status)
        return status;
    const ptrdiff_t batch_size = fnn_min(t->batch_size, from->count);
    const ptrdiff_t rows = fnn_min(net->block_rows, batch_size);
    fnn_scratch s;
    if (!fnn_scratch_take(net, kn, net->panels, rows, batch_size > rows, t->dropout, from, batch_size,
                          &s))
        return FNN_ENOMEM;
    fnn_network_change_panels(net, kn);
    fnn_scratch_transpose(&s);
    double unwanted[2];
    status = steps(t, &s, from, &(fnn_interrupt){ .ask = ask, .context = context }, loss,
                   parts ? parts : unwanted);
    fnn_network_changed_panels(net, kn);
    fnn_workspace_give(&net->workspace, s.memory);
    return status;
}

fnn_status fnn_training_epoch(fnn_training *t, fnn_in x, fnn_targets y, const int64_t *order,
                              ptrdiff_t count, fnn_poll ask, void *context, double *loss,
                              double parts[2])
{
    const fnn_samples all = { .x = x, .y = y, .order = order, .count = count };
    return epoch(t, &all, ask, context, loss, parts);
}

fnn_status fnn_training_epoch_sparse(fnn_training *t, fnn_csr x, fnn_targets y,
                                     const int64_t *order, ptrdiff_t count, fnn_poll ask,
                                     void *context, double *loss, double parts[2])
{
    const fnn_samples all = { .x = shape_of(&x), .y = y, .order = order, .count = count, .csr = &x };
    return epoch(t, &all, ask, context, loss, parts);
}
