"""Functions on arrays: the parts of Gaussian and linear models.

Letters: n rows, d features, c classes or targets. What `fastnn.kernels` says of dtypes, strides and
`out` holds here too.
"""

from __future__ import annotations

import math
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _check_models
from ._moments import Moments
from .runtime import backend_module as _backend

__all__ = [
    "cholesky_factors",
    "gaussian_logpdf",
    "gaussian_moments",
    "linear_loss",
    "log_softmax",
    "logsumexp",
]

Array = NDArray[Any]

_quiet = np.errstate(all="ignore")  # overflow and NaN are results here


def logsumexp(x: ArrayLike, *, out: Array | None = None) -> Array:
    """Logarithm of the sum of the exponentials of each row.

    ``logsumexp(x)_i = log sum_j exp(x_ij)``

    Parameters
    ----------
    x : array_like (n, c), float32 or float64, c >= 1
    out : ndarray (n,), dtype of x, optional
        Receives the result.

    Returns
    -------
    ndarray (n,), dtype of x
        `out` if it is given.

    Raises
    ------
    TypeError
        If x is not float32 or float64, or `out` has another dtype.
    ValueError
        If x has no columns or another rank, or `out` has another shape, is read-only, or shares
        memory with x.

    Notes
    -----
    Numerics: computed as ``m + log1p(sum of exp(x_ij - m))`` with the largest entry m of the row
    left out of the sum, so finite rows never overflow and no small term is lost beside a large one.
    The result is -inf for a row of -inf, inf for a row that holds +inf, and NaN for one that holds
    NaN; the other rows are not affected.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> fastnn.logsumexp(np.array([[1000.0, 1000.0], [0.0, -np.inf]]))
    array([1000.69314718,    0.        ])

    References
    ----------
    P. Blanchard, D. J. Higham, N. J. Higham, Accurately computing the log-sum-exp and softmax
    functions, IMA Journal of Numerical Analysis 41 (2021).
    """
    return _backend.logsumexp(x, out=out)


def log_softmax(x: ArrayLike, *, out: Array | None = None) -> Array:
    """Logarithm of the softmax over the last axis.

    ``log_softmax(x)_ij = x_ij - log sum_l exp(x_il)``

    Parameters
    ----------
    x : array_like (n, c) or (c,), float32 or float64, c >= 1
    out : ndarray, shape and dtype of x, optional
        Receives the result; may be x itself.

    Returns
    -------
    ndarray, shape and dtype of x
        `out` if it is given.

    Raises
    ------
    TypeError
        If x is not float32 or float64, or `out` has another dtype.
    ValueError
        If x has no columns or another rank, or `out` has another shape, is read-only, or shares
        memory with x without being x.

    Notes
    -----
    Numerics: the largest entry of a row becomes ``-log1p(sum of the others' exp(x_ij - m))``, which
    is not rounded to 0 where that entry dominates. A row that holds NaN, or -inf alone, becomes
    NaN; +inf becomes NaN and all else in its row -inf. The other rows are not affected.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> fastnn.log_softmax(np.array([0.0, -50.0]))
    array([-1.92874985e-22, -5.00000000e+01])

    References
    ----------
    P. Blanchard, D. J. Higham, N. J. Higham, Accurately computing the log-sum-exp and softmax
    functions, IMA Journal of Numerical Analysis 41 (2021).
    """
    return _backend.log_softmax(x, out=out)


def cholesky_factors(cov: ArrayLike, *, out: Array | None = None) -> Array:
    """Lower Cholesky factors of covariance matrices.

    ``cov_k = L_k L_k^T``, L_k lower triangular with a positive diagonal

    Parameters
    ----------
    cov : array_like (c, d, d) or (d, d), float32 or float64, d >= 1
        Symmetric positive definite.
    out : ndarray, shape and dtype of cov, optional
        Receives the result.

    Returns
    -------
    ndarray, shape and dtype of cov
        The factors, 0 above the diagonal; `out` if it is given.

    Raises
    ------
    TypeError
        If cov is not float32 or float64, or `out` has another dtype.
    ValueError
        If cov is not of square matrices, holds NaN or infinity or is not symmetric (to within
        ``100 eps`` of the matrix's largest entry), or `out` has another shape, is read-only, or
        shares memory with cov.
    numpy.linalg.LinAlgError
        A ValueError too: if a matrix is not positive definite.

    Notes
    -----
    Numerics: computed in float64 from the lower triangle, then rounded to the dtype of cov. Before
    that rounding, ``|L L^T - cov| <= (d + 1) eps |L| |L|^T`` elementwise, with the eps of float64.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> fastnn.cholesky_factors(np.array([[4.0, 2.0], [2.0, 2.0]]))
    array([[2., 0.],
           [1., 1.]])

    References
    ----------
    N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed. (2002), chapter 10.
    """
    checked = _check_models.cholesky_factors(cov, out)
    factors, pivots = _backend.cholesky(checked.astype(np.float64, order="C"))
    _check_models.positive_definite(checked, pivots)
    return _delivered(factors.astype(checked.dtype, copy=False), out)


def gaussian_logpdf(
    x: ArrayLike,
    means: ArrayLike,
    factors: ArrayLike,
    *,
    covariance: str = "full",
    paired: bool = False,
    out: Array | None = None,
) -> Array:
    """Logarithm of the density of Gaussians, of each row under each of them or under its own.

    ``log N(x; mu, L L^T) = -1/2 |L^-1 (x - mu)|^2 - sum_j log L_jj - d/2 log(2 pi)``

    Parameters
    ----------
    x : array_like (n, d), float32 or float64, d >= 1
    means : array_like (c, d), dtype of x, c >= 1
        Finite.
    factors : array_like (c, d, d), (d, d) or (c, d), dtype of x
        What `covariance` says. Diagonals and deviations are positive and finite; what is above a
        diagonal is not read.
    covariance : {"full", "shared", "diag"}
        Factors are lower Cholesky factors, one for each Gaussian ("full", as `cholesky_factors`
        returns them) or one for all ("shared"), or standard deviations ("diag").
    paired : bool
        Gaussian i belongs to row i alone; c is n.
    out : ndarray (n, c), or (n,) if paired, dtype of x, optional
        Receives the result.

    Returns
    -------
    ndarray (n, c), or (n,) if paired, dtype of x
        `out` if it is given.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or their dtypes differ.
    ValueError
        If shapes do not match, the covariance is unknown, a mean is not finite, a diagonal or a
        deviation is not positive and finite, or `out` has another shape, is read-only, or shares
        memory with an input.

    Notes
    -----
    Numerics: with W = L^-1, ``z = W (x - mu)`` is computed as ``W (x - m) - W (mu - m)``, within
    ``(d + 6) eps |W| (|x - m| + |mu - m|)`` and what the float64 inverse adds. The centre m is the
    mean of the means if they all are within 16 deviations of it, else each class's own; deviations
    are divided by directly. So a large distance from 0 costs no accuracy. Densities underflow to
    -inf; only where z itself overflows they may be NaN. NaN and infinity stay in their row. A row
    gives the same bits alone and in any batch with the compiled kernels.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> factors = fastnn.cholesky_factors(np.array([[[4.0, 2.0], [2.0, 2.0]]]))
    >>> fastnn.gaussian_logpdf(np.zeros((1, 2)), np.zeros((1, 2)), factors)
    array([[-2.53102425]])

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), section 2.3.
    """
    rows, means, factors = _check_models.gaussian_logpdf(x, means, factors, covariance, paired, out)
    if paired:
        return _delivered(_PAIRED[covariance](rows, means, factors), out)
    centres, scales = (a.astype(np.float64, order="C") for a in (means, factors))
    return _backend.Gaussians(rows.dtype, covariance, centres, scales).evaluate(
        rows, "joint", None, out
    )


@_quiet
def _paired_shared(x: Array, means: Array, factor: Array) -> Array:
    """Densities of x - means under the Gaussian about 0."""
    zero = np.zeros((1, x.shape[1]))
    gaussian = _backend.Gaussians(x.dtype, "shared", zero, factor.astype(np.float64, order="C"))
    return gaussian.evaluate(x - means, "joint")[:, 0]


@_quiet
def _paired_diag(x: Array, means: Array, deviations: Array) -> Array:
    x, means, s = (a.astype(np.float64, order="C") for a in (x, means, deviations))
    z = (x - means) / s
    constant = np.log(s).sum(axis=1) + 0.5 * x.shape[1] * math.log(2 * math.pi)
    return (-0.5 * (z * z).sum(axis=1) - constant).astype(deviations.dtype)


def _paired_full(x: Array, means: Array, factors: Array) -> Array:
    return _backend.paired_logpdf(x, means, factors)


_PAIRED = {"full": _paired_full, "shared": _paired_shared, "diag": _paired_diag}


def gaussian_moments(
    x: ArrayLike,
    labels: ArrayLike,
    n_classes: int,
    *,
    sample_weight: ArrayLike | None = None,
    covariance: str = "full",
) -> Moments:
    """Weights, means and scatter of the rows of each class.

    ``W_k = sum w_i``, ``mean_k = sum w_i x_i / W_k``,
    ``S_k = sum w_i (x_i - mean_k)(x_i - mean_k)^T``, each over the rows i of class k

    Parameters
    ----------
    x : array_like (n, d), float32 or float64, d >= 1
    labels : array_like of integers (n,)
        The class of each row, in [0, n_classes).
    n_classes : int
        The number c of classes, at least 1.
    sample_weight : array_like (n,), dtype of x, optional
        Weights w of the rows, finite, at least 0; 1 if not given.
    covariance : {"full", "shared", "diag"}
        Keep the matrices S_k, their sum over the classes, or their diagonals.

    Returns
    -------
    Moments
        A named tuple of float64 arrays: weights (c,), means (c, d), and scatter (c, d, d) for
        "full", (d, d) for "shared", (c, d) for "diag". A class without weight has zeros. Divided
        by the weights, the scatter is the covariance of maximum likelihood.

    Raises
    ------
    TypeError
        If x is not float32 or float64, labels or n_classes are not integers, or dtypes differ.
    ValueError
        If shapes do not match, a label is out of range, a weight is invalid, or the covariance is
        unknown.

    Notes
    -----
    Numerics: the rows of a class are taken in order, 256 at a time: their sums, about their own
    mean, are of the dtype of x, and merged in float64. So data far from 0 lose nothing by it: the
    error of S is a small multiple of ``256 eps`` times the same sum of absolute values. NaN and
    infinity in x propagate to their class. The bits are the same on every instruction set with
    FMA.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> x = np.array([[0.0], [2.0], [5.0]])
    >>> weights, means, scatter = fastnn.gaussian_moments(x, [0, 0, 1], 2)
    >>> weights, means.ravel(), scatter.ravel()
    (array([2., 1.]), array([1., 5.]), array([2., 0.]))

    References
    ----------
    T. F. Chan, G. H. Golub, R. J. LeVeque, Algorithms for computing the sample variance, The
    American Statistician 37 (1983).
    """
    rows, labels, c, weights = _check_models.gaussian_moments(
        x, labels, n_classes, sample_weight, covariance
    )
    return Moments(*_backend.class_moments(rows, labels, c, weights, covariance)[:3])


@overload
def linear_loss(
    x: ArrayLike,
    y: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    loss: str = ...,
    alpha: float = ...,
    sample_weight: ArrayLike | None = ...,
    hessian: Literal[False] = ...,
) -> tuple[float, Array, Array | None]: ...
@overload
def linear_loss(
    x: ArrayLike,
    y: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    loss: str = ...,
    alpha: float = ...,
    sample_weight: ArrayLike | None = ...,
    hessian: Literal[True],
) -> tuple[float, Array, Array | None, Array]: ...
@overload
def linear_loss(
    x: ArrayLike,
    y: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    loss: str = ...,
    alpha: float = ...,
    sample_weight: ArrayLike | None = ...,
    hessian: bool,
) -> tuple[float, Array, Array | None] | tuple[float, Array, Array | None, Array]: ...
@_quiet
def linear_loss(
    x: ArrayLike,
    y: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    loss: str = "softmax_cross_entropy",
    alpha: float = 0.0,
    sample_weight: ArrayLike | None = None,
    hessian: bool = False,
) -> tuple[float, Array, Array | None] | tuple[float, Array, Array | None, Array]:
    """Loss of a linear model with its gradient and, if wanted, its Hessian by the parameters.

    ``loss = sum_i w_i l(z_i, y_i) / sum_i w_i + alpha/2 sum_jk w_jk^2`` with ``z = x w + b``

    Parameters
    ----------
    x : array_like (n, d), float32 or float64, n >= 1, d >= 1
    y : array_like of integers (n,), or array_like (n, c) of dtype of x
        Labels or targets, as the loss of that name takes them.
    w : array_like (d, c), dtype of x, c >= 1
    b : array_like (c,), dtype of x, optional
        No intercept if not given.
    loss : {"softmax_cross_entropy", "sigmoid_cross_entropy", "squared_error"}
    alpha : float
        Penalty of the squares of w, at least 0; b has none.
    sample_weight : array_like (n,), dtype of x, optional
        Weights of the rows, finite, at least 0, with a positive sum; 1 if not given.
    hessian : bool
        Compute the second derivatives too.

    Returns
    -------
    loss : float
    dw : ndarray (d, c), dtype of x
    db : ndarray (c,), dtype of x
        None without b.
    hessian : ndarray, dtype of x
        Only if wanted. The parameters of a class are its d weights and its intercept, if there is
        one: D in all. For softmax (c D, c D), ordered class by class; for sigmoid (c, D, D), the
        blocks on the diagonal, all others being 0; for the squared error (D, D), the block that
        all targets share.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, labels are not integers, or dtypes differ.
    ValueError
        If shapes do not match, there are no rows or columns, the loss is unknown, a label is out of
        range, or alpha or a weight is invalid.

    Notes
    -----
    Numerics: the losses are taken from z, as those of the same names are. Sums over 256 rows at a
    time are of the dtype of x, those over the blocks float64. NaN and infinity propagate. The bits
    are the same on every instruction set with FMA.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> x = np.array([[1.0], [-1.0]])
    >>> w = np.zeros((1, 1))
    >>> value, dw, db, h = fastnn.linear_loss(
    ...     x, [1, 0], w, loss="sigmoid_cross_entropy", hessian=True
    ... )
    >>> round(value, 6), dw, db, h
    (0.693147, array([[-0.5]]), None, array([[[0.25]]]))

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), sections 4.3.2 to 4.3.4.
    """
    rows, targets, w, b, alpha, weights = _check_models.linear_loss(
        x, y, w, b, loss, alpha, sample_weight
    )
    d, dtype = rows.shape[1], rows.dtype
    columns = [w.T] if b is None else [w.T, b[:, np.newaxis]]
    theta = np.hstack(columns).astype(np.float64, order="C")
    value, gradient, second = _backend.linear_terms(
        loss, rows, targets, theta, alpha, weights, hessian
    )
    dw = np.ascontiguousarray(gradient[:, :d].T, dtype)
    db = None if b is None else gradient[:, d].astype(dtype)
    return (value, dw, db) if second is None else (value, dw, db, second.astype(dtype))


def _delivered(value: Array, out: Array | None) -> Array:
    if out is None:
        return value
    out[...] = value
    return out
