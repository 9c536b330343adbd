/* loss.c -- maps, softmax and losses: the rows of views brought to the row kernels. */
#include "internal.h"

/* A block of rows of `views` matrices of `cols` columns, from the shared workspace. */
static void *take_rows(fnn_dtype dt, ptrdiff_t views, ptrdiff_t cols)
{
    size_t bytes = 0;
    if (cols > PTRDIFF_MAX / (views * FNN_ROW_BLOCK)
        || !fnn_reserve(&bytes, dt, views * FNN_ROW_BLOCK, cols))
        return NULL;
    return fnn_workspace_take(&fnn_shared_workspace, bytes);
}

static void give_rows(void *scratch) { fnn_workspace_give(&fnn_shared_workspace, scratch); }

static bool in_place(fnn_in v) { return v.cs == 1 || v.cols <= 1; }

/* Shapes and overlap of y = f(x), where y may be x itself. */
static fnn_status check_elementwise(fnn_dtype dt, fnn_in x, fnn_out y)
{
    if (!fnn_has_shape(fnn_as_in(y), x.rows, x.cols))
        return FNN_ESHAPE;
    return fnn_check_out(dt, y, &x, fnn_same_view(x, fnn_as_in(y)) ? 0 : 1);
}

/* Softmax, beside the elementwise functions. */
enum { SOFTMAX = FNN_NMAP };

static void apply(const fnn_kernels *kn, fnn_dtype dt, int fn, ptrdiff_t n, ptrdiff_t c,
                  const void *x, ptrdiff_t x_rs, void *y, ptrdiff_t y_rs)
{
    if (fn == SOFTMAX)
        kn->softmax(n, c, x, x_rs, y, y_rs);
    else if (x_rs == c && y_rs == c)
        kn->map((fnn_function)fn, n * c, x, y);
    else
        for (ptrdiff_t i = 0; i < n; i++)
            kn->map((fnn_function)fn, c, fnn_at(dt, x, i * x_rs), fnn_at_out(dt, y, i * y_rs));
}

static fnn_status apply_to_rows(fnn_dtype dt, int fn, fnn_in x, fnn_out y)
{
    const fnn_kernels *kn = fnn_kernels_for(dt);
    if (!kn)
        return FNN_EISA;
    const fnn_status status = check_elementwise(dt, x, y);
    if (status)
        return status;
    char *scratch = NULL, *out_scratch = NULL;
    if (!in_place(x) || !in_place(fnn_as_in(y))) {
        scratch = take_rows(dt, 2, x.cols);
        if (!scratch)
            return FNN_ENOMEM;
        out_scratch = fnn_at_out(dt, scratch, FNN_ROW_BLOCK * x.cols);
    }
    for (ptrdiff_t i = 0; i < x.rows; i += FNN_ROW_BLOCK) {
        const ptrdiff_t n = fnn_min(FNN_ROW_BLOCK, x.rows - i);
        ptrdiff_t x_rs, y_rs;
        const void *x_i = fnn_rows_in(dt, x, i, n, scratch, &x_rs);
        void *y_i = fnn_rows_at(dt, y, i, out_scratch, &y_rs);
        apply(kn, dt, fn, n, x.cols, x_i, x_rs, y_i, y_rs);
        fnn_rows_back(dt, y, i, n, y_i);
    }
    give_rows(scratch);
    return FNN_OK;
}

fnn_status fnn_map(fnn_dtype dt, fnn_function fn, fnn_in x, fnn_out y)
{
    return apply_to_rows(dt, fn, x, y);
}

fnn_status fnn_softmax(fnn_dtype dt, fnn_in z, fnn_out y)
{
    return z.cols == 0 ? FNN_ESHAPE : apply_to_rows(dt, SOFTMAX, z, y);
}

/* y = what of the rows of z, which are transposed into panels (see kernels/gaussian.inc.h). */
static fnn_status normalize(fnn_dtype dt, fnn_posterior what, fnn_in z, fnn_out y)
{
    const fnn_kernels *kn = fnn_kernels_for(dt);
    if (!kn)
        return FNN_EISA;
    const ptrdiff_t rows = kn->tile_vectors * kn->lanes;
    size_t bytes = 0;
    if (!fnn_reserve(&bytes, dt, z.cols, rows))
        return FNN_ENOMEM;
    void *panel = fnn_workspace_take(&fnn_shared_workspace, bytes);
    if (!panel)
        return FNN_ENOMEM;
    for (ptrdiff_t i = 0; i < z.rows; i += rows) {
        const ptrdiff_t n = fnn_min(rows, z.rows - i);
        kn->panels_in(n, z.cols, fnn_at(dt, z.data, i * z.rs), z.rs, z.cs, NULL, panel);
        kn->posterior(what, z.cols, fnn_round_up(n, kn->lanes), NULL, panel, rows);
        fnn_copy(dt, (fnn_in){ panel, n, y.cols, 1, rows }, fnn_slice_out(dt, y, i, n));
    }
    fnn_workspace_give(&fnn_shared_workspace, panel);
    return FNN_OK;
}

fnn_status fnn_log_softmax(fnn_dtype dt, fnn_in z, fnn_out y)
{
    if (z.cols == 0)
        return FNN_ESHAPE;
    const fnn_status status = check_elementwise(dt, z, y);
    return status ? status : normalize(dt, FNN_LOG_PROBA, z, y);
}

fnn_status fnn_logsumexp(fnn_dtype dt, fnn_in z, fnn_out y)
{
    if (z.cols == 0 || !fnn_has_shape(fnn_as_in(y), z.rows, 1))
        return FNN_ESHAPE;
    const fnn_status status = fnn_check_out(dt, y, &z, 1);
    return status ? status : normalize(dt, FNN_LOG_DENSITY, z, y);
}

int fnn_all_finite(fnn_dtype dt, fnn_in x)
{
    const fnn_kernels *kn = fnn_kernels_for(dt);
    if (!kn)
        kn = fnn_kernels_of(FNN_SCALAR) + dt;
    if (x.cs != 1 && x.rs == 1)
        x = (fnn_in){ x.data, x.cols, x.rows, x.cs, x.rs };
    if (x.cs == 1 && x.rs == x.cols) /* one long row is faster than many short ones */
        return kn->all_finite(1, x.rows * x.cols, x.data, 0);
    if (x.cs == 1 || x.cols <= 1)
        return kn->all_finite(x.rows, x.cols, x.data, x.rs);
    for (ptrdiff_t i = 0; i < x.rows; i++)
        for (ptrdiff_t j = 0; j < x.cols; j++)
            if (!kn->all_finite(1, 1, fnn_at(dt, x.data, i * x.rs + j * x.cs), 1))
                return 0;
    return 1;
}

fnn_status fnn_check_targets(fnn_loss fn, fnn_targets y, ptrdiff_t n, ptrdiff_t c)
{
    if (!y.labels)
        return fnn_has_shape(y.targets, n, c) ? FNN_OK : FNN_ESHAPE;
    const int64_t classes = c == 1 && fn != FNN_SOFTMAX_CE ? 2 : c;
    for (ptrdiff_t i = 0; i < n; i++)
        if (y.labels[i] < 0 || y.labels[i] >= classes)
            return FNN_EVALUE;
    return FNN_OK;
}

double fnn_weight(fnn_dtype dt, fnn_targets y, ptrdiff_t i)
{
    return y.weights ? fnn_get(dt, y.weights, i) : 1;
}

double fnn_loss_block(const fnn_kernels *kn, fnn_loss fn, const fnn_loss_rows *rows)
{
    switch (fn) {
    case FNN_SOFTMAX_CE: return kn->softmax_ce(rows);
    case FNN_SIGMOID_CE: return kn->sigmoid_ce(rows);
    case FNN_SQUARED_ERROR: return kn->squared_error(rows);
    case FNN_POISSON: return kn->poisson_loss(rows);
    case FNN_HUBER: return kn->huber_loss(rows);
    default: return kn->absolute_error(rows);
    }
}

static fnn_status check_loss(fnn_dtype dt, fnn_loss fn, fnn_in z, fnn_targets y, fnn_out dz)
{
    if (z.rows == 0 || z.cols == 0 || !fnn_has_shape(fnn_as_in(dz), z.rows, z.cols))
        return FNN_ESHAPE;
    const fnn_status status = fnn_check_targets(fn, y, z.rows, z.cols);
    if (status)
        return status;
    const fnn_in weights = { y.weights, 1, z.rows, z.rows, 1 };
    const fnn_in inputs[] = { z, y.labels ? (fnn_in){ 0 } : y.targets, weights };
    return fnn_check_out(dt, dz, inputs, 3);
}

fnn_status fnn_loss_gradient(fnn_dtype dt, fnn_loss fn, double huber_delta, fnn_in z, fnn_targets y,
                             double *loss, fnn_out dz)
{
    const fnn_kernels *kn = fnn_kernels_for(dt);
    if (!kn)
        return FNN_EISA;
    const fnn_status status = check_loss(dt, fn, z, y, dz);
    if (status)
        return status;
    if (fn == FNN_HUBER && !(huber_delta > 0))
        return FNN_EVALUE;
    double sum_of_weights = 0;
    for (ptrdiff_t i = 0; i < z.rows; i++)
        sum_of_weights += fnn_weight(dt, y, i);
    if (!(sum_of_weights > 0))
        return FNN_EVALUE;

    char *scratch = NULL;
    if (!in_place(z) || !in_place(fnn_as_in(dz)) || !(y.labels || in_place(y.targets))) {
        scratch = take_rows(dt, 3, z.cols);
        if (!scratch)
            return FNN_ENOMEM;
    }
    const size_t block = scratch ? FNN_ROW_BLOCK * (size_t)z.cols * fnn_sizeof(dt) : 0;
    double sum = 0;
    for (ptrdiff_t i = 0; i < z.rows; i += FNN_ROW_BLOCK) {
        const ptrdiff_t n = fnn_min(FNN_ROW_BLOCK, z.rows - i);
        fnn_loss_rows rows = { .n = n, .c = z.cols, .scale = 1 / sum_of_weights,
                               .delta = huber_delta };
        rows.z = fnn_rows_in(dt, z, i, n, scratch, &rows.z_rs);
        if (y.labels)
            rows.labels = y.labels + i;
        else
            rows.targets = fnn_rows_in(dt, y.targets, i, n, scratch + block, &rows.targets_rs);
        rows.weights = y.weights ? fnn_at(dt, y.weights, i) : NULL;
        rows.dz = fnn_rows_at(dt, dz, i, scratch + 2 * block, &rows.dz_rs);
        sum += fnn_loss_block(kn, fn, &rows);
        fnn_rows_back(dt, dz, i, n, rows.dz);
    }
    give_rows(scratch);
    *loss = sum / sum_of_weights;
    return FNN_OK;
}
