/* rows.inc.h -- elementwise maps and what is done row by row: softmax, the delta of a layer,
 * column sums. */

#define MAP_CASE(name, function)                                                     \
    case name:                                                                       \
        EACH_VECTOR(j, lanes, count)                                                 \
            FN(put)(y + j, FN(function)(FN(get)(x + j, lanes)), lanes);   \
        break;

static void FN(map)(fnn_function fn, ptrdiff_t count, const void *x_, void *y_)
{
    const REAL *x = x_;
    REAL *y = y_;
    switch (fn) {
        MAP_CASE(FNN_MAP_EXP, exp)
        MAP_CASE(FNN_MAP_LOG1P, log1p)
        MAP_CASE(FNN_MAP_SIGMOID, sigmoid)
        MAP_CASE(FNN_MAP_TANH, tanh)
    default: assert(!"no such function");
    }
}
#undef MAP_CASE

/* Sums over a row run in FNN_SUM_LANES lanes, as many vectors as that takes on this set. */
enum { FN(SUM_VECTORS) = FNN_SUM_LANES / LANES };

FNN_INLINE REAL FN(fold)(VEC *acc)
{
    FNN_UNROLL
    for (int half = FN(SUM_VECTORS) / 2; half > 0; half /= 2) {
        FNN_UNROLL
        for (int u = 0; u < half; u++)
            acc[u] = V(add)(acc[u], acc[u + half]);
    }
    FNN_UNROLL
    for (int half = LANES / 2; half > 0; half /= 2)
        acc[0] = V(add)(acc[0], V(exchange)(acc[0], half));
    return V(first)(acc[0]);
}

FNN_INLINE REAL FN(row_max)(ptrdiff_t c, const REAL *z)
{
    VEC acc = V(set1)(z[0]);
    EACH_VECTOR(j, lanes, c)
        acc = V(max)(acc, lanes == LANES ? V(load)(z + j) : V(load_n)(z + j, lanes, acc));
    FNN_UNROLL
    for (int half = LANES / 2; half > 0; half /= 2)
        acc = V(max)(acc, V(exchange)(acc, half));
    return V(first)(acc);
}

/* e_j = exp(z_j - most), and their sum. Lanes past the end are minus infinity, so they add 0. */
FNN_INLINE REAL FN(exp_row)(ptrdiff_t c, const REAL *z, REAL most_, REAL *e)
{
    const VEC most = V(set1)(most_), nothing = V(set1)((REAL)-INFINITY);
    VEC acc[FN(SUM_VECTORS)];
    FNN_UNROLL
    for (int u = 0; u < FN(SUM_VECTORS); u++)
        acc[u] = V(set1)(0);
    for (ptrdiff_t j0 = 0; j0 < c; j0 += FNN_SUM_LANES) {
        FNN_UNROLL
        for (int u = 0; u < FN(SUM_VECTORS); u++) {
            const ptrdiff_t j = j0 + u * LANES, lanes = fnn_min(LANES, c - j);
            if (lanes <= 0)
                continue;
            const VEC d = V(sub)(V(load_n)(z + j, lanes, nothing), most);
            const VEC e_j = FN(exp_or_zero)(d);
            FN(put)(e + j, e_j, lanes);
            acc[u] = V(add)(acc[u], e_j);
        }
    }
    return FN(fold)(acc);
}

/* The same for up to LANES rows of few columns, each in a lane: every operation is done for all of
 * them at once. The sums are those of exp_row, whose lanes hold one element each here. */
FNN_INLINE void FN(exp_rows)(ptrdiff_t rows, ptrdiff_t c, const REAL *z, ptrdiff_t z_rs, REAL *e,
                             ptrdiff_t e_rs, REAL *most, REAL *sum)
{
    REAL across[FNN_SUM_LANES * LANES]; /* column j of the rows is LANES elements */
    VEC acc[FNN_SUM_LANES];
    for (ptrdiff_t r = 0; r < LANES; r++)
        for (ptrdiff_t j = 0; j < c; j++)
            across[j * LANES + r] = z[fnn_min(r, rows - 1) * z_rs + j];
    VEC top = V(set1)((REAL)-INFINITY);
    for (ptrdiff_t j = 0; j < c; j++)
        top = V(max)(top, V(load)(across + j * LANES));
    for (ptrdiff_t j = 0; j < c; j++) {
        acc[j] = FN(exp_or_zero)(V(sub)(V(load)(across + j * LANES), top));
        V(store)(across + j * LANES, acc[j]);
    }
    for (ptrdiff_t j = c; j < FNN_SUM_LANES; j++)
        acc[j] = V(set1)(0);
    FNN_UNROLL
    for (int half = FNN_SUM_LANES / 2; half > 0; half /= 2) {
        FNN_UNROLL
        for (int j = 0; j < half; j++)
            acc[j] = V(add)(acc[j], acc[j + half]);
    }
    FN(put)(most, top, rows);
    FN(put)(sum, acc[0], rows);
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t j = 0; j < c; j++)
            e[r * e_rs + j] = across[j * LANES + r];
}

enum { FN(WORTH_TRANSPOSING) = 4 };

/* For n rows, of which the maxima and sums go to arrays. */
FNN_INLINE void FN(exp_block)(ptrdiff_t n, ptrdiff_t c, const REAL *z, ptrdiff_t z_rs, REAL *e,
                              ptrdiff_t e_rs, REAL *most, REAL *sum)
{
    const bool in_lanes = c <= FNN_SUM_LANES && LANES > 1 && n >= FN(WORTH_TRANSPOSING);
    const ptrdiff_t step = in_lanes ? LANES : 1;
    for (ptrdiff_t i = 0; i < n; i += step, z += step * z_rs, e += step * e_rs) {
        if (in_lanes) {
            FN(exp_rows)(fnn_min(LANES, n - i), c, z, z_rs, e, e_rs, most + i, sum + i);
        } else {
            most[i] = FN(row_max)(c, z);
            sum[i] = FN(exp_row)(c, z, most[i], e);
        }
    }
}

/* Softmax of a row that is one vector, and that stays in the registers; the sum is exp_row's. */
FNN_INLINE void FN(softmax_short)(ptrdiff_t c, const REAL *z_, REAL *y)
{
    const VEC z = V(load_n)(z_, c, V(set1)((REAL)-INFINITY));
    VEC most = z;
    FNN_UNROLL
    for (int half = LANES / 2; half > 0; half /= 2)
        most = V(max)(most, V(exchange)(most, half));
    const VEC e = FN(exp_or_zero)(V(sub)(z, most));
    VEC sum = e;
    FNN_UNROLL
    for (int half = LANES / 2; half > 0; half /= 2)
        sum = V(add)(sum, V(exchange)(sum, half));
    FN(put)(y, V(div)(e, sum), c);
}

static void FN(softmax)(ptrdiff_t n, ptrdiff_t c, const void *z_, ptrdiff_t z_rs, void *y_,
                        ptrdiff_t y_rs)
{
    const REAL *z = z_;
    REAL *y = y_;
    for (ptrdiff_t i = 0; i < n; i += FNN_SUM_LANES) {
        const ptrdiff_t rows = fnn_min(FNN_SUM_LANES, n - i);
        if (rows < FN(WORTH_TRANSPOSING) && c <= LANES) {
            for (ptrdiff_t r = 0; r < rows; r++)
                FN(softmax_short)(c, z + r * z_rs, y + r * y_rs);
            return; /* these are the last */
        }
        REAL most[FNN_SUM_LANES], sum[FNN_SUM_LANES];
        FN(exp_block)(rows, c, z, z_rs, y, y_rs, most, sum);
        z += rows * z_rs;
        for (ptrdiff_t r = 0; r < rows; r++, y += y_rs)
            EACH_VECTOR(j, lanes, c)
                FN(put)(y + j, V(div)(FN(get)(y + j, lanes), V(set1)(sum[r])), lanes);
    }
}

/* Forward: y = softmax(z). Backward: delta_j = y_j (dy_j - sum_i dy_i y_i). */
FNN_INLINE void FN(softmax_delta)(ptrdiff_t m, const REAL *y, const REAL *dy, REAL *delta)
{
    double dot = 0;
    for (ptrdiff_t j = 0; j < m; j++)
        dot += (double)dy[j] * y[j];
    for (ptrdiff_t j = 0; j < m; j++)
        delta[j] = y[j] * (REAL)(dy[j] - dot);
}

/* Forward: y = act(z). Backward: delta = dy * act'(z), act' from y. */
static void FN(delta)(fnn_act act, ptrdiff_t n, ptrdiff_t m, const void *y_, ptrdiff_t y_rs,
                      const void *dy_, ptrdiff_t dy_rs, void *delta_, ptrdiff_t delta_rs)
{
    const REAL *y = y_, *dy = dy_;
    REAL *delta = delta_;
    for (ptrdiff_t i = 0; i < n; i++, y += y_rs, dy += dy_rs, delta += delta_rs) {
        if (act == FNN_SOFTMAX) {
            FN(softmax_delta)(m, y, dy, delta);
            continue;
        }
        EACH_VECTOR(j, lanes, m) {
            const VEC slope = FN(slope)(act, FN(get)(y + j, lanes));
            FN(put)(delta + j, V(mul)(FN(get)(dy + j, lanes), slope), lanes);
        }
    }
}

/* An element's number is a function of the key, its row and its column: no state is handed from one to
 * the next, and all sets agree. Two keys of the row make that of the column one of 2^64 orders; the steps
 * are those that end MurmurHash3 (A. Appleby). */
static void FN(dropout_mask)(const fnn_mask *job)
{
    const REAL scale = (REAL)job->scale;
    for (ptrdiff_t i = 0; i < job->n; i++) {
        REAL *mask = (REAL *)job->mask + i * job->mask_rs;
        const uint64_t of_row = fnn_mix(job->key + (uint64_t)(job->row + i));
        const uint32_t first = (uint32_t)of_row + (uint32_t)job->col, second = (uint32_t)(of_row >> 32);
        for (ptrdiff_t j = 0; j < job->m; j++) {
            uint32_t x = first + (uint32_t)j;
            x = (x ^ x >> 16) * 0x85ebca6bu ^ second;
            x = (x ^ x >> 13) * 0xc2b2ae35u;
            mask[j] = (x ^ x >> 16) < job->least ? 0 : scale;
        }
    }
}

/* sums_j = x_0j + x_1j + ..., in this order. */
static void FN(column_sums)(ptrdiff_t n, ptrdiff_t m, const void *x_, ptrdiff_t x_rs,
                            bool accumulate, void *sums_)
{
    const REAL *x = x_;
    REAL *sums = sums_;
    const VEC zero = V(set1)(0);
    ptrdiff_t j = 0;
    for (; j + 4 * LANES <= m; j += 4 * LANES) { /* four chains hide the latency of the addition */
        VEC acc[4];
        FNN_UNROLL
        for (int v = 0; v < 4; v++)
            acc[v] = accumulate ? V(load)(sums + j + v * LANES) : zero;
        for (ptrdiff_t i = 0; i < n; i++) {
            FNN_UNROLL
            for (int v = 0; v < 4; v++)
                acc[v] = V(add)(acc[v], V(load)(x + i * x_rs + j + v * LANES));
        }
        FNN_UNROLL
        for (int v = 0; v < 4; v++)
            V(store)(sums + j + v * LANES, acc[v]);
    }
    for (; j < m; j += LANES) {
        const ptrdiff_t lanes = fnn_min(LANES, m - j);
        VEC acc = accumulate ? FN(get)(sums + j, lanes) : zero;
        for (ptrdiff_t i = 0; i < n; i++)
            acc = V(add)(acc, FN(get)(x + i * x_rs + j, lanes));
        FN(put)(sums + j, acc, lanes);
    }
}

/* Element j of a row is at j / width * ps + j % width; width is whole vectors. Rows are summed in
 * REAL, in FNN_SUM_LANES lanes; the rows' sums in double. */
static double FN(sum_of_squares)(ptrdiff_t n, ptrdiff_t m, const void *x_, ptrdiff_t x_rs,
                                 ptrdiff_t width, ptrdiff_t ps)
{
    const REAL *x = x_;
    const VEC zero = V(set1)(0);
    double sum = 0;
    for (ptrdiff_t i = 0; i < n; i++, x += x_rs) {
        VEC acc[FN(SUM_VECTORS)];
        FNN_UNROLL
        for (int u = 0; u < FN(SUM_VECTORS); u++)
            acc[u] = zero;
        ptrdiff_t within = 0; /* the panel */
        const REAL *x_j = x;
        for (ptrdiff_t j0 = 0; j0 < m; j0 += FNN_SUM_LANES) {
            FNN_UNROLL
            for (int u = 0; u < FN(SUM_VECTORS); u++) {
                const ptrdiff_t lanes = fnn_min(LANES, m - j0 - u * LANES);
                if (lanes <= 0)
                    continue;
                const VEC value = FN(get)(x_j + within, lanes);
                acc[u] = V(fma)(value, value, acc[u]);
                within += LANES;
                if (within == width) {
                    within = 0;
                    x_j += ps;
                }
            }
        }
        sum += FN(fold)(acc);
    }
    return sum;
}
