/* linear.c -- the losses of linear models z = x w' + b, with gradient and Hessian, in one pass.
 *
 * Rows are taken CHUNK at a time, so that x comes from memory once: z, the loss and its delta, the
 * gradient delta' x, and the Hessian x' diag(h) x, of which only the upper triangle is computed. A
 * chunk's sums are of the data's type, those over the chunks f64 and in order; so the bits do not
 * depend on how the work is divided among threads: chunks where there is a gradient alone, the blocks
 * of a chunk's Hessian where there is one. */
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
    int parts;
    ptrdiff_t slots;    /* chunks of which the sums are kept before they are merged */
    void *memory;
    void *w, *bias;     /* (d, c_ld), (c_ld,) */
    void *sums;         /* (slots, sums_size): dz' x (c, ld) and, behind it, the sums of dz (c_ld,) */
    ptrdiff_t sums_size;
    double *losses;     /* (slots,) */
    char *rooms;        /* one for each part */
    size_t room_bytes;
} pass;

/* Where one part computes. */
typedef struct {
    void *x, *hx;              /* (rows, ld): x where its columns are not contiguous, h x */
    void *z, *dz, *targets;
    void *shares, *h;          /* (rows,): weight / sum of weights; second derivatives */
    void *row, *block;         /* (ld,) sums over rows; (d, ld) products */
    char *packed;              /* the ragged columns of x as a factor */
} room;

static bool has_bias(const pass *p) { return p->width > p->d; }

/* Cut a room from *cursor, or, where cursor is NULL, add its bytes. */
static bool lay_out_room(const pass *p, fnn_in x, bool hessian, char **cursor, size_t *bytes, room *r)
{
    const struct { void **at; ptrdiff_t a, b; } parts[] = {
        { &r->x, p->rows, p->ld },
        { &r->hx, hessian ? p->rows : 0, p->ld },
        { &r->z, p->rows, p->c_ld },
        { &r->dz, p->rows, p->c_ld },
        { &r->targets, p->rows, p->c },
        { &r->shares, p->rows, 1 },
        { &r->h, p->rows, 1 },
        { &r->row, 1, p->ld },
        { &r->block, hessian ? p->d : 0, p->ld },
    };
    enum { PARTS = sizeof parts / sizeof *parts };
    for (int i = 0; i < PARTS; i++)
        if (cursor)
            *parts[i].at = fnn_part(cursor, p->dt, parts[i].a, parts[i].b);
        else if (!fnn_reserve(bytes, p->dt, parts[i].a, parts[i].b))
            return false;
    if (cursor) {
        r->packed = *cursor;
        return true;
    }
    /* The rows of a chunk, as fnn_rows_in gives them. */
    const ptrdiff_t rs = x.cs == 1 || x.cols <= 1 ? x.rs : x.cols;
    return fnn_rhs_reserve(p->kn, p->dt, p->c, (fnn_in){ NULL, p->rows, p->d, rs, 1 }, 1, bytes);
}

static room room_of(const pass *p, bool hessian, int part)
{
    room r;
    char *cursor = p->rooms + (size_t)part * p->room_bytes;
    lay_out_room(p, (fnn_in){ 0 }, hessian, &cursor, NULL, &r);
    return r;
}

static bool take_scratch(pass *p, fnn_in x, bool hessian)
{
    room unused;
    size_t bytes = 0, rooms;
    p->room_bytes = 0;
    const bool ok = p->ld >= p->d && p->c_ld >= p->c
                 && !__builtin_mul_overflow(p->c, p->ld, &p->sums_size)
                 && !__builtin_add_overflow(p->sums_size, p->c_ld, &p->sums_size)
                 && fnn_reserve(&bytes, p->dt, p->d, p->c_ld)
                 && fnn_reserve(&bytes, p->dt, 1, p->c_ld)
                 && fnn_reserve(&bytes, p->dt, p->slots, p->sums_size)
                 && fnn_reserve(&bytes, FNN_F64, p->slots, 1)
                 && lay_out_room(p, x, hessian, NULL, &p->room_bytes, &unused)
                 && !__builtin_mul_overflow(p->room_bytes, (size_t)p->parts, &rooms)
                 && !__builtin_add_overflow(bytes, rooms, &bytes);
    p->memory = ok ? fnn_workspace_take(&fnn_shared_workspace, bytes) : NULL;
    if (!p->memory)
        return false;
    char *cursor = p->memory;
    p->w = fnn_part(&cursor, p->dt, p->d, p->c_ld);
    p->bias = fnn_part(&cursor, p->dt, 1, p->c_ld);
    p->sums = fnn_part(&cursor, p->dt, p->slots, p->sums_size);
    p->losses = fnn_part(&cursor, FNN_F64, p->slots, 1);
    p->rooms = cursor;
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
static double forward(const pass *p, const room *r, ptrdiff_t i, fnn_in x)
{
    const fnn_in w = { p->w, p->d, p->c, p->c_ld, 1 };
    if (p->c == 1)
        p->kn->row_dots(x.rows, p->d, x.data, x.rs, p->w, p->bias, r->z);
    else
        fnn_multiply(p->kn, p->dt, &(fnn_product){
            .x = x, .x_streams = true, .w = fnn_rhs_direct(p->kn, x.rows, w), .bias = p->bias,
            .y = { r->z, x.rows, p->c, p->c_ld, 1 } });
    fnn_loss_rows rows = { .n = x.rows, .c = p->c, .z = r->z, .z_rs = p->c_ld, .scale = p->scale,
                           .dz = r->dz, .dz_rs = p->c_ld };
    if (p->y.labels)
        rows.labels = p->y.labels + i;
    else
        rows.targets = fnn_rows_in(p->dt, p->y.targets, i, x.rows, r->targets, &rows.targets_rs);
    rows.weights = p->y.weights ? fnn_at(p->dt, p->y.weights, i) : NULL;
    return fnn_loss_block(p->kn, p->loss, &rows);
}

/* dz' x and the column sums of dz into the sums. */
static void sum_gradient(const pass *p, const room *r, fnn_in x, void *sums)
{
    char *cursor = r->packed;
    fnn_multiply(p->kn, p->dt, &(fnn_product){
        .x = { r->dz, p->c, x.rows, 1, p->c_ld },
        .w = fnn_rhs_prepare(p->kn, p->dt, p->c, x, 1, &cursor),
        .y = { sums, p->c, p->d, p->ld, 1 } });
    if (has_bias(p))
        p->kn->column_sums(x.rows, p->c, r->dz, p->c_ld, false,
                           fnn_at_out(p->dt, sums, p->c * p->ld));
}

static void add_gradient(const pass *p, const void *sums, double *gradient)
{
    for (ptrdiff_t k = 0; k < p->c; k++, gradient += p->width) {
        for (ptrdiff_t j = 0; j < p->d; j++)
            gradient[j] += fnn_get(p->dt, sums, k * p->ld + j);
        if (has_bias(p))
            gradient[p->d] += fnn_get(p->dt, sums, p->c * p->ld + k);
    }
}

/* The upper triangle of h += [x | 1]' diag(h) [x | 1], the rows of h being rs apart. */
static void add_weighted_gram(const pass *p, const room *r, fnn_in x, const void *h, double *hessian,
                              ptrdiff_t rs)
{
    const fnn_dtype dt = p->dt;
    const ptrdiff_t d = p->d, n = x.rows;
    p->kn->weigh(n, d, x.data, x.rs, NULL, h, r->hx, p->ld);
    const fnn_in hx = { r->hx, n, d, p->ld, 1 };
    fnn_gram(p->kn, dt, x, hx, (fnn_out){ r->block, d, d, p->ld, 1 });
    for (ptrdiff_t i = 0; i < d; i++)
        for (ptrdiff_t j = i; j < d; j++)
            hessian[i * rs + j] += fnn_get(dt, r->block, i * p->ld + j);
    if (!has_bias(p))
        return;
    p->kn->column_sums(n, d, r->hx, p->ld, false, r->row);
    for (ptrdiff_t i = 0; i < d; i++)
        hessian[i * rs + d] += fnn_get(dt, r->row, i);
    double sum = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        sum += fnn_get(dt, h, i);
    hessian[d * rs + d] += sum;
}

/* The weights of the rows from i on in the mean, times, for softmax, the sum of a row's targets. */
static void set_shares(const pass *p, const room *r, ptrdiff_t i, ptrdiff_t n)
{
    const bool mass = p->loss == FNN_SOFTMAX_CE && !p->y.labels;
    for (ptrdiff_t at = 0; at < n; at++) {
        double share = fnn_weight(p->dt, p->y, i + at) * p->scale;
        if (mass) {
            const fnn_in t = fnn_slice(p->dt, p->y.targets, i + at, 1);
            double sum = 0;
            for (ptrdiff_t k = 0; k < p->c; k++)
                sum += fnn_get(p->dt, t.data, k * t.cs);
            share *= sum;
        }
        fnn_put(p->dt, r->shares, at, share);
    }
}

/* The Hessian of a chunk, of which r has the probabilities in z, and the shares. */
typedef struct {
    const pass *p;
    const room *r;
    fnn_in x;
    double *hessian;
} curvatures;

static ptrdiff_t hessian_blocks(const pass *p)
{
    return p->loss == FNN_SOFTMAX_CE ? p->c * (p->c + 1) / 2
         : p->loss == FNN_SIGMOID_CE ? p->c : 1;
}

/* The upper triangle of block (a, b), computed in `own`. */
static void add_block(const curvatures *job, const room *own, ptrdiff_t a, ptrdiff_t b)
{
    const pass *p = job->p;
    const ptrdiff_t w = p->width;
    const void *h = job->r->shares;
    if (p->loss != FNN_SQUARED_ERROR) {
        p->kn->curvature(job->x.rows, fnn_at(p->dt, job->r->z, a), fnn_at(p->dt, job->r->z, b),
                         p->c_ld, h, own->h);
        h = own->h;
    }
    const bool softmax = p->loss == FNN_SOFTMAX_CE;
    const ptrdiff_t rs = softmax ? p->c * w : w;
    add_weighted_gram(p, own, job->x, h, job->hessian + (softmax ? (a * p->c * w + b) * w : a * w * w),
                      rs);
}

static void hessian_part(void *job_, int part, int parts)
{
    const curvatures *job = job_;
    const pass *p = job->p;
    const room own = room_of(p, true, part);
    const ptrdiff_t blocks = hessian_blocks(p), end = fnn_share(blocks, part + 1, parts);
    ptrdiff_t a = 0, before = 0; /* blocks of the rows above a */
    for (ptrdiff_t t = fnn_share(blocks, part, parts); t < end; t++) {
        if (p->loss != FNN_SOFTMAX_CE) {
            add_block(job, &own, t, t);
            continue;
        }
        while (t >= before + p->c - a)
            before += p->c - a++;
        add_block(job, &own, a, a + t - before);
    }
}

/* Blocks a <= b of the Hessian, each its upper triangle; z becomes the probabilities. */
static void add_hessian(const pass *p, const room *r, ptrdiff_t i, fnn_in x, double *hessian)
{
    const ptrdiff_t n = x.rows;
    set_shares(p, r, i, n);
    if (p->loss == FNN_SOFTMAX_CE)
        p->kn->softmax(n, p->c, r->z, p->c_ld, r->z, p->c_ld);
    for (ptrdiff_t at = 0; p->loss == FNN_SIGMOID_CE && at < n; at += p->c == 1 ? n : 1) {
        void *z = fnn_at_out(p->dt, r->z, at * p->c_ld);
        p->kn->map(FNN_MAP_SIGMOID, p->c == 1 ? n : p->c, z, z);
    }
    const double flops = (double)hessian_blocks(p) * (double)n * (double)p->d * (double)p->d;
    fnn_run((int)fnn_min(p->parts, fnn_parts(flops)), hessian_part, &(curvatures){ p, r, x, hessian });
}

/* ---- chunks ------------------------------------------------------------------------------- */

static fnn_in chunk_at(const pass *p, const room *r, fnn_in x, ptrdiff_t i)
{
    fnn_in rows = { NULL, fnn_min(CHUNK, x.rows - i), x.cols, 0, 1 };
    rows.data = fnn_rows_in(p->dt, x, i, rows.rows, r->x, &rows.rs);
    return rows;
}

static void *sums_at(const pass *p, ptrdiff_t slot)
{
    return fnn_at_out(p->dt, p->sums, slot * p->sums_size);
}

/* Some chunks, from row `begin` on, for each of which there is a slot. */
typedef struct {
    const pass *p;
    fnn_in x;
    ptrdiff_t begin, chunks;
} group;

static void gradient_part(void *g_, int part, int parts)
{
    const group *g = g_;
    const room r = room_of(g->p, false, part);
    const ptrdiff_t end = fnn_share(g->chunks, part + 1, parts);
    for (ptrdiff_t slot = fnn_share(g->chunks, part, parts); slot < end; slot++) {
        const ptrdiff_t i = g->begin + slot * CHUNK;
        const fnn_in rows = chunk_at(g->p, &r, g->x, i);
        g->p->losses[slot] = forward(g->p, &r, i, rows);
        sum_gradient(g->p, &r, rows, sums_at(g->p, slot));
    }
}

/* Returns the sum of the weighted losses. */
static double pass_with_gradient(const pass *p, fnn_in x, double *gradient)
{
    double sum = 0;
    for (ptrdiff_t i = 0; i < x.rows; i += p->slots * CHUNK) {
        group g = { p, x, i, fnn_min(p->slots, (x.rows - i + CHUNK - 1) / CHUNK) };
        fnn_run(p->parts, gradient_part, &g);
        for (ptrdiff_t slot = 0; slot < g.chunks; slot++) {
            sum += p->losses[slot];
            add_gradient(p, sums_at(p, slot), gradient);
        }
    }
    return sum;
}

static double pass_with_hessian(const pass *p, fnn_in x, double *gradient, double *hessian)
{
    const room r = room_of(p, true, 0);
    double sum = 0;
    for (ptrdiff_t i = 0; i < x.rows; i += CHUNK) {
        const fnn_in rows = chunk_at(p, &r, x, i);
        sum += forward(p, &r, i, rows);
        sum_gradient(p, &r, rows, p->sums);
        add_gradient(p, p->sums, gradient);
        add_hessian(p, &r, i, rows, hessian);
    }
    return sum;
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
    if (fn > FNN_SQUARED_ERROR)
        return FNN_EVALUE;
    const fnn_status status = fnn_check_targets(fn, y, x.rows, c);
    if (status)
        return status;
    *sum_of_weights = y.weights ? 0 : (double)x.rows;
    for (ptrdiff_t i = 0; y.weights && i < x.rows; i++)
        *sum_of_weights += fnn_weight(dt, y, i);
    return *sum_of_weights > 0 ? FNN_OK : FNN_EVALUE;
}

/* In how many parts, and how many chunks between two of their meetings. */
static void divide(pass *p, ptrdiff_t n, bool hessian)
{
    enum { MOST_SLOTS = 32 }; /* of a part */
    const double chunk = 4.0 * CHUNK * (double)p->d * (double)p->c;
    const ptrdiff_t chunks = (n + CHUNK - 1) / CHUNK;
    p->slots = 1;
    if (hessian) {
        p->parts = fnn_parts((double)hessian_blocks(p) * CHUNK * (double)p->d * (double)p->d);
        return;
    }
    p->parts = (int)fnn_min(chunks, fnn_parts(chunk * (double)chunks));
    if (p->parts == 1)
        return;
    const double wanted = 4 * FNN_PART_WORK / chunk;
    const ptrdiff_t slots = wanted < 1 ? 1 : wanted > MOST_SLOTS ? MOST_SLOTS : (ptrdiff_t)wanted;
    p->slots = fnn_min(chunks, slots * p->parts);
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
    divide(&p, x.rows, hessian != NULL);
    if (!take_scratch(&p, x, hessian != NULL))
        return FNN_ENOMEM;
    set_parameters(&p, theta);
    memset(gradient, 0, (size_t)(c * width) * sizeof *gradient);
    if (hessian)
        memset(hessian, 0, (size_t)hessian_size(&p) * sizeof *hessian);
    const double sum = hessian ? pass_with_hessian(&p, x, gradient, hessian)
                               : pass_with_gradient(&p, x, gradient);
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
