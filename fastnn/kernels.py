"""Functions on arrays: the parts of dense networks, and those of Gaussian and linear models.

Letters: n rows, k inputs, m outputs, d features, c classes. All arrays of a call have one dtype,
float32 or float64, and the result has it too; nothing is cast. Inputs may have any strides and are
never modified; one that is misaligned or byte-swapped is copied first. `out` receives the result
and is returned; it must be a writeable array of the result's shape and dtype that shares no memory
with an input.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from numpy.typing import ArrayLike, NDArray

from ._loss_kernels import absolute_error, huber_loss, poisson_loss
from ._model_kernels import (
    cholesky_factors,
    gaussian_logpdf,
    gaussian_moments,
    linear_loss,
    log_softmax,
    logsumexp,
)
from .runtime import backend_module as _backend

__all__ = [
    "absolute_error",
    "cholesky_factors",
    "dense_backward",
    "dense_forward",
    "gaussian_logpdf",
    "gaussian_moments",
    "huber_loss",
    "linear_loss",
    "log_softmax",
    "logsumexp",
    "poisson_loss",
    "sigmoid",
    "sigmoid_cross_entropy",
    "softmax",
    "softmax_cross_entropy",
    "squared_error",
]

Array = NDArray[Any]


def sigmoid(x: ArrayLike, *, out: Array | None = None) -> Array:
    """Logistic sigmoid of each element.

    ``sigmoid(x) = 1 / (1 + exp(-x))``

    Parameters
    ----------
    x : array_like, float32 or float64, any shape
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
        If `out` has another shape, is read-only, or shares memory with x without being x.

    Notes
    -----
    Numerics: the compiled kernels are within 2.5 units in the last place. Nothing overflows;
    for large negative x the result underflows gradually to 0. NaN stays NaN.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> fastnn.sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), section 4.2.
    """
    return _backend.sigmoid(x, out=out)


def softmax(x: ArrayLike, *, out: Array | None = None) -> Array:
    """Softmax over the last axis.

    ``softmax(x)_ij = exp(x_ij) / sum_l exp(x_il)``

    Parameters
    ----------
    x : array_like (n, c) or (c,), float32 or float64, c >= 1
    out : ndarray, shape and dtype of x, optional
        Receives the result; may be x itself.

    Returns
    -------
    ndarray, shape and dtype of x
        Rows that sum to 1; `out` if it is given.

    Raises
    ------
    TypeError
        If x is not float32 or float64, or `out` has another dtype.
    ValueError
        If x has no columns or another rank, or `out` has another shape, is read-only, or shares
        memory with x without being x.

    Notes
    -----
    Numerics: the largest entry of a row is subtracted first, so finite rows never overflow. A row
    that holds NaN or +inf becomes NaN; the other rows are not affected.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> fastnn.softmax(np.array([[1000.0, 1000.0], [0.0, -1000.0]]))
    array([[0.5, 0.5],
           [1. , 0. ]])

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.4.
    """
    return _backend.softmax(x, out=out)


def dense_forward(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    activation: str = "identity",
    out: Array | None = None,
) -> Array:
    """Output of a dense layer.

    ``y = act(x w + b)``

    Parameters
    ----------
    x : array_like (n, k), float32 or float64
    w : array_like (k, m), dtype of x
    b : array_like (m,), dtype of x, optional
        Zero if not given.
    activation : {"identity", "sigmoid", "tanh", "relu", "softmax"}
        ``relu(z) = max(z, 0)``; softmax goes over the columns.
    out : ndarray (n, m), dtype of x, optional
        Receives the result.

    Returns
    -------
    ndarray (n, m), dtype of x
        `out` if it is given. Any of n, k, m may be 0; with k = 0 each row is act(b).

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or their dtypes differ.
    ValueError
        If shapes do not chain, the activation is unknown, or `out` has another shape, is read-only,
        or shares memory with an input.

    Notes
    -----
    Numerics: the error of ``x w + b`` is at most ``(k + 2) eps (|x| |w| + |b|)``, elementwise. NaN
    and infinity propagate. A row gives the same bits alone and in any batch with the compiled
    kernels.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> x = np.array([[1.0, 2.0], [3.0, -4.0]])
    >>> w = np.array([[1.0, 0.0, -1.0], [0.0, 1.0, -1.0]])
    >>> fastnn.dense_forward(x, w, np.array([0.5, 0.5, 0.5]), activation="relu")
    array([[1.5, 2.5, 0. ],
           [3.5, 0. , 1.5]])

    References
    ----------
    I. Goodfellow, Y. Bengio, A. Courville, Deep Learning (2016), chapter 6.
    """
    return _backend.dense_forward(x, w, b, activation=activation, out=out)


def dense_backward(
    x: ArrayLike,
    w: ArrayLike,
    y: ArrayLike,
    dy: ArrayLike,
    *,
    activation: str = "identity",
    needs: Iterable[str] = ("dx", "dw", "db"),
    out: tuple[Array | None, Array | None, Array | None] | None = None,
) -> tuple[Array | None, Array | None, Array | None]:
    """Gradients of a dense layer from the gradient dy of a loss by its output.

    ``delta = dy * act'(y)``, ``dx = delta w^T``, ``dw = x^T delta``, ``db_j = sum_i delta_ij``

    The derivative is taken from the output: ``y - y^2`` for sigmoid, ``1 - y^2`` for tanh, 1 where
    y > 0 for relu; for softmax, ``delta = y * (dy - sum_j y_j dy_j)``.

    Parameters
    ----------
    x : array_like (n, k), float32 or float64
    w : array_like (k, m), dtype of x
    y : array_like (n, m), dtype of x
        The layer's output, ``dense_forward(x, w, b, activation=activation)``.
    dy : array_like (n, m), dtype of x
        Gradient of the loss by y.
    activation : {"identity", "sigmoid", "tanh", "relu", "softmax"}
    needs : names out of "dx", "dw", "db"
        The gradients to compute.
    out : tuple (dx, dw, db) of ndarray or None, optional
        Arrays (n, k), (k, m), (m,) of dtype of x that receive the results; None to allocate.

    Returns
    -------
    dx, dw, db : ndarray (n, k), (k, m), (m,), dtype of x
        None for those that `needs` does not name; the arrays of `out` where given.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or their dtypes differ.
    ValueError
        If shapes do not match, a name is unknown, or an array of `out` has another shape, is
        read-only, is not needed, or shares memory with an input or another array of `out`.

    Notes
    -----
    Numerics: each product has the error bound of `dense_forward`, with m, n and n terms in the sums
    of dx, dw and db. With n = 0, dw and db are 0. NaN and infinity propagate.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> x, w = np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])
    >>> y = fastnn.dense_forward(x, w)
    >>> dx, dw, db = fastnn.dense_backward(x, w, y, np.ones_like(y))
    >>> dx, dw.ravel(), db
    (array([[3., 4.]]), array([1., 2.]), array([1.]))

    References
    ----------
    D. E. Rumelhart, G. E. Hinton, R. J. Williams, Learning representations by back-propagating
    errors, Nature 323 (1986).
    """
    return _backend.dense_backward(x, w, y, dy, activation=activation, needs=needs, out=out)


def softmax_cross_entropy(
    z: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    out: Array | None = None,
) -> tuple[float, Array]:
    """Cross-entropy of softmax(z) against y, and its gradient by z.

    ``loss = sum_i w_i l_i / sum_i w_i`` with ``l_i = sum_j y_ij (log sum_l exp(z_il) - z_ij)``;
    ``dz_ij = w_i / sum(w) * (p_ij sum_l y_il - y_ij)`` with ``p = softmax(z)``.

    Parameters
    ----------
    z : array_like (n, c), float32 or float64, n >= 1, c >= 1
        Logits: the layer's output before the softmax.
    y : array_like of integers (n,), or array_like (n, c) of dtype of z
        Labels in [0, c), or targets; a label stands for its one-hot row.
    sample_weight : array_like (n,), dtype of z, optional
        Weights w of the rows, finite, at least 0, with a positive sum; 1 if not given.
    out : ndarray (n, c), dtype of z, optional
        Receives dz.

    Returns
    -------
    loss : float
    dz : ndarray (n, c), dtype of z
        `out` if it is given.

    Raises
    ------
    TypeError
        If z is not float32 or float64, labels are not integers, or dtypes differ.
    ValueError
        If z has no rows or no columns, shapes do not match, a label is out of range, a weight is
        invalid, or `out` has another shape, is read-only, or shares memory with an input.

    Notes
    -----
    Numerics: the loss is taken from the logits, never from the logarithm of a rounded probability,
    and is accumulated in float64. NaN and infinity in z propagate.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> loss, dz = fastnn.softmax_cross_entropy(np.zeros((2, 2)), [0, 1])
    >>> round(loss, 6), dz
    (0.693147, array([[-0.25,  0.25],
           [ 0.25, -0.25]]))

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.4.
    """
    return _backend.softmax_cross_entropy(z, y, sample_weight=sample_weight, out=out)


def sigmoid_cross_entropy(
    z: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    out: Array | None = None,
) -> tuple[float, Array]:
    """Cross-entropy of sigmoid(z) against y, summed over columns, and its gradient by z.

    ``loss = sum_i w_i l_i / sum_i w_i`` with
    ``l_i = sum_j max(z_ij, 0) - z_ij y_ij + log1p(exp(-|z_ij|))``;
    ``dz_ij = w_i / sum(w) * (sigmoid(z_ij) - y_ij)``.

    Parameters
    ----------
    z : array_like (n, c), float32 or float64, n >= 1, c >= 1
        Logits: the layer's output before the sigmoid.
    y : array_like of integers (n,), or array_like (n, c) of dtype of z
        Labels in [0, c), each for its one-hot row, or targets. With c = 1 the labels are 0 and 1
        and stand for themselves.
    sample_weight : array_like (n,), dtype of z, optional
        Weights w of the rows, finite, at least 0, with a positive sum; 1 if not given.
    out : ndarray (n, c), dtype of z, optional
        Receives dz.

    Returns
    -------
    loss : float
    dz : ndarray (n, c), dtype of z
        `out` if it is given.

    Raises
    ------
    TypeError
        If z is not float32 or float64, labels are not integers, or dtypes differ.
    ValueError
        If z has no rows or no columns, shapes do not match, a label is out of range, a weight is
        invalid, or `out` has another shape, is read-only, or shares memory with an input.

    Notes
    -----
    Numerics: the loss is taken from the logits, never from the logarithm of a rounded probability,
    and is accumulated in float64. NaN and infinity in z propagate.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> loss, dz = fastnn.sigmoid_cross_entropy(np.zeros((2, 1)), [0, 1])
    >>> round(loss, 6), dz.ravel()
    (0.693147, array([ 0.25, -0.25]))

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.2.
    """
    return _backend.sigmoid_cross_entropy(z, y, sample_weight=sample_weight, out=out)


def squared_error(
    z: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    out: Array | None = None,
) -> tuple[float, Array]:
    """Half the squared error of z against y, summed over columns, and its gradient by z.

    ``loss = sum_i w_i l_i / sum_i w_i`` with ``l_i = 1/2 sum_j (z_ij - y_ij)^2``;
    ``dz_ij = w_i / sum(w) * (z_ij - y_ij)``.

    Parameters
    ----------
    z : array_like (n, c), float32 or float64, n >= 1, c >= 1
        Outputs.
    y : array_like of integers (n,), or array_like (n, c) of dtype of z
        Labels in [0, c), each for its one-hot row, or targets. With c = 1 the labels are 0 and 1
        and stand for themselves.
    sample_weight : array_like (n,), dtype of z, optional
        Weights w of the rows, finite, at least 0, with a positive sum; 1 if not given.
    out : ndarray (n, c), dtype of z, optional
        Receives dz.

    Returns
    -------
    loss : float
    dz : ndarray (n, c), dtype of z
        `out` if it is given.

    Raises
    ------
    TypeError
        If z is not float32 or float64, labels are not integers, or dtypes differ.
    ValueError
        If z has no rows or no columns, shapes do not match, a label is out of range, a weight is
        invalid, or `out` has another shape, is read-only, or shares memory with an input.

    Notes
    -----
    Numerics: the loss is accumulated in float64, so the square of a large float32 does not
    overflow. NaN and infinity in z propagate.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> fastnn.squared_error(np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]]))
    (2.5, array([[ 1., -2.]]))

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), section 3.1.1.
    """
    return _backend.squared_error(z, y, sample_weight=sample_weight, out=out)
