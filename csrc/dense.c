/* dense.c -- one dense layer, forward and backward, and the blocked product under both.
 *
 * A product takes a block of rows of x that stays in the second-level cache, and brings each panel of
 * w to it, K in blocks of KC only where it is longer:
 *
 *     for i0 in n by block
 *       for p0 in K by KC                     partial sums wait in y between K blocks, which
 *         for each panel j of w:  y[i0, j] += x[i0, p0] w[p0, j]        rounds nothing
 *
 * A panel is as wide as a tile and contiguous, so that its rows come in a stream and not each from a
 * page of its own. A network keeps its w in panels. Any other w, if its columns are contiguous, is
 * read in place for a few rows of x; for more, each panel is first copied, which costs one reading
 * of it where every tile reads it once. A w whose columns are not contiguous is packed beforehand.
 * Of a w that is read in place, the last columns, if fewer than a vector, are packed alone, as one
 * panel of one vector. */
#include "internal.h"

enum { KC = 1024, BLOCK_BYTES = 512 << 10, DIRECT_ROWS = 32 };

/* ---- the right-hand factor ---------------------------------------------------------------- */

/* Few rows give few chains of additions, so they take more columns at once. */
static int vectors_at_once(const fnn_kernels *kn, ptrdiff_t n)
{
    return n == 1 ? 8 : n <= 3 ? 4 : kn->tile_vectors;
}

static ptrdiff_t tile_width(const fnn_kernels *kn) { return kn->tile_vectors * kn->lanes; }

static bool copies_panels(ptrdiff_t n, fnn_in w) { return w.cs == 1 && n > DIRECT_ROWS; }

/* How many columns panels may read in place, without reading past the end of a row. */
static ptrdiff_t direct_cols(const fnn_kernels *kn, ptrdiff_t n, fnn_in w)
{
    if (w.cs != 1)
        return 0;
    return copies_panels(n, w) ? w.cols : w.cols - w.cols % kn->lanes;
}

static ptrdiff_t packed_width(const fnn_kernels *kn, ptrdiff_t direct)
{
    return direct ? kn->lanes : tile_width(kn);
}

static ptrdiff_t packed_row(const fnn_kernels *kn, fnn_in w, ptrdiff_t direct)
{
    return fnn_round_up(w.cols - direct, packed_width(kn, direct));
}

/* Of a part's copy of a panel. */
static ptrdiff_t copy_size(const fnn_kernels *kn, fnn_in w)
{
    return fnn_min(KC, w.rows) * tile_width(kn);
}

bool fnn_rhs_reserve(const fnn_kernels *kn, fnn_dtype dt, ptrdiff_t n, fnn_in w, int parts,
                     size_t *bytes)
{
    return fnn_reserve(bytes, dt, w.rows, packed_row(kn, w, direct_cols(kn, n, w)))
        && (!copies_panels(n, w) || fnn_reserve(bytes, dt, parts, copy_size(kn, w)));
}

/* Pack the columns from `direct` on, panel after panel. */
static void pack(const fnn_kernels *kn, fnn_dtype dt, fnn_in w, ptrdiff_t direct, void *packed)
{
    const ptrdiff_t width = packed_width(kn, direct);
    for (ptrdiff_t j = direct; j < w.cols; j += width)
        kn->pack(w.rows, fnn_min(width, w.cols - j), fnn_at(dt, w.data, j * w.cs), w.rs, w.cs, width,
                 fnn_at_out(dt, packed, (j - direct) * w.rows));
}

fnn_rhs fnn_rhs_prepare(const fnn_kernels *kn, fnn_dtype dt, ptrdiff_t n, fnn_in w, int parts,
                        char **scratch)
{
    const ptrdiff_t direct = direct_cols(kn, n, w);
    void *packed = fnn_part(scratch, dt, w.rows, packed_row(kn, w, direct));
    pack(kn, dt, w, direct, packed);
    return (fnn_rhs){
        .w = w, .direct_cols = direct, .vectors = vectors_at_once(kn, n),
        .width = packed_width(kn, direct), .packed = packed,
        .panel = copies_panels(n, w) ? fnn_part(scratch, dt, parts, copy_size(kn, w)) : NULL,
        .panel_size = copy_size(kn, w),
    };
}

fnn_rhs fnn_rhs_direct(const fnn_kernels *kn, ptrdiff_t n, fnn_in w)
{
    assert(w.cs == 1);
    return (fnn_rhs){ .w = w, .direct_cols = w.cols, .vectors = vectors_at_once(kn, n) };
}

ptrdiff_t fnn_panels_row(const fnn_kernels *kn, ptrdiff_t m)
{
    return fnn_round_up(m, tile_width(kn));
}

void fnn_panels_pack(const fnn_kernels *kn, fnn_dtype dt, fnn_in w, void *panels)
{
    pack(kn, dt, w, 0, panels);
}

void fnn_panels_unpack(const fnn_kernels *kn, fnn_dtype dt, const void *panels, fnn_out w)
{
    const ptrdiff_t width = tile_width(kn);
    for (ptrdiff_t j = 0; j < w.cols; j += width) {
        const ptrdiff_t cols = fnn_min(width, w.cols - j);
        fnn_copy(dt, (fnn_in){ fnn_at(dt, panels, j * w.rows), w.rows, cols, width, 1 },
                 (fnn_out){ fnn_at_out(dt, w.data, j * w.cs), w.rows, cols, w.rs, w.cs });
    }
}

fnn_rhs fnn_rhs_panels(const fnn_kernels *kn, ptrdiff_t n, ptrdiff_t k, ptrdiff_t m,
                       const void *panels)
{
    return (fnn_rhs){ .w = { .rows = k, .cols = m }, .vectors = vectors_at_once(kn, n),
                      .width = tile_width(kn), .packed = panels };
}

/* Aim the job at the columns from j on of the K block at p0, as many as lie together. */
static void aim_panel(const fnn_kernels *kn, fnn_dtype dt, const fnn_rhs *rhs, ptrdiff_t p0,
                      ptrdiff_t k, ptrdiff_t j, fnn_panel *job)
{
    const bool direct = j < rhs->direct_cols;
    const ptrdiff_t end = direct ? rhs->direct_cols : rhs->w.cols;
    int room = rhs->vectors;
    if (direct) {
        job->w = fnn_at(dt, rhs->w.data, p0 * rhs->w.rs + j);
        job->w_rs = rhs->w.rs;
        job->w_ps = tile_width(kn);
    } else {
        const ptrdiff_t packed_j = j - rhs->direct_cols, within = packed_j % rhs->width;
        job->w = fnn_at(dt, rhs->packed,
                        (packed_j - within) * rhs->w.rows + p0 * rhs->width + within);
        job->w_rs = rhs->width;
        job->w_ps = rhs->width * rhs->w.rows;
        if (within > 0 || rhs->width < tile_width(kn))
            room = (int)fnn_min(room, (rhs->width - within) / kn->lanes);
    }
    const ptrdiff_t wanted = fnn_min(room, (end - j + kn->lanes - 1) / kn->lanes);
    job->w_vectors = wanted >= 8 ? 8 : wanted >= 4 ? 4 : wanted >= 2 ? 2 : 1;
    job->cols = fnn_min(job->w_vectors * kn->lanes, end - j);
    if (direct && rhs->panel) {
        assert(job->w_vectors <= kn->tile_vectors);
        job->w_rs = job->w_vectors * kn->lanes;
        kn->pack(k, job->cols, job->w, rhs->w.rs, 1, job->w_rs, rhs->panel);
        job->w = rhs->panel;
    }
}

/* ---- the product -------------------------------------------------------------------------- */

/* Blocks of nearly the same number of rows, of which KC elements fill BLOCK_BYTES at most. */
static ptrdiff_t block_rows(const fnn_kernels *kn, fnn_dtype dt, ptrdiff_t n, ptrdiff_t k)
{
    const ptrdiff_t row = fnn_min(k > 0 ? k : 1, KC) * (ptrdiff_t)fnn_sizeof(dt);
    const ptrdiff_t most = fnn_min(BLOCK_BYTES / row, 512), blocks = (n + most - 1) / most;
    return blocks <= 1 ? n : fnn_round_up((n + blocks - 1) / blocks, kn->tile_rows);
}

/* Rows i .. i + rows - 1 of y. */
static void multiply_block(const fnn_kernels *kn, fnn_dtype dt, const fnn_product *p, ptrdiff_t i,
                           ptrdiff_t rows)
{
    const ptrdiff_t m = p->y.cols, k = p->x.cols;
    fnn_panel job = { .n = rows, .x_rs = p->x.rs, .x_cs = p->x.cs, .x_streams = p->x_streams,
                      .y_rs = p->y.rs, .y_cs = p->y.cs,
                      .a_rs = p->a.rs, .a_act = p->a_act };
    ptrdiff_t p0 = 0;
    do {
        job.k = fnn_min(KC, k - p0);
        job.accumulate = p->accumulate || p0 > 0;
        const bool last = p0 + job.k >= k;
        job.act = last ? p->act : FNN_IDENTITY;
        job.x = fnn_at(dt, p->x.data, i * p->x.rs + p0 * p->x.cs);
        for (ptrdiff_t j = 0; j < m; j += job.cols) {
            aim_panel(kn, dt, &p->w, p0, job.k, j, &job);
            job.y = fnn_at_out(dt, p->y.data, i * p->y.rs + j * p->y.cs);
            job.bias = p->bias ? fnn_at(dt, p->bias, j) : NULL;
            job.a = p->a.data && last ? fnn_at(dt, p->a.data, i * p->a.rs + j) : NULL;
            kn->panel(&job);
        }
        p0 += job.k;
    } while (p0 < k);
}

void fnn_multiply(const fnn_kernels *kn, fnn_dtype dt, const fnn_product *p)
{
    const ptrdiff_t n = p->y.rows, step = block_rows(kn, dt, n, p->x.cols);
    for (ptrdiff_t i = 0; i < n; i += step)
        multiply_block(kn, dt, p, i, fnn_min(step, n - i));
}

/* A product whose rows are to be divided. */
typedef struct {
    const fnn_kernels *kn;
    fnn_dtype dt;
    const fnn_product *p;
} shared_product;

static void multiply_part(void *shared, int part, int parts)
{
    const shared_product *s = shared;
    const ptrdiff_t n = s->p->y.rows;
    const ptrdiff_t i = fnn_share(n, part, parts), rows = fnn_share(n, part + 1, parts) - i;
    fnn_product p = *s->p;
    p.x = fnn_slice(s->dt, p.x, i, rows);
    p.y = fnn_slice_out(s->dt, p.y, i, rows);
    if (p.a.data)
        p.a = fnn_slice(s->dt, p.a, i, rows);
    if (p.w.panel)
        p.w.panel = fnn_at_out(s->dt, p.w.panel, part * p.w.panel_size);
    fnn_multiply(s->kn, s->dt, &p);
}

void fnn_multiply_in_parts(const fnn_kernels *kn, fnn_dtype dt, const fnn_product *p, int parts)
{
    fnn_run(parts, multiply_part, &(shared_product){ kn, dt, p });
}

fnn_product fnn_product_columns(fnn_dtype dt, fnn_product p, ptrdiff_t j, ptrdiff_t end)
{
    assert(!p.w.panel);
    p.y.data = fnn_at_out(dt, p.y.data, j * p.y.cs);
    p.y.cols = end - j;
    p.bias = p.bias ? fnn_at(dt, p.bias, j) : NULL;
    if (p.a.data)
        p.a.data = fnn_at(dt, p.a.data, j);
    p.w.w.cols = end - j;
    if (p.w.packed) {
        p.w.packed = fnn_at(dt, p.w.packed, j * p.w.w.rows);
    } else {
        p.w.w.data = fnn_at(dt, p.w.w.data, j);
        p.w.direct_cols = end - j;
    }
    return p;
}

/* For each panel of columns the rows down to its last one. */
void fnn_gram(const fnn_kernels *kn, fnn_dtype dt, fnn_in u, fnn_in wu, fnn_out gram)
{
    const ptrdiff_t d = u.cols, width = kn->tile_vectors * kn->lanes;
    for (ptrdiff_t j = 0; j < d; j += width) {
        const ptrdiff_t cols = fnn_min(width, d - j), rows = j + cols;
        const fnn_in panel = { fnn_at(dt, wu.data, j), wu.rows, cols, wu.rs, 1 };
        fnn_multiply(kn, dt, &(fnn_product){
            .x = { u.data, rows, u.rows, 1, u.rs },
            .w = fnn_rhs_direct(kn, rows, panel),
            .y = { fnn_at_out(dt, gram.data, j), rows, cols, gram.rs, 1 } });
    }
}

/* ---- forward ------------------------------------------------------------------------------ */

/* In how many parts to do a product of n rows. */
static int product_parts(ptrdiff_t n, ptrdiff_t k, ptrdiff_t m)
{
    enum { LEAST_ROWS = 8 };
    const int parts = fnn_parts(2 * (double)n * (double)k * (double)m);
    return (int)fnn_min(parts, n / LEAST_ROWS > 0 ? n / LEAST_ROWS : 1);
}

static fnn_status check_forward(fnn_dtype dt, fnn_in x, fnn_in w, fnn_in b, fnn_out y)
{
    if (x.cols != w.rows || (b.data && !fnn_has_shape(b, 1, w.cols))
        || !fnn_has_shape(fnn_as_in(y), x.rows, w.cols))
        return FNN_ESHAPE;
    const fnn_in inputs[] = { x, w, b };
    return fnn_check_out(dt, y, inputs, 3);
}

fnn_status fnn_dense_forward(fnn_dtype dt, fnn_act act, fnn_in x, fnn_in w, fnn_in b, fnn_out y)
{
    const fnn_kernels *kn = fnn_kernels_for(dt);
    if (!kn)
        return FNN_EISA;
    const fnn_status status = check_forward(dt, x, w, b, y);
    if (status || x.rows == 0 || w.cols == 0)
        return status;

    const bool copy_bias = b.data && b.cs != 1;
    const int parts = product_parts(x.rows, w.rows, w.cols);
    size_t bytes = 0;
    if (!fnn_rhs_reserve(kn, dt, x.rows, w, parts, &bytes)
        || !fnn_reserve(&bytes, dt, 1, copy_bias ? w.cols : 0))
        return FNN_ENOMEM;
    char *scratch = bytes ? fnn_workspace_take(&fnn_shared_workspace, bytes) : NULL;
    if (bytes && !scratch)
        return FNN_ENOMEM;

    char *cursor = scratch;
    fnn_product product = { .x = x, .y = y, .bias = b.data,
                            .act = act == FNN_SOFTMAX ? FNN_IDENTITY : act };
    product.w = fnn_rhs_prepare(kn, dt, x.rows, w, parts, &cursor);
    if (copy_bias) {
        product.bias = cursor;
        fnn_copy(dt, b, (fnn_out){ cursor, 1, w.cols, w.cols, 1 });
    }
    fnn_multiply_in_parts(kn, dt, &product, parts);
    fnn_workspace_give(&fnn_shared_workspace, scratch);
    return act == FNN_SOFTMAX ? fnn_softmax(dt, fnn_as_in(y), y) : FNN_OK;
}

/* ---- backward ----------------------------------------------------------------------------- */

static fnn_status check_backward(fnn_dtype dt, fnn_in x, fnn_in w, fnn_in y, fnn_in dy,
                                 fnn_out dx, fnn_out dw, fnn_out db)
{
    if (x.cols != w.rows || !fnn_has_shape(y, x.rows, w.cols)
        || !fnn_has_shape(dy, x.rows, w.cols)
        || (dx.data && !fnn_has_shape(fnn_as_in(dx), x.rows, x.cols))
        || (dw.data && !fnn_has_shape(fnn_as_in(dw), w.rows, w.cols))
        || (db.data && !fnn_has_shape(fnn_as_in(db), 1, w.cols)))
        return FNN_ESHAPE;
    /* Each output against the inputs and the outputs before it. */
    const fnn_in views[] = { x, w, y, dy, fnn_as_in(dx), fnn_as_in(dw) };
    const fnn_out outs[] = { dx, dw, db };
    for (int o = 0; o < 3; o++)
        if (outs[o].data && fnn_check_out(dt, outs[o], views, 4 + o))
            return FNN_EALIAS;
    return FNN_OK;
}

/* Rows are taken in blocks, so that delta needs little memory; as each element of dw and db is a
 * chain over the rows that goes on from block to block, the bits do not depend on the block. */
enum { BACKWARD_ROWS = 256 };

fnn_status fnn_dense_backward(fnn_dtype dt, fnn_act act, fnn_in x, fnn_in w, fnn_in y, fnn_in dy,
                              fnn_out dx, fnn_out dw, fnn_out db)
{
    const fnn_kernels *kn = fnn_kernels_for(dt);
    if (!kn)
        return FNN_EISA;
    const fnn_status status = check_backward(dt, x, w, y, dy, dx, dw, db);
    if (status)
        return status;

    const ptrdiff_t n = x.rows, k = w.rows, m = w.cols;
    const ptrdiff_t rows = n < BACKWARD_ROWS ? (n ? n : 1) : BACKWARD_ROWS;
    const ptrdiff_t ld = fnn_leading(dt, m);
    const fnn_in w_t = { w.data, m, k, w.cs, w.rs };
    const int parts = product_parts(rows, m, k), dw_parts = product_parts(k, rows, m);
    size_t bytes = 0;
    if (ld < m || !fnn_reserve(&bytes, dt, rows, ld) || !fnn_reserve(&bytes, dt, 2 * rows, m)
        || !fnn_reserve(&bytes, dt, 1, m)
        || (dx.data && !fnn_rhs_reserve(kn, dt, rows, w_t, parts, &bytes)))
        return FNN_ENOMEM;
    char *scratch = fnn_workspace_take(&fnn_shared_workspace, bytes);
    if (!scratch)
        return FNN_ENOMEM;

    char *cursor = scratch;
    char *delta = fnn_part(&cursor, dt, rows, ld);
    char *y_rows = fnn_part(&cursor, dt, 2 * rows, m);
    char *dy_rows = y_rows + (size_t)rows * (size_t)m * fnn_sizeof(dt);
    void *sums = fnn_part(&cursor, dt, 1, m);
    const fnn_rhs rhs = dx.data ? fnn_rhs_prepare(kn, dt, rows, w_t, parts, &cursor)
                               : (fnn_rhs){ 0 };

    ptrdiff_t i = 0;
    do { /* once even for no rows, to write the zeros */
        const ptrdiff_t r = fnn_min(rows, n - i);
        ptrdiff_t y_rs, dy_rs;
        const void *y_i = fnn_rows_in(dt, y, i, r, y_rows, &y_rs);
        const void *dy_i = fnn_rows_in(dt, dy, i, r, dy_rows, &dy_rs);
        kn->delta(act, r, m, y_i, y_rs, dy_i, dy_rs, delta, ld);
        const fnn_in delta_i = { delta, r, m, ld, 1 };
        /* forward: y = act(x w + b) */
        if (db.data)
            kn->column_sums(r, m, delta, ld, i > 0, sums);
        if (dw.data)
            fnn_multiply_in_parts(kn, dt, &(fnn_product){
                .x = { fnn_at(dt, x.data, i * x.rs), k, r, x.cs, x.rs },
                .w = fnn_rhs_direct(kn, k, delta_i), .y = dw, .accumulate = i > 0 }, dw_parts);
        if (dx.data)
            fnn_multiply_in_parts(kn, dt, &(fnn_product){
                .x = delta_i, .w = rhs, .y = fnn_slice_out(dt, dx, i, r) }, parts);
        i += r;
    } while (i < n);
    if (db.data)
        fnn_copy(dt, (fnn_in){ sums, 1, m, m, 1 }, db);
    fnn_workspace_give(&fnn_shared_workspace, scratch);
    return FNN_OK;
}
