/* linear.c -- the losses of linear models z = x w' + b, with gradient and Hessian, in one pass.
 *
 * Rows are taken CHUNK at a time, so that x comes from memory once: z, the loss and its delta, the
 * gradient delta' x, and the Hessian x' diag(h) x, of which only the upper triangle is computed. A
 * chunk's sums are of the data's type, those over the chunks f64 and in order; so the bits do not
 * depend on how the chunks are divided among whoever computes them. */
#include "internal.h"

#include <string.h>

enum { CHUNK = 256 };

typedef struct {
    fnn_dtype dt;
    const fnn_kernels *kn;
    fnn_loss loss;
    fnn_targets y;
    ptrdiff_t d, c, width;
    ptrdiff_t ld, c_ld; /* of rows of x; of w and z */
    ptrdiff_t rows;
    double scale;              /* 1 / sum of the weights */
    void *memory;
    void *w, *bias;            /* (d, c_ld), (c_ld,) */
    void *x, *hx;              /* (rows, ld): x where its columns are not contiguous, h x */
    void *z, *dz, *targets;
    void *shares, *h;          /* (rows,): weight / sum of weights; second derivatives */
    void *row, *block;         /* (c_ld or ld,) sums over rows; (c, ld) or (d, ld) products */
    char *packed;              /* the ragged columns of x as a factor */
    size_t packed_bytes;
} pass;

static bool has_bias(const pass *p) { return p->width > p->d; }

static bool take_scratch(pass *p, fnn_in x, bool hessian)
{
    const ptrdiff_t tall = hessian && p->d > p->c ? p->d : p->c;
    const ptrdiff_t long_row = p->ld > p->c_ld ? p->ld : p->c_ld;
    const struct { void **at; ptrdiff_t a, b; } parts[] = {
        { &p->w, p->d, p->c_ld },
        { &p->bias, 1, p->c_ld },
        { &p->x, p->rows, p->ld },
        { &p->hx, hessian ? p->rows : 0, p->ld },
        { &p->z, p->rows, p->c_ld },
        { &p->dz, p->rows, p->c_ld },
        { &p->targets, p->rows, p->c },
        { &p->shares, p->rows, 1 },
        { &p->h, p->rows, 1 },
        { &p->row, 1, long_row },
        { &p->block, tall, p->ld },
    };
    enum { PARTS = sizeof parts / sizeof *parts };
    /* The rows of a chunk, as fnn_rows_in gives them. */
    const ptrdiff_t rs = x.cs == 1 || x.cols <= 1 ? x.rs : x.cols;
    const fnn_in as_factor = { NULL, p->rows, p->d, rs, 1 };
    size_t bytes = 0;
    bool ok = p->ld >= p->d && p->c_ld >= p->c;
    for (int i = 0; ok && i < PARTS; i++)
        ok = fnn_reserve(&bytes, p->dt, parts[i].a, parts[i].b);
    p->packed_bytes = 0;
    ok = ok && fnn_rhs_reserve(p->kn, p->dt, p->c, as_factor, 1, &p->packed_bytes)
      && !__builtin_add_overflow(bytes, p->packed_bytes, &bytes);
    p->memory = ok ? fnn_workspace_take(&fnn_shared_workspace, bytes) : NULL;
    if (!p->memory)
        return false;
    char *cursor = p->memory;
    for (int i = 0; i < PARTS; i++)
        *parts[i].at = fnn_part(&cursor, p->dt, parts[i].a, parts[i].b);
    p->packed = cursor;
    return true;
}

/* theta to the type and the layout of a product's factor. */
static void set_parameters(const pass *p, const double *theta)
{
    memset(p->w, 0, (size_t)(p->d * p->c_ld) * fnn_sizeof(p->dt));
    memset(p->bias, 0, (size_t)p->c_ld * fnn_sizeof(p->dt));
    for (ptrdiff_t k = 0; k < p->c; k++, theta += p->width) {
        for (ptrdiff_t j = 0; j < p->d; j++)
            fnn_put(p->dt, p->w, j * p->c_ld + k, theta[j]);
        if (has_bias(p))
            fnn_put(p->dt, p->bias, k, theta[p->d]);
    }
}

/* z and dz of the rows at x; returns the sum of their weighted losses. */
static double forward(const pass *p, ptrdiff_t i, fnn_in x)
{
    const fnn_in w = { p->w, p->d, p->c, p->c_ld, 1 };
    if (p->c == 1)
        p->kn->row_dots(x.rows, p->d, x.data, x.rs, p->w, p->bias, p->z);
    else
        fnn_multiply(p->kn, p->dt, &(fnn_product){
            .x = x, .x_streams = true, .w = fnn_rhs_direct(p->kn, x.rows, w), .bias = p->bias,
            .y = { p->z, x.rows, p->c, p->c_ld, 1 } });
    fnn_loss_rows rows = { .n = x.rows, .c = p->c, .z = p->z, .z_rs = p->c_ld, .scale = p->scale,
                           .dz = p->dz, .dz_rs = p->c_ld };
    if (p->y.labels)
        rows.labels = p->y.labels + i;
    else
        rows.targets = fnn_rows_in(p->dt, p->y.targets, i, x.rows, p->targets, &rows.targets_rs);
    rows.weights = p->y.weights ? fnn_at(p->dt, p->y.weights, i) : NULL;
    return fnn_loss_block(p->kn, p->loss, &rows);
}

/* gradient += [dz' x | column sums of dz] */
static void add_gradient(const pass *p, fnn_in x, double *gradient)
{
    char *cursor = p->packed;
    fnn_multiply(p->kn, p->dt, &(fnn_product){
        .x = { p->dz, p->c, x.rows, 1, p->c_ld },
        .w = fnn_rhs_prepare(p->kn, p->dt, p->c, x, 1, &cursor),
        .y = { p->block, p->c, p->d, p->ld, 1 } });
    if (has_bias(p))
        p->kn->column_sums(x.rows, p->c, p->dz, p->c_ld, false, p->row);
    for (ptrdiff_t k = 0; k < p->c; k++, gradient += p->width) {
        for (ptrdiff_t j = 0; j < p->d; j++)
            gradient[j] += fnn_get(p->dt, p->block, k * p->ld + j);
        if (has_bias(p))
            gradient[p->d] += fnn_get(p->dt, p->row, k);
    }
}

/* The upper triangle of h += [x | 1]' diag(h) [x | 1], the rows of h being rs apart. */
static void add_weighted_gram(const pass *p, fnn_in x, const void *h, double *hessian,
                              ptrdiff_t rs)
{
    const fnn_dtype dt = p->dt;
    const ptrdiff_t d = p->d, n = x.rows;
    p->kn->weigh(n, d, x.data, x.rs, NULL, h, p->hx, p->ld);
    const fnn_in hx = { p->hx, n, d, p->ld, 1 };
    fnn_gram(p->kn, dt, x, hx, (fnn_out){ p->block, d, d, p->ld, 1 });
    for (ptrdiff_t i = 0; i < d; i++)
        for (ptrdiff_t j = i; j < d; j++)
            hessian[i * rs + j] += fnn_get(dt, p->block, i * p->ld + j);
    if (!has_bias(p))
        return;
    p->kn->column_sums(n, d, p->hx, p->ld, false, p->row);
    for (ptrdiff_t i = 0; i < d; i++)
        hessian[i * rs + d] += fnn_get(dt, p->row, i);
    double sum = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        sum += fnn_get(dt, h, i);
    hessian[d * rs + d] += sum;
}

/* The weights of the rows from i on in the mean, times, for softmax, the sum of a row's targets. */
static void set_shares(const pass *p, ptrdiff_t i, ptrdiff_t n)
{
    const bool mass = p->loss == FNN_SOFTMAX_CE && !p->y.labels;
    for (ptrdiff_t r = 0; r < n; r++) {
        double share = fnn_weight(p->dt, p->y, i + r) * p->scale;
        if (mass) {
            const fnn_in t = fnn_slice(p->dt, p->y.targets, i + r, 1);
            double sum = 0;
            for (ptrdiff_t k = 0; k < p->c; k++)
                sum += fnn_get(p->dt, t.data, k * t.cs);
            share *= sum;
        }
        fnn_put(p->dt, p->shares, r, share);
    }
}

/* Blocks a <= b of the Hessian, each its upper triangle; z becomes the probabilities. */
static void add_hessian(const pass *p, ptrdiff_t i, fnn_in x, double *hessian)
{
    const fnn_dtype dt = p->dt;
    const ptrdiff_t n = x.rows, w = p->width;
    set_shares(p, i, n);
    switch (p->loss) {
    case FNN_SOFTMAX_CE:
        p->kn->softmax(n, p->c, p->z, p->c_ld, p->z, p->c_ld);
        for (ptrdiff_t a = 0; a < p->c; a++)
            for (ptrdiff_t b = a; b < p->c; b++) {
                p->kn->curvature(n, fnn_at(dt, p->z, a), fnn_at(dt, p->z, b), p->c_ld, p->shares,
                                 p->h);
                add_weighted_gram(p, x, p->h, hessian + (a * p->c * w + b) * w, p->c * w);
            }
        break;
    case FNN_SIGMOID_CE:
        for (ptrdiff_t r = 0; r < n; r += p->c == 1 ? n : 1) {
            void *z = fnn_at_out(dt, p->z, r * p->c_ld);
            p->kn->map(FNN_MAP_SIGMOID, p->c == 1 ? n : p->c, z, z);
        }
        for (ptrdiff_t a = 0; a < p->c; a++) {
            const void *q = fnn_at(dt, p->z, a);
            p->kn->curvature(n, q, q, p->c_ld, p->shares, p->h);
            add_weighted_gram(p, x, p->h, hessian + a * w * w, w);
        }
        break;
    default: add_weighted_gram(p, x, p->shares, hessian, w);
    }
}

/* Fill in what symmetry says of a block of the Hessian, and of the blocks below the diagonal. */
static void complete_hessian(const pass *p, double alpha, double *hessian)
{
    const ptrdiff_t w = p->width;
    const bool softmax = p->loss == FNN_SOFTMAX_CE;
    const ptrdiff_t blocks = p->loss == FNN_SQUARED_ERROR ? 1 : p->c;
    const ptrdiff_t rs = softmax ? p->c * w : w;
    for (ptrdiff_t a = 0; a < blocks; a++) {
        double *diagonal = softmax ? hessian + a * w * (rs + 1) : hessian + a * w * w;
        for (ptrdiff_t j = 0; j < p->d; j++)
            diagonal[j * (rs + 1)] += alpha;
        for (ptrdiff_t b = a; b < (softmax ? blocks : a + 1); b++) {
            double *block = softmax ? hessian + a * w * rs + b * w : diagonal;
            for (ptrdiff_t i = 0; i < w; i++)
                for (ptrdiff_t j = 0; j < i; j++)
                    block[i * rs + j] = block[j * rs + i];
        }
    }
    for (ptrdiff_t i = 0; softmax && i < rs; i++)
        for (ptrdiff_t j = 0; j < i; j++)
            hessian[i * rs + j] = hessian[j * rs + i];
}

static ptrdiff_t hessian_size(const pass *p)
{
    const ptrdiff_t block = p->width * p->width;
    return p->loss == FNN_SOFTMAX_CE ? p->c * p->c * block
         : p->loss == FNN_SIGMOID_CE ? p->c * block : block;
}

static fnn_status check(fnn_dtype dt, fnn_loss fn, fnn_in x, fnn_targets y, ptrdiff_t c,
                        ptrdiff_t width, double *sum_of_weights)
{
    if (x.rows == 0 || c < 1 || width < x.cols || width > x.cols + 1 || width < 1)
        return FNN_ESHAPE;
    const fnn_status status = fnn_check_targets(fn, y, x.rows, c);
    if (status)
        return status;
    *sum_of_weights = y.weights ? 0 : (double)x.rows;
    for (ptrdiff_t i = 0; y.weights && i < x.rows; i++)
        *sum_of_weights += fnn_weight(dt, y, i);
    return *sum_of_weights > 0 ? FNN_OK : FNN_EVALUE;
}

fnn_status fnn_linear_loss(fnn_dtype dt, fnn_loss fn, fnn_in x, fnn_targets y, ptrdiff_t c,
                           ptrdiff_t width, const double *theta, double alpha, double *loss,
                           double *gradient, double *hessian)
{
    const fnn_kernels *kn = fnn_kernels_for(dt);
    if (!kn)
        return FNN_EISA;
    double weight;
    const fnn_status status = check(dt, fn, x, y, c, width, &weight);
    if (status)
        return status;
    pass p = { .dt = dt, .kn = kn, .loss = fn, .y = y, .d = x.cols, .c = c, .width = width,
               .ld = fnn_leading(dt, x.cols), .c_ld = c == 1 ? 1 : fnn_leading(dt, c),
               .rows = fnn_min(CHUNK, x.rows), .scale = 1 / weight };
    if (!take_scratch(&p, x, hessian != NULL))
        return FNN_ENOMEM;
    set_parameters(&p, theta);
    memset(gradient, 0, (size_t)(c * width) * sizeof *gradient);
    if (hessian)
        memset(hessian, 0, (size_t)hessian_size(&p) * sizeof *hessian);
    double sum = 0;
    for (ptrdiff_t i = 0; i < x.rows; i += CHUNK) {
        fnn_in rows = { NULL, fnn_min(CHUNK, x.rows - i), x.cols, 0, 1 };
        rows.data = fnn_rows_in(dt, x, i, rows.rows, p.x, &rows.rs);
        sum += forward(&p, i, rows);
        add_gradient(&p, rows, gradient);
        if (hessian)
            add_hessian(&p, i, rows, hessian);
    }
    double squares = 0;
    for (ptrdiff_t k = 0; k < c; k++)
        for (ptrdiff_t j = 0; j < p.d; j++) {
            const double w = theta[k * width + j];
            squares += w * w;
            gradient[k * width + j] += alpha * w;
        }
    if (hessian)
        complete_hessian(&p, alpha, hessian);
    *loss = sum / weight + 0.5 * alpha * squares;
    fnn_workspace_give(&fnn_shared_workspace, p.memory);
    return FNN_OK;
}
