/* naive_models.c -- see naive_models.h. */
#include "naive_models.h"

static void *zeros(ptrdiff_t count, size_t size)
{
    void *memory = calloc((size_t)count + 1, size);
    must(memory != NULL, "calloc");
    return memory;
}

/* ---- factors ------------------------------------------------------------------------------ */

/* W = L^-1 for a lower triangular L, and |W| |L| |W|. */
static void invert(ptrdiff_t d, const double *l, long double *w, long double *growth)
{
    long double *between = zeros(d * d, sizeof *between);
    for (ptrdiff_t k = 0; k < d; k++)
        for (ptrdiff_t i = k; i < d; i++) {
            long double sum = i == k;
            for (ptrdiff_t p = k; p < i; p++)
                sum -= l[i * d + p] * w[p * d + k];
            w[i * d + k] = sum / l[i * d + i];
        }
    for (ptrdiff_t i = 0; growth && i < d; i++)
        for (ptrdiff_t k = 0; k <= i; k++)
            for (ptrdiff_t p = k; p <= i; p++)
                between[i * d + k] += fabsl(l[i * d + p] * w[p * d + k]);
    for (ptrdiff_t i = 0; growth && i < d; i++)
        for (ptrdiff_t k = 0; k <= i; k++)
            for (ptrdiff_t p = k; p <= i; p++)
                growth[i * d + k] += fabsl(w[i * d + p]) * between[p * d + k];
    free(between);
}

/* -d/2 log 2 pi - the sum of log l_j, of d numbers `step` apart: f64, whatever their type. A
 * logarithm is off by 6 eps at most: log1p of a number from sqrt(1/2) - 1 to sqrt(2) - 1, and the
 * product with log 2 and the sum, whose terms are at most three times it. */
static approx log_volume(ptrdiff_t d, const double *l, ptrdiff_t step)
{
    const long double pi = 3.14159265358979323846264338327950288L;
    approx volume = { -0.5L * (long double)d * logl(2 * pi), 0 };
    long double magnitude = fabsl(volume.value);
    for (ptrdiff_t j = 0; j < d; j++) {
        const long double log_l = logl(l[j * step]);
        volume.value -= log_l;
        magnitude += fabsl(log_l);
    }
    volume.bound = (long double)(d + 8) * eps_of(FNN_F64) * magnitude;
    return volume;
}

/* ---- Gaussians ---------------------------------------------------------------------------- */

static ptrdiff_t factor_size(const naive_gaussians *g)
{
    return g->covariance == FNN_DIAG ? g->d : g->d * g->d;
}
static ptrdiff_t factor_count(const naive_gaussians *g)
{
    return g->covariance == FNN_SHARED ? 1 : g->c;
}
static ptrdiff_t factor_of(const naive_gaussians *g, ptrdiff_t k)
{
    return g->covariance == FNN_SHARED ? 0 : k;
}

static double uniform(uint64_t *state) { return next_index(state, 1 << 20) / 524288.0 - 1; }

static long double to_dtype(fnn_dtype dt, long double x)
{
    return dt == FNN_F32 ? (long double)(float)x : (long double)(double)x;
}

/* A common centre, unless a mean is more than 16 from it in its own whitened units. */
static void choose_centres(naive_gaussians *g)
{
    const ptrdiff_t c = g->c, d = g->d;
    long double most = 0;
    for (ptrdiff_t j = 0; j < d; j++) {
        double sum = 0;
        for (ptrdiff_t k = 0; k < c; k++)
            sum += g->means[k * d + j] / (double)c;
        for (ptrdiff_t k = 0; k < c; k++)
            g->centres[k * d + j] = to_dtype(g->dt, sum);
    }
    for (ptrdiff_t k = 0; k < c; k++)
        for (ptrdiff_t j = 0; j < d; j++) {
            const long double *w = g->inverse + (factor_of(g, k) * d + j) * d;
            long double y = 0;
            for (ptrdiff_t p = 0; p <= j; p++)
                y += w[p] * (g->means[k * d + p] - g->centres[k * d + p]);
            most = fmaxl(most, fabsl(y));
        }
    g->own_centres = most > 16;
    for (ptrdiff_t i = 0; g->own_centres && i < c * d; i++)
        g->centres[i] = to_dtype(g->dt, g->means[i]);
}

naive_gaussians new_naive_gaussians(fnn_dtype dt, fnn_covariance covariance, ptrdiff_t c,
                                    ptrdiff_t d, int means, double base, uint64_t seed)
{
    naive_gaussians g = { .dt = dt, .covariance = covariance, .c = c, .d = d };
    const ptrdiff_t size = factor_size(&g), count = factor_count(&g);
    uint64_t state = seed * 2 + 1;
    g.means = zeros(c * d, sizeof *g.means);
    g.factors = zeros(count * size, sizeof *g.factors);
    for (ptrdiff_t i = 0; i < c * d; i++)
        g.means[i] = base + uniform(&state) + (means == FAR_MEANS ? (double)(i / d) * 1000 : 0);
    for (ptrdiff_t i = 0; i < count * size; i++) {
        const ptrdiff_t row = i % size / d, col = i % d;
        const bool diagonal = covariance == FNN_DIAG || row == col;
        g.factors[i] = diagonal ? 1.25 + 0.75 * uniform(&state)
                     : col > row ? NAN : uniform(&state) / sqrt((double)d);
    }
    if (covariance == FNN_DIAG)
        return g;
    g.centres = zeros(c * d, sizeof *g.centres);
    g.inverse = zeros(count * size, sizeof *g.inverse);
    g.growth = zeros(count * size, sizeof *g.growth);
    for (ptrdiff_t f = 0; f < count; f++)
        invert(d, g.factors + f * size, g.inverse + f * size, g.growth + f * size);
    choose_centres(&g);
    return g;
}

void free_naive_gaussians(naive_gaussians *g)
{
    void *const arrays[] = { g->means, g->factors, g->centres, g->inverse, g->growth };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
}

fnn_gaussians *new_gaussians(const naive_gaussians *g)
{
    fnn_gaussians *made = NULL;
    must(fnn_gaussians_new(g->dt, g->covariance, g->c, g->d, g->means, g->factors, &made)
         == FNN_OK, "fnn_gaussians_new");
    return made;
}

void fill_samples(const naive_gaussians *g, const matrix *x, uint64_t seed)
{
    const ptrdiff_t d = g->d;
    uint64_t state = seed * 2 + 1;
    double *noise = zeros(d, sizeof *noise);
    for (ptrdiff_t i = 0; i < x->v.rows; i++) {
        const ptrdiff_t k = next_index(&state, (int)g->c);
        const double *l = g->factors + factor_of(g, k) * factor_size(g);
        const double scale = i % 7 == 3 ? 40 : 2;
        for (ptrdiff_t j = 0; j < d; j++) {
            double x_ij = g->means[k * d + j];
            noise[j] = scale * uniform(&state);
            for (ptrdiff_t p = 0; g->covariance != FNN_DIAG && p <= j; p++)
                x_ij += l[j * d + p] * noise[p];
            put(g->dt, x->v, i, j, g->covariance == FNN_DIAG ? x_ij + l[j] * noise[j] : x_ij);
        }
    }
    free(noise);
}

/* z = constant - squares / 2, with the constant rounded to dt. */
static approx joint(fnn_dtype dt, approx constant, double offset, approx squares)
{
    const approx sum = add(FNN_F64, constant, exactly(offset));
    const approx rounded = add(dt, sum, exactly(0));
    return subtract(dt, rounded, (approx){ squares.value / 2, squares.bound / 2 });
}

/* The sum of ((x - mean) / deviation)^2, with each mean in one number of dt or, for f32, two. */
static approx diagonal_squares(const naive_gaussians *g, fnn_in x, ptrdiff_t i, ptrdiff_t k)
{
    const fnn_dtype dt = g->dt;
    const long double eps = eps_of(dt);
    approx squares = { 0, 0 };
    for (ptrdiff_t p = 0; p < g->d; p++) {
        const long double mean = g->means[k * g->d + p], high = to_dtype(dt, mean);
        const long double scale = 1 / (long double)g->factors[k * g->d + p];
        approx u = subtract(dt, exactly(get(dt, x, i, p)), exactly(high));
        if (dt == FNN_F32)
            u = subtract(dt, u, (approx){ mean - high, eps * fabsl(mean - high) });
        u = multiply(dt, u, (approx){ scale, 2 * eps * scale });
        squares = add(dt, squares, multiply(dt, u, u));
    }
    return squares;
}

/* The sum of squares of y = W (x - mean), computed as W (x - centre) - W (mean - centre) with W in
 * dt: each y_j is a chain of j + 1 terms whose parts are rounded, W once more by having been
 * computed in f64. Where whitened means are compared, the last difference is rounded on its own. */
static approx whitened_squares(const naive_gaussians *g, fnn_in x, ptrdiff_t i, ptrdiff_t k)
{
    const fnn_dtype dt = g->dt;
    const ptrdiff_t d = g->d;
    const long double *w = g->inverse + factor_of(g, k) * d * d;
    const long double *growth = g->growth + factor_of(g, k) * d * d;
    const long double inversion = (long double)(d + 2) * eps_of(FNN_F64);
    approx squares = { 0, 0 };
    for (ptrdiff_t j = 0; j < d; j++, w += d, growth += d) {
        long double y = 0, start = 0, magnitude = 0, of_w = 0, of_start = 0;
        for (ptrdiff_t p = 0; p <= j; p++) {
            const long double x_p = get(dt, x, i, p), mean = g->means[k * d + p];
            const long double u = fabsl(x_p - g->centres[k * d + p]);
            const long double shift = fabsl(mean - g->centres[k * d + p]);
            y += w[p] * (x_p - mean);
            start += w[p] * (mean - g->centres[k * d + p]);
            magnitude += fabsl(w[p]) * u;
            of_w += growth[p] * (u + shift);
            of_start += fabsl(w[p]) * shift;
        }
        const long double bound =
            eps_of(dt) * ((long double)(j + 6) * (magnitude + fabsl(start)) + fabsl(y))
            + inversion * (of_w + of_start);
        const approx y_j = { y, bound };
        squares = add(dt, squares, multiply(dt, y_j, y_j));
    }
    return squares;
}

/* What is left of z_k when all classes share a factor and a centre: with m = W (mean - centre),
 * offset - |m|^2 / 2 + (W'm)'(x - centre). */
static approx linear_joint(const naive_gaussians *g, double offset, fnn_in x, ptrdiff_t i,
                           ptrdiff_t k)
{
    const fnn_dtype dt = g->dt;
    const ptrdiff_t d = g->d;
    const long double *w = g->inverse, *growth = g->growth, eps = eps_of(dt);
    const long double in_f64 = (long double)(d + 2) * eps_of(FNN_F64);
    approx *m = zeros(d, sizeof *m), level = { 0, 0 }, sum = { 0, 0 };
    for (ptrdiff_t j = 0; j < d; j++) {
        for (ptrdiff_t p = 0; p <= j; p++) {
            const long double shift = g->means[k * d + p] - g->centres[k * d + p];
            m[j].value += w[j * d + p] * shift;
            m[j].bound += in_f64 * (growth[j * d + p] + fabsl(w[j * d + p])) * fabsl(shift);
        }
        level.value -= 0.5L * m[j].value * m[j].value;
        level.bound += fabsl(m[j].value) * m[j].bound + in_f64 * m[j].value * m[j].value;
    }
    level = add(dt, add(FNN_F64, level, exactly(offset)), exactly(0));
    for (ptrdiff_t p = 0; p < d; p++) {
        approx slope = { 0, 0 };
        for (ptrdiff_t j = p; j < d; j++) {
            slope.value += w[j * d + p] * m[j].value;
            slope.bound += fabsl(w[j * d + p]) * (m[j].bound + in_f64 * fabsl(m[j].value))
                         + in_f64 * growth[j * d + p] * fabsl(m[j].value);
        }
        const approx u = subtract(dt, exactly(get(dt, x, i, p)), exactly(g->centres[k * d + p]));
        slope.bound += eps * fabsl(slope.value);
        sum = add(dt, sum, multiply(dt, slope, u));
    }
    free(m);
    return add(dt, level, sum);
}

void naive_joint(const naive_gaussians *g, fnn_posterior what, const double *offsets, fnn_in x,
                 ptrdiff_t i, approx *z)
{
    const ptrdiff_t step = g->covariance == FNN_DIAG ? 1 : g->d + 1;
    const bool differences = what == FNN_PROBA || what == FNN_LOG_PROBA || what == FNN_LABEL;
    for (ptrdiff_t k = 0; k < g->c; k++) {
        const double *l = g->factors + factor_of(g, k) * factor_size(g);
        const double offset = offsets ? offsets[k] : 0;
        if (g->covariance == FNN_SHARED && !g->own_centres && differences)
            z[k] = linear_joint(g, offset, x, i, k);
        else
            z[k] = joint(g->dt, log_volume(g->d, l, step), offset,
                         g->covariance == FNN_DIAG ? diagonal_squares(g, x, i, k)
                                                   : whitened_squares(g, x, i, k));
    }
}

/* By substitution y solves (L + E) y = u with |E| <= (d / 16 + 12) eps |L|: an inner product in 16
 * lanes, folded, subtracted, divided. */
approx naive_paired(fnn_dtype dt, fnn_in x, fnn_in means, fnn_in factors, ptrdiff_t i)
{
    const ptrdiff_t d = x.cols;
    const long double eps = eps_of(dt), of_l = ((long double)d / 16 + 12) * eps;
    double *l = zeros(d * d, sizeof *l);
    long double *w = zeros(d * d, sizeof *w), *y = zeros(2 * d, sizeof *y), *residual = y + d;
    for (ptrdiff_t e = 0; e < d * d; e++)
        l[e] = get(dt, factors, i, e);
    invert(d, l, w, NULL);
    approx squares = { 0, 0 };
    for (ptrdiff_t j = 0; j < d; j++) {
        approx y_j = { 0, 0 };
        const long double u_j = (long double)get(dt, x, i, j) - get(dt, means, i, j);
        for (ptrdiff_t p = 0; p <= j; p++)
            y[j] += w[j * d + p] * ((long double)get(dt, x, i, p) - get(dt, means, i, p));
        residual[j] = eps * fabsl(u_j);
        for (ptrdiff_t p = 0; p <= j; p++)
            residual[j] += of_l * fabsl(l[j * d + p] * y[p]);
        y_j.value = y[j];
        for (ptrdiff_t p = 0; p <= j; p++)
            y_j.bound += fabsl(w[j * d + p]) * residual[p];
        squares = add(dt, squares, multiply(dt, y_j, y_j));
    }
    const approx z = joint(FNN_F64, log_volume(d, l, d + 1), 0, squares);
    free(l);
    free(w);
    free(y);
    return add(dt, z, exactly(0));
}

/* ---- moments ------------------------------------------------------------------------------ */

enum { CHUNK = 256 };

/* The rows of one class, in long double, and the sizes that bounds are made of. */
typedef struct {
    ptrdiff_t n, d, chunks;
    long double *x, *w;       /* (n, d), (n,)                                                  */
    long double weight, *mean;
    long double *reach;       /* (d,): how far the points that sums are about are from the mean */
    long double *drift;       /* (d,): how far off means are                                    */
    long double *size;        /* (n, d): |x - mean| + reach                                     */
} class_rows;

typedef struct { long double weight, mean, magnitude; } average;

/* Of element j of rows `begin` to `end` of an array, and of its absolute value. */
static average average_of(const class_rows *r, const long double *of, ptrdiff_t begin,
                          ptrdiff_t end, ptrdiff_t j)
{
    average a = { 0, 0, 0 };
    for (ptrdiff_t i = begin; i < end; i++) {
        a.weight += r->w[i];
        a.mean += r->w[i] * of[i * r->d + j];
        a.magnitude += r->w[i] * fabsl(of[i * r->d + j]);
    }
    if (a.weight > 0) {
        a.mean /= a.weight;
        a.magnitude /= a.weight;
    }
    return a;
}

/* A chunk's sums are about its mean as rounded: a sum of n weighted terms, and a quotient. The
 * first moment about that is a sum of as many terms as large as `size`, so the chunk's mean is off
 * by that share of their mean; and a few roundings in f64 for each chunk that is merged. */
static void set_sizes(fnn_dtype dt, class_rows *r, const ptrdiff_t *begin)
{
    const ptrdiff_t d = r->d;
    const long double terms = (long double)fnn_min(CHUNK, r->n) + 4, eps = eps_of(dt);
    for (ptrdiff_t j = 0; j < d; j++) {
        long double far = 0, size = 0;
        r->mean[j] = average_of(r, r->x, 0, r->n, j).mean;
        for (ptrdiff_t q = 0; q < r->chunks; q++) {
            const average a = average_of(r, r->x, begin[q], begin[q + 1], j);
            if (a.weight > 0) { /* else the chunk is left out */
                const long double from = fabsl(a.mean - r->mean[j]) + terms * eps * a.magnitude;
                r->reach[j] = fmaxl(r->reach[j], from);
                far = fmaxl(far, fabsl(a.mean));
            }
        }
        for (ptrdiff_t i = 0; i < r->n; i++)
            r->size[i * d + j] = fabsl(r->x[i * d + j] - r->mean[j]) + r->reach[j];
        for (ptrdiff_t q = 0; q < r->chunks; q++)
            size = fmaxl(size, average_of(r, r->size, begin[q], begin[q + 1], j).mean);
        r->drift[j] = (terms + 2) * eps * size
                    + 4 * (long double)(r->chunks + 1) * eps_of(FNN_F64) * far;
    }
}

static class_rows new_class_rows(fnn_dtype dt, fnn_in x, fnn_in extra, const int64_t *labels,
                                 const void *weights, ptrdiff_t k, ptrdiff_t cut)
{
    const ptrdiff_t d = x.cols + (extra.data ? extra.cols : 0);
    class_rows r = { .d = d };
    ptrdiff_t *begin = zeros(x.rows + 1, sizeof *begin);
    r.x = zeros(x.rows * d, sizeof *r.x);
    r.w = zeros(x.rows, sizeof *r.w);
    r.size = zeros(x.rows * d, sizeof *r.size);
    r.mean = zeros(d, sizeof *r.mean);
    r.reach = zeros(d, sizeof *r.reach);
    r.drift = zeros(d, sizeof *r.drift);
    bool after_cut = false;
    for (ptrdiff_t i = 0; i < x.rows; i++) {
        if ((labels ? labels[i] : 0) != k)
            continue;
        if (r.n == 0 || r.n - begin[r.chunks - 1] == CHUNK || (i >= cut && !after_cut))
            begin[r.chunks++] = r.n;
        after_cut = i >= cut;
        for (ptrdiff_t j = 0; j < d; j++)
            r.x[r.n * d + j] = j < x.cols ? get(dt, x, i, j) : get(dt, extra, i, j - x.cols);
        r.w[r.n] = fnn_weight(dt, (fnn_targets){ .weights = weights }, i);
        r.weight += r.w[r.n++];
    }
    begin[r.chunks] = r.n;
    set_sizes(dt, &r, begin);
    free(begin);
    return r;
}

static void free_class_rows(class_rows *r)
{
    long double *const arrays[] = { r->x, r->w, r->size, r->mean, r->reach, r->drift };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
}

/* Sums of products of up to four factors, `size` each, are off by a rounding for each of n terms,
 * some for their factors, |x - mean|^2 in 16 lanes among them, and some in f64 when they are moved
 * and merged; and by what the means they are moved to are off. */
static long double of_terms(fnn_dtype dt, const class_rows *r)
{
    return ((long double)fnn_min(CHUNK, r->n) + (long double)r->d / 16 + 16) * eps_of(dt)
         + 16 * (long double)r->chunks * eps_of(FNN_F64);
}

static approx scatter_of(fnn_dtype dt, const class_rows *r, ptrdiff_t i, ptrdiff_t j)
{
    long double value = 0, size = 0;
    for (ptrdiff_t t = 0; t < r->n; t++) {
        const long double *x = r->x + t * r->d, *s = r->size + t * r->d;
        value += r->w[t] * (x[i] - r->mean[i]) * (x[j] - r->mean[j]);
        size += r->w[t] * s[i] * s[j];
    }
    const long double drift = 4 * (r->reach[i] * r->drift[j] + r->reach[j] * r->drift[i])
                            + 2 * r->drift[i] * r->drift[j];
    return (approx){ value, of_terms(dt, r) * size + r->weight * drift };
}

/* third (d,), and fourth */
static void set_higher(fnn_dtype dt, const class_rows *r, approx *third, approx *fourth)
{
    const ptrdiff_t d = r->d;
    long double drift = 0, size_2 = 0, size_3 = 0, size_4 = 0;
    long double *of_third = zeros(2 * d, sizeof *of_third), *along = of_third + d;
    for (ptrdiff_t j = 0; j < d; j++)
        drift += r->drift[j] * r->drift[j];
    drift = sqrtl(drift);
    for (ptrdiff_t t = 0; t < r->n; t++) {
        const long double *x = r->x + t * d, *s = r->size + t * d, w = r->w[t];
        long double square = 0, size = 0;
        for (ptrdiff_t j = 0; j < d; j++) {
            square += (x[j] - r->mean[j]) * (x[j] - r->mean[j]);
            size += s[j] * s[j];
        }
        for (ptrdiff_t j = 0; j < d; j++) {
            third[j].value += w * square * (x[j] - r->mean[j]);
            of_third[j] += w * size * s[j];
            along[j] += w * sqrtl(size) * s[j];
        }
        fourth->value += w * square * square;
        size_2 += w * size;
        size_3 += w * size * sqrtl(size);
        size_4 += w * size * size;
    }
    for (ptrdiff_t j = 0; j < d; j++)
        third[j].bound = of_terms(dt, r) * of_third[j]
                       + 2 * (2 * drift * along[j] + r->drift[j] * size_2);
    fourth->bound = of_terms(dt, r) * size_4 + 8 * drift * size_3;
    free(of_third);
}

naive_moments new_naive_moments(fnn_dtype dt, fnn_covariance covariance, fnn_in x, fnn_in extra,
                                const int64_t *labels, const void *weights, ptrdiff_t c,
                                ptrdiff_t cut)
{
    const ptrdiff_t d = x.cols + (extra.data ? extra.cols : 0);
    const ptrdiff_t size = covariance == FNN_DIAG ? d : d * d;
    naive_moments m = { .covariance = covariance, .c = c, .d = d };
    m.weight = zeros(c, sizeof(approx));
    m.mean = zeros(c * d, sizeof(approx));
    m.scatter = zeros(c * size, sizeof(approx));
    m.third = zeros(c * d, sizeof(approx));
    m.fourth = zeros(c, sizeof(approx));
    for (ptrdiff_t k = 0; k < c; k++) {
        class_rows r = new_class_rows(dt, x, extra, labels, weights, k, cut);
        approx *scatter = m.scatter + (covariance == FNN_SHARED ? 0 : k * size);
        m.weight[k] = (approx){ r.weight, (long double)r.n * eps_of(FNN_F64) * r.weight };
        for (ptrdiff_t i = 0; r.weight > 0 && i < d; i++) {
            m.mean[k * d + i] = (approx){ r.mean[i], r.drift[i] };
            for (ptrdiff_t j = 0; j < d; j++)
                if (covariance != FNN_DIAG || i == j) {
                    approx *to = scatter + (covariance == FNN_DIAG ? i : i * d + j);
                    const approx s = scatter_of(dt, &r, fnn_min(i, j), i > j ? i : j);
                    *to = (approx){ to->value + s.value, to->bound + s.bound };
                }
        }
        if (r.weight > 0)
            set_higher(dt, &r, m.third + k * d, m.fourth + k);
        free_class_rows(&r);
    }
    return m;
}

void free_naive_moments(naive_moments *m)
{
    approx *const arrays[] = { m->weight, m->mean, m->scatter, m->third, m->fourth };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
}

static double miss_array(ptrdiff_t count, const approx *right, const double *got)
{
    double worst = 0;
    for (ptrdiff_t i = 0; i < count; i++)
        worst = fmax(worst, miss(got[i], right[i]));
    return worst;
}

double miss_moments(const naive_moments *m, fnn_moments got)
{
    const ptrdiff_t size = m->covariance == FNN_DIAG ? m->d : m->d * m->d;
    const ptrdiff_t matrices = m->covariance == FNN_SHARED ? 1 : m->c;
    double worst = fmax(miss_array(m->c, m->weight, got.weight),
                        miss_array(m->c * m->d, m->mean, got.mean));
    worst = fmax(worst, miss_array(matrices * size, m->scatter, got.scatter));
    if (m->covariance != FNN_FULL)
        return worst;
    return fmax(worst, fmax(miss_array(m->c * m->d, m->third, got.third),
                            miss_array(m->c, m->fourth, got.fourth)));
}

/* ---- linear models ------------------------------------------------------------------------ */

/* What a sum over rows needs: its terms have errors of their own, those of a chunk are a chain of
 * dt, the chunks' sums one of f64. */
typedef struct { long double value, of_terms, magnitude; } row_sum;

static void add_row(row_sum *s, approx factor, long double x)
{
    s->value += factor.value * x;
    s->of_terms += factor.bound * fabsl(x);
    s->magnitude += fabsl(factor.value * x) + factor.bound * fabsl(x);
}
static approx end_sum(const naive_linear *l, row_sum s)
{
    const long double terms = (long double)fnn_min(CHUNK, l->x.rows) + 3;
    const long double chunks = (long double)(l->x.rows / CHUNK + 2);
    const long double relative = terms * eps_of(l->dt) + chunks * eps_of(FNN_F64);
    return (approx){ s.value, s.of_terms + relative * s.magnitude + tiny_of(l->dt) * terms };
}

/* Column j of [x | 1]. */
static long double input(const naive_linear *l, ptrdiff_t i, ptrdiff_t j)
{
    return j < l->x.cols ? (long double)get(l->dt, l->x, i, j) : 1;
}

/* z_k = x w_k + b_k, with the parameters rounded to dt. */
static approx logit(const naive_linear *l, const double *theta, ptrdiff_t i, ptrdiff_t k)
{
    long double sum = 0, magnitude = 0;
    for (ptrdiff_t j = 0; j < l->width; j++) {
        const long double term = input(l, i, j) * theta[k * l->width + j];
        sum += term;
        magnitude += fabsl(term);
    }
    const long double terms = (long double)l->width + 3;
    return (approx){ sum, terms * (eps_of(l->dt) * magnitude + tiny_of(l->dt)) };
}

naive_linear new_naive_linear(fnn_dtype dt, fnn_loss fn, fnn_in x, fnn_targets y, ptrdiff_t c,
                              ptrdiff_t width, const double *theta, double alpha)
{
    naive_linear l = { .dt = dt, .fn = fn, .x = x, .y = y, .c = c, .width = width, .alpha = alpha };
    const ptrdiff_t n = x.rows;
    l.gradient = zeros(c * width, sizeof(approx));
    l.p = zeros(n * c, sizeof(approx));
    l.share = zeros(n, sizeof(approx));
    approx *z = zeros(c, sizeof *z), *dz = zeros(n * c, sizeof *dz);
    double *y_i = zeros(c, sizeof *y_i), total = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        total += fnn_weight(dt, y, i);
    for (ptrdiff_t i = 0; i < n; i++) {
        const double weight = fnn_weight(dt, y, i) / total;
        long double mass = 0;
        target_row(dt, y, i, c, y_i);
        for (ptrdiff_t k = 0; k < c; k++) {
            z[k] = logit(&l, theta, i, k);
            mass += y_i[k];
            l.p[i * c + k] = expect_act(dt, FNN_SIGMOID, z[k]);
        }
        const long double share = (fn == FNN_SOFTMAX_CE && !y.labels ? mass : 1) * weight;
        l.share[i] = (approx){ share, 2 * eps_of(dt) * fabsl(share) };
        const approx loss = expect_loss(dt, fn, c, z, y_i, weight, dz + i * c);
        l.loss = add(FNN_F64, l.loss, multiply(FNN_F64, exactly(weight), loss));
        if (fn == FNN_SOFTMAX_CE)
            expect_softmax(dt, c, z, l.p + i * c);
    }
    l.loss.bound += (long double)n * eps_of(FNN_F64) * fabsl(l.loss.value);
    approx squares = { 0, 0 };
    for (ptrdiff_t k = 0; k < c; k++)
        for (ptrdiff_t j = 0; j < width; j++) {
            const approx w = exactly(j < x.cols ? theta[k * width + j] : 0);
            row_sum sum = { 0, 0, 0 };
            for (ptrdiff_t i = 0; i < n; i++)
                add_row(&sum, dz[i * c + k], input(&l, i, j));
            l.gradient[k * width + j] =
                add(FNN_F64, end_sum(&l, sum), multiply(FNN_F64, exactly(alpha), w));
            squares = add(FNN_F64, squares, multiply(FNN_F64, w, w));
        }
    l.loss = add(FNN_F64, l.loss, multiply(FNN_F64, exactly(alpha / 2), squares));
    free(z);
    free(dz);
    free(y_i);
    return l;
}

void free_naive_linear(naive_linear *l)
{
    free(l->gradient);
    free(l->p);
    free(l->share);
}

ptrdiff_t hessian_rows(const naive_linear *l)
{
    return l->fn == FNN_SQUARED_ERROR ? l->width : l->c * l->width;
}
ptrdiff_t hessian_cols(const naive_linear *l)
{
    return l->fn == FNN_SOFTMAX_CE ? l->c * l->width : l->width;
}

/* share_i p_a (1 - p_a) for one class, -share_i p_a p_b for two, share_i for squared errors. */
static approx second_derivative(const naive_linear *l, ptrdiff_t i, ptrdiff_t a, ptrdiff_t b)
{
    if (l->fn == FNN_SQUARED_ERROR)
        return l->share[i];
    const approx p = l->p[i * l->c + a], q = l->p[i * l->c + b];
    const approx other = a == b ? subtract(l->dt, exactly(1), p) : (approx){ -q.value, q.bound };
    return multiply(l->dt, l->share[i], multiply(l->dt, p, other));
}

approx naive_hessian(const naive_linear *l, ptrdiff_t i, ptrdiff_t j)
{
    const ptrdiff_t w = l->width, a = i / w, b = l->fn == FNN_SOFTMAX_CE ? j / w : a;
    row_sum sum = { 0, 0, 0 };
    for (ptrdiff_t t = 0; t < l->x.rows; t++) {
        /* h x is rounded before it is multiplied */
        const approx h = second_derivative(l, t, a, b), x = exactly(input(l, t, i % w));
        add_row(&sum, multiply(l->dt, h, x), input(l, t, j % w));
    }
    const approx right = end_sum(l, sum);
    const bool penalized = a == b && i % w == j % w && i % w < l->x.cols;
    return penalized ? add(FNN_F64, right, exactly(l->alpha)) : right;
}
