/* dense.c -- one dense layer, forward and backward, and the blocked product under both.
 *
 * A product walks K in blocks of KC (so that a panel of w stays in the first-level cache), then
 * groups of columns and blocks of rows that stay in the second level together:
 *
 *     for p0 in K by KC                         partial sums wait in y between K blocks, which
 *       for j0 in m by block                    rounds nothing: the bits are those of one chain
 *         for i0 in n by block
 *           for each panel of j0's columns:  y[i0, j] += x[i0, p0] w[p0, j]
 *
 * w is read in place when its columns are contiguous. Where its rows lie badly for the cache and
 * there are many rows of x, each panel is first copied to where it is contiguous; that costs one
 * reading of it, and every tile reads it once. A w whose columns are not contiguous is packed
 * beforehand, panel after panel within a K block:
 *
 *     K block 0: [panel 0: KC rows of `width`] [panel 1] ... | K block 1: ...
 *
 * A width is `vectors` whole vectors. Of a w that is read in place, the last columns, if fewer than
 * a vector, are packed alone, as one panel of one vector. */
#include "internal.h"

enum { KC = 256, BLOCK_BYTES = 512 << 10, DIRECT_ROWS = 32 };

/* ---- the right-hand factor ---------------------------------------------------------------- */

static int panel_vectors(const fnn_kernels *kn, ptrdiff_t n)
{
    return n == 1 ? 8 : n <= 3 ? 4 : kn->tile_vectors;
}

/* Rows a multiple of 32 panel widths apart fall on so few sets of the first-level cache (64 sets of
 * 64 bytes) that a panel would evict itself; a few rows of x are not worth the copy all the same. */
static bool copies_panels(const fnn_kernels *kn, ptrdiff_t n, fnn_in w)
{
    return w.cs == 1 && n > DIRECT_ROWS && w.rs % (32 * kn->tile_vectors * kn->lanes) == 0;
}

/* How many columns panels may read in place, without reading past the end of a row. */
static ptrdiff_t direct_cols(const fnn_kernels *kn, ptrdiff_t n, fnn_in w)
{
    if (w.cs != 1)
        return 0;
    return copies_panels(kn, n, w) ? w.cols : w.cols - w.cols % kn->lanes;
}

/* Width of the packed part's rows, all panels together. */
static ptrdiff_t packed_width(const fnn_kernels *kn, ptrdiff_t n, fnn_in w, ptrdiff_t direct)
{
    const ptrdiff_t width = direct ? kn->lanes : kn->lanes * panel_vectors(kn, n);
    return fnn_round_up(w.cols - direct, width);
}

bool fnn_rhs_reserve(const fnn_kernels *kn, fnn_dtype dt, ptrdiff_t n, fnn_in w, size_t *bytes)
{
    const ptrdiff_t direct = direct_cols(kn, n, w);
    return fnn_reserve(bytes, dt, w.rows, packed_width(kn, n, w, direct))
        && (!copies_panels(kn, n, w) || fnn_reserve(bytes, dt, KC, kn->tile_vectors * kn->lanes));
}

fnn_rhs fnn_rhs_prepare(const fnn_kernels *kn, fnn_dtype dt, ptrdiff_t n, fnn_in w,
                        char **scratch)
{
    const ptrdiff_t direct = direct_cols(kn, n, w);
    fnn_rhs rhs = { .w = w, .direct_cols = direct };
    rhs.direct_vectors = panel_vectors(kn, n);
    rhs.packed_vectors = direct ? 1 : rhs.direct_vectors;
    rhs.packed_row = packed_width(kn, n, w, direct);
    rhs.packed = fnn_part(scratch, dt, w.rows, rhs.packed_row);
    if (copies_panels(kn, n, w))
        rhs.panel = fnn_part(scratch, dt, KC, kn->tile_vectors * kn->lanes);

    const ptrdiff_t width = rhs.packed_vectors * kn->lanes;
    for (ptrdiff_t p0 = 0; p0 < w.rows; p0 += KC) {
        const ptrdiff_t k = fnn_min(KC, w.rows - p0);
        for (ptrdiff_t j = 0; j < w.cols - direct; j += width)
            kn->pack(k, fnn_min(width, w.cols - direct - j),
                     fnn_at(dt, w.data, p0 * w.rs + (direct + j) * w.cs), w.rs, w.cs, width,
                     fnn_at_out(dt, rhs.packed, p0 * rhs.packed_row + j * k));
    }
    return rhs;
}

fnn_rhs fnn_rhs_direct(const fnn_kernels *kn, ptrdiff_t n, fnn_in w)
{
    assert(w.cs == 1);
    return (fnn_rhs){ .w = w, .direct_cols = w.cols, .direct_vectors = panel_vectors(kn, n) };
}

/* Aim the job at the panel that starts at column j of the K block at p0. */
static void aim_panel(const fnn_kernels *kn, fnn_dtype dt, const fnn_rhs *rhs, ptrdiff_t p0,
                      ptrdiff_t k, ptrdiff_t j, ptrdiff_t end, fnn_panel *job)
{
    ptrdiff_t room; /* vectors from here to the end of what lies in one piece */
    if (j < rhs->direct_cols) {
        end = fnn_min(end, rhs->direct_cols);
        job->w = fnn_at(dt, rhs->w.data, p0 * rhs->w.rs + j);
        job->w_rs = rhs->w.rs;
        room = rhs->direct_vectors;
    } else {
        const ptrdiff_t width = rhs->packed_vectors * kn->lanes;
        const ptrdiff_t packed_j = j - rhs->direct_cols, within = packed_j % width;
        job->w = fnn_at(dt, rhs->packed,
                        p0 * rhs->packed_row + (packed_j - within) * k + within);
        job->w_rs = width;
        room = rhs->packed_vectors - within / kn->lanes;
    }
    const ptrdiff_t wanted = fnn_min(room, (end - j + kn->lanes - 1) / kn->lanes);
    job->w_vectors = wanted >= 8 ? 8 : wanted >= 4 ? 4 : wanted >= 2 ? 2 : 1;
    job->cols = fnn_min(job->w_vectors * kn->lanes, end - j);
    if (j < rhs->direct_cols && rhs->panel) {
        kn->pack(k, job->cols, job->w, job->w_rs, 1, job->w_vectors * kn->lanes, rhs->panel);
        job->w = rhs->panel;
        job->w_rs = job->w_vectors * kn->lanes;
    }
}

/* ---- the product -------------------------------------------------------------------------- */

/* Rows of x, and columns of w, of which KC elements each fill BLOCK_BYTES. */
static ptrdiff_t block(fnn_dtype dt) { return BLOCK_BYTES / KC / (ptrdiff_t)fnn_sizeof(dt); }

void fnn_multiply(const fnn_kernels *kn, fnn_dtype dt, const fnn_product *p)
{
    const ptrdiff_t n = p->y.rows, m = p->y.cols, k = p->x.cols, step = block(dt);
    fnn_panel job = { .x_rs = p->x.rs, .x_cs = p->x.cs, .x_streams = p->x_streams,
                      .y_rs = p->y.rs, .y_cs = p->y.cs,
                      .a_rs = p->a.rs, .a_act = p->a_act, .ahead = p->ahead };
    ptrdiff_t p0 = 0;
    do {
        job.k = fnn_min(KC, k - p0);
        job.accumulate = p->accumulate || p0 > 0;
        const bool last = p0 + job.k >= k;
        job.act = last ? p->act : FNN_IDENTITY;
        for (ptrdiff_t j0 = 0; j0 < m; j0 += step) {
            const ptrdiff_t end = fnn_min(m, j0 + step);
            for (ptrdiff_t i = 0; i < n; i += step) {
                job.n = fnn_min(step, n - i);
                job.x = fnn_at(dt, p->x.data, i * p->x.rs + p0 * p->x.cs);
                for (ptrdiff_t j = j0; j < end; j += job.cols) {
                    aim_panel(kn, dt, &p->w, p0, job.k, j, end, &job);
                    job.y = fnn_at_out(dt, p->y.data, i * p->y.rs + j * p->y.cs);
                    job.bias = p->bias ? fnn_at(dt, p->bias, j) : NULL;
                    job.a = p->a.data && last ? fnn_at(dt, p->a.data, i * p->a.rs + j) : NULL;
                    kn->panel(&job);
                }
            }
        }
        p0 += job.k;
    } while (p0 < k);
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
    size_t bytes = 0;
    if (!fnn_rhs_reserve(kn, dt, x.rows, w, &bytes)
        || !fnn_reserve(&bytes, dt, 1, copy_bias ? w.cols : 0))
        return FNN_ENOMEM;
    char *scratch = bytes ? fnn_workspace_take(&fnn_shared_workspace, bytes) : NULL;
    if (bytes && !scratch)
        return FNN_ENOMEM;

    char *cursor = scratch;
    fnn_product product = { .x = x, .y = y, .bias = b.data,
                            .act = act == FNN_SOFTMAX ? FNN_IDENTITY : act };
    product.w = fnn_rhs_prepare(kn, dt, x.rows, w, &cursor);
    if (copy_bias) {
        product.bias = cursor;
        fnn_copy(dt, b, (fnn_out){ cursor, 1, w.cols, w.cols, 1 });
    }
    fnn_multiply(kn, dt, &product);
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

void fnn_weight_gradient(const fnn_kernels *kn, fnn_dtype dt, fnn_in x, fnn_in delta,
                         bool accumulate, fnn_out dw, fnn_ahead *ahead)
{
    const fnn_in x_t = { x.data, x.cols, x.rows, x.cs, x.rs };
    fnn_multiply(kn, dt, &(fnn_product){ .x = x_t, .w = fnn_rhs_direct(kn, x.cols, delta),
                                         .y = dw, .accumulate = accumulate, .ahead = ahead });
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
    size_t bytes = 0;
    if (ld < m || !fnn_reserve(&bytes, dt, rows, ld) || !fnn_reserve(&bytes, dt, 2 * rows, m)
        || !fnn_reserve(&bytes, dt, 1, m)
        || (dx.data && !fnn_rhs_reserve(kn, dt, rows, w_t, &bytes)))
        return FNN_ENOMEM;
    char *scratch = fnn_workspace_take(&fnn_shared_workspace, bytes);
    if (!scratch)
        return FNN_ENOMEM;

    char *cursor = scratch;
    char *delta = fnn_part(&cursor, dt, rows, ld);
    char *y_rows = fnn_part(&cursor, dt, 2 * rows, m);
    char *dy_rows = y_rows + (size_t)rows * (size_t)m * fnn_sizeof(dt);
    void *sums = fnn_part(&cursor, dt, 1, m);
    const fnn_rhs rhs = dx.data ? fnn_rhs_prepare(kn, dt, rows, w_t, &cursor) : (fnn_rhs){ 0 };

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
            fnn_weight_gradient(kn, dt, fnn_slice(dt, x, i, r), delta_i, i > 0, dw, NULL);
        if (dx.data)
            fnn_multiply(kn, dt, &(fnn_product){ .x = delta_i, .w = rhs,
                                                 .y = fnn_slice_out(dt, dx, i, r) });
        i += r;
    } while (i < n);
    if (db.data)
        fnn_copy(dt, (fnn_in){ sums, 1, m, m, 1 }, db);
    fnn_workspace_give(&fnn_shared_workspace, scratch);
    return FNN_OK;
}
