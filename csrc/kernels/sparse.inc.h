/* sparse.inc.h -- the product of sparse rows with a matrix.
 *
 *     y_i = act(start + sum over p of values[p] w[places[p]]),   p = starts[i] .. starts[i + 1] - 1
 *
 * Each element is one chain of FMAs in the order of p. As a product with zero changes no sum, that is the
 * chain of the dense product where the places of a row increase (and w is finite), but for the sign
 * of a zero. */

FNN_INLINE ptrdiff_t FN(place_at)(const fnn_sparse *job, ptrdiff_t p)
{
    return job->wide ? (ptrdiff_t)((const int64_t *)job->places)[p]
                     : (ptrdiff_t)((const int32_t *)job->places)[p];
}

/* acc += values[p] w[places[p]]; with vectors == 0, of the one column that there is. */
FNN_INLINE void FN(sparse_step)(const int vectors, const fnn_sparse *job, const REAL *w, ptrdiff_t p,
                                ptrdiff_t last, VEC *acc)
{
    const VEC x_p = V(set1)(((const REAL *)job->values)[p]);
    const REAL *w_p = w + FN(place_at)(job, p) * job->w_rs;
    if (vectors == 0) {
        acc[0] = V(fma)(x_p, V(set1)(*w_p), acc[0]);
        return;
    }
    FNN_UNROLL
    for (int v = 0; v < vectors; v++) {
        const REAL *at = w_p + v / TILE_VECTORS * job->w_ps + v % TILE_VECTORS * LANES;
        acc[v] = V(fma)(x_p, FN(get)(at, v == vectors - 1 ? last : LANES), acc[v]);
    }
}

/* Some rows at once, so that enough chains are in flight, from row i on, for the columns from j on. */
FNN_INLINE void FN(sparse_tile)(const int rows, const int vectors, const fnn_sparse *job, ptrdiff_t i,
                                ptrdiff_t j)
{
    enum { MOST_ROWS = 4 };
    const int count = vectors ? vectors : 1;
    const ptrdiff_t last = vectors ? fnn_min(LANES, job->cols - j - (vectors - 1) * LANES) : 1;
    const ptrdiff_t tile = TILE_VECTORS * LANES;
    const REAL *bias = job->bias, *w = (const REAL *)job->w + j / tile * job->w_ps + j % tile;
    VEC acc[MOST_ROWS][8];
    ptrdiff_t p[MOST_ROWS], left[MOST_ROWS], common = PTRDIFF_MAX;
    FNN_UNROLL
    for (int r = 0; r < rows; r++) {
        const ptrdiff_t row = job->rows ? (ptrdiff_t)job->rows[i + r] : i + r;
        const REAL *from = job->accumulate ? (const REAL *)job->y + (i + r) * job->y_rs : bias;
        p[r] = (ptrdiff_t)job->starts[row];
        left[r] = (ptrdiff_t)job->starts[row + 1] - p[r];
        common = fnn_min(common, left[r]);
        FNN_UNROLL
        for (int v = 0; v < count; v++)
            acc[r][v] = from ? FN(get)(from + j + v * LANES, v == count - 1 ? last : LANES)
                             : V(set1)(0);
    }
    for (ptrdiff_t t = 0; t < common; t++) {
        FNN_UNROLL
        for (int r = 0; r < rows; r++)
            FN(sparse_step)(vectors, job, w, p[r] + t, last, acc[r]);
    }
    FNN_UNROLL
    for (int r = 0; r < rows; r++) {
        for (ptrdiff_t t = common; t < left[r]; t++)
            FN(sparse_step)(vectors, job, w, p[r] + t, last, acc[r]);
        REAL *y = (REAL *)job->y + (i + r) * job->y_rs + j;
        FNN_UNROLL
        for (int v = 0; v < count; v++)
            FN(put)(y + v * LANES, acc[r][v], v == count - 1 ? last : LANES);
    }
}

#define SPARSE_CASE(vectors, at_once)                        \
    case vectors:                                            \
        for (; i + at_once <= job->n; i += at_once)          \
            FN(sparse_tile)(at_once, vectors, job, i, j);    \
        for (; i < job->n; i++)                              \
            FN(sparse_tile)(1, vectors, job, i, j);          \
        break;

static void FN(sparse)(const fnn_sparse *job)
{
    enum { MOST = 8 * LANES };
    for (ptrdiff_t j = 0; j < job->cols; j += MOST) {
        const ptrdiff_t cols = fnn_min(MOST, job->cols - j);
        ptrdiff_t i = 0;
        switch (job->cols == 1 ? 0 : (cols + LANES - 1) / LANES) {
            SPARSE_CASE(0, 4)
            SPARSE_CASE(1, 4)
            SPARSE_CASE(2, 2)
            SPARSE_CASE(3, 2)
            SPARSE_CASE(4, 1)
            SPARSE_CASE(5, 1)
            SPARSE_CASE(6, 1)
            SPARSE_CASE(7, 1)
            SPARSE_CASE(8, 1)
        default: assert(!"no such width");
        }
    }
    if (job->act != FNN_IDENTITY)
        FN(activate_rows)(job->act, job->n, job->cols, job->y, job->y_rs, job->y, job->y_rs);
}
#undef SPARSE_CASE
