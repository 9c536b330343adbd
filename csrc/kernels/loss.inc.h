/* loss.inc.h -- losses and their gradients from logits, row by row.
 *
 * The sums of the losses are kept in double, element after element, so that finite logits of any
 * size give a finite loss and the order never changes. g_i below is weight_i / sum of weights. */

typedef struct { double weight; REAL g; } FN(row_weight);

FNN_INLINE FN(row_weight) FN(weight_of)(const fnn_loss_rows *rows, ptrdiff_t i)
{
    const REAL *weights = rows->weights;
    const double weight = weights ? (double)weights[i] : 1.0;
    return (FN(row_weight)){ weight, (REAL)(weight * rows->scale) };
}

/* Add row i's loss to the total of the rows before. */
FNN_INLINE double FN(add_loss)(const fnn_loss_rows *rows, ptrdiff_t i, double total, double loss)
{
    if (rows->losses)
        rows->losses[i] = loss;
    return total + loss;
}

/* The target of element j of row i: a label stands for a one-hot row, or, where there is only one
 * column, for the value itself. */
FNN_INLINE REAL FN(target)(const fnn_loss_rows *rows, ptrdiff_t i, ptrdiff_t j)
{
    if (!rows->labels)
        return ((const REAL *)rows->targets)[i * rows->targets_rs + j];
    return rows->c == 1 ? (REAL)rows->labels[i] : (REAL)(rows->labels[i] == j);
}

/* What softmax_ce keeps of a row between its passes. */
typedef struct {
    REAL most[FNN_SUM_LANES], sum[FNN_SUM_LANES], log_sum[FNN_SUM_LANES];
} FN(ce_rows);

/* Row r's loss and gradient, from e_j = exp(z_j - most) in dz. */
FNN_INLINE double FN(softmax_ce_row)(const fnn_loss_rows *rows, const FN(ce_rows) *ce, int r,
                                     ptrdiff_t i, const REAL *z, REAL *dz)
{
    const FN(row_weight) w = FN(weight_of)(rows, i);
    const VEC sum = V(set1)(ce->sum[r]), g = V(set1)(w.g);
    const double most = ce->most[r];
    if (rows->labels) {
        const ptrdiff_t label = rows->labels[i];
        const REAL p_label = dz[label] / ce->sum[r];
        EACH_VECTOR(j, lanes, rows->c)
            FN(put)(dz + j, V(mul)(V(div)(FN(get)(dz + j, lanes), sum), g), lanes);
        dz[label] = (p_label - 1) * w.g;
        return w.weight * ((most - z[label]) + ce->log_sum[r]);
    }
    const REAL *y = (const REAL *)rows->targets + i * rows->targets_rs;
    double loss = 0, mass = 0;
    for (ptrdiff_t j = 0; j < rows->c; j++) {
        mass += y[j];
        if (y[j] != 0) /* else nothing is added, even where most - z_j is infinite */
            loss += y[j] * (most - z[j]);
    }
    EACH_VECTOR(j, lanes, rows->c) {
        const VEC p = V(div)(FN(get)(dz + j, lanes), sum);
        const VEC d = V(sub)(V(mul)(V(set1)((REAL)mass), p), FN(get)(y + j, lanes));
        FN(put)(dz + j, V(mul)(d, g), lanes);
    }
    return w.weight * (loss + mass * ce->log_sum[r]);
}

/* loss_i = sum_j y_j (log sum exp z - z_j), dz_j = g_i (s p_j - y_j), s = sum_j y_j. The logarithms
 * of several rows' sums are taken at once. */
static double FN(softmax_ce)(const fnn_loss_rows *rows)
{
    double total = 0;
    for (ptrdiff_t i0 = 0; i0 < rows->n; i0 += FNN_SUM_LANES) {
        const int count = (int)fnn_min(FNN_SUM_LANES, rows->n - i0);
        const REAL *z = (const REAL *)rows->z + i0 * rows->z_rs;
        REAL *dz = (REAL *)rows->dz + i0 * rows->dz_rs;
        FN(ce_rows) ce = { .sum = { 0 } };
        FN(exp_block)(count, rows->c, z, rows->z_rs, dz, rows->dz_rs, ce.most, ce.sum);
        for (int r = 0; r < FNN_SUM_LANES; r += LANES)
            V(store)(ce.log_sum + r,
                     FN(log1p)(V(sub)(V(load)(ce.sum + r), V(set1)(1))));
        for (int r = 0; r < count; r++)
            total = FN(add_loss)(rows, i0 + r, total,
                                 FN(softmax_ce_row)(rows, &ce, r, i0 + r, z + r * rows->z_rs,
                                                    dz + r * rows->dz_rs));
    }
    return total;
}

/* What a vector of logits gives: log1p(exp(-|z|)) and sigmoid(z). */
typedef struct { REAL soft[LANES], p[LANES]; } FN(logistic);

FNN_INLINE void FN(logistic_of)(VEC z, FN(logistic) *l)
{
    V(store)(l->soft, FN(log1p)(FN(exp_nonpositive)(V(minus_abs)(z))));
    V(store)(l->p, FN(sigmoid)(z));
}

FNN_INLINE double FN(logistic_loss)(REAL z_, REAL y, REAL soft)
{
    const double z = z_;
    return (z > 0 ? z * (1 - (double)y) : -z * y) + soft;
}

/* One column, contiguous: vectors of rows. */
static double FN(sigmoid_ce_column)(const fnn_loss_rows *rows)
{
    const REAL *z = rows->z;
    REAL *dz = rows->dz;
    double total = 0;
    EACH_VECTOR(i, lanes, rows->n) {
        FN(logistic) at;
        FN(logistic_of)(FN(get)(z + i, lanes), &at);
        for (ptrdiff_t l = 0; l < lanes; l++) {
            const FN(row_weight) w = FN(weight_of)(rows, i + l);
            const REAL y = FN(target)(rows, i + l, 0);
            total = FN(add_loss)(rows, i + l, total,
                                 w.weight * FN(logistic_loss)(z[i + l], y, at.soft[l]));
            dz[i + l] = (at.p[l] - y) * w.g;
        }
    }
    return total;
}

/* loss_i = sum_j (z_j > 0 ? z_j (1 - y_j) : -z_j y_j) + log1p(exp(-|z_j|)),
 * dz_j = g_i (sigmoid(z_j) - y_j). */
static double FN(sigmoid_ce)(const fnn_loss_rows *rows)
{
    if (rows->c == 1 && rows->z_rs == 1 && rows->dz_rs == 1)
        return FN(sigmoid_ce_column)(rows);
    const REAL *z = rows->z;
    REAL *dz = rows->dz;
    double total = 0;
    for (ptrdiff_t i = 0; i < rows->n; i++, z += rows->z_rs, dz += rows->dz_rs) {
        const FN(row_weight) w = FN(weight_of)(rows, i);
        double loss = 0;
        EACH_VECTOR(j, lanes, rows->c) {
            FN(logistic) at;
            FN(logistic_of)(FN(get)(z + j, lanes), &at);
            for (ptrdiff_t l = 0; l < lanes; l++) {
                const REAL y = FN(target)(rows, i, j + l);
                loss += FN(logistic_loss)(z[j + l], y, at.soft[l]);
                dz[j + l] = (at.p[l] - y) * w.g;
            }
        }
        total = FN(add_loss)(rows, i, total, w.weight * loss);
    }
    return total;
}

/* loss_i = 1/2 sum_j (z_j - y_j)^2, dz_j = g_i (z_j - y_j). */
static double FN(squared_error)(const fnn_loss_rows *rows)
{
    const REAL *z = rows->z;
    REAL *dz = rows->dz;
    double total = 0;
    for (ptrdiff_t i = 0; i < rows->n; i++, z += rows->z_rs, dz += rows->dz_rs) {
        const FN(row_weight) w = FN(weight_of)(rows, i);
        double loss = 0;
        for (ptrdiff_t j = 0; j < rows->c; j++) {
            const double d = (double)z[j] - FN(target)(rows, i, j);
            loss += 0.5 * d * d;
            dz[j] = (REAL)d * w.g;
        }
        total = FN(add_loss)(rows, i, total, w.weight * loss);
    }
    return total;
}

/* loss_i = sum_j exp(z_j) - y_j z_j, dz_j = g_i (exp(z_j) - y_j): half the deviance of counts y with
 * means exp(z), up to a term without z. Where exp(z_j) overflows both are infinite. */
static double FN(poisson_loss)(const fnn_loss_rows *rows)
{
    const REAL *z = rows->z;
    REAL *dz = rows->dz;
    double total = 0;
    for (ptrdiff_t i = 0; i < rows->n; i++, z += rows->z_rs, dz += rows->dz_rs) {
        const FN(row_weight) w = FN(weight_of)(rows, i);
        double loss = 0;
        EACH_VECTOR(j, lanes, rows->c) {
            REAL mean[LANES];
            V(store)(mean, FN(exp)(FN(get)(z + j, lanes)));
            for (ptrdiff_t l = 0; l < lanes; l++) {
                const REAL y = FN(target)(rows, i, j + l);
                /* Without a count nothing is subtracted, even where z_j is minus infinity. */
                loss += y != 0 ? mean[l] - (double)y * z[j + l] : mean[l];
                dz[j + l] = (mean[l] - y) * w.g;
            }
        }
        total = FN(add_loss)(rows, i, total, w.weight * loss);
    }
    return total;
}

/* r between -limit and limit; NaN stays. */
FNN_INLINE double FN(limited)(double r, double limit)
{
    return r > limit ? limit : r < -limit ? -limit : r;
}

/* With r_j = z_j - y_j: loss_i = sum_j 1/2 r_j^2 where |r_j| <= delta, else delta (|r_j| - delta/2);
 * dz_j = g_i r_j, with r_j brought between -delta and delta. */
static double FN(huber_loss)(const fnn_loss_rows *rows)
{
    const REAL *z = rows->z;
    REAL *dz = rows->dz;
    const double delta = rows->delta;
    double total = 0;
    for (ptrdiff_t i = 0; i < rows->n; i++, z += rows->z_rs, dz += rows->dz_rs) {
        const FN(row_weight) w = FN(weight_of)(rows, i);
        double loss = 0;
        for (ptrdiff_t j = 0; j < rows->c; j++) {
            const double r = (double)z[j] - FN(target)(rows, i, j);
            loss += fabs(r) <= delta ? 0.5 * r * r : delta * (fabs(r) - 0.5 * delta);
            dz[j] = (REAL)FN(limited)(r, delta) * w.g;
        }
        total = FN(add_loss)(rows, i, total, w.weight * loss);
    }
    return total;
}

/* loss_i = sum_j |z_j - y_j|, dz_j = g_i sign(z_j - y_j), 0 where they are equal. */
static double FN(absolute_error)(const fnn_loss_rows *rows)
{
    const REAL *z = rows->z;
    REAL *dz = rows->dz;
    double total = 0;
    for (ptrdiff_t i = 0; i < rows->n; i++, z += rows->z_rs, dz += rows->dz_rs) {
        const FN(row_weight) w = FN(weight_of)(rows, i);
        double loss = 0;
        for (ptrdiff_t j = 0; j < rows->c; j++) {
            const double r = (double)z[j] - FN(target)(rows, i, j);
            loss += fabs(r);
            dz[j] = (r > 0 ? 1 : r < 0 ? -1 : (REAL)r) * w.g; /* NaN stays */
        }
        total = FN(add_loss)(rows, i, total, w.weight * loss);
    }
    return total;
}
