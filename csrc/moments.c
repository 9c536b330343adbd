/* moments.c -- weighted counts, means, scatter matrices and two higher moments of each class.
 *
 * The rows of a class are taken in order, CHUNK at a time. A chunk is brought together, centred on
 * its own mean as rounded to its type, and its moments about that point are sums in that type; the
 * rest is f64: they are moved to the chunk's exact mean and merged with those of the rows before by
 * the formulas of Chan, Golub and LeVeque, extended to |u|^2 u and |u|^4. As the chunks do not depend
 * on how the work is divided, the bits do not either. */
#include "internal.h"

#include <string.h>

enum { CHUNK = 256 };

/* ---- moving and merging, in f64 ----------------------------------------------------------- */

/* Moments of one class about some point, and their first moment about it. */
typedef struct {
    ptrdiff_t d;
    double weight, fourth;
    double *first, *scatter, *third; /* (d,), (d, d) upper triangle, (d,); third may be NULL */
} sums;

static double inner(ptrdiff_t d, const double *a, const double *b)
{
    double sum = 0;
    for (ptrdiff_t j = 0; j < d; j++)
        sum += a[j] * b[j];
    return sum;
}

/* product = S delta, for the upper triangle of S. */
static void times(ptrdiff_t d, const double *s, const double *delta, double *product)
{
    for (ptrdiff_t i = 0; i < d; i++)
        product[i] = 0;
    for (ptrdiff_t i = 0; i < d; i++) {
        const double *row = s + i * d;
        double sum = row[i] * delta[i];
        for (ptrdiff_t j = i + 1; j < d; j++) {
            sum += row[j] * delta[j];
            product[j] += row[j] * delta[i];
        }
        product[i] += sum;
    }
}

/* Move the point by delta: each u becomes u - delta. `product` is scratch (d,). */
static void move(sums *s, const double *delta, double *product)
{
    const ptrdiff_t d = s->d;
    double *m = s->first, *t = s->third;
    const double w = s->weight, delta_m = inner(d, delta, m), delta_2 = inner(d, delta, delta);
    if (t) {
        double trace = 0;
        for (ptrdiff_t j = 0; j < d; j++)
            trace += s->scatter[j * (d + 1)];
        times(d, s->scatter, delta, product);
        s->fourth += 4 * inner(d, delta, product) - 4 * inner(d, delta, t) + 2 * delta_2 * trace
                   - 4 * delta_2 * delta_m + w * delta_2 * delta_2;
        const double along = trace - 2 * delta_m + w * delta_2;
        for (ptrdiff_t j = 0; j < d; j++)
            t[j] += delta_2 * m[j] - 2 * product[j] - along * delta[j];
    }
    for (ptrdiff_t i = 0; i < d; i++)
        for (ptrdiff_t j = i; j < d; j++)
            s->scatter[i * d + j] += w * delta[i] * delta[j] - m[i] * delta[j] - delta[i] * m[j];
    for (ptrdiff_t j = 0; j < d; j++)
        m[j] -= w * delta[j];
}

/* Scratch of a merge: (d,) vectors. */
typedef struct { double *product, *delta, *zero; } vectors;

/* Add sign times the moments of a part about its mean, which is destroyed, to those of a total; both
 * have a zero first moment. mean_total becomes the common mean. */
static void merge(sums *total, double *mean_total, sums *part, const double *mean_part,
                  double sign, const vectors *v)
{
    const ptrdiff_t d = total->d;
    const double weight = total->weight + sign * part->weight, share = sign * part->weight / weight;
    for (int side = 0; side < 2; side++) {
        /* The common mean less the mean of either side. */
        const double by = side ? share - 1 : share;
        for (ptrdiff_t j = 0; j < d; j++) {
            v->delta[j] = by * (mean_part[j] - mean_total[j]);
            v->zero[j] = 0;
        }
        sums *s = side ? part : total;
        s->first = v->zero;
        move(s, v->delta, v->product);
    }
    for (ptrdiff_t j = 0; j < d; j++)
        mean_total[j] += share * (mean_part[j] - mean_total[j]);
    for (ptrdiff_t i = 0; i < d; i++)
        for (ptrdiff_t j = i; j < d; j++)
            total->scatter[i * d + j] += sign * part->scatter[i * d + j];
    for (ptrdiff_t j = 0; total->third && j < d; j++)
        total->third[j] += sign * part->third[j];
    total->fourth += sign * part->fourth;
    total->weight = weight;
}

static void mirror(ptrdiff_t d, double *s)
{
    for (ptrdiff_t i = 0; i < d; i++)
        for (ptrdiff_t j = 0; j < i; j++)
            s[i * d + j] = s[j * d + i];
}

static sums class_sums(ptrdiff_t d, fnn_moments m, ptrdiff_t k)
{
    return (sums){ .d = d, .weight = m.weight[k], .fourth = m.fourth[k],
                   .scatter = m.scatter + k * d * d, .third = m.third + k * d };
}

fnn_status fnn_moments_add(ptrdiff_t c, ptrdiff_t d, fnn_moments total, fnn_moments part,
                           double sign)
{
    size_t bytes = 0;
    if (!fnn_reserve(&bytes, FNN_F64, d, d) || !fnn_reserve(&bytes, FNN_F64, 4, d))
        return FNN_ENOMEM;
    char *scratch = fnn_workspace_take(&fnn_shared_workspace, bytes), *cursor = scratch;
    if (!scratch)
        return FNN_ENOMEM;
    double *scatter = fnn_part(&cursor, FNN_F64, d, d), *third = fnn_part(&cursor, FNN_F64, 4, d);
    const vectors v = { third + d, third + 2 * d, third + 3 * d };
    for (ptrdiff_t k = 0; k < c; k++) {
        sums a = class_sums(d, total, k), b = class_sums(d, part, k);
        if (b.weight == 0)
            continue;
        if (!(a.weight + sign * b.weight > 0)) {
            a.weight = a.fourth = 0;
            memset(a.scatter, 0, (size_t)(d * d) * sizeof(double));
            memset(a.third, 0, (size_t)d * sizeof(double));
            memset(total.mean + k * d, 0, (size_t)d * sizeof(double));
        } else {
            memcpy(scatter, b.scatter, (size_t)(d * d) * sizeof(double));
            memcpy(third, b.third, (size_t)d * sizeof(double));
            b.scatter = scatter;
            b.third = third;
            merge(&a, total.mean + k * d, &b, part.mean + k * d, sign, &v);
            mirror(d, a.scatter);
        }
        total.weight[k] = a.weight;
        total.fourth[k] = a.fourth;
    }
    fnn_workspace_give(&fnn_shared_workspace, scratch);
    return FNN_OK;
}

/* ---- the rows of a chunk ------------------------------------------------------------------ */

/* Where a chunk's moments are computed: rows as they are, centred, and weighted, ld apart. */
typedef struct {
    fnn_dtype dt;
    const fnn_kernels *kn;
    ptrdiff_t d, ld;
    void *x, *u, *wu;                  /* (CHUNK, ld)                                     */
    void *weights, *radii, *products;  /* (CHUNK,): w, |u|^2, w |u|^2                     */
    void *row, *square, *third;        /* (ld,): centre, sums                             */
    void *scatter;                     /* (d, ld)                                         */
    sums part;                         /* in f64                                          */
    double *mean;                      /* (d,)                                            */
    vectors vectors;
} chunk;

/* Cut a chunk's memory from *cursor, or, where cursor is NULL, add it to *bytes. */
static bool lay_out_chunk(fnn_covariance covariance, char **cursor, size_t *bytes, chunk *k)
{
    const ptrdiff_t d = k->d, square = covariance == FNN_DIAG ? 0 : d;
    double *f64;
    const struct { void **at; fnn_dtype dt; ptrdiff_t a, b; } parts[] = {
        { &k->x, k->dt, CHUNK, k->ld },
        { &k->u, k->dt, CHUNK, k->ld },
        { &k->wu, k->dt, CHUNK, k->ld },
        { &k->weights, k->dt, CHUNK, 1 },
        { &k->radii, k->dt, CHUNK, 1 },
        { &k->products, k->dt, CHUNK, 1 },
        { &k->row, k->dt, 1, k->ld },
        { &k->square, k->dt, 1, k->ld },
        { &k->third, k->dt, 1, k->ld },
        { &k->scatter, k->dt, square, k->ld },
        { (void **)&k->part.scatter, FNN_F64, square, d },
        { (void **)&f64, FNN_F64, 6, d },
    };
    enum { PARTS = sizeof parts / sizeof *parts };
    for (int i = 0; i < PARTS; i++)
        if (cursor)
            *parts[i].at = fnn_part(cursor, parts[i].dt, parts[i].a, parts[i].b);
        else if (!fnn_reserve(bytes, parts[i].dt, parts[i].a, parts[i].b))
            return false;
    if (!cursor)
        return true;
    k->part.d = d;
    k->part.first = f64;
    k->part.third = covariance == FNN_FULL ? f64 + d : NULL;
    k->mean = f64 + 2 * d;
    k->vectors = (vectors){ f64 + 3 * d, f64 + 4 * d, f64 + 5 * d };
    return true;
}

/* What is to be done for all classes. */
typedef struct {
    const fnn_kernels *kn;
    fnn_dtype dt;
    fnn_covariance covariance;
    fnn_in x, extra;
    const int64_t *labels;
    const void *weights;
    ptrdiff_t c, d;
    fnn_moments m;
    char *memory;     /* of all, then a chunk for each part */
    char *chunks;
    size_t chunk_bytes;
    ptrdiff_t *index; /* (n,): the rows of each class, one after another */
    ptrdiff_t *begin; /* (c + 1,): where each class begins there         */
} collection;

static chunk new_chunk(const collection *all)
{
    return (chunk){ .dt = all->dt, .kn = all->kn, .d = all->d, .ld = fnn_leading(all->dt, all->d) };
}

static bool take_memory(collection *all, int parts)
{
    chunk k = new_chunk(all);
    size_t bytes = 0, chunks;
    _Static_assert(sizeof(ptrdiff_t) == sizeof(double), "indices are reserved as doubles");
    if (k.ld < all->d || !lay_out_chunk(all->covariance, NULL, &all->chunk_bytes, &k)
        || !fnn_reserve(&bytes, FNN_F64, all->x.rows, 1) || !fnn_reserve(&bytes, FNN_F64, all->c + 1, 1)
        || __builtin_mul_overflow(all->chunk_bytes, (size_t)parts, &chunks)
        || __builtin_add_overflow(bytes, chunks, &bytes))
        return false;
    all->memory = fnn_workspace_take(&fnn_shared_workspace, bytes);
    if (!all->memory)
        return false;
    char *cursor = all->memory;
    all->index = fnn_part(&cursor, FNN_F64, all->x.rows, 1);
    all->begin = fnn_part(&cursor, FNN_F64, all->c + 1, 1);
    all->chunks = cursor;
    return true;
}

/* The rows of each class, in order. */
static void sort_rows(const collection *all)
{
    const ptrdiff_t n = all->x.rows, c = all->c;
    ptrdiff_t *const begin = all->begin;
    memset(begin, 0, (size_t)(c + 1) * sizeof *begin);
    for (ptrdiff_t i = 0; i < n; i++)
        begin[all->labels ? all->labels[i] + 1 : 1]++;
    for (ptrdiff_t l = 0; l < c; l++)
        begin[l + 1] += begin[l];
    for (ptrdiff_t i = 0; i < n; i++)
        all->index[begin[all->labels ? all->labels[i] : 0]++] = i;
    memmove(begin + 1, begin, (size_t)c * sizeof *begin);
    begin[0] = 0;
}

/* The mean of the chunk's n rows, rounded to its type, into k->row; returns the sum of the weights.
 * Rows are in k->x, their weights in k->weights if `weighted`. */
static double find_centre(chunk *k, ptrdiff_t n, bool weighted)
{
    double weight = (double)n;
    const void *x = k->x;
    if (weighted) {
        weight = 0;
        for (ptrdiff_t i = 0; i < n; i++)
            weight += fnn_get(k->dt, k->weights, i);
        k->kn->weigh(n, k->d, k->x, k->ld, NULL, k->weights, k->wu, k->ld);
        x = k->wu;
    }
    k->kn->column_sums(n, k->d, x, k->ld, false, k->row);
    for (ptrdiff_t j = 0; weight > 0 && j < k->d; j++)
        fnn_put(k->dt, k->row, j, fnn_get(k->dt, k->row, j) / weight);
    return weight;
}

/* The moments of n rows about k->row, in their type, then about their mean, in f64. */
static void sum_chunk(chunk *k, ptrdiff_t n, double weight, bool weighted)
{
    const fnn_dtype dt = k->dt;
    const fnn_kernels *kn = k->kn;
    const ptrdiff_t d = k->d;
    sums *s = &k->part;
    kn->weigh(n, d, k->x, k->ld, k->row, NULL, k->u, k->ld);
    void *wu = k->u;
    if (weighted) {
        wu = k->wu;
        kn->weigh(n, d, k->u, k->ld, NULL, k->weights, wu, k->ld);
    }
    const fnn_in u = { k->u, n, d, k->ld, 1 };
    fnn_gram(kn, dt, u, (fnn_in){ wu, n, d, k->ld, 1 }, (fnn_out){ k->scatter, d, d, k->ld, 1 });
    kn->column_sums(n, d, wu, k->ld, false, k->square);
    s->weight = weight;
    s->fourth = 0;
    if (s->third) {
        kn->row_squares(n, d, k->u, k->ld, weighted ? k->weights : NULL, k->radii, k->products);
        for (ptrdiff_t i = 0; i < n; i++)
            s->fourth += fnn_get(dt, k->radii, i) * fnn_get(dt, k->products, i);
        fnn_multiply(kn, dt, &(fnn_product){ .x = { k->products, 1, n, n, 1 },
                                             .w = fnn_rhs_direct(kn, 1, u),
                                             .y = { k->third, 1, d, d, 1 } });
    }
    for (ptrdiff_t j = 0; j < d; j++) {
        s->first[j] = fnn_get(dt, k->square, j);
        if (s->third)
            s->third[j] = fnn_get(dt, k->third, j);
        for (ptrdiff_t i = 0; i <= j; i++)
            s->scatter[i * d + j] = fnn_get(dt, k->scatter, i * k->ld + j);
        k->vectors.delta[j] = s->first[j] / weight;
        k->mean[j] = fnn_get(dt, k->row, j) + k->vectors.delta[j];
    }
    move(s, k->vectors.delta, k->vectors.product);
}

/* The same for the diagonal alone: into k->mean, and k->part.first for the squares. */
static void sum_diagonal(chunk *k, ptrdiff_t n, double weight, bool weighted)
{
    k->kn->column_moments(n, k->d, k->x, k->ld, k->row, weighted ? k->weights : NULL, k->third,
                          k->square);
    for (ptrdiff_t j = 0; j < k->d; j++) {
        const double first = fnn_get(k->dt, k->third, j);
        k->mean[j] = fnn_get(k->dt, k->row, j) + first / weight;
        k->part.first[j] = fnn_get(k->dt, k->square, j) - first * (first / weight);
    }
}

static void merge_diagonal(ptrdiff_t d, double *weight, double *mean, double *scatter,
                           const chunk *k, double part)
{
    const double total = *weight + part, share = part / total;
    for (ptrdiff_t j = 0; j < d; j++) {
        const double delta = k->mean[j] - mean[j];
        mean[j] += share * delta;
        scatter[j] += k->part.first[j] + *weight * share * delta * delta;
    }
    *weight = total;
}

/* Add the chunk's moments to those of class l. */
static void add_chunk(fnn_covariance covariance, chunk *k, ptrdiff_t n, double weight,
                      bool weighted, fnn_moments m, ptrdiff_t l)
{
    const ptrdiff_t d = k->d;
    if (covariance == FNN_DIAG) {
        sum_diagonal(k, n, weight, weighted);
        merge_diagonal(d, &m.weight[l], m.mean + l * d, m.scatter + l * d, k, weight);
        return;
    }
    sum_chunk(k, n, weight, weighted);
    sums total = { .d = d, .weight = m.weight[l] };
    if (covariance == FNN_FULL)
        total = class_sums(d, m, l);
    else
        total.scatter = m.scatter;
    merge(&total, m.mean + l * d, &k->part, k->mean, 1, &k->vectors);
    m.weight[l] = total.weight;
    if (covariance == FNN_FULL)
        m.fourth[l] = total.fourth;
}

static void gather_rows(const collection *all, ptrdiff_t begin, ptrdiff_t n, chunk *k)
{
    const fnn_in x = all->x, extra = all->extra;
    const ptrdiff_t *index = all->index + begin;
    k->kn->gather(n, x.cols, x.data, x.rs, x.cs, index, k->x, k->ld);
    for (ptrdiff_t i = 0; extra.data && i < n; i++)
        fnn_copy(k->dt, fnn_slice(k->dt, extra, index[i], 1),
                 (fnn_out){ fnn_at_out(k->dt, k->x, i * k->ld + x.cols), 1, extra.cols, k->ld, 1 });
    for (ptrdiff_t i = 0; all->weights && i < n; i++)
        memcpy(fnn_at_out(k->dt, k->weights, i), fnn_at(k->dt, all->weights, index[i]),
               fnn_sizeof(k->dt));
}

/* A class is this part's if its middle row is among the part's share of the rows. Each is one part's
 * alone, so that its chunks are merged in order. */
static void collect_part(void *all_, int part, int parts)
{
    const collection *all = all_;
    const ptrdiff_t n = all->x.rows;
    const ptrdiff_t first = fnn_share(n, part, parts), end = fnn_share(n, part + 1, parts);
    chunk k = new_chunk(all);
    char *cursor = all->chunks + (size_t)part * all->chunk_bytes;
    lay_out_chunk(all->covariance, &cursor, NULL, &k);
    for (ptrdiff_t l = 0; l < all->c; l++) {
        const ptrdiff_t middle = all->begin[l] + (all->begin[l + 1] - all->begin[l]) / 2;
        if (middle < first || middle >= end)
            continue;
        for (ptrdiff_t i = all->begin[l]; i < all->begin[l + 1]; i += CHUNK) {
            const ptrdiff_t rows = fnn_min(CHUNK, all->begin[l + 1] - i);
            gather_rows(all, i, rows, &k);
            const double weight = find_centre(&k, rows, all->weights != NULL);
            if (weight > 0)
                add_chunk(all->covariance, &k, rows, weight, all->weights != NULL, all->m, l);
        }
    }
}

fnn_status fnn_moments_of(fnn_dtype dt, fnn_covariance covariance, fnn_in x, fnn_in extra,
                          const int64_t *labels, const void *weights, ptrdiff_t c, fnn_moments m)
{
    const fnn_kernels *kn = fnn_kernels_for(dt);
    if (!kn)
        return FNN_EISA;
    if (c < 1 || (extra.data && extra.rows != x.rows))
        return FNN_ESHAPE;
    for (ptrdiff_t i = 0; labels && i < x.rows; i++)
        if (labels[i] < 0 || labels[i] >= c)
            return FNN_EVALUE;
    const ptrdiff_t d = x.cols + (extra.data ? extra.cols : 0);
    collection all = { .kn = kn, .dt = dt, .covariance = covariance, .x = x, .extra = extra,
                       .labels = labels, .weights = weights, .c = c, .d = d, .m = m };
    /* The scatter of all classes is one sum, in their order. */
    const double flops = (double)x.rows * (double)d * (covariance == FNN_DIAG ? 8 : (double)d + 16);
    const int parts = covariance == FNN_SHARED ? 1 : (int)fnn_min(c, fnn_parts(flops));
    if (!take_memory(&all, parts))
        return FNN_ENOMEM;

    const ptrdiff_t matrices = covariance == FNN_SHARED ? 1 : c;
    const ptrdiff_t size = covariance == FNN_DIAG ? d : d * d;
    memset(m.weight, 0, (size_t)c * sizeof(double));
    memset(m.mean, 0, (size_t)(c * d) * sizeof(double));
    memset(m.scatter, 0, (size_t)(matrices * size) * sizeof(double));
    if (covariance == FNN_FULL) {
        memset(m.third, 0, (size_t)(c * d) * sizeof(double));
        memset(m.fourth, 0, (size_t)c * sizeof(double));
    }
    sort_rows(&all);
    fnn_run(parts, collect_part, &all);
    for (ptrdiff_t s = 0; covariance != FNN_DIAG && s < matrices; s++)
        mirror(d, m.scatter + s * d * d);
    fnn_workspace_give(&fnn_shared_workspace, all.memory);
    return FNN_OK;
}
