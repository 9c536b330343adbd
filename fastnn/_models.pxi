# The part of _core.pyx for Gaussian and linear models. Their arguments are checked by the callers,
# `fastnn._model_kernels` and the estimators; float64 arrays that C takes as plain memory are brought
# into that form here.

import numpy as np

_COVARIANCES = {"full": FNN_FULL, "shared": FNN_SHARED, "diag": FNN_DIAG}
_POSTERIORS = {
    "joint": FNN_JOINT,
    "log_proba": FNN_LOG_PROBA,
    "proba": FNN_PROBA,
    "log_density": FNN_LOG_DENSITY,
    "label": FNN_LABEL,
}


cdef fnn_in column(object a) noexcept:
    """View a checked array (n,) as (n, 1)."""
    cdef fnn_in v = view_in(a)
    return fnn_in(v.data, v.cols, 1, v.cs, 1)


cdef cnp.ndarray doubles(object a):
    """Return contiguous float64."""
    return cnp.PyArray_FROMANY(a, cnp.NPY_DOUBLE, 0, 0, cnp.NPY_ARRAY_CARRAY_RO)


cdef inline double *data_of(object a) noexcept:
    return NULL if a is None else <double *>cnp.PyArray_DATA(<cnp.ndarray>a)


def logsumexp(x, *, out=None):
    x = _check_models.logsumexp(x, out)
    cdef fnn_in x_view = view_in(x), y_in
    result = empty_row(x_view.rows, cnp.PyArray_TYPE(x)) if out is None else out
    y_in = column(result)
    cdef fnn_out y_view = fnn_out(cnp.PyArray_DATA(result), y_in.rows, 1, y_in.rs, 1)
    cdef fnn_dtype dt = dtype_of(x)
    cdef fnn_status status
    with nogil:
        status = fnn_logsumexp(dt, x_view, y_view)
    if status == FNN_EALIAS:
        return deliver(logsumexp(x), out)
    if status != FNN_OK:
        failed(status, "logsumexp")
    return result


def all_finite(cnp.ndarray a not None):
    """Whether no element is infinite or NaN."""
    if not (readable(a, 1, -1) or readable(a, 2, -1)):
        a = a.copy()
    cdef fnn_in view = view_in(a)
    cdef fnn_dtype dt = dtype_of(a)
    cdef int finite
    with nogil:
        finite = fnn_all_finite(dt, view)
    return bool(finite)


# Factors and sums, float64


def dot(a, b):
    """sum_i a_i b_i of contiguous vectors, in an order that does not depend on the machine."""
    cdef double value = 0
    cdef cnp.ndarray left = doubles(a), right = doubles(b)
    cdef fnn_status status = fnn_dot(cnp.PyArray_SIZE(left), data_of(left), data_of(right), &value)
    if status != FNN_OK:
        failed(status, "dot")
    return value


def cholesky(a):
    """Factors L of a = L L^T (..., d, d), and the first column without a positive pivot, or -1."""
    factors = np.array(a, dtype=np.float64, order="C")
    pivots = np.empty(factors.shape[:-2], dtype=np.int64)
    cdef Py_ssize_t d = len(factors.T), count = pivots.size, i, pivot = -1
    cdef double *matrix = data_of(factors)
    cdef int64_t *first = <int64_t *>cnp.PyArray_DATA(pivots)
    cdef fnn_status status = FNN_OK
    with nogil:
        for i in range(count):
            status = fnn_cholesky(d, matrix + i * d * d, &pivot)
            if status != FNN_OK and status != FNN_EVALUE:
                break
            first[i] = pivot
    if status != FNN_OK and status != FNN_EVALUE:
        failed(status, "cholesky")
    return factors, pivots


def cholesky_solve(l, b):
    """Solution of (l l^T) x = b for l (d, d) and b (d,) or (d, t)."""
    cdef cnp.ndarray factor = doubles(l), x = np.array(b, dtype=np.float64, order="C")
    cdef Py_ssize_t d = factor.shape[0], t = 1 if x.ndim == 1 else x.shape[1]
    cdef double *values = data_of(x)
    cdef const double *matrix = data_of(factor)
    cdef fnn_status status
    with nogil:
        status = fnn_cholesky_solve(d, matrix, t, values)
    if status != FNN_OK:
        failed(status, "cholesky_solve")
    return x


def triangular_inverse(l):
    """Inverse of the lower triangle of l (d, d)."""
    cdef cnp.ndarray factor = doubles(l)
    cdef Py_ssize_t d = factor.shape[0]
    cdef cnp.ndarray inverse = empty(d, d, cnp.NPY_DOUBLE)
    cdef double *values = data_of(inverse)
    cdef const double *matrix = data_of(factor)
    cdef fnn_status status
    with nogil:
        status = fnn_triangular_inverse(d, matrix, values)
    if status != FNN_OK:
        failed(status, "triangular_inverse")
    return inverse


# Gaussians


cdef class Gaussians:
    """c Gaussians, prepared for evaluation in one dtype; immutable."""

    cdef fnn_gaussians *gaussians
    cdef int typenum
    cdef Py_ssize_t c, d

    def __cinit__(self, dtype, str covariance, means, factors):
        cdef cnp.ndarray mu = doubles(means), l = doubles(factors)
        cdef fnn_covariance kind = _COVARIANCES[covariance]
        self.typenum = cnp.NPY_FLOAT if _rules.float_dtype(dtype).itemsize == 4 else cnp.NPY_DOUBLE
        self.c, self.d = mu.shape[0], mu.shape[1]
        cdef fnn_dtype dt = FNN_F32 if self.typenum == cnp.NPY_FLOAT else FNN_F64
        cdef const double *m = data_of(mu)
        cdef const double *f = data_of(l)
        cdef fnn_status status
        with nogil:
            status = fnn_gaussians_new(dt, kind, self.c, self.d, m, f, &self.gaussians)
        if status != FNN_OK:
            failed(status, "Gaussians")

    def __dealloc__(self):
        fnn_gaussians_free(self.gaussians)

    def evaluate(self, cnp.ndarray x not None, str what, offsets=None, out=None):
        """ "joint" (n, c), or what follows from it: "log_proba", "proba", "log_density", "label"."""
        if not readable(x, 2, self.typenum):
            x = x.astype("f4" if self.typenum == cnp.NPY_FLOAT else "f8")
        if offsets is not None:
            offsets = doubles(offsets)
        cdef fnn_posterior kind = _POSTERIORS[what]
        cdef fnn_in x_view = view_in(x), one
        cdef const double *add = data_of(offsets)
        cdef fnn_out y_view
        cdef int64_t *labels
        cdef fnn_status status
        result = out
        if kind == FNN_LABEL:
            if out is None:
                result = empty_row(x_view.rows, cnp.NPY_INT64)
            labels = <int64_t *>cnp.PyArray_DATA(result)
            with nogil:
                status = fnn_gaussians_classify(self.gaussians, add, x_view, labels)
        else:
            if out is None and kind == FNN_LOG_DENSITY:
                result = empty_row(x_view.rows, self.typenum)
            elif out is None:
                result = empty(x_view.rows, self.c, self.typenum)
            if kind == FNN_LOG_DENSITY:
                one = column(result)
                y_view = fnn_out(cnp.PyArray_DATA(result), one.rows, 1, one.rs, 1)
            else:
                y_view = view(result)
            with nogil:
                status = fnn_gaussians_evaluate(self.gaussians, kind, add, x_view, y_view)
        if status == FNN_EALIAS:
            return deliver(self.evaluate(x, what, offsets), out)
        if status != FNN_OK:
            failed(status, "Gaussians")
        return result


def paired_logpdf(cnp.ndarray x not None, cnp.ndarray means not None,
                  cnp.ndarray factors not None):
    """log N(x_i; means_i, factors_i factors_i^T) of each row, for factors (n, d, d)."""
    factors = factors.reshape(x.shape[0], x.shape[1] * x.shape[1])
    if not cnp.PyArray_IS_C_CONTIGUOUS(factors):
        factors = cnp.PyArray_GETCONTIGUOUS(factors)
    cdef cnp.ndarray result = empty_row(x.shape[0], cnp.PyArray_TYPE(x))
    cdef fnn_in x_view = view_in(x), mean_view = view_in(means), factor_view = view_in(factors)
    cdef fnn_out y_view = fnn_out(cnp.PyArray_DATA(result), x_view.rows, 1, 1, 1)
    cdef fnn_dtype dt = dtype_of(x)
    cdef fnn_status status
    with nogil:
        status = fnn_gaussian_paired(dt, x_view, mean_view, factor_view, y_view)
    if status != FNN_OK:
        failed(status, "gaussian_logpdf")
    return result


# Moments


cdef fnn_moments moments_view(tuple m) noexcept:
    return fnn_moments(data_of(m[0]), data_of(m[1]), data_of(m[2]), data_of(m[3]), data_of(m[4]))


def class_moments(cnp.ndarray x not None, labels, Py_ssize_t n_classes, sample_weight, str kind,
                  extra=None):
    """(weights, means, scatter, third, fourth) of the rows of each class, about its own mean."""
    cdef Py_ssize_t d = x.shape[1] + (0 if extra is None else extra.shape[1]), c = n_classes
    cdef bint full = kind == "full"
    shapes = {"full": [c, d, d], "shared": [d, d], "diag": [c, d]}
    result = (np.zeros(c), np.zeros((c, d)), np.zeros(shapes[kind]),
              np.zeros((c, d)) if full else None, np.zeros(c) if full else None)
    sample_weight = contiguous(sample_weight)
    cdef fnn_moments view = moments_view(result)
    cdef fnn_in x_view = view_in(x), extra_view = view_in(extra)
    cdef const int64_t *classes = <const int64_t *>data_of(labels)
    cdef const void *weights = data_of(sample_weight)
    cdef fnn_covariance code = _COVARIANCES[kind]
    cdef fnn_dtype dt = dtype_of(x)
    cdef fnn_status status
    with nogil:
        status = fnn_moments_of(dt, code, x_view, extra_view, classes, weights, c, view)
    if status != FNN_OK:
        failed(status, "class_moments")
    return result


def add_moments(tuple total, tuple part, double sign):
    """Moments ("full") of the rows of both, or with sign -1 of those of `total` without `part`."""
    result = tuple([a.copy() for a in total])
    added = tuple([doubles(a) for a in part])
    cdef cnp.ndarray means = result[1]
    cdef Py_ssize_t c = means.shape[0], d = means.shape[1]
    cdef fnn_moments total_view = moments_view(result), part_view = moments_view(added)
    cdef fnn_status status
    with nogil:
        status = fnn_moments_add(c, d, total_view, part_view, sign)
    if status != FNN_OK:
        failed(status, "add_moments")
    return result


# Linear models


def linear_terms(str loss, cnp.ndarray x not None, cnp.ndarray y not None, theta, double alpha,
                 sample_weight, bint hessian):
    """Mean loss of z = x theta^T plus alpha/2 sum theta^2, its gradient (c, D) and its Hessian."""
    cdef cnp.ndarray parameters = doubles(theta)
    cdef Py_ssize_t c = parameters.shape[0], width = parameters.shape[1]
    cdef fnn_loss code = _LOSSES[loss]
    cdef cnp.ndarray gradient = empty(c, width, cnp.NPY_DOUBLE)
    second = None
    if hessian:
        blocks = {"softmax_cross_entropy": (c * width, c * width),
                  "sigmoid_cross_entropy": (c, width, width), "squared_error": (width, width)}
        second = np.zeros(blocks[loss])
    sample_weight = contiguous(sample_weight)
    cdef fnn_targets y_view = (targets_view(y, None, sample_weight) if cnp.PyArray_NDIM(y) == 1
                               else targets_view(None, y, sample_weight))
    cdef fnn_in x_view = view_in(x)
    cdef const double *from_theta = data_of(parameters)
    cdef double *to_gradient = data_of(gradient)
    cdef double *to_hessian = data_of(second)
    cdef fnn_dtype dt = dtype_of(x)
    cdef double value = 0
    cdef fnn_status status
    with nogil:
        status = fnn_linear_loss(dt, code, x_view, y_view, c, width, from_theta, alpha, &value,
                                 to_gradient, to_hessian)
    if status != FNN_OK:
        failed(status, "linear_terms")
    return value, gradient, second
