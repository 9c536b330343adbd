# The part of _core.pyx for sparse rows, `fastnn._sparse.Csr`, which are valid once they are made.


cdef fnn_csr csr_view(object x):
    """View a Csr, which has to stay alive meanwhile."""
    cdef cnp.ndarray data = x.data, indices = x.indices, starts = x.indptr
    cdef Py_ssize_t n, d
    n, d = x.shape
    return fnn_csr(n, d, cnp.PyArray_DATA(data), cnp.PyArray_DATA(indices),
                   <const int64_t *>cnp.PyArray_DATA(starts), cnp.PyArray_ITEMSIZE(indices) == 8)


def sparse_check(cnp.ndarray indices not None, cnp.ndarray starts not None, tuple shape):
    """Whether these are places of a matrix of that shape, columns increasing in each row.

    indices are int32 or int64, starts int64, both contiguous; starts may end before the indices do.
    """
    cdef Py_ssize_t n = shape[0], d = shape[1], stored = cnp.PyArray_SIZE(indices)
    if cnp.PyArray_SIZE(starts) != n + 1:
        return False
    cdef fnn_csr x = fnn_csr(n, d, NULL, cnp.PyArray_DATA(indices),
                             <const int64_t *>cnp.PyArray_DATA(starts),
                             cnp.PyArray_ITEMSIZE(indices) == 8)
    cdef fnn_status status
    with nogil:
        status = fnn_csr_check(x, stored)
    return status == FNN_OK


def sparse_forward(x, w, b=None):
    """x w + b for a Csr x (n, k), w (k, m) and b (m,), all of one dtype."""
    if not (readable(w, 2, -1) and w.dtype == x.dtype and (b is None or b.dtype == x.dtype)):
        raise TypeError(f"sparse_forward: x {x.dtype} and w {w.dtype}")
    if w.shape[1] != 1 and w.strides[1] != w.itemsize:
        w = np.ascontiguousarray(w)
    cdef fnn_csr rows = csr_view(x)
    cdef cnp.ndarray result = empty(rows.rows, w.shape[1], cnp.PyArray_TYPE(w))
    cdef fnn_in w_view = view_in(w), b_view = view_in(contiguous(b))
    cdef fnn_out y_view = view(result)
    cdef fnn_dtype dt = dtype_of(w)
    cdef fnn_status status
    with nogil:
        status = fnn_sparse_forward(dt, FNN_IDENTITY, rows, w_view, b_view, y_view)
    if status != FNN_OK:
        failed(status, "sparse_forward")
    return result


def sparse_transpose(x):
    """The values, places and starts of the transposed matrix of a Csr."""
    cdef fnn_csr rows = csr_view(x)
    cdef cnp.ndarray data = np.empty_like(x.data)
    cdef cnp.ndarray places = empty_row(len(x.data), cnp.NPY_INT64)
    cdef cnp.ndarray starts = empty_row(rows.cols + 1, cnp.NPY_INT64)
    cdef fnn_dtype dt = dtype_of(data)
    cdef void *to_data = cnp.PyArray_DATA(data)
    cdef int64_t *to_places = <int64_t *>cnp.PyArray_DATA(places)
    cdef int64_t *to_starts = <int64_t *>cnp.PyArray_DATA(starts)
    with nogil:
        fnn_csr_transpose(dt, rows, to_data, to_places, to_starts)
    return data, places, starts
