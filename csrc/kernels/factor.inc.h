/* factor.inc.h -- the steps of a Cholesky factorisation and of triangular solves: rows less
 * multiples of other rows, k = 0, 1, ... in this order, each element one chain of FMAs. */

/* x -= c_0 r_0 + c_1 r_1 + ... over m columns; r's rows lie rs apart, c's elements cs. */
FNN_INLINE void FN(subtract_rows)(ptrdiff_t count, ptrdiff_t m, const REAL *c, ptrdiff_t cs,
                                  const REAL *r, ptrdiff_t rs, REAL *x)
{
    ptrdiff_t j = 0;
    for (; j + 4 * LANES <= m; j += 4 * LANES) {
        VEC acc[4];
        FNN_UNROLL
        for (int v = 0; v < 4; v++)
            acc[v] = V(load)(x + j + v * LANES);
        for (ptrdiff_t k = 0; k < count; k++) {
            const VEC c_k = V(set1)(c[k * cs]);
            FNN_UNROLL
            for (int v = 0; v < 4; v++)
                acc[v] = V(fnma)(c_k, V(load)(r + k * rs + j + v * LANES), acc[v]);
        }
        FNN_UNROLL
        for (int v = 0; v < 4; v++)
            V(store)(x + j + v * LANES, acc[v]);
    }
    for (; j < m; j += LANES) {
        const ptrdiff_t lanes = fnn_min(LANES, m - j);
        VEC acc = FN(get)(x + j, lanes);
        for (ptrdiff_t k = 0; k < count; k++)
            acc = V(fnma)(V(set1)(c[k * cs]), FN(get)(r + k * rs + j, lanes), acc);
        FN(put)(x + j, acc, lanes);
    }
}

FNN_INLINE void FN(divide_row)(ptrdiff_t m, REAL by, REAL *x)
{
    EACH_VECTOR(j, lanes, m)
        FN(put)(x + j, V(div)(FN(get)(x + j, lanes), V(set1)(by)), lanes);
}

/* The first n rows of U with U'U = A, in place of the upper triangle of A, which is (m, m); returns
 * n, or the first row whose pivot is not positive. */
static ptrdiff_t FN(cholesky_rows)(ptrdiff_t n, ptrdiff_t m, void *u_, ptrdiff_t u_rs)
{
    REAL *u = u_;
    for (ptrdiff_t j = 0; j < n; j++) {
        REAL *row = u + j * u_rs + j;
        FN(subtract_rows)(j, m - j, u + j, u_rs, u + j, u_rs, row);
        const REAL pivot = row[0];
        if (!(pivot > 0) || pivot > CHOOSE_REAL(FLT_MAX, DBL_MAX))
            return j;
        FN(divide_row)(m - j, CHOOSE_REAL(sqrtf((float)pivot), sqrt((double)pivot)), row);
    }
    return n;
}

/* x = L^-1 x for x (n, m) with contiguous columns. The strides of L may be negative: read from its
 * last element backwards, L' is lower triangular, too. */
static void FN(eliminate)(ptrdiff_t n, ptrdiff_t m, const void *l_, ptrdiff_t l_rs, ptrdiff_t l_cs,
                          void *x_, ptrdiff_t x_rs)
{
    const REAL *l = l_;
    REAL *x = x_;
    for (ptrdiff_t j = 0; j < n; j++) {
        FN(subtract_rows)(j, m, l + j * l_rs, l_cs, x, x_rs, x + j * x_rs);
        FN(divide_row)(m, l[j * (l_rs + l_cs)], x + j * x_rs);
    }
}
