/* factor.c -- Cholesky factors of symmetric positive definite matrices, and solving with them; f64.
 *
 * A = U'U is factored by blocks of rows of U = L', each of which first loses, by the product of
 * dense.c, what the rows above contribute, and is then factored on its own:
 *
 *         j0
 *       +----+-------------+
 *       |    | U above     |     U[j0.., j0..] -= U[..j0, j0..]' U[..j0, j0..]
 *    j0 |    +-------------+
 *       |    | block       |     then cholesky_rows
 *       +----+-------------+
 *
 * Either way an element is one chain of FMAs, so that the bits do not depend on the blocks. */
#include "internal.h"

enum { BLOCK = 64 };

/* Subtract from rows j0 .. j0 + n - 1 what the rows above them contribute; `negated` is scratch for
 * n x j0 elements. */
static void subtract_above(const fnn_kernels *kn, ptrdiff_t d, double *u, ptrdiff_t ld,
                           ptrdiff_t j0, ptrdiff_t n, double *negated)
{
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t k = 0; k < j0; k++)
            negated[i * j0 + k] = -u[k * ld + j0 + i];
    const fnn_in above = { u + j0, j0, d - j0, ld, 1 };
    fnn_multiply(kn, FNN_F64, &(fnn_product){
        .x = { negated, n, j0, j0, 1 },
        .w = fnn_rhs_direct(kn, n, above),
        .y = { u + j0 * ld + j0, n, d - j0, ld, 1 },
        .accumulate = true });
}

fnn_status fnn_cholesky(ptrdiff_t d, double *a, ptrdiff_t *pivot)
{
    const fnn_kernels *kn = fnn_kernels_for(FNN_F64);
    if (!kn)
        return FNN_EISA;
    const ptrdiff_t ld = fnn_leading(FNN_F64, d);
    size_t bytes = 0;
    if (ld < d || !fnn_reserve(&bytes, FNN_F64, d, ld) || !fnn_reserve(&bytes, FNN_F64, BLOCK, d))
        return FNN_ENOMEM;
    char *scratch = fnn_workspace_take(&fnn_shared_workspace, bytes);
    if (!scratch)
        return FNN_ENOMEM;
    char *cursor = scratch;
    double *u = fnn_part(&cursor, FNN_F64, d, ld);
    double *negated = fnn_part(&cursor, FNN_F64, BLOCK, d);

    for (ptrdiff_t j = 0; j < d; j++)
        for (ptrdiff_t i = j; i < d; i++)
            u[j * ld + i] = a[i * d + j];
    *pivot = -1;
    for (ptrdiff_t j0 = 0; j0 < d && *pivot < 0; j0 += BLOCK) {
        const ptrdiff_t n = fnn_min(BLOCK, d - j0);
        if (j0 > 0)
            subtract_above(kn, d, u, ld, j0, n, negated);
        const ptrdiff_t done = kn->cholesky_rows(n, d - j0, u + j0 * ld + j0, ld);
        if (done < n)
            *pivot = j0 + done;
    }
    for (ptrdiff_t i = 0; i < d; i++)
        for (ptrdiff_t j = 0; j < d; j++)
            a[i * d + j] = j <= i ? u[j * ld + i] : 0;
    fnn_workspace_give(&fnn_shared_workspace, scratch);
    return *pivot < 0 ? FNN_OK : FNN_EVALUE;
}

fnn_status fnn_cholesky_solve(ptrdiff_t d, const double *l, ptrdiff_t t, double *b)
{
    const fnn_kernels *kn = fnn_kernels_for(FNN_F64);
    if (!kn)
        return FNN_EISA;
    if (d == 0)
        return FNN_OK;
    kn->eliminate(d, t, l, d, 1, b, t);
    kn->eliminate(d, t, l + d * d - 1, -1, -d, b + (d - 1) * t, -t);
    return FNN_OK;
}

fnn_status fnn_triangular_inverse(ptrdiff_t d, const double *l, double *inverse)
{
    const fnn_kernels *kn = fnn_kernels_for(FNN_F64);
    if (!kn)
        return FNN_EISA;
    for (ptrdiff_t i = 0; i < d * d; i++)
        inverse[i] = 0;
    for (ptrdiff_t i = 0; i < d; i++)
        inverse[i * (d + 1)] = 1;
    /* Columns from j0 on are zero in the rows above j0. */
    for (ptrdiff_t j0 = 0; j0 < d; j0 += BLOCK)
        kn->eliminate(d - j0, fnn_min(BLOCK, d - j0), l + j0 * (d + 1), d, 1,
                      inverse + j0 * (d + 1), d);
    return FNN_OK;
}

fnn_status fnn_dot(ptrdiff_t count, const double *a, const double *b, double *dot)
{
    const fnn_kernels *kn = fnn_kernels_for(FNN_F64);
    if (!kn)
        return FNN_EISA;
    *dot = kn->dot(count, a, b);
    return FNN_OK;
}
