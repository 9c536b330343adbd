"""Losses of regression beside the squared error: of counts, and of targets with outliers."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, NDArray

from .runtime import backend_module as _backend

Array = NDArray[Any]


def poisson_loss(
    z: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    out: Array | None = None,
) -> tuple[float, Array]:
    """Loss of counts y whose means are exp(z), summed over columns, and its gradient by z.

    ``loss = sum_i w_i l_i / sum_i w_i`` with ``l_i = sum_j exp(z_ij) - y_ij z_ij``;
    ``dz_ij = w_i / sum(w) * (exp(z_ij) - y_ij)``.

    Parameters
    ----------
    z : array_like (n, c), float32 or float64, n >= 1, c >= 1
        Logarithms of the means.
    y : array_like of integers (n,), or array_like (n, c) of dtype of z
        Labels in [0, c), each for its one-hot row, or counts, at least 0 and not only whole numbers. With c = 1 the labels are 0 and 1
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
        invalid, a target is
        negative, or `out` has another shape, is read-only, or shares memory with an
        input.

    Notes
    -----
    This is half the Poisson deviance but for a term without z, ``y - y log y``: it may be negative.

    Numerics: exp is within 1.1 ulp and the loss is accumulated in float64, where large means and
    y z may cancel. exp(z) overflows for z above 88.72 in float32 and 709.78 in float64: loss and
    gradient are infinite then. NaN in z propagates.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> fastnn.poisson_loss(np.zeros((1, 2)), np.array([[0.0, 3.0]]))
    (2.0, array([[ 1., -2.]]))

    References
    ----------
    P. McCullagh, J. A. Nelder, Generalized Linear Models (1989), section 6.2.
    """
    return _backend.poisson_loss(z, y, sample_weight=sample_weight, out=out)


def huber_loss(
    z: ArrayLike,
    y: ArrayLike,
    *,
    delta: float = 1.0,
    sample_weight: ArrayLike | None = None,
    out: Array | None = None,
) -> tuple[float, Array]:
    """Squared error for small residuals, absolute for large ones, and its gradient by z.

    ``loss = sum_i w_i l_i / sum_i w_i`` with ``l_i = sum_j h(z_ij - y_ij)``; ``h(r) = 1/2 r^2`` for
    ``abs(r) <= delta``, else ``delta (abs(r) - delta / 2)``. ``dz_ij = w_i / sum(w) * r_ij``, with r_ij
    brought between -delta and delta.

    Parameters
    ----------
    z : array_like (n, c), float32 or float64, n >= 1, c >= 1
        Outputs.
    y : array_like of integers (n,), or array_like (n, c) of dtype of z
        Labels in [0, c), each for its one-hot row, or targets. With c = 1 the labels are 0 and 1
        and stand for themselves.
    delta : float
        Finite and positive: where the loss goes on as a line.
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
        If z is not float32 or float64, labels are not integers, or dtypes differ, or delta is no number.
    ValueError
        If z has no rows or no columns, shapes do not match, a label is out of range, a weight is
        invalid, delta is out of
        range, or `out` has another shape, is read-only, or shares memory with an
        input.

    Notes
    -----
    Numerics: residuals are taken and the loss is accumulated in float64, so the square of a large
    float32 does not overflow. NaN in z propagates.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> fastnn.huber_loss(np.array([[1.0, 6.0]]), np.array([[0.0, 2.0]]), delta=2.0)
    (6.5, array([[1., 2.]]))

    References
    ----------
    P. J. Huber, Robust estimation of a location parameter, Annals of Mathematical Statistics, 1964.
    """
    return _backend.huber_loss(z, y, delta=delta, sample_weight=sample_weight, out=out)


def absolute_error(
    z: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    out: Array | None = None,
) -> tuple[float, Array]:
    """Absolute error of z against y, summed over columns, and a gradient of it by z.

    ``loss = sum_i w_i l_i / sum_i w_i`` with ``l_i = sum_j abs(z_ij - y_ij)``;
    ``dz_ij = w_i / sum(w) * sign(z_ij - y_ij)``, 0 where the two are equal.

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
    Its minimum over constants is the median, as that of the squared error is the mean.

    Numerics: residuals are taken and the loss is accumulated in float64. NaN in z propagates.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> fastnn.absolute_error(np.array([[1.0, 2.0, 3.0]]), np.array([[0.0, 2.0, 7.0]]))
    (5.0, array([[ 1.,  0., -1.]]))

    References
    ----------
    R. Koenker, G. Bassett, Regression quantiles, Econometrica, 1978.
    """
    return _backend.absolute_error(z, y, sample_weight=sample_weight, out=out)
