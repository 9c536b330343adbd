/* sparse.c -- sparse matrices, row after row: their check, their transposed, and their product. */
#include "internal.h"

#include <string.h>

static ptrdiff_t place_at(const fnn_csr *x, ptrdiff_t p)
{
    return x->wide ? (ptrdiff_t)((const int64_t *)x->places)[p]
                   : (ptrdiff_t)((const int32_t *)x->places)[p];
}

fnn_status fnn_csr_check(fnn_csr x, ptrdiff_t stored)
{
    if (x.rows < 0 || x.cols < 0)
        return FNN_ESHAPE;
    if (x.starts[0] != 0)
        return FNN_EVALUE;
    for (ptrdiff_t i = 0; i < x.rows; i++)
        if (x.starts[i + 1] < x.starts[i] || x.starts[i + 1] > stored)
            return FNN_EVALUE;
    for (ptrdiff_t i = 0; i < x.rows; i++) {
        ptrdiff_t before = -1;
        for (ptrdiff_t p = (ptrdiff_t)x.starts[i]; p < (ptrdiff_t)x.starts[i + 1]; p++) {
            const ptrdiff_t j = place_at(&x, p);
            if (j <= before || j >= x.cols)
                return FNN_EVALUE;
            before = j;
        }
    }
    return FNN_OK;
}

/* ---- the transposed ----------------------------------------------------------------------- */

fnn_status fnn_csr_transpose(fnn_dtype dt, fnn_csr x, void *values, int64_t *places, int64_t *starts)
{
    const ptrdiff_t end = (ptrdiff_t)x.starts[x.rows];
    memset(starts, 0, ((size_t)x.cols + 1) * sizeof *starts);
    for (ptrdiff_t p = (ptrdiff_t)x.starts[0]; p < end; p++)
        starts[place_at(&x, p) + 1]++;
    for (ptrdiff_t j = 0; j < x.cols; j++)
        starts[j + 1] += starts[j];
    /* starts[j] moves on to where column j + 1 starts, and is then moved back. */
    for (ptrdiff_t i = 0; i < x.rows; i++)
        for (ptrdiff_t p = (ptrdiff_t)x.starts[i]; p < (ptrdiff_t)x.starts[i + 1]; p++) {
            const ptrdiff_t to = (ptrdiff_t)starts[place_at(&x, p)]++;
            places[to] = i;
            if (dt == FNN_F32)
                ((float *)values)[to] = ((const float *)x.values)[p];
            else
                ((double *)values)[to] = ((const double *)x.values)[p];
        }
    memmove(starts + 1, starts, (size_t)x.cols * sizeof *starts);
    starts[0] = 0;
    return FNN_OK;
}

/* ---- the product -------------------------------------------------------------------------- */

ptrdiff_t fnn_csr_share(const fnn_csr *x, int part, int parts)
{
    if (part == parts)
        return x->rows;
    const int64_t first = x->starts[0], stored = x->starts[x->rows] - first;
    /* A row without values is some work, too. */
    const int64_t wanted = fnn_share((ptrdiff_t)stored + x->rows, part, parts);
    ptrdiff_t low = 0, high = x->rows;
    while (low < high) {
        const ptrdiff_t middle = low + (high - low) / 2;
        if (x->starts[middle] - first + middle < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

typedef struct {
    const fnn_csr *x;
    const fnn_kernels *kn;
    fnn_dtype dt;
    fnn_sparse all;
} product;

static void product_part(void *p_, int part, int parts)
{
    const product *p = p_;
    const ptrdiff_t i = fnn_csr_share(p->x, part, parts);
    fnn_sparse job = p->all;
    job.n = fnn_csr_share(p->x, part + 1, parts) - i;
    job.starts += i;
    job.y = fnn_at_out(p->dt, job.y, i * job.y_rs);
    p->kn->sparse(&job);
}

double fnn_sparse_work(double stored, ptrdiff_t n, ptrdiff_t m)
{
    const double flops_a_value = 8; /* what else the time for one would have been enough for */
    return (stored * ((double)m + flops_a_value) + (double)n * (double)m) * 2;
}

fnn_status fnn_sparse_forward(fnn_dtype dt, fnn_act act, fnn_csr x, fnn_in w, fnn_in b, fnn_out y)
{
    const fnn_kernels *kn = fnn_kernels_for(dt);
    if (!kn)
        return FNN_EISA;
    if (w.rows != x.cols || !fnn_has_shape(fnn_as_in(y), x.rows, w.cols) || act >= FNN_SOFTMAX
        || (w.cols > 1 && ((w.rows > 0 && w.cs != 1) || (y.rows > 0 && y.cs != 1)))
        || (b.data && (!fnn_has_shape(b, 1, w.cols) || (w.cols > 1 && b.cs != 1))))
        return FNN_ESHAPE;
    const ptrdiff_t stored = (ptrdiff_t)(x.starts[x.rows] - x.starts[0]);
    const ptrdiff_t end = (ptrdiff_t)x.starts[x.rows];
    const fnn_in inputs[] = { w, b, { x.values, 1, end, end, 1 } };
    const fnn_status status = fnn_check_out(dt, y, inputs, 3);
    if (status)
        return status;
    const product p = { .x = &x, .kn = kn, .dt = dt, .all = {
        .cols = w.cols, .values = x.values, .places = x.places, .wide = x.wide != 0,
        .starts = x.starts, .w = w.data, .w_rs = w.rs, .w_ps = kn->tile_vectors * kn->lanes,
        .y = y.data, .y_rs = y.rs, .bias = b.data, .act = act } };
    const int parts = fnn_parts(fnn_sparse_work((double)stored, x.rows, w.cols));
    fnn_run((int)fnn_min(parts, x.rows > 0 ? x.rows : 1), product_part, (void *)&p);
    return FNN_OK;
}
