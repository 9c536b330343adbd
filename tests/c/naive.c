/* naive.c -- see naive.h. */
#include "naive.h"

fnn_network *new_network(fnn_dtype dt, const design *d, uint64_t seed)
{
    fnn_network *net = NULL;
    uint64_t state = seed;
    must(fnn_network_new(dt, d->layers, d->size, d->act, &net) == FNN_OK, "fnn_network_new");
    must(d->loss == FNN_NLOSS || fnn_network_set_loss(net, d->loss, HUBER_DELTA) == FNN_OK,
         "fnn_network_set_loss");
    for (int l = 0; l < d->layers; l++) {
        const fnn_out parts[] = { fnn_network_weight(net, l), fnn_network_bias(net, l) };
        for (int part = 0; part < 2; part++)
            for (ptrdiff_t i = 0; i < parts[part].rows; i++)
                for (ptrdiff_t j = 0; j < parts[part].cols; j++)
                    put(dt, parts[part], i, j, (next_index(&state, 4096) - 2048) / 4096.0);
    }
    return net;
}

static approx *array(ptrdiff_t count) { return calloc((size_t)count + 1, sizeof(approx)); }

naive new_naive(fnn_dtype dt, const design *d, const fnn_network *net)
{
    naive twin = { .dt = dt, .d = d };
    for (int l = 0; l < d->layers; l++) {
        const ptrdiff_t k = d->size[l], m = d->size[l + 1];
        const fnn_in w = fnn_as_in(fnn_network_weight(net, l));
        const fnn_in b = fnn_as_in(fnn_network_bias(net, l));
        twin.w[l] = array(k * m);
        twin.dw[l] = array(k * m);
        twin.b[l] = array(m);
        twin.db[l] = array(m);
        for (ptrdiff_t j = 0; j < m; j++) {
            twin.b[l][j] = exactly(get(dt, b, 0, j));
            for (ptrdiff_t p = 0; p < k; p++)
                twin.w[l][p * m + j] = exactly(get(dt, w, p, j));
        }
    }
    return twin;
}

void free_naive(naive *twin)
{
    for (int l = 0; l < twin->d->layers; l++) {
        approx *const arrays[] = { twin->w[l], twin->b[l], twin->dw[l], twin->db[l], twin->a[l] };
        for (int i = 0; i < 5; i++)
            free(arrays[i]);
    }
}

/* The outputs of the layer below l; those of layer 0 are x. */
static approx *below(const naive *twin, int l, fnn_in x)
{
    approx *a = array(x.rows * twin->d->size[l]);
    if (l > 0)
        memcpy(a, twin->a[l - 1], (size_t)(x.rows * twin->d->size[l]) * sizeof *a);
    else
        for (ptrdiff_t i = 0; i < x.rows; i++)
            for (ptrdiff_t p = 0; p < x.cols; p++)
                a[i * x.cols + p] = exactly(get(twin->dt, x, i, p));
    return a;
}

/* a_l = act(a_{l-1} w_l + b_l) */
void naive_forward(naive *twin, fnn_in x)
{
    for (int l = 0; l < twin->d->layers; l++) {
        const ptrdiff_t k = twin->d->size[l], m = twin->d->size[l + 1];
        approx *from = below(twin, l, x);
        free(twin->a[l]);
        twin->a[l] = array(x.rows * m);
        for (ptrdiff_t i = 0; i < x.rows; i++)
            for (ptrdiff_t j = 0; j < m; j++) {
                const approx z =
                    dot(twin->dt, twin->b[l][j], k, from + i * k, 1, twin->w[l] + j, m);
                twin->a[l][i * m + j] =
                    l < twin->d->layers - 1 ? expect_act(twin->dt, twin->d->act[l], z) : z;
            }
        free(from);
    }
}

/* dw_l = a_{l-1}^T delta_l, db_l = column sums; returns delta_{l-1} = (delta_l w_l^T) * act'. */
static approx *naive_backward(naive *twin, int l, fnn_in x, approx *delta)
{
    const fnn_dtype dt = twin->dt;
    const ptrdiff_t n = x.rows, k = twin->d->size[l], m = twin->d->size[l + 1];
    const approx one = exactly(1), zero = exactly(0);
    approx *from = below(twin, l, x), *next = array(n * k);
    for (ptrdiff_t j = 0; j < m; j++) {
        twin->db[l][j] = dot(dt, zero, n, &one, 0, delta + j, m);
        for (ptrdiff_t p = 0; p < k; p++)
            twin->dw[l][p * m + j] = dot(dt, zero, n, from + p, k, delta + j, m);
    }
    for (ptrdiff_t i = 0; l > 0 && i < n; i++)
        for (ptrdiff_t p = 0; p < k; p++)
            next[i * k + p] =
                multiply(dt, dot(dt, zero, m, delta + i * m, 1, twin->w[l] + p * m, 1),
                         expect_slope(dt, twin->d->act[l - 1], from[i * k + p]));
    free(from);
    free(delta);
    return next;
}

approx naive_gradients(naive *twin, fnn_in x, fnn_targets y, double alpha)
{
    const fnn_dtype dt = twin->dt;
    const int last = twin->d->layers - 1;
    const ptrdiff_t n = x.rows, c = twin->d->size[last + 1];
    double total = 0, *y_i = calloc((size_t)c, sizeof *y_i);
    for (ptrdiff_t i = 0; i < n; i++)
        total += fnn_weight(dt, y, i);
    approx loss = { 0, 0 }, *delta = array(n * c);
    for (ptrdiff_t i = 0; i < n; i++) {
        const double weight = fnn_weight(dt, y, i) / total;
        target_row(dt, y, i, c, y_i);
        const approx loss_i =
            expect_loss(dt, twin->d->loss, c, twin->a[last] + i * c, y_i, weight, delta + i * c);
        loss = add(FNN_F64, loss, multiply(FNN_F64, exactly(weight), loss_i));
    }
    free(y_i);
    for (int l = last; l >= 0; l--) {
        delta = naive_backward(twin, l, x, delta);
        const ptrdiff_t count = twin->d->size[l] * twin->d->size[l + 1];
        approx squares = { 0, 0 };
        for (ptrdiff_t i = 0; i < count; i++) {
            const approx w = twin->w[l][i];
            const approx alpha_rounded = { alpha, eps_of(dt) * alpha };
            squares = add(dt, squares, multiply(dt, w, w));
            twin->dw[l][i] = add(dt, twin->dw[l][i], multiply(dt, alpha_rounded, w));
        }
        loss = add(FNN_F64, loss, multiply(FNN_F64, exactly(alpha / 2), squares));
    }
    free(delta);
    return loss;
}
