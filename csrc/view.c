/* view.c -- what can be asked of strided views, and their rows with contiguous columns. */
#include "internal.h"

#include <string.h>

bool fnn_has_shape(fnn_in v, ptrdiff_t rows, ptrdiff_t cols)
{
    return v.rows == rows && v.cols == cols;
}

bool fnn_same_view(fnn_in a, fnn_in b)
{
    return a.data == b.data && a.rows == b.rows && a.cols == b.cols
        && (a.rs == b.rs || a.rows <= 1) && (a.cs == b.cs || a.cols <= 1);
}

/* The product of the sizes may overflow: zero strides make views of any size. */
static bool is_empty(fnn_in v) { return v.rows == 0 || v.cols == 0; }

/* The same elements with strides >= 0; the stride of a dimension of one element is nothing. */
static fnn_in ascending(fnn_dtype dt, fnn_in v)
{
    if (v.rows == 1)
        v.rs = 0;
    if (v.cols == 1)
        v.cs = 0;
    if (v.rs < 0) {
        v.data = fnn_at(dt, v.data, (v.rows - 1) * v.rs);
        v.rs = -v.rs;
    }
    if (v.cs < 0) {
        v.data = fnn_at(dt, v.data, (v.cols - 1) * v.cs);
        v.cs = -v.cs;
    }
    return v;
}

/* Elements from the first to behind the last, v ascending. */
static ptrdiff_t extent(fnn_in v) { return (v.rows - 1) * v.rs + (v.cols - 1) * v.cs + 1; }

bool fnn_overlap(fnn_dtype dt, fnn_in a, fnn_in b)
{
    if (!a.data || !b.data || is_empty(a) || is_empty(b))
        return false;
    a = ascending(dt, a);
    b = ascending(dt, b);
    const ptrdiff_t size = (ptrdiff_t)fnn_sizeof(dt);
    const intptr_t a_0 = (intptr_t)a.data, b_0 = (intptr_t)b.data;
    if (a_0 >= b_0 + extent(b) * size || b_0 >= a_0 + extent(a) * size)
        return false;
    if (a.rs != b.rs || a.rs == 0)
        return true;
    /* Columns side by side in rows of one length: compare where they lie within a row. */
    const ptrdiff_t row = a.rs * size;
    const ptrdiff_t a_width = ((a.cols - 1) * a.cs + 1) * size;
    const ptrdiff_t b_width = ((b.cols - 1) * b.cs + 1) * size;
    const ptrdiff_t distance = ((b_0 - a_0) % row + row) % row;
    return distance < a_width || distance + b_width > row;
}

fnn_status fnn_check_out(fnn_dtype dt, fnn_out out, const fnn_in *inputs, int count)
{
    const fnn_in v = ascending(dt, fnn_as_in(out));
    /* One of the dimensions must step over all that the other one spans. */
    const bool rows_apart = v.rows <= 1 || v.rs > (v.cols - 1) * v.cs;
    const bool cols_apart = v.cols <= 1 || v.cs > (v.rows - 1) * v.rs;
    const bool row_by_row = rows_apart && (v.cols <= 1 || v.cs > 0);
    const bool column_by_column = cols_apart && (v.rows <= 1 || v.rs > 0);
    if (!is_empty(v) && !row_by_row && !column_by_column)
        return FNN_EALIAS;
    for (int i = 0; i < count; i++)
        if (fnn_overlap(dt, v, inputs[i]))
            return FNN_EALIAS;
    return FNN_OK;
}

#define COPY(REAL)                                                                       \
    for (ptrdiff_t i = 0; i < from.rows; i++)                                            \
        for (ptrdiff_t j = 0; j < from.cols; j++)                                        \
            ((REAL *)to.data)[i * to.rs + j * to.cs] =                                   \
                ((const REAL *)from.data)[i * from.rs + j * from.cs];

void fnn_copy(fnn_dtype dt, fnn_in from, fnn_out to)
{
    if (from.cs == 1 && to.cs == 1) {
        for (ptrdiff_t i = 0; i < from.rows; i++)
            memcpy(fnn_at_out(dt, to.data, i * to.rs), fnn_at(dt, from.data, i * from.rs),
                   (size_t)from.cols * fnn_sizeof(dt));
    } else if (dt == FNN_F32) {
        COPY(float)
    } else {
        COPY(double)
    }
}

const void *fnn_rows_in(fnn_dtype dt, fnn_in v, ptrdiff_t i, ptrdiff_t n, void *scratch,
                        ptrdiff_t *rs)
{
    const fnn_in rows = fnn_slice(dt, v, i, n);
    if (v.cs == 1 || v.cols <= 1) {
        *rs = v.rs;
        return rows.data;
    }
    *rs = v.cols;
    fnn_copy(dt, rows, (fnn_out){ scratch, n, v.cols, v.cols, 1 });
    return scratch;
}

void *fnn_rows_at(fnn_dtype dt, fnn_out v, ptrdiff_t i, void *scratch, ptrdiff_t *rs)
{
    const bool in_place = v.cs == 1 || v.cols <= 1;
    *rs = in_place ? v.rs : v.cols;
    return in_place ? fnn_at_out(dt, v.data, i * v.rs) : scratch;
}

void fnn_rows_back(fnn_dtype dt, fnn_out v, ptrdiff_t i, ptrdiff_t n, const void *scratch)
{
    if (v.cs == 1 || v.cols <= 1)
        return;
    fnn_copy(dt, (fnn_in){ scratch, n, v.cols, v.cols, 1 }, fnn_slice_out(dt, v, i, n));
}
