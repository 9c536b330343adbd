/* gemm.inc.h -- the matrix product: packing, the micro-kernel, its epilogue, and a panel of tiles.
 *
 * A tile is `rows` x `vectors` accumulators. K is innermost and sequential; x is read in place,
 * one broadcast an element, whatever its strides:
 *
 *              w panel, row stride w_rs             packed: w_rs = width = vectors * LANES,
 *              +-------------------+                columns past m are zero
 *        p ->  | w[p] v0 | w[p] v1 |  ...               k rows, one after another
 *              +-------------------+                  +-----------+-----------+
 *   x[i,p] ->  acc[i][0] acc[i][1]                    | w[0, j0.. j0+width-1] |
 *     ...      acc[..]   acc[..]                      | w[1, j0.. ]           | ...
 *
 * Every tile, whatever its size, does the same chain of FMAs for an element of y. That is why a
 * row's result does not depend on the batch it is in, nor on the instruction set. */

/* Blocks of as many rows as columns, for a w whose columns are contiguous, and all multiples of 16
 * rows; returns how many columns are done. */
static ptrdiff_t FN(pack_transposed)(ptrdiff_t k, ptrdiff_t cols, const REAL *w, ptrdiff_t cs,
                                     ptrdiff_t width, REAL *packed)
{
    const ptrdiff_t done = cols - cols % LANES;
    for (ptrdiff_t j = 0; j < done; j += LANES)
        for (ptrdiff_t p = 0; p < k - k % 16; p += LANES) {
            VEC block[LANES];
            FNN_UNROLL
            for (int i = 0; i < LANES; i++)
                block[i] = V(load)(w + (j + i) * cs + p);
            FN(transpose)(block);
            FNN_UNROLL
            for (int i = 0; i < LANES; i++)
                V(store)(packed + (p + i) * width + j, block[i]);
        }
    return done;
}

/* Copy w (k x cols, any strides) into rows of `width`, the rest zero. */
static void FN(pack)(ptrdiff_t k, ptrdiff_t cols, const void *w_, ptrdiff_t rs, ptrdiff_t cs,
                     ptrdiff_t width, void *packed_)
{
    const REAL *w = w_;
    REAL *packed = packed_;
    const VEC zero = V(set1)(0);
    if (cs == 1) {
        for (ptrdiff_t p = 0; p < k; p++, w += rs, packed += width) {
            ptrdiff_t j = 0;
            for (; j + LANES <= cols; j += LANES)
                V(store)(packed + j, V(load)(w + j));
            for (; j < width; j += LANES)
                V(store)(packed + j, j < cols ? V(load_n)(w + j, cols - j, zero) : zero);
        }
        return;
    }
    ptrdiff_t done = 0; /* columns */
    if (rs == 1 && LANES > 1)
        done = FN(pack_transposed)(k, cols, w, cs, width, packed);
    /* Blocks of 16 rows: a cache line of a transposed w's column is used up while it is there. */
    for (ptrdiff_t p0 = 0; p0 < k; p0 += 16) {
        const ptrdiff_t rows = fnn_min(16, k - p0);
        for (ptrdiff_t j = p0 + 16 <= k ? done : 0; j < cols; j++)
            for (ptrdiff_t p = p0; p < p0 + rows; p++)
                packed[p * width + j] = w[p * rs + j * cs];
        for (ptrdiff_t p = p0; p < p0 + rows; p++)
            for (ptrdiff_t j = cols; j < width; j++)
                packed[p * width + j] = 0;
    }
}

/* A tile's rows in memory, columns contiguous: the partial sums that it goes on from, if the job
 * accumulates, and where its results go. */
typedef struct { const REAL *from; REAL *to; ptrdiff_t from_rs, to_rs; } FN(place);

/* Rows of w that come next, for a panel may be longer than the first-level cache is; to ask whether it
 * is would take longer. */
enum { FN(AHEAD) = 16 };
FNN_INLINE void FN(fetch_ahead)(const int vectors, const REAL *w)
{
    enum { STEP = LANES * sizeof(REAL) < 64 ? 64 / (LANES * sizeof(REAL)) : 1 };
    if (vectors == TILE_VECTORS && LANES > 1) {
        FNN_UNROLL
        for (int v = 0; v < vectors; v += STEP)
            __builtin_prefetch(w + v * LANES, 0, 3);
    }
}

/* One tile of start + x w; rows and vectors are constants at every call, so that acc is registers. */
FNN_INLINE void FN(tile)(const int rows, const int vectors, const fnn_panel *job, const REAL *x,
                         const FN(place) *y)
{
    enum { MOST_ROWS = TILE_ROWS > 4 ? TILE_ROWS : 4 };
    VEC acc[MOST_ROWS][8];
    const ptrdiff_t last = job->cols - (vectors - 1) * LANES; /* lanes used of the last vector */
    const VEC zero = V(set1)(0);

    FNN_UNROLL
    for (int v = 0; v < vectors; v++) {
        const ptrdiff_t lanes = v == vectors - 1 ? last : LANES;
        if (job->accumulate) {
            FNN_UNROLL
            for (int i = 0; i < rows; i++)
                acc[i][v] = FN(get)(y->from + i * y->from_rs + v * LANES, lanes);
        } else {
            const REAL *bias = job->bias;
            const VEC start = bias ? FN(get)(bias + v * LANES, lanes) : zero;
            FNN_UNROLL
            for (int i = 0; i < rows; i++)
                acc[i][v] = start;
        }
    }

    const REAL *w = job->w;
    const ptrdiff_t x_rs = job->x_rs, x_cs = job->x_cs, w_rs = job->w_rs, w_ps = job->w_ps;
    const ptrdiff_t line_ends = job->x_streams ? 64 / (ptrdiff_t)sizeof(REAL) - 1 : -1;
    /* Two pointers, or the multiples of x_rs would not all fit into registers. */
    enum { UPPER_ROWS = (MOST_ROWS + 1) / 2 };
    const REAL *x_lower = x + UPPER_ROWS * x_rs;
    FNN_TILE_LOOP
    for (ptrdiff_t p = job->k; p > 0; p--, x += x_cs, x_lower += x_cs, w += w_rs) {
        VEC w_p[8];
        if ((p & line_ends) == 0) {
            FNN_UNROLL
            for (int i = 0; i < rows; i++)
                __builtin_prefetch(x + (i + rows) * x_rs, 0, 2);
        }
        FN(fetch_ahead)(vectors, w + FN(AHEAD) * w_rs);
        FNN_UNROLL
        for (int v = 0; v < vectors; v++)
            w_p[v] = V(load)(w + v / TILE_VECTORS * w_ps + v % TILE_VECTORS * LANES);
        FNN_UNROLL
        for (int i = 0; i < rows; i++) {
            const VEC x_ip = V(set1)(i < UPPER_ROWS ? x[i * x_rs]
                                                    : x_lower[(i - UPPER_ROWS) * x_rs]);
            FNN_UNROLL
            for (int v = 0; v < vectors; v++)
                acc[i][v] = V(fma)(x_ip, w_p[v], acc[i][v]);
        }
    }

    FNN_UNROLL
    for (int v = 0; v < vectors; v++) {
        FNN_UNROLL
        for (int i = 0; i < rows; i++) {
            REAL *to = y->to + i * y->to_rs + v * LANES;
            FN(put)(to, acc[i][v], v == vectors - 1 ? last : LANES);
        }
    }
}

/* The most rows of a tile of that many vectors; small batches have few rows and take wide tiles,
 * to keep enough independent chains in flight. */
FNN_INLINE ptrdiff_t FN(tile_rows)(int vectors)
{
    return vectors == 8 ? 1 : vectors == 4 && TILE_VECTORS != 4 ? 3 : TILE_ROWS;
}

#define TILE_CASE(r, vectors)                           \
    case r:                                             \
        if (r <= FN(tile_rows)(vectors))                \
            FN(tile)(r, vectors, job, x, y);            \
        break;
#define TILE_FUNCTION(vectors)                                                                 \
    static void FNN_PASTE(FN(tiles_), vectors)(ptrdiff_t rows, const fnn_panel *job,           \
                                               const REAL *x, const FN(place) *y)              \
    {                                                                                          \
        switch (rows) {                                                                        \
            TILE_CASE(1, vectors)                                                              \
            TILE_CASE(2, vectors)                                                              \
            TILE_CASE(3, vectors)                                                              \
            TILE_CASE(4, vectors)                                                              \
            TILE_CASE(5, vectors)                                                              \
            TILE_CASE(6, vectors)                                                              \
            TILE_CASE(7, vectors)                                                              \
            TILE_CASE(8, vectors)                                                              \
            TILE_CASE(9, vectors)                                                              \
            TILE_CASE(10, vectors)                                                             \
            TILE_CASE(11, vectors)                                                             \
            TILE_CASE(12, vectors)                                                             \
            TILE_CASE(13, vectors)                                                             \
            TILE_CASE(14, vectors)                                                             \
        default: assert(!"tile too tall");                                                     \
        }                                                                                      \
    }
TILE_FUNCTION(1)
TILE_FUNCTION(2)
TILE_FUNCTION(4)
TILE_FUNCTION(8)
#undef TILE_FUNCTION
#undef TILE_CASE

FNN_INLINE VEC FN(activate)(fnn_act act, VEC z)
{
    switch (act) {
    case FNN_SIGMOID: return FN(sigmoid)(z);
    case FNN_TANH: return FN(tanh)(z);
    case FNN_RELU: return V(max)(V(set1)(0), z); /* NaN stays */
    case FNN_EXP: return FN(exp)(z);
    default: return z;
    }
}

/* act'(z) from the output y = act(z); NaN in y stays. */
FNN_INLINE VEC FN(slope)(fnn_act act, VEC y)
{
    const VEC one = V(set1)(1), zero = V(set1)(0);
    switch (act) {
    case FNN_SIGMOID: return V(fnma)(y, y, y);
    case FNN_TANH: return V(fnma)(y, y, one);
    case FNN_RELU: return V(select_lt)(zero, y, one, V(mul)(y, zero));
    case FNN_EXP: return y;
    default: return one;
    }
}

#define ACTIVATE_CASE(name)                                                             \
    case name:                                                                          \
        for (ptrdiff_t i = 0; i < rows; i++, z += z_rs, y += y_rs)                      \
            EACH_VECTOR(j, lanes, cols)                                                 \
                FN(put)(y + j, FN(activate)(name, FN(get)(z + j, lanes)), lanes);       \
        break;

/* y = act(z), the epilogue of the forward product; z may be y. */
static void FN(activate_rows)(fnn_act act, ptrdiff_t rows, ptrdiff_t cols, const REAL *z,
                              ptrdiff_t z_rs, REAL *y, ptrdiff_t y_rs)
{
    switch (act) {
        ACTIVATE_CASE(FNN_SIGMOID)
        ACTIVATE_CASE(FNN_TANH)
        ACTIVATE_CASE(FNN_RELU)
        ACTIVATE_CASE(FNN_EXP)
    default: assert(!"no elementwise activation");
    }
}
#undef ACTIVATE_CASE

/* y = z * act'(a), the epilogue of the backward product; z may be y. */
static void FN(scale_by_slope)(fnn_act act, ptrdiff_t rows, ptrdiff_t cols, const REAL *a,
                               ptrdiff_t a_rs, const REAL *z, ptrdiff_t z_rs, REAL *y,
                               ptrdiff_t y_rs)
{
    for (ptrdiff_t i = 0; i < rows; i++, z += z_rs, y += y_rs, a += a_rs)
        EACH_VECTOR(j, lanes, cols) {
            const VEC slope = FN(slope)(act, FN(get)(a + j, lanes));
            FN(put)(y + j, V(mul)(FN(get)(z + j, lanes), slope), lanes);
        }
}

/* All rows of one panel, in tiles of nearly equal height. A tile that has an epilogue goes by way of
 * an aligned place of its own, so that y, wherever it lies, is written once; so does a tile of a y
 * whose columns are not contiguous. */
static void FN(panel)(const fnn_panel *job)
{
    if (job->n == 0)
        return;
    void (*const tiles)(ptrdiff_t, const fnn_panel *, const REAL *, const FN(place) *) =
        job->w_vectors == 8 ? FN(tiles_8)
        : job->w_vectors == 4 ? FN(tiles_4)
        : job->w_vectors == 2 ? FN(tiles_2) : FN(tiles_1);
    const ptrdiff_t most = FN(tile_rows)(job->w_vectors);
    const ptrdiff_t count = (job->n + most - 1) / most;
    const ptrdiff_t rows = job->n / count, taller = job->n % count;
    _Alignas(64) REAL own[TILE_ROWS * 8 * LANES];
    const ptrdiff_t own_rs = job->w_vectors * LANES;
    const bool contiguous = job->y_cs == 1, plain = job->act == FNN_IDENTITY && !job->a;

    const REAL *x = job->x, *a = job->a;
    REAL *y = job->y;
    for (ptrdiff_t t = 0; t < count; t++) {
        const ptrdiff_t r = rows + (t < taller);
        FN(place) at = { .from = y, .from_rs = job->y_rs, .to = y, .to_rs = job->y_rs };
        if (!contiguous) {
            at.from = own;
            at.from_rs = own_rs;
            if (job->accumulate)
                for (ptrdiff_t i = 0; i < r; i++)
                    for (ptrdiff_t j = 0; j < job->cols; j++)
                        own[i * own_rs + j] = y[i * job->y_rs + j * job->y_cs];
        }
        if (!contiguous || !plain) {
            at.to = own;
            at.to_rs = own_rs;
        }
        tiles(r, job, x, &at);
        if (job->ahead)
            fnn_fetch_ahead(job->ahead);
        REAL *const end = contiguous ? y : own;
        const ptrdiff_t end_rs = contiguous ? job->y_rs : own_rs;
        if (job->act != FNN_IDENTITY)
            FN(activate_rows)(job->act, r, job->cols, own, own_rs, a ? own : end,
                              a ? own_rs : end_rs);
        if (a)
            FN(scale_by_slope)(job->a_act, r, job->cols, a, job->a_rs, own, own_rs, end, end_rs);
        if (!contiguous)
            for (ptrdiff_t i = 0; i < r; i++)
                for (ptrdiff_t j = 0; j < job->cols; j++)
                    y[i * job->y_rs + j * job->y_cs] = own[i * own_rs + j];
        x += r * job->x_rs;
        y += r * job->y_rs;
        a = a ? a + r * job->a_rs : NULL;
    }
}

/* Some vectors of one row, which never leave the registers. */
FNN_INLINE void FN(row_piece)(const int vectors, const fnn_one_row *job, ptrdiff_t j)
{
    const REAL *bias = job->bias, *x = job->x;
    const REAL *w = (const REAL *)job->w + j / (TILE_VECTORS * LANES) * job->w_ps
                  + j % (TILE_VECTORS * LANES);
    REAL *y = job->y;
    const ptrdiff_t last = fnn_min(LANES, job->m - j - (vectors - 1) * LANES);
    VEC acc[8];
    FNN_UNROLL
    for (int v = 0; v < vectors; v++)
        acc[v] = FN(get)(bias + j + v * LANES, v == vectors - 1 ? last : LANES);
    for (ptrdiff_t p = 0; p < job->k; p++, w += job->w_rs) {
        const VEC x_p = V(set1)(x[p]);
        FNN_UNROLL
        for (int v = 0; v < vectors; v++) {
            const ptrdiff_t at = v / TILE_VECTORS * job->w_ps + v % TILE_VECTORS * LANES;
            acc[v] = V(fma)(x_p, V(load)(w + at), acc[v]);
        }
    }
    FNN_UNROLL
    for (int v = 0; v < vectors; v++)
        FN(put)(y + j + v * LANES, FN(activate)(job->act, acc[v]), v == vectors - 1 ? last : LANES);
}

static void FN(one_row)(const fnn_one_row *job)
{
    ptrdiff_t j = 0;
    for (; job->m - j > 7 * LANES; j += 8 * LANES)
        FN(row_piece)(8, job, j);
    if (job->m - j > 3 * LANES) {
        FN(row_piece)(4, job, j);
        j += 4 * LANES;
    }
    if (job->m - j > LANES) {
        FN(row_piece)(2, job, j);
        j += 2 * LANES;
    }
    if (job->m > j)
        FN(row_piece)(1, job, j);
}
