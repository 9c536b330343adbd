/* gaussian.inc.h -- densities of many Gaussians, with rows of x in the lanes of vectors.
 *
 * A panel holds W = TILE_VECTORS * LANES rows, transposed: element (p, i) is feature p of row i.
 *
 *              panel: row p of it, W rows of x
 *              +----------+----------+
 *        p ->  | vector 0 | vector 1 |        loaded
 *              +----------+----------+
 *   L[j,p] ->  acc[j][0]   acc[j][1]          broadcast, multiplied, added
 *
 * So a sum over features, or over classes, is a chain in each lane: nothing is added across lanes,
 * and the order is that of the index on every instruction set. */

enum { FN(PANEL_ROWS) = TILE_VECTORS * LANES };

/* A whole panel from rows with contiguous columns, as far as there are blocks of LANES columns. */
static void FN(blocks_in)(ptrdiff_t d, const REAL *x, ptrdiff_t rs, const REAL *centre, REAL *panel)
{
    enum { W = FN(PANEL_ROWS) };
    for (ptrdiff_t p = 0; p + LANES <= d; p += LANES)
        for (ptrdiff_t i0 = 0; i0 < W; i0 += LANES) {
            VEC block[LANES];
            FNN_UNROLL
            for (int i = 0; i < LANES; i++)
                block[i] = V(load)(x + (i0 + i) * rs + p);
            FN(transpose)(block);
            FNN_UNROLL
            for (int i = 0; i < LANES; i++)
                V(store)(panel + (p + i) * W + i0,
                         V(sub)(block[i], V(set1)(centre ? centre[p + i] : 0)));
        }
}

/* Rows of x, less `centre` if there is one, into panels; the last panel's places without a row are
 * zero. */
static void FN(panels_in)(ptrdiff_t n, ptrdiff_t d, const void *x_, ptrdiff_t rs, ptrdiff_t cs,
                          const void *centre_, void *panels_)
{
    enum { W = FN(PANEL_ROWS) };
    const REAL *x = x_, *centre = centre_;
    REAL *panel = panels_;
    for (ptrdiff_t i0 = 0; i0 < n; i0 += W, x += W * rs, panel += W * d) {
        const ptrdiff_t rows = fnn_min(W, n - i0);
        const bool in_blocks = rows == W && cs == 1 && LANES > 1;
        if (in_blocks)
            FN(blocks_in)(d, x, rs, centre, panel);
        for (ptrdiff_t p = in_blocks ? d - d % LANES : 0; p < d; p++) {
            const REAL c = centre ? centre[p] : 0;
            REAL *to = panel + p * W;
            if (rows == W)
                for (int i = 0; i < W; i++)
                    to[i] = x[i * rs + p * cs] - c;
            else
                for (ptrdiff_t i = 0; i < W; i++)
                    to[i] = i < rows ? x[i * rs + p * cs] - c : 0;
        }
    }
}

/* y_j = start_j + sum over p <= j of L_jp x_p for `rows` values of j from j0 on; the triangle at the
 * end is unrolled, so that no zero of L is multiplied. Either y is stored, or its squares are added
 * to the sums. */
FNN_INLINE void FN(whiten_tile)(const int rows, ptrdiff_t j0, const REAL *l, ptrdiff_t ld,
                                const REAL *start, const REAL *x, REAL *y, VEC *squares)
{
    enum { W = FN(PANEL_ROWS) };
    VEC acc[TILE_ROWS][TILE_VECTORS];
    FNN_UNROLL
    for (int i = 0; i < rows; i++) {
        FNN_UNROLL
        for (int v = 0; v < TILE_VECTORS; v++)
            acc[i][v] = V(set1)(start[i]);
    }
    for (ptrdiff_t p = 0; p < j0; p++, x += W) {
        VEC x_p[TILE_VECTORS];
        FNN_UNROLL
        for (int v = 0; v < TILE_VECTORS; v++)
            x_p[v] = V(load)(x + v * LANES);
        FNN_UNROLL
        for (int i = 0; i < rows; i++) {
            const VEC l_ip = V(set1)(l[i * ld + p]);
            FNN_UNROLL
            for (int v = 0; v < TILE_VECTORS; v++)
                acc[i][v] = V(fma)(l_ip, x_p[v], acc[i][v]);
        }
    }
    FNN_UNROLL
    for (int t = 0; t < rows; t++, x += W) {
        FNN_UNROLL
        for (int i = t; i < rows; i++) {
            const VEC l_it = V(set1)(l[i * ld + j0 + t]);
            FNN_UNROLL
            for (int v = 0; v < TILE_VECTORS; v++)
                acc[i][v] = V(fma)(l_it, V(load)(x + v * LANES), acc[i][v]);
        }
    }
    FNN_UNROLL
    for (int i = 0; i < rows; i++) {
        FNN_UNROLL
        for (int v = 0; v < TILE_VECTORS; v++) {
            if (y)
                V(store)(y + i * W + v * LANES, acc[i][v]);
            else
                squares[v] = V(fma)(acc[i][v], acc[i][v], squares[v]);
        }
    }
}

#define WHITEN_CASE(r)                                                     \
    case r:                                                                \
        if (r <= TILE_ROWS)                                                \
            FN(whiten_tile)(r, j, l, ld, start + j, x, NULL, squares);     \
        break;
#define WHITEN_STORE_CASE(r)                                               \
    case r:                                                                \
        if (r <= TILE_ROWS)                                                \
            FN(whiten_tile)(r, j, l, ld, start + j, x, y + j * W, NULL);   \
        break;
#define WHITEN_CASES(CASE)                                                              \
    CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10)    \
    CASE(11) CASE(12) CASE(13) CASE(14)

/* For each panel of x: y = start + L x if y is given, else the sums over j of its squares. L is
 * (d, d), lower triangular, its rows ld apart. */
static void FN(whiten)(ptrdiff_t d, ptrdiff_t panels, const void *l_, ptrdiff_t ld,
                       const void *start_, const void *x_, void *y_, void *squares_)
{
    enum { W = FN(PANEL_ROWS) };
    const REAL *x = x_, *start = start_;
    REAL *y = y_, *sums = squares_;
    const ptrdiff_t count = (d + TILE_ROWS - 1) / TILE_ROWS; /* tiles of nearly equal height */
    const ptrdiff_t height = d / count, taller = d % count;
    for (ptrdiff_t q = 0; q < panels; q++, x += W * d) {
        VEC squares[TILE_VECTORS];
        FNN_UNROLL
        for (int v = 0; v < TILE_VECTORS; v++)
            squares[v] = V(set1)(0);
        const REAL *l = l_;
        for (ptrdiff_t t = 0, j = 0, rows; t < count; t++, j += rows, l += rows * ld) {
            rows = height + (t < taller);
            if (y)
                switch (rows) {
                    WHITEN_CASES(WHITEN_STORE_CASE)
                default: assert(!"tile too tall");
                }
            else
                switch (rows) {
                    WHITEN_CASES(WHITEN_CASE)
                default: assert(!"tile too tall");
                }
        }
        if (y)
            y += W * d;
        else {
            FNN_UNROLL
            for (int v = 0; v < TILE_VECTORS; v++)
                V(store)(sums + v * LANES, squares[v]);
            sums += W;
        }
    }
}
#undef WHITEN_CASE
#undef WHITEN_STORE_CASE
#undef WHITEN_CASES

/* One panel's sums over p of (((x_p - mean_kp) - low_kp) * scale_kp)^2 for `classes` values of k. */
FNN_INLINE void FN(distance_tile)(const int classes, const bool scaled, const bool has_low,
                                  const fnn_distances *job, const REAL *x, ptrdiff_t k0,
                                  REAL *squares)
{
    enum { W = FN(PANEL_ROWS), MOST = 4 };
    VEC acc[MOST][TILE_VECTORS];
    const ptrdiff_t ld = job->ld;
    const REAL *mean = (const REAL *)job->mean + k0 * ld;
    const REAL *scale = scaled ? (const REAL *)job->scale + k0 * ld : NULL;
    const REAL *low = has_low ? (const REAL *)job->low + k0 * ld : NULL;
    FNN_UNROLL
    for (int k = 0; k < classes; k++) {
        FNN_UNROLL
        for (int v = 0; v < TILE_VECTORS; v++)
            acc[k][v] = V(set1)(0);
    }
    for (ptrdiff_t p = 0; p < job->d; p++, x += W) {
        FNN_UNROLL
        for (int k = 0; k < classes; k++) {
            const VEC mean_kp = V(set1)(mean[k * ld + p]);
            FNN_UNROLL
            for (int v = 0; v < TILE_VECTORS; v++) {
                VEC u = V(sub)(V(load)(x + v * LANES), mean_kp);
                if (has_low)
                    u = V(sub)(u, V(set1)(low[k * ld + p]));
                if (scaled)
                    u = V(mul)(u, V(set1)(scale[k * ld + p]));
                acc[k][v] = V(fma)(u, u, acc[k][v]);
            }
        }
    }
    FNN_UNROLL
    for (int k = 0; k < classes; k++) {
        FNN_UNROLL
        for (int v = 0; v < TILE_VECTORS; v++)
            V(store)(squares + k * job->squares_ld + v * LANES, acc[k][v]);
    }
}

#define DISTANCE_CASES(scaled, low)                                             \
    switch (fnn_min(4, job->c - k)) {                                           \
    case 1: FN(distance_tile)(1, scaled, low, job, x, k, to); break;            \
    case 2: FN(distance_tile)(2, scaled, low, job, x, k, to); break;            \
    case 3: FN(distance_tile)(3, scaled, low, job, x, k, to); break;            \
    default: FN(distance_tile)(4, scaled, low, job, x, k, to); break;           \
    }

/* Squared distances of each row of the panels to the c means. */
static void FN(distances)(const fnn_distances *job)
{
    enum { W = FN(PANEL_ROWS) };
    const REAL *x = job->x;
    for (ptrdiff_t q = 0; q < job->panels; q++, x += W * job->d)
        for (ptrdiff_t k = 0; k < job->c; k += 4) {
            REAL *to = (REAL *)job->squares + k * job->squares_ld + q * W;
            if (!job->scale)
                DISTANCE_CASES(false, false)
            else if (!job->low)
                DISTANCE_CASES(true, false)
            else
                DISTANCE_CASES(true, true)
        }
}
#undef DISTANCE_CASES

/* What a vector of rows needs beside their values z_k: rest is sum_k exp(z_k - top) without the
 * first largest term, which is 1, so that its logarithm keeps the smallest posteriors. Finite bounds
 * on top make infinite z_k come out as limits. */
typedef struct { VEC top, rest; } FN(lane_sums);

FNN_INLINE FN(lane_sums) FN(sum_lanes)(ptrdiff_t c, const REAL *z, ptrdiff_t ld, REAL *e)
{
    const VEC zero = V(set1)(0), one = V(set1)(1);
    const VEC most = CHOOSE(FLT_MAX, DBL_MAX), least = V(sub)(zero, most);
    VEC top = V(load)(z);
    for (ptrdiff_t k = 1; k < c; k++)
        top = V(max)(top, V(load)(z + k * ld));
    const VEC shift = V(select_lt)(most, top, most, V(select_lt)(top, least, least, top));
    VEC below = zero, ties = zero;
    for (ptrdiff_t k = 0; k < c; k++) {
        VEC d = V(sub)(V(load)(z + k * ld), shift);
        d = V(select_lt)(zero, d, zero, d);
        const VEC e_k = FN(exp_nonpositive)(d);
        below = V(add)(below, V(select_lt)(d, zero, e_k, V(sub)(e_k, one)));
        ties = V(add)(ties, V(select_lt)(d, zero, zero, one));
        if (e)
            V(store)(e + k * ld, e_k);
    }
    return (FN(lane_sums)){ top, V(add)(below, V(sub)(ties, one)) };
}

FNN_INLINE VEC FN(first_largest)(ptrdiff_t c, const REAL *z, ptrdiff_t ld)
{
    VEC top = V(set1)((REAL)-INFINITY), at = V(set1)(0); /* a NaN never is the largest */
    for (ptrdiff_t k = 0; k < c; k++) {
        const VEC z_k = V(load)(z + k * ld);
        at = V(select_lt)(top, z_k, V(set1)((REAL)k), at);
        top = V(select_lt)(top, z_k, z_k, top);
    }
    return at;
}

/* z is (c, count), rows ld apart, count a multiple of LANES: the values of c classes for `count` rows.
 * With constants, z_k first becomes constant_k - z_k / 2. Then what is wanted replaces z; what is one
 * number a row, its first row. */
static void FN(posterior)(fnn_posterior what, ptrdiff_t c, ptrdiff_t count, const void *constants_,
                          void *z_, ptrdiff_t ld)
{
    const REAL *constants = constants_;
    REAL *z = z_;
    const VEC half = V(set1)((REAL)0.5), one = V(set1)(1);
    for (ptrdiff_t i = 0; i < count; i += LANES, z += LANES) {
        for (ptrdiff_t k = 0; constants && k < c; k++)
            V(store)(z + k * ld, V(fnma)(half, V(load)(z + k * ld), V(set1)(constants[k])));
        if (what == FNN_JOINT)
            continue;
        if (what == FNN_LABEL) {
            V(store)(z, FN(first_largest)(c, z, ld));
            continue;
        }
        const FN(lane_sums) s = FN(sum_lanes)(c, z, ld, what == FNN_PROBA ? z : NULL);
        if (what == FNN_PROBA) {
            const VEC sum = V(add)(one, s.rest);
            for (ptrdiff_t k = 0; k < c; k++)
                V(store)(z + k * ld, V(div)(V(load)(z + k * ld), sum));
            continue;
        }
        const VEC log_sum = FN(log1p)(s.rest);
        if (what == FNN_LOG_DENSITY)
            V(store)(z, V(add)(s.top, log_sum));
        else
            for (ptrdiff_t k = 0; k < c; k++)
                V(store)(z + k * ld, V(sub)(V(sub)(V(load)(z + k * ld), s.top), log_sum));
    }
}

/* a_0 b_0 + a_1 b_1 + ... in FNN_SUM_LANES lanes. */
FNN_INLINE REAL FN(inner)(ptrdiff_t count, const REAL *a, const REAL *b)
{
    VEC acc[FN(SUM_VECTORS)];
    FNN_UNROLL
    for (int u = 0; u < FN(SUM_VECTORS); u++)
        acc[u] = V(set1)(0);
    for (ptrdiff_t j0 = 0; j0 < count; j0 += FNN_SUM_LANES) {
        FNN_UNROLL
        for (int u = 0; u < FN(SUM_VECTORS); u++) {
            const ptrdiff_t j = j0 + u * LANES, lanes = fnn_min(LANES, count - j);
            if (lanes > 0)
                acc[u] = V(fma)(FN(get)(a + j, lanes), FN(get)(b + j, lanes), acc[u]);
        }
    }
    return FN(fold)(acc);
}

static double FN(dot)(ptrdiff_t count, const void *a, const void *b)
{
    return FN(inner)(count, a, b);
}

/* y = L^-1 u by forward substitution, in place of u; returns y'y. Rows of L are contiguous. */
static double FN(substitute)(ptrdiff_t d, const void *l_, ptrdiff_t ld, void *u_)
{
    const REAL *l = l_;
    REAL *u = u_;
    for (ptrdiff_t j = 0; j < d; j++, l += ld)
        u[j] = (u[j] - FN(inner)(j, l, u)) / l[j];
    return FN(inner)(d, u, u);
}
