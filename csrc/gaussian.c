/* gaussian.c -- log densities of c Gaussians, and the posterior that follows from them.
 *
 * With W = L^-1, log N(x; mu, LL') = -|W (x - mu)|^2 / 2 - sum log L_jj - d/2 log 2 pi. Rows of x are
 * taken a block at a time, transposed into panels (see kernels/gaussian.inc.h) from which a centre is
 * subtracted, and whitened as W (x - centre) - W (mu - centre): only sums of squares leave registers.
 * A centre near all means serves all classes. A mean that is far from it in its own whitened units
 * would cancel there; if there is one, each class is centred on its own mean. Shared covariances
 * whiten once and compare with whitened means; where only the posterior is wanted, what all classes
 * have in common is left out, and a linear function of x remains. Diagonal ones subtract the means
 * themselves, never by the expanded square. */
#include "internal.h"

#include <string.h>

/* How many deviations a mean may be away from the common centre: it costs 4 bits at most. */
enum { NEAR = 16 };
enum { BLOCK_ROWS = 512, PANEL_BYTES = 96 << 10 };

struct fnn_gaussians {
    fnn_dtype dt;
    fnn_covariance covariance;
    ptrdiff_t c, d, ld;
    bool whitened_means; /* FNN_SHARED with all means near: whiten once, then distances */
    ptrdiff_t centres, factors;
    double *constants; /* (c,): log density at the mean                                 */
    void *centre;      /* (centres, d); centres is 1 or c                               */
    void *factor;      /* (factors * d, ld): W                                          */
    void *start;       /* (c, d): W (centre - mu), zeros where whitened_means           */
    void *mean;        /* (c, ld): whitened or plain means, to compare with             */
    void *low;         /* (c, ld): FNN_DIAG and f32, what rounding the means took away  */
    void *scale;       /* (c, ld): FNN_DIAG, 1 / deviation                              */
    void *slope;       /* (c, ld): whitened_means, -2 W'W (mean - centre)               */
    double *levels;    /* (c,): whitened_means, -|W (mean - centre)|^2 / 2              */
};

/* Cut the memory of g into its parts, or, when that is NULL, add them up. */
static bool lay_out(fnn_gaussians *g, char *memory, size_t *bytes)
{
    const bool diag = g->covariance == FNN_DIAG;
    const ptrdiff_t whitening = diag ? 0 : 1;
    const struct { void **at; fnn_dtype dt; ptrdiff_t a, b; } parts[] = {
        { (void **)&g->constants, FNN_F64, g->c, 1 },
        { &g->centre, g->dt, whitening * g->c, g->d },
        { &g->factor, g->dt, whitening * g->factors * g->d, g->ld },
        { &g->start, g->dt, whitening * g->c, g->d },
        { &g->mean, g->dt, g->c, g->ld },
        { &g->low, g->dt, diag * g->c, g->ld },
        { &g->scale, g->dt, diag * g->c, g->ld },
        { &g->slope, g->dt, (g->covariance == FNN_SHARED) * g->c, g->ld },
        { (void **)&g->levels, FNN_F64, g->c, 1 },
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (memory)
            *parts[i].at = fnn_part(&memory, parts[i].dt, parts[i].a, parts[i].b);
        else if (!fnn_reserve(bytes, parts[i].dt, parts[i].a, parts[i].b))
            return false;
    return true;
}

/* log x for a normal x > 0, in this library's own bits, and not those of the machine's libm. */
static double logarithm(const fnn_kernels *kn, double x)
{
    const double ln_2 = 0.69314718055994531, root_half = 0.70710678118654752;
    int exponent;
    double m = frexp(x, &exponent) - 1;
    if (m < root_half - 1) { /* m + 1 from sqrt(1/2) to sqrt(2), for log x that is near 0 */
        m = 2 * m + 1;
        exponent--;
    }
    kn->map(FNN_MAP_LOG1P, 1, &m, &m);
    return m + exponent * ln_2;
}

/* d/2 log 2 pi + the sum of the logarithms of d numbers, `step` apart. */
static double log_volume(fnn_dtype dt, ptrdiff_t d, const void *l, ptrdiff_t step)
{
    const fnn_kernels *kn = fnn_kernels_for(FNN_F64);
    double sum = 0.5 * (double)d * 1.8378770664093453;
    for (ptrdiff_t j = 0; j < d; j++)
        sum += logarithm(kn, fnn_get(dt, l, j * step));
    return sum;
}

/* The log densities at the means. */
static void set_constants(fnn_gaussians *g, const double *factors)
{
    const ptrdiff_t step = g->covariance == FNN_DIAG ? 1 : g->d + 1;
    const ptrdiff_t size = g->covariance == FNN_DIAG ? g->d : g->d * g->d;
    for (ptrdiff_t k = 0; k < g->c; k++) {
        const double *l = factors + (g->covariance == FNN_SHARED ? 0 : k * size);
        g->constants[k] = -log_volume(FNN_F64, g->d, l, step);
    }
}

static void set_diagonal(fnn_gaussians *g, const double *means, const double *deviations)
{
    for (ptrdiff_t k = 0; k < g->c; k++)
        for (ptrdiff_t j = 0; j < g->d; j++) {
            const ptrdiff_t from = k * g->d + j, to = k * g->ld + j;
            fnn_put(g->dt, g->mean, to, means[from]);
            fnn_put(g->dt, g->low, to, means[from] - fnn_get(g->dt, g->mean, to));
            fnn_put(g->dt, g->scale, to, 1 / deviations[from]);
        }
}

/* y = W (mean - centre), for a centre of dt; returns the largest |y_j|. */
static double whiten_mean(const fnn_gaussians *g, const double *w, const double *mean,
                          const void *centre, double *y)
{
    double most = 0;
    for (ptrdiff_t j = 0; j < g->d; j++, w += g->d) {
        y[j] = 0;
        for (ptrdiff_t p = 0; p <= j; p++)
            y[j] += w[p] * (mean[p] - fnn_get(g->dt, centre, p));
        most = fabs(y[j]) > most ? fabs(y[j]) : most;
    }
    return most;
}

/* Choose the centres for the factors w in f64; `y` has room for c rows. */
static void set_centres(fnn_gaussians *g, const double *means, const double *w, double *y)
{
    const ptrdiff_t c = g->c, d = g->d;
    const ptrdiff_t w_step = g->covariance == FNN_SHARED ? 0 : d * d;
    for (ptrdiff_t j = 0; j < d; j++) {
        double sum = 0;
        for (ptrdiff_t k = 0; k < c; k++)
            sum += means[k * d + j] / (double)c;
        fnn_put(g->dt, g->centre, j, sum);
    }
    double most = 0;
    for (ptrdiff_t k = 0; k < c; k++) {
        const double far = whiten_mean(g, w + k * w_step, means + k * d, g->centre, y + k * d);
        most = far <= most ? most : far; /* also if NaN */
    }
    g->centres = most <= NEAR ? 1 : c;
    g->whitened_means = g->covariance == FNN_SHARED && g->centres == 1;
    for (ptrdiff_t k = 0; k < c; k++) {
        if (g->centres > 1) {
            for (ptrdiff_t j = 0; j < d; j++)
                fnn_put(g->dt, g->centre, k * d + j, means[k * d + j]);
            whiten_mean(g, w + k * w_step, means + k * d, fnn_at(g->dt, g->centre, k * d),
                        y + k * d);
        }
        for (ptrdiff_t j = 0; j < d; j++) {
            fnn_put(g->dt, g->mean, k * g->ld + j, y[k * d + j]);
            fnn_put(g->dt, g->start, k * d + j, g->whitened_means ? 0 : -y[k * d + j]);
        }
    }
}

/* The posterior of whitened means y as a linear function of x - centre, made such that minus half of
 * it is added to the levels, as minus half of a squared distance is to the constants. */
static void set_slopes(fnn_gaussians *g, const double *w, const double *y)
{
    for (ptrdiff_t k = 0; k < g->c; k++, y += g->d) {
        g->levels[k] = 0;
        for (ptrdiff_t p = 0; p < g->d; p++) {
            double slope = 0;
            for (ptrdiff_t j = p; j < g->d; j++)
                slope += w[j * g->d + p] * y[j];
            fnn_put(g->dt, g->slope, k * g->ld + p, -2 * slope);
            g->levels[k] -= 0.5 * y[p] * y[p];
        }
    }
}

static fnn_status set_whitening(fnn_gaussians *g, const double *means, const double *factors)
{
    const ptrdiff_t d = g->d;
    size_t bytes = 0;
    if (!fnn_reserve(&bytes, FNN_F64, g->factors * d, d) || !fnn_reserve(&bytes, FNN_F64, g->c, d))
        return FNN_ENOMEM;
    char *scratch = fnn_workspace_take(&fnn_shared_workspace, bytes);
    if (!scratch)
        return FNN_ENOMEM;
    char *cursor = scratch;
    double *w = fnn_part(&cursor, FNN_F64, g->factors * d, d);
    double *y = fnn_part(&cursor, FNN_F64, g->c, d);
    fnn_status status = FNN_OK;
    for (ptrdiff_t f = 0; !status && f < g->factors; f++)
        status = fnn_triangular_inverse(d, factors + f * d * d, w + f * d * d);
    if (!status) {
        for (ptrdiff_t i = 0; i < g->factors * d; i++)
            for (ptrdiff_t p = 0; p < d; p++)
                fnn_put(g->dt, g->factor, i * g->ld + p, w[i * d + p]);
        set_centres(g, means, w, y);
        if (g->whitened_means)
            set_slopes(g, w, y);
    }
    fnn_workspace_give(&fnn_shared_workspace, scratch);
    return status;
}

fnn_status fnn_gaussians_new(fnn_dtype dt, fnn_covariance covariance, ptrdiff_t c, ptrdiff_t d,
                             const double *means, const double *factors, fnn_gaussians **gaussians)
{
    if (c < 1 || d < 1)
        return FNN_ESHAPE;
    if (!fnn_kernels_for(FNN_F64))
        return FNN_EISA;
    fnn_gaussians *g = fnn_alloc(sizeof *g);
    if (!g)
        return FNN_ENOMEM;
    *g = (fnn_gaussians){ .dt = dt, .covariance = covariance, .c = c, .d = d,
                          .ld = fnn_leading(dt, d), .centres = 1,
                          .factors = covariance == FNN_FULL ? c : 1 };
    size_t bytes = 0;
    char *memory = NULL;
    ptrdiff_t rows; /* of all factors together, at most */
    if (g->ld >= d && !__builtin_mul_overflow(c, d, &rows) && lay_out(g, NULL, &bytes))
        memory = fnn_alloc(bytes);
    if (!memory) {
        fnn_free(g);
        return FNN_ENOMEM;
    }
    lay_out(g, memory, NULL);
    set_constants(g, factors);
    fnn_status status = FNN_OK;
    if (covariance == FNN_DIAG)
        set_diagonal(g, means, factors);
    else
        status = set_whitening(g, means, factors);
    if (status) {
        fnn_gaussians_free(g);
        return status;
    }
    *gaussians = g;
    return FNN_OK;
}

void fnn_gaussians_free(fnn_gaussians *g)
{
    if (g)
        fnn_free(g->constants); /* the first part is where the memory begins */
    fnn_free(g);
}

/* ---- evaluation --------------------------------------------------------------------------- */

/* A block of rows on its way: panels of x and of whitened x, and (c, rows) sums and constants. */
typedef struct {
    ptrdiff_t rows; /* that there is room for, whole panels */
    void *x, *y, *z, *constants;
} block;

static ptrdiff_t panel_rows(const fnn_kernels *kn) { return kn->tile_vectors * kn->lanes; }

static ptrdiff_t block_rows(const fnn_kernels *kn, const fnn_gaussians *g, ptrdiff_t n)
{
    const ptrdiff_t w = panel_rows(kn);
    ptrdiff_t rows = PANEL_BYTES / (g->d * (ptrdiff_t)fnn_sizeof(g->dt)) / w * w;
    rows = rows < w ? w : rows > BLOCK_ROWS ? BLOCK_ROWS : rows;
    return fnn_min(rows, fnn_round_up(n, w));
}

/* The bytes of a block; 0 if they overflow. */
static size_t block_bytes(const fnn_gaussians *g, ptrdiff_t rows)
{
    size_t bytes = 0;
    const bool ok = fnn_reserve(&bytes, g->dt, g->d, rows)
                 && fnn_reserve(&bytes, g->dt, g->whitened_means ? g->d : 0, rows)
                 && fnn_reserve(&bytes, g->dt, g->c, rows) && fnn_reserve(&bytes, g->dt, g->c, 1);
    return ok ? bytes : 0;
}

static block block_at(const fnn_gaussians *g, ptrdiff_t rows, char *cursor)
{
    block b = { .rows = rows };
    b.x = fnn_part(&cursor, g->dt, g->d, rows);
    b.y = fnn_part(&cursor, g->dt, g->whitened_means ? g->d : 0, rows);
    b.z = fnn_part(&cursor, g->dt, g->c, rows);
    b.constants = fnn_part(&cursor, g->dt, g->c, 1);
    return b;
}

/* z = squared distances of the n rows at x to each Gaussian, in its own deviations. */
static void distances(const fnn_kernels *kn, const fnn_gaussians *g, ptrdiff_t n, fnn_in x,
                      const block *b)
{
    const fnn_dtype dt = g->dt;
    const ptrdiff_t d = g->d, panels = (n + panel_rows(kn) - 1) / panel_rows(kn);
    fnn_distances job = { .d = d, .c = g->c, .panels = panels, .x = b->x, .mean = g->mean,
                          .ld = g->ld, .squares = b->z, .squares_ld = b->rows };
    if (g->covariance == FNN_DIAG) {
        kn->panels_in(n, d, x.data, x.rs, x.cs, NULL, b->x);
        job.scale = g->scale;
        job.low = dt == FNN_F32 ? g->low : NULL;
        kn->distances(&job);
        return;
    }
    if (g->whitened_means) {
        kn->panels_in(n, d, x.data, x.rs, x.cs, g->centre, b->x);
        kn->whiten(d, panels, g->factor, g->ld, g->start, b->x, b->y, NULL);
        job.x = b->y;
        kn->distances(&job);
        return;
    }
    for (ptrdiff_t k = 0; k < g->c; k++) {
        if (k < g->centres)
            kn->panels_in(n, d, x.data, x.rs, x.cs, fnn_at(dt, g->centre, k * d), b->x);
        const ptrdiff_t factor = g->factors > 1 ? k * d * g->ld : 0;
        kn->whiten(d, panels, fnn_at(dt, g->factor, factor), g->ld, fnn_at(dt, g->start, k * d),
                   b->x, NULL, fnn_at_out(dt, b->z, k * b->rows));
    }
}

/* z = slope (x - centre) for the n rows at x. */
static void slopes(const fnn_kernels *kn, const fnn_gaussians *g, ptrdiff_t n, fnn_in x,
                   const block *b)
{
    const ptrdiff_t w = panel_rows(kn);
    kn->panels_in(n, g->d, x.data, x.rs, x.cs, g->centre, b->x);
    for (ptrdiff_t i = 0; i < n; i += w)
        kn->panel(&(fnn_panel){ .n = g->c, .k = g->d, .cols = w, .x = g->slope, .x_rs = g->ld,
                                .x_cs = 1, .w = fnn_at(g->dt, b->x, i * g->d), .w_rs = w,
                                .w_vectors = kn->tile_vectors, .y_rs = b->rows, .y_cs = 1,
                                .y = fnn_at_out(g->dt, b->z, i) });
}

/* What is asked of all rows; either y or labels takes the results. */
typedef struct {
    const fnn_kernels *kn;
    const fnn_gaussians *g;
    fnn_posterior what;
    const double *offsets;
    fnn_in x;
    fnn_out y;
    int64_t *labels;
    ptrdiff_t rows; /* of a block */
    char *memory;   /* a block for each part */
    size_t bytes;   /* of one */
} question;

static void answer_rows(const question *q, const block *b, ptrdiff_t begin, ptrdiff_t end)
{
    const fnn_gaussians *g = q->g;
    const fnn_dtype dt = g->dt;
    const bool linear = g->whitened_means
                     && (q->what == FNN_PROBA || q->what == FNN_LOG_PROBA || q->what == FNN_LABEL);
    for (ptrdiff_t k = 0; k < g->c; k++)
        fnn_put(dt, b->constants, k,
                (linear ? g->levels[k] : g->constants[k]) + (q->offsets ? q->offsets[k] : 0));
    for (ptrdiff_t i = begin; i < end; i += b->rows) {
        const ptrdiff_t n = fnn_min(b->rows, end - i);
        (linear ? slopes : distances)(q->kn, g, n, fnn_slice(dt, q->x, i, n), b);
        q->kn->posterior(q->what, g->c, fnn_round_up(n, q->kn->lanes), b->constants, b->z, b->rows);
        if (q->labels)
            for (ptrdiff_t r = 0; r < n; r++)
                q->labels[i + r] = (int64_t)fnn_get(dt, b->z, r);
        else
            fnn_copy(dt, (fnn_in){ b->z, n, q->y.cols, 1, b->rows },
                     fnn_slice_out(dt, q->y, i, n));
    }
}

/* Whole blocks, but for the last one of all. */
static void answer_part(void *q_, int part, int parts)
{
    const question *q = q_;
    const ptrdiff_t blocks = (q->x.rows + q->rows - 1) / q->rows;
    const ptrdiff_t begin = fnn_share(blocks, part, parts) * q->rows;
    const ptrdiff_t end = fnn_min(q->x.rows, fnn_share(blocks, part + 1, parts) * q->rows);
    const block b = block_at(q->g, q->rows, q->memory + (size_t)part * q->bytes);
    answer_rows(q, &b, begin, end);
}

/* In floating-point operations: products, and some tens of them for the exponential of a class. */
static double work_of(const fnn_gaussians *g, ptrdiff_t n)
{
    const double d = (double)g->d, c = (double)g->c, factors = (double)g->factors;
    const double whitening = g->covariance == FNN_DIAG ? 0 : factors * d * d;
    return (double)n * (whitening + 3 * c * d + 30 * c);
}

static fnn_status evaluate(const fnn_gaussians *g, fnn_posterior what, const double *offsets,
                           fnn_in x, fnn_out y, int64_t *labels)
{
    const fnn_kernels *kn = fnn_kernels_for(g->dt);
    if (!kn)
        return FNN_EISA;
    if (x.cols != g->d)
        return FNN_ESHAPE;
    if (x.rows == 0)
        return FNN_OK;
    const int parts = fnn_parts(work_of(g, x.rows));
    question q = { .kn = kn, .g = g, .what = what, .offsets = offsets, .x = x, .y = y,
                   .labels = labels, .rows = block_rows(kn, g, (x.rows + parts - 1) / parts) };
    q.bytes = block_bytes(g, q.rows);
    size_t all = 0;
    if (q.bytes > 0 && !__builtin_mul_overflow(q.bytes, (size_t)parts, &all))
        q.memory = fnn_workspace_take(&fnn_shared_workspace, all);
    if (!q.memory)
        return FNN_ENOMEM;
    fnn_run(parts, answer_part, &q);
    fnn_workspace_give(&fnn_shared_workspace, q.memory);
    return FNN_OK;
}

fnn_status fnn_gaussians_evaluate(const fnn_gaussians *g, fnn_posterior what,
                                  const double *offsets, fnn_in x, fnn_out y)
{
    const bool one_number = what == FNN_LOG_DENSITY || what == FNN_LABEL;
    if (!fnn_has_shape(fnn_as_in(y), x.rows, one_number ? 1 : g->c))
        return FNN_ESHAPE;
    const fnn_status status = fnn_check_out(g->dt, y, &x, 1);
    return status ? status : evaluate(g, what, offsets, x, y, NULL);
}

fnn_status fnn_gaussians_classify(const fnn_gaussians *g, const double *offsets, fnn_in x,
                                  int64_t *labels)
{
    return evaluate(g, FNN_LABEL, offsets, x, (fnn_out){ 0 }, labels);
}

/* ---- one Gaussian a row ------------------------------------------------------------------- */

fnn_status fnn_gaussian_paired(fnn_dtype dt, fnn_in x, fnn_in means, fnn_in factors, fnn_out y)
{
    const fnn_kernels *kn = fnn_kernels_for(dt);
    if (!kn)
        return FNN_EISA;
    const ptrdiff_t n = x.rows, d = x.cols;
    if (d < 1 || !fnn_has_shape(means, n, d) || factors.rows != n || factors.cols / d != d
        || factors.cols % d != 0 || factors.cs != 1 || !fnn_has_shape(fnn_as_in(y), n, 1))
        return FNN_ESHAPE;
    const fnn_in inputs[] = { x, means, factors };
    const fnn_status status = fnn_check_out(dt, y, inputs, 3);
    if (status)
        return status;
    size_t bytes = 0;
    if (!fnn_reserve(&bytes, dt, 1, d))
        return FNN_ENOMEM;
    void *u = fnn_workspace_take(&fnn_shared_workspace, bytes);
    if (!u)
        return FNN_ENOMEM;
    for (ptrdiff_t i = 0; i < n; i++) {
        const void *l = fnn_at(dt, factors.data, i * factors.rs);
        for (ptrdiff_t j = 0; j < d; j++) {
            const double difference = fnn_get(dt, x.data, i * x.rs + j * x.cs)
                                    - fnn_get(dt, means.data, i * means.rs + j * means.cs);
            fnn_put(dt, u, j, difference);
        }
        fnn_put(dt, y.data, i * y.rs,
                -log_volume(dt, d, l, d + 1) - 0.5 * kn->substitute(d, l, d, u));
    }
    fnn_workspace_give(&fnn_shared_workspace, u);
    return FNN_OK;
}
