# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
# cython: cdivision=True, freethreading_compatible=True, auto_pickle=False
"""The compiled backend: arrays become views, the GIL is released, a status becomes an exception.

Checks that cost O(1) are made here and in C. When one of them refuses something, the arguments go
to `fastnn._check`, which either explains what is wrong or returns them as arrays that can be read.
"""

cimport cython
cimport numpy as cnp
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int64_t, uint64_t

from fastnn._capi cimport *

from fastnn import _check, _check_models
from fastnn import _check_network as _rules
from fastnn._sparse import Csr

cnp.import_array()

cdef extern from "Python.h":
    int check_signals "PyErr_CheckSignals"() noexcept

cdef enum: # what takes about a microsecond: less work than this keeps the GIL
    SMALL_FLOPS = 50000
    SMALL_ELEMENTS = 2000

_ACTIVATIONS = {
    "identity": FNN_IDENTITY,
    "sigmoid": FNN_SIGMOID,
    "tanh": FNN_TANH,
    "relu": FNN_RELU,
    "softmax": FNN_SOFTMAX,
}
_FUNCTIONS = {
    "exp": FNN_MAP_EXP,
    "log1p": FNN_MAP_LOG1P,
    "sigmoid": FNN_MAP_SIGMOID,
    "tanh": FNN_MAP_TANH,
}
_LOSSES = {
    "softmax_cross_entropy": FNN_SOFTMAX_CE,
    "sigmoid_cross_entropy": FNN_SIGMOID_CE,
    "squared_error": FNN_SQUARED_ERROR,
    "poisson_loss": FNN_POISSON,
    "huber_loss": FNN_HUBER,
    "absolute_error": FNN_ABSOLUTE_ERROR,
}
_SOLVERS = {"sgd": FNN_SGD, "momentum": FNN_MOMENTUM, "nesterov": FNN_NESTEROV, "adam": FNN_ADAM}


# Views


cdef inline bint readable(object a, int ndim, int typenum) noexcept:
    """Whether a kernel can read `a` as it is; typenum -1 stands for either floating type."""
    if not cnp.PyArray_CheckExact(a):
        return False
    cdef cnp.ndarray array = <cnp.ndarray>a
    cdef int num = cnp.PyArray_TYPE(array)
    return (
        cnp.PyArray_NDIM(array) == ndim
        and (num == typenum if typenum >= 0 else num == cnp.NPY_FLOAT or num == cnp.NPY_DOUBLE)
        and cnp.PyArray_ISBEHAVED_RO(array)
    )


cdef inline fnn_dtype dtype_of(cnp.ndarray a) noexcept:
    return FNN_F32 if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT else FNN_F64


cdef inline fnn_out view(object a) noexcept:
    """View a checked array of one or two dimensions; (m,) becomes one row, None no data."""
    cdef fnn_out v = fnn_out(NULL, 0, 0, 0, 0)
    if a is None:
        return v
    cdef cnp.ndarray array = <cnp.ndarray>a
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(array)
    cdef cnp.npy_intp *dims = cnp.PyArray_DIMS(array)
    cdef cnp.npy_intp *strides = cnp.PyArray_STRIDES(array)
    v.data = cnp.PyArray_DATA(array)
    if cnp.PyArray_NDIM(array) == 2:
        v.rows, v.cols = dims[0], dims[1]
        v.rs, v.cs = strides[0] // size, strides[1] // size
        if v.cols == 1:
            v.cs = 1
    else:
        v.rows, v.cols = 1, dims[0]
        v.cs = 1 if v.cols == 1 else strides[0] // size
        v.rs = v.cols
    return v


cdef inline fnn_in view_in(object a) noexcept:
    cdef fnn_out v = view(a)
    return fnn_in(v.data, v.rows, v.cols, v.rs, v.cs)


cdef cnp.ndarray empty(Py_ssize_t rows, Py_ssize_t cols, int typenum):
    cdef cnp.npy_intp shape[2]
    shape[0], shape[1] = rows, cols
    return cnp.PyArray_EMPTY(2, shape, typenum, 0)


cdef cnp.ndarray empty_row(Py_ssize_t cols, int typenum):
    cdef cnp.npy_intp shape[1]
    shape[0] = cols
    return cnp.PyArray_EMPTY(1, shape, typenum, 0)


cdef inline bint writable(object out, int ndim, int typenum) noexcept:
    return readable(out, ndim, typenum) and cnp.PyArray_ISWRITEABLE(<cnp.ndarray>out)


# Statuses


cdef object failed(fnn_status status, str fn):
    """Raise for a status that the checks of the arguments could not explain."""
    if status == FNN_ENOMEM:
        raise MemoryError(f"{fn}: no memory for the working space")
    raise RuntimeError(f"{fn} failed with status {<int>status}")


cdef object deliver(object value, object out):
    """Bring a result to an `out` that only seemed to overlap: interleaved, not shared."""
    out[...] = value
    return out


# Instruction sets


def available_isas():
    """Name the instruction sets of this machine, the best one first."""
    cdef int isa
    return tuple(
        fnn_isa_name(<fnn_isa>isa).decode()
        for isa in range(FNN_NISA - 1, -1, -1)
        if fnn_isa_available(<fnn_isa>isa)
    )


def isa():
    """Name the instruction set in use."""
    return fnn_isa_name(fnn_get_isa()).decode()


def set_isa(name):
    """Compute with this instruction set from now on."""
    names = {fnn_isa_name(<fnn_isa>i).decode(): i for i in range(FNN_NISA)}
    _check.one_of("instruction set", name, tuple(names))
    if fnn_set_isa(<fnn_isa><int>names[name]) != FNN_OK:
        raise RuntimeError(f"this machine has no {name}; it has {', '.join(available_isas())}")


# Threads


def get_num_threads():
    """The most threads that a call computes with."""
    return fnn_get_num_threads()


def set_num_threads(int threads):
    """Compute with at most this many threads, at least 1, from now on."""
    fnn_set_num_threads(threads)


def use_threads(int threads):
    """Do so in this thread alone; 0 ends that. Returns what was said before."""
    return fnn_use_threads(threads)


def fma_burst(dtype, Py_ssize_t iterations):
    """Run fused multiply-adds in registers; return the floating-point operations done."""
    cdef fnn_dtype dt = FNN_F32 if _rules.float_dtype(dtype).itemsize == 4 else FNN_F64
    cdef double flops = 0
    with nogil:
        fnn_fma_burst(dt, iterations, &flops)
    return flops


# Functions of arrays


cdef object as_matrix(cnp.ndarray a):
    """View an array of any rank as a matrix of the same elements, or return None."""
    if cnp.PyArray_NDIM(a) == 1 or cnp.PyArray_NDIM(a) == 2:
        return a
    if cnp.PyArray_NDIM(a) == 0 or cnp.PyArray_IS_C_CONTIGUOUS(a):
        return a.reshape(-1)
    return None


cdef inline bint plain(object x, object out) noexcept:
    """Whether `x` and `out` need no closer look: ready, of one type, of one shape."""
    if readable(x, 1, -1):
        return out is None or (writable(out, 1, cnp.PyArray_TYPE(x))
                               and cnp.PyArray_SAMESHAPE(x, out))
    return readable(x, 2, -1) and (out is None or (writable(out, 2, cnp.PyArray_TYPE(x))
                                                   and cnp.PyArray_SAMESHAPE(x, out)))


cdef object like(cnp.ndarray x, object out):
    if out is not None:
        return out
    return cnp.PyArray_EMPTY(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x), 0)


def elementwise(name, x, *, out=None):
    """exp, log1p, sigmoid or tanh of each element."""
    given = x
    if not plain(x, out):
        x = _check.elementwise(name, x, out)
    result = like(x, out)
    source, target = as_matrix(x), as_matrix(result)
    if target is None:
        return deliver(elementwise(name, x), out)
    if source is None:
        source = x.reshape(-1)  # a copy, which must live as long as its view
    cdef fnn_function fn = _FUNCTIONS[name]
    cdef fnn_dtype dt = dtype_of(x)
    cdef fnn_in x_view = view_in(source)
    cdef fnn_out y_view = view(target)
    cdef fnn_status status
    if <double>x_view.rows * x_view.cols < SMALL_ELEMENTS:
        status = fnn_map(dt, fn, x_view, y_view)
    else:
        with nogil:
            status = fnn_map(dt, fn, x_view, y_view)
    if status == FNN_EALIAS or status == FNN_ESHAPE:
        _check.elementwise(name, given, out)
        return deliver(elementwise(name, x), out)
    if status != FNN_OK:
        failed(status, name)
    return result


def sigmoid(x, *, out=None):
    return elementwise("sigmoid", x, out=out)


ctypedef fnn_status (*row_function)(fnn_dtype, fnn_in, fnn_out) noexcept nogil


cdef object of_rows(str name, row_function fn, object x, object out):
    """Softmax or log_softmax of each row."""
    given = x
    if not plain(x, out):
        x = _check.elementwise(name, x, out)
    result = like(x, out)
    cdef fnn_dtype dt = dtype_of(x)
    cdef fnn_in x_view = view_in(x)
    cdef fnn_out y_view = view(result)
    cdef fnn_status status
    if <double>x_view.rows * x_view.cols < SMALL_ELEMENTS:
        status = fn(dt, x_view, y_view)
    else:
        with nogil:
            status = fn(dt, x_view, y_view)
    if status == FNN_OK:
        return result
    _check.elementwise(name, given, out)
    if status == FNN_EALIAS:
        return deliver(of_rows(name, fn, x, None), out)
    return failed(status, name)


def softmax(x, *, out=None):
    return of_rows("softmax", fnn_softmax, x, out)


def log_softmax(x, *, out=None):
    return of_rows("log_softmax", fnn_log_softmax, x, out)


def dense_forward(x, w, b=None, *, activation="identity", out=None):
    cdef object act = _ACTIVATIONS.get(activation) if type(activation) is str else None
    cdef int typenum
    if act is None or not readable(x, 2, -1):
        x, w, b = _check.dense_forward(x, w, b, activation, out)
    typenum = cnp.PyArray_TYPE(x)
    if not (readable(w, 2, typenum) and (b is None or readable(b, 1, typenum))
            and (out is None or writable(out, 2, typenum))):
        x, w, b = _check.dense_forward(x, w, b, activation, out)
    cdef fnn_in x_view = view_in(x), w_view = view_in(w), b_view = view_in(b)
    cdef object result = empty(x_view.rows, w_view.cols, typenum) if out is None else out
    cdef fnn_out y_view = view(result)
    cdef fnn_dtype dt = dtype_of(x)
    cdef fnn_act code = act
    cdef fnn_status status
    if <double>x_view.rows * w_view.rows * w_view.cols < SMALL_FLOPS:
        status = fnn_dense_forward(dt, code, x_view, w_view, b_view, y_view)
    else:
        with nogil:
            status = fnn_dense_forward(dt, code, x_view, w_view, b_view, y_view)
    if status != FNN_OK:
        _check.dense_forward(x, w, b, activation, out)
        if status == FNN_EALIAS:
            return deliver(dense_forward(x, w, b, activation=activation), out)
        failed(status, "dense_forward")
    return result


def dense_backward(x, w, y, dy, *, activation="identity", needs=("dx", "dw", "db"), out=None):
    cdef int code = _ACTIVATIONS.get(activation, -1) if type(activation) is str else -1
    needs = _check.needed(needs)
    given = x, w, y, dy
    if code < 0 or out is not None or not (
        readable(x, 2, -1) and readable(w, 2, cnp.PyArray_TYPE(x))
        and readable(y, 2, cnp.PyArray_TYPE(x)) and readable(dy, 2, cnp.PyArray_TYPE(x))
    ):
        x, w, y, dy = _check.dense_backward(x, w, y, dy, activation, needs, out)
        code = _ACTIVATIONS[activation]
    cdef int typenum = cnp.PyArray_TYPE(x)
    cdef fnn_in x_view = view_in(x), w_view = view_in(w), y_view = view_in(y)
    cdef fnn_in dy_view = view_in(dy)
    dx, dw, db = out or (None, None, None)
    if "dx" in needs and dx is None:
        dx = empty(x_view.rows, x_view.cols, typenum)
    if "dw" in needs and dw is None:
        dw = empty(w_view.rows, w_view.cols, typenum)
    if "db" in needs and db is None:
        db = empty_row(w_view.cols, typenum)
    cdef fnn_out dx_view = view(dx), dw_view = view(dw), db_view = view(db)
    cdef fnn_dtype dt = dtype_of(x)
    cdef fnn_status status
    with nogil:
        status = fnn_dense_backward(dt, <fnn_act>code, x_view, w_view, y_view, dy_view, dx_view,
                                    dw_view, db_view)
    if status == FNN_OK:
        return dx, dw, db
    _check.dense_backward(*given, activation, needs, out)
    if status == FNN_EALIAS:
        values = dense_backward(x, w, y, dy, activation=activation, needs=needs)
        return tuple(None if v is None else deliver(v, a) for v, a in zip(values, (dx, dw, db)))
    return failed(status, "dense_backward")


cdef fnn_targets targets_view(object labels, object targets, object weights) noexcept:
    """View what `_check` has returned; weights must be contiguous."""
    cdef fnn_targets y = fnn_targets(NULL, view_in(targets), NULL)
    if labels is not None:
        y.labels = <const int64_t *>cnp.PyArray_DATA(labels)
    if weights is not None:
        y.weights = cnp.PyArray_DATA(weights)
    return y


cdef object contiguous(object a):
    return None if a is None else cnp.PyArray_GETCONTIGUOUS(a)


cdef object loss_gradient(str fn, object z, object y, object sample_weight, object out,
                          double delta=0):
    z, labels, targets, weights = _check.loss(fn, z, y, sample_weight, out)
    weights = contiguous(weights)
    cdef fnn_in z_view = view_in(z)
    result = empty(z_view.rows, z_view.cols, cnp.PyArray_TYPE(z)) if out is None else out
    cdef fnn_out dz_view = view(result)
    cdef fnn_targets y_view = targets_view(labels, targets, weights)
    cdef fnn_loss code = _LOSSES[fn]
    cdef fnn_dtype dt = dtype_of(z)
    cdef double value = 0
    cdef fnn_status status
    with nogil:
        status = fnn_loss_gradient(dt, code, delta, z_view, y_view, &value, dz_view)
    if status == FNN_EALIAS:
        loss, dz = loss_gradient(fn, z, y, sample_weight, None, delta)
        return loss, deliver(dz, out)
    if status != FNN_OK:
        failed(status, fn)
    return value, result


def softmax_cross_entropy(z, y, *, sample_weight=None, out=None):
    return loss_gradient("softmax_cross_entropy", z, y, sample_weight, out)


def sigmoid_cross_entropy(z, y, *, sample_weight=None, out=None):
    return loss_gradient("sigmoid_cross_entropy", z, y, sample_weight, out)


def squared_error(z, y, *, sample_weight=None, out=None):
    return loss_gradient("squared_error", z, y, sample_weight, out)


def poisson_loss(z, y, *, sample_weight=None, out=None):
    return loss_gradient("poisson_loss", z, y, sample_weight, out)


def huber_loss(z, y, *, delta=1.0, sample_weight=None, out=None):
    return loss_gradient("huber_loss", z, y, sample_weight, out, _rules.positive("delta", delta))


def absolute_error(z, y, *, sample_weight=None, out=None):
    return loss_gradient("absolute_error", z, y, sample_weight, out)


include "_sparse.pxi"
include "_network.pxi"
include "_models.pxi"

if isa() == "none":
    import os
    raise ValueError(f"FASTNN_ISA={os.environ.get('FASTNN_ISA')!r}: this machine has "
                     f"{', '.join(available_isas())}")
