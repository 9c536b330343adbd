/* moments.inc.h -- what sums over rows are made of: rows brought together, centred and weighted, and
 * sums of their powers. Rows of a destination y are padded to whole vectors, which become zero past
 * the last column. */

/* y_i = row index[i] of x, or row i. */
static void FN(gather)(ptrdiff_t n, ptrdiff_t m, const void *x_, ptrdiff_t rs, ptrdiff_t cs,
                       const ptrdiff_t *index, void *y_, ptrdiff_t y_rs)
{
    const REAL *x = x_;
    REAL *y = y_;
    for (ptrdiff_t i = 0; i < n; i++, y += y_rs) {
        const REAL *row = x + (index ? index[i] : i) * rs;
        if (cs == 1) {
            EACH_VECTOR(j, lanes, m)
                V(store)(y + j, FN(get)(row + j, lanes));
        } else {
            for (ptrdiff_t j = 0; j < m; j++)
                y[j] = row[j * cs];
            for (ptrdiff_t j = m; j % LANES != 0; j++)
                y[j] = 0;
        }
    }
}

/* y_i = (x_i - centre) * weight_i, without either where it is NULL; y may be x. */
static void FN(weigh)(ptrdiff_t n, ptrdiff_t m, const void *x_, ptrdiff_t x_rs, const void *centre_,
                      const void *weights_, void *y_, ptrdiff_t y_rs)
{
    const REAL *x = x_, *centre = centre_, *weights = weights_;
    REAL *y = y_;
    const VEC zero = V(set1)(0);
    for (ptrdiff_t i = 0; i < n; i++, x += x_rs, y += y_rs) {
        const VEC w = V(set1)(weights ? weights[i] : 1);
        EACH_VECTOR(j, lanes, m) {
            const VEC c = centre ? FN(get)(centre + j, lanes) : zero;
            V(store)(y + j, V(mul)(V(sub)(FN(get)(x + j, lanes), c), w));
        }
    }
}

/* squares_i = |x_i|^2, weighted_i = weight_i times that (weights NULL: all 1). */
static void FN(row_squares)(ptrdiff_t n, ptrdiff_t m, const void *x_, ptrdiff_t x_rs,
                            const void *weights_, void *squares_, void *weighted_)
{
    const REAL *x = x_, *weights = weights_;
    REAL *squares = squares_, *weighted = weighted_;
    for (ptrdiff_t i = 0; i < n; i++, x += x_rs) {
        squares[i] = FN(inner)(m, x, x);
        weighted[i] = weights ? squares[i] * weights[i] : squares[i];
    }
}

/* z_i = x_i w + bias, for a w with a single column. */
static void FN(row_dots)(ptrdiff_t n, ptrdiff_t m, const void *x_, ptrdiff_t x_rs, const void *w_,
                         const void *bias, void *z_)
{
    const REAL *x = x_, *w = w_;
    REAL *z = z_;
    for (ptrdiff_t i = 0; i < n; i++, x += x_rs) {
        for (ptrdiff_t j = 0; j < m; j += 64 / (ptrdiff_t)sizeof(REAL))
            __builtin_prefetch(x + 16 * x_rs + j, 0, 2);
        z[i] = FN(inner)(m, x, w) + *(const REAL *)bias;
    }
}

/* With u = x - centre: sums_j = sum_i w_i u_ij, squares_j = sum_i w_i u_ij^2. */
static void FN(column_moments)(ptrdiff_t n, ptrdiff_t m, const void *x_, ptrdiff_t x_rs,
                               const void *centre_, const void *weights_, void *sums_,
                               void *squares_)
{
    const REAL *x = x_, *centre = centre_, *weights = weights_;
    REAL *sums = sums_, *squares = squares_;
    EACH_VECTOR(j, lanes, m) {
        const VEC c = FN(get)(centre + j, lanes);
        VEC sum = V(set1)(0), square = V(set1)(0);
        for (ptrdiff_t i = 0; i < n; i++) {
            const VEC u = V(sub)(FN(get)(x + i * x_rs + j, lanes), c);
            const VEC wu = weights ? V(mul)(u, V(set1)(weights[i])) : u;
            sum = V(add)(sum, wu);
            square = V(fma)(wu, u, square);
        }
        FN(put)(sums + j, sum, lanes);
        FN(put)(squares + j, square, lanes);
    }
}

/* The second derivatives of row i's cross-entropy, times its weight: h_i = w_i p_i (1 - p_i) if q is
 * p, else -w_i p_i q_i. Elements of p and q are rs apart. */
static void FN(curvature)(ptrdiff_t n, const void *p_, const void *q_, ptrdiff_t rs,
                          const void *weights_, void *h_)
{
    const REAL *p = p_, *q = q_, *weights = weights_;
    REAL *h = h_;
    for (ptrdiff_t i = 0; i < n; i++, p += rs, q += rs)
        h[i] = weights[i] * (*p * (q == p ? 1 - *p : -*q));
}

/* Whether no element is infinite or NaN: those make 0 * x NaN. */
static bool FN(all_finite)(ptrdiff_t n, ptrdiff_t m, const void *x_, ptrdiff_t x_rs)
{
    const REAL *x = x_;
    const VEC zero = V(set1)(0);
    VEC acc[4] = { zero, zero, zero, zero };
    for (ptrdiff_t i = 0; i < n; i++, x += x_rs) {
        ptrdiff_t j = 0;
        for (; j + 4 * LANES <= m; j += 4 * LANES) {
            FNN_UNROLL
            for (int v = 0; v < 4; v++)
                acc[v] = V(fma)(V(load)(x + j + v * LANES), zero, acc[v]);
        }
        for (; j < m; j += LANES)
            acc[0] = V(fma)(FN(get)(x + j, fnn_min(LANES, m - j)), zero, acc[0]);
    }
    REAL lane[LANES], sum = 0;
    V(store)(lane, V(add)(V(add)(acc[0], acc[1]), V(add)(acc[2], acc[3])));
    for (int l = 0; l < LANES; l++)
        sum += lane[l];
    return sum == 0;
}
