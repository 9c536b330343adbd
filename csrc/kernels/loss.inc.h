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

/* The target of element j of row i: a label stands for a one-hot row, or, where there is only one
 * column, for the value itself. */
FNN_INLINE REAL FN(target)(const fnn_loss_rows *rows, ptrdiff_t i, ptrdiff_t j)
{
    if (!rows->labels)
        return ((const REAL *)rows->targets)[i * rows->targets_rs + j];
    return rows->c == 1 ? (REAL)rows->labels[i] : (REAL)(rows->labels[i] == j);
}

/* loss_i = sum_j y_j (log sum exp z - z_j), dz_j = g_i (s p_j - y_j), s = sum_j y_j. */
static double FN(softmax_ce)(const fnn_loss_rows *rows)
{
    const REAL *z = rows->z;
    REAL *dz = rows->dz;
    const ptrdiff_t c = rows->c;
    double total = 0;
    for (ptrdiff_t i = 0; i < rows->n; i++, z += rows->z_rs, dz += rows->dz_rs) {
        const FN(row_weight) w = FN(weight_of)(rows, i);
        const REAL most = FN(row_max)(c, z);
        const REAL sum = FN(exp_row)(c, z, most, dz);
        REAL log_sum[LANES];
        V(store)(log_sum, FN(log1p)(V(set1)(sum - 1)));

        const REAL *y = rows->labels ? NULL : (const REAL *)rows->targets + i * rows->targets_rs;
        double loss = 0, s = 1;
        if (y) {
            s = 0;
            for (ptrdiff_t j = 0; j < c; j++) {
                s += y[j];
                if (y[j] != 0) /* else nothing is added, even where most - z_j is infinite */
                    loss += y[j] * ((double)most - z[j]);
            }
            loss += s * log_sum[0];
        } else {
            loss = ((double)most - z[rows->labels[i]]) + log_sum[0];
        }
        total += w.weight * loss;

        const REAL p_label = y ? 0 : dz[rows->labels[i]] / sum;
        const VEC divisor = V(set1)(sum), s_i = V(set1)((REAL)s), g = V(set1)(w.g);
        EACH_VECTOR(j, lanes, c) {
            const VEC p = V(div)(FN(get)(dz + j, lanes), divisor);
            const VEC d = y ? V(sub)(V(mul)(s_i, p), FN(get)(y + j, lanes)) : p;
            FN(put)(dz + j, V(mul)(d, g), lanes);
        }
        if (!y)
            dz[rows->labels[i]] = (p_label - 1) * w.g;
    }
    return total;
}

/* loss_i = sum_j (z_j > 0 ? z_j (1 - y_j) : -z_j y_j) + log1p(exp(-|z_j|)),
 * dz_j = g_i (sigmoid(z_j) - y_j). */
static double FN(sigmoid_ce)(const fnn_loss_rows *rows)
{
    const REAL *z = rows->z;
    REAL *dz = rows->dz;
    double total = 0;
    for (ptrdiff_t i = 0; i < rows->n; i++, z += rows->z_rs, dz += rows->dz_rs) {
        const FN(row_weight) w = FN(weight_of)(rows, i);
        double loss = 0;
        EACH_VECTOR(j, lanes, rows->c) {
            REAL p[LANES], soft[LANES];
            const VEC z_j = FN(get)(z + j, lanes);
            const VEC e = FN(exp_nonpositive)(V(minus_abs)(z_j));
            V(store)(soft, FN(log1p)(e));
            V(store)(p, FN(sigmoid)(z_j));
            for (ptrdiff_t l = 0; l < lanes; l++) {
                const REAL y = FN(target)(rows, i, j + l);
                const double z_l = z[j + l];
                loss += (z_l > 0 ? z_l * (1 - (double)y) : -z_l * y) + soft[l];
                dz[j + l] = (p[l] - y) * w.g;
            }
        }
        total += w.weight * loss;
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
        total += w.weight * loss;
    }
    return total;
}
