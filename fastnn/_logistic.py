"""The fit of logistic regression: its objective, and how it is minimised.

    f(theta) = sum_i w_i loss_i / sum_i w_i + alpha/2 |weights|^2

over theta (columns, d), or (columns, d + 1) with an intercept last: one column for two classes, one
for each of more. What counts is how often all rows are read. Three ways are weighed against each
other:

- Newton: a Hessian of all rows in each of some seven steps.
- L-BFGS, preconditioned by the Hessian at theta = 0, which is x^T x but for a factor.
- Where rows abound: Newton on a sample of them, then L-BFGS on all rows, preconditioned by the
  sample's Hessian. That starts within the sample's statistical error, and only needs gradients.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _lbfgs, _sparse_linear
from ._lbfgs import Result
from ._newton import Factor, newton
from ._sparse import Csr
from .runtime import backend_module as _backend

Array = NDArray[Any]

SOLVERS = ("auto", "newton-cholesky", "lbfgs")

_ROUNDINGS = 64  # of the data's dtype, in a value

# Rows of a sample: enough for each parameter, and few enough to be worth the trouble.
_ROWS_PER_PARAMETER = 16
_LEAST_SAMPLE = 1024
_STRIDES = (4, 16)  # the least; and the most where that is affordable

# Usual numbers of iterations, and what one costs beside its pass, in floating-point operations.
_NEWTON_STEPS = 7
_STEPS_FROM_SAMPLE = 6
_STEPS_WITH_GRAM = 40
_STEPS_PLAIN = 80
_OVERHEAD = 1e6
_FLOPS_A_VALUE = 8  # of dense products, in the time that a value of sparse rows takes

_FEW_ENTRIES = 100  # of a gradient, all at tol, that leave the value near its minimum

_FAR = 100
_CENTRING_SAMPLE = 4096

_SAMPLE_MAX_ITER = 20
_QUICK_MAX_ITER = 10  # with more, the sample has been misleading
_SAMPLE_GAP = 0.05  # of what a sample's minimum differs from that of all rows, on average


class Problem:
    """The objective of one fit, as a function of a flat theta."""

    def __init__(
        self,
        x: Array | Csr,
        labels: Array,
        weights: Array | None,
        n_classes: int,
        alpha: float,
        fit_intercept: bool,
    ) -> None:
        self.x: Any = x
        self.labels, self.weights = labels, weights
        self.n_classes, self.alpha, self.fit_intercept = n_classes, alpha, fit_intercept
        self.columns = 1 if n_classes == 2 else n_classes
        self.width = x.shape[1] + fit_intercept
        self.size = self.columns * self.width
        # The error of a Hessian's elements, and of a value, relative to them.
        self.eps = float(np.finfo(x.dtype).eps)
        self.rounding = _ROUNDINGS * self.eps
        self._terms: Callable[..., tuple[float, Array, Array | None]]
        self._terms = _sparse_linear.linear_terms if self.is_sparse else _backend.linear_terms
        self._loss = "sigmoid_cross_entropy" if self.columns == 1 else "softmax_cross_entropy"

    @property
    def is_sparse(self) -> bool:
        """Whether only stored values of x are computed with."""
        return isinstance(self.x, Csr)

    def logits(self, w: Array, b: Array | None) -> Array:
        """Return x w + b."""
        forward: Any = _backend.sparse_forward if self.is_sparse else _backend.dense_forward
        return forward(self.x, w, b)

    def gradient_flops(self) -> float:
        """Estimate the operations of a value and its gradient, as many as take the same time."""
        n, c = len(self.x), self.columns
        if isinstance(self.x, Csr):
            return 4.0 * (self.x.nnz * (c + _FLOPS_A_VALUE) + n * c)
        return 4.0 * n * self.size

    def gram_flops(self, rows: float) -> float:
        """Estimate the operations of x^T x for so many rows of x."""
        if isinstance(self.x, Csr):
            return _FLOPS_A_VALUE * rows / len(self.x) * self.x.nnz * self.width
        return rows * self.width**2

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """Return the value and the gradient (p,)."""
        value, gradient, _ = self.derivatives(theta, False)
        return value, gradient

    def derivatives(self, theta: Array, hessian: bool) -> tuple[float, Array, Array | None]:
        """Return the value, the gradient (p,) and, if it is wanted, the Hessian (p, p)."""
        theta = theta.reshape(self.columns, self.width)
        value, gradient, h = self._terms(
            self._loss, self.x, self.labels, theta, self.alpha, self.weights, hessian
        )
        if h is not None and self.columns == 1:
            h = h[0]
        return value, gradient.ravel(), h

    def definite(self, theta: Array, hessian: bool) -> tuple[float, Array, Array | None]:
        """Return the same with a Hessian that has an inverse.

        To move the parameters of all classes together changes no probability. Such moves are given
        a curvature; steps stay what they are, since gradients have no part along those moves.
        """
        value, gradient, h = self.derivatives(theta, hessian)
        if h is not None and self.columns > 1:
            blocks = h.reshape(self.columns, self.width, self.columns, self.width)
            own = h.diagonal().reshape(self.columns, self.width).mean(axis=0)
            along = np.arange(self.width)
            blocks[:, along, :, along] += (own / self.columns)[:, np.newaxis, np.newaxis]
        return value, gradient, h

    def every(self, stride: int) -> Problem:
        """Return the problem of every stride-th row."""
        x = self.x[::stride]
        x = x if isinstance(x, Csr) else np.ascontiguousarray(x)
        weights = None if self.weights is None else self.weights[::stride].copy()
        labels = self.labels[::stride].copy()
        return Problem(x, labels, weights, self.n_classes, self.alpha, self.fit_intercept)

    def of_features(self, chosen: Array) -> Problem:
        """Return the problem of some of the features, without the others."""
        if isinstance(self.x, Csr):
            x: Any = self.x.transpose().take(chosen).transpose()
        else:
            x = np.ascontiguousarray(self.x[:, chosen])
        return Problem(x, self.labels, self.weights, self.n_classes, self.alpha, self.fit_intercept)

    def has_all_classes(self) -> bool:
        """Tell whether each class has some weight."""
        return bool(np.bincount(self.labels, self.weights, self.n_classes).all())

    def gram(self) -> Array:
        """Return the Hessian at theta = 0 of a class's parameters (width, width).

        A row's second derivative is there p (1 - p) = 1/4 for two classes. For c it is the matrix
        (I - 11^T / c) / c over the classes, and so 1/c along every step that changes anything.
        """
        share = 4 if self.columns == 1 else self.columns
        no_labels = np.zeros(len(self.x), np.int64)
        theta = np.zeros((1, self.width))
        alpha = share * self.alpha
        _, _, h = self._terms("squared_error", self.x, no_labels, theta, alpha, self.weights, True)
        assert h is not None
        return h / share


def offset(x: Array, w: Array | None) -> Array | None:
    """Return what to subtract from the features, in x's dtype; None if all lie well.

    A feature whose mean is more than 100 deviations away looks like the intercept, and most bits of
    its products are of that mean. It is the first value that is taken off if that is near the mean:
    so a constant becomes exactly 0. A sample of the rows tells.
    """
    stride = max(1, len(x) // _CENTRING_SAMPLE)
    weights = None if w is None else w[::stride].copy()
    _, means, scatter, *_ = _backend.class_moments(x[::stride], None, 1, weights, "diag")
    count = len(x[::stride]) if weights is None else float(weights.sum(dtype=np.float64))
    mean = means[0]
    deviation = np.sqrt(scatter[0] / count) if count else np.full_like(mean, np.inf)
    far = np.abs(mean) > _FAR * deviation
    if not far.any():
        return None
    first = x[0].astype(np.float64)
    near = np.abs(first - mean) <= 8 * deviation + 8 * np.finfo(np.float64).eps * np.abs(mean)
    return np.where(far, np.where(near, first, mean), 0.0).astype(x.dtype)


# How many rows, and which way


def _sample_stride(problem: Problem) -> int:
    """Return the stride of a sample of the rows, 1 if they are too few for one."""
    n, p = len(problem.x), problem.size
    # On 4 n / p rows, all of Newton's steps cost about as much as 7 gradients of all rows.
    affordable = min(n // _STRIDES[1], 4 * n // p)
    stride = n // max(_ROWS_PER_PARAMETER * p, _LEAST_SAMPLE, affordable)
    return stride if stride >= _STRIDES[0] else 1


def _newton_flops(problem: Problem) -> float:
    """Estimate the operations of Newton's method on all rows, or on a sample and then all."""
    n, p, c = len(problem.x), problem.size, problem.columns
    stride = _sample_stride(problem)
    # Half of a symmetric matrix is computed, of which softmax has (c + 1)/2 c blocks in c^2.
    hessian = problem.gram_flops(n / stride) * c * (c + 1) / 2 + p**3 / 3
    flops = _NEWTON_STEPS * (hessian + _OVERHEAD)
    if stride > 1:
        flops += _STEPS_FROM_SAMPLE * (problem.gradient_flops() + 4 * p * p + _OVERHEAD)
    return flops


def _gram_stride(problem: Problem) -> int | None:
    """Return the stride of the rows whose Gram matrix preconditions; None if it is too costly."""
    n, width, c = len(problem.x), problem.width, problem.columns
    # With 16 rows for each column it takes one or two iterations more than with all rows.
    rows = min(n, max(_ROWS_PER_PARAMETER * width, _LEAST_SAMPLE))
    saved = (_STEPS_PLAIN - _STEPS_WITH_GRAM) * problem.gradient_flops()
    steps = _STEPS_WITH_GRAM * 2 * width * width * c
    flops = problem.gram_flops(rows) + 3 * width**3 + steps
    return n // rows if flops <= max(saved, _OVERHEAD) else None


def _lbfgs_flops(problem: Problem) -> float:
    steps = _STEPS_PLAIN if _gram_stride(problem) is None else _STEPS_WITH_GRAM
    return steps * (problem.gradient_flops() + _OVERHEAD)


# The ways


def _by_newton(problem: Problem, theta: Array, tol: float, max_iter: int) -> Result:
    result, _ = newton(
        problem.definite,
        theta,
        tol=tol,
        max_iter=max_iter,
        eps=problem.eps,
        rounding=problem.rounding,
    )
    return result


def _by_lbfgs(
    problem: Problem, theta: Array, tol: float, max_iter: int, precondition: _lbfgs.Map | None
) -> Result:
    return _lbfgs.minimize(
        problem,
        theta,
        tol=tol,
        max_iter=max_iter,
        precondition=precondition,
        rounding=problem.rounding,
    )


def _gram_preconditioner(problem: Problem) -> _lbfgs.Map | None:
    """Return v -> (I kron M)^-1 v with M the Gram matrix of a sample or of all rows."""
    stride = _gram_stride(problem)
    if stride is None:
        return _diagonal_preconditioner(problem) if problem.is_sparse else None
    gram = problem.every(stride).gram() if stride > 1 else problem.gram()
    of_zeros = problem.alpha * (1 + 4 * np.finfo(np.float64).eps)
    if stride > 1 and not gram.diagonal().min() > of_zeros:  # the sample lacks a feature
        gram = problem.gram()
    if not _backend.all_finite(gram):
        return None
    root = Factor(gram, problem.eps).inverse_root()
    inverse = _backend.dense_forward(root.T, root)
    shape = problem.columns, problem.width
    return lambda v: _backend.dense_forward(v.reshape(shape), inverse).ravel()


def _diagonal_preconditioner(problem: Problem) -> _lbfgs.Map | None:
    """Return v -> v / the diagonal of the Gram matrix, for features of very different sizes."""
    share = 4 if problem.columns == 1 else problem.columns
    diagonal = np.ones(problem.width)
    d = problem.x.shape[1]
    diagonal[:d] = _sparse_linear.mean_squares(problem.x, problem.weights)
    diagonal = diagonal / share
    diagonal[:d] += problem.alpha
    if not (diagonal > 0).all() or not np.isfinite(diagonal).all():
        return None  # a feature that is zero everywhere, without a penalty
    inverse = np.tile(1 / diagonal, problem.columns)
    return lambda v: v * inverse


def _by_sparse_lbfgs(problem: Problem, theta: Array, tol: float, max_iter: int) -> Result:
    """Take L-BFGS to where the gradient's length, too, is small, not only each of its many entries."""
    closer = tol / math.sqrt(max(1.0, problem.size / _FEW_ENTRIES))
    result = _by_lbfgs(problem, theta, closer, max_iter, _gram_preconditioner(problem))
    if not result.converged and _lbfgs.largest(result.gradient) <= tol:
        return result._replace(converged=True, message=_lbfgs.WITHIN_TOL)
    return result


def _from_sample(problem: Problem, theta: Array, warm: bool) -> tuple[Array, Factor] | None:
    """Return where to start on all rows, and a Hessian there, from a sample; None if it has none.

    A warm start is left as it is.
    """
    stride = _sample_stride(problem)
    if stride == 1 or not (sample := problem.every(stride)).has_all_classes():
        return None
    if warm:
        _, _, h = sample.definite(theta, True)
        assert h is not None
        return (theta, Factor(h, problem.eps)) if _backend.all_finite(h) else None
    result, factor = newton(
        sample.definite,
        theta,
        tol=0.0,
        max_iter=_SAMPLE_MAX_ITER,
        gap=_SAMPLE_GAP * problem.size / (2 * len(sample.x)),
        eps=problem.eps,
        rounding=problem.rounding,
    )
    return (result.theta, factor) if result.converged and factor is not None else None


def minimise(
    problem: Problem, theta: Array, *, solver: str, tol: float, max_iter: int, warm: bool
) -> Result:
    """Minimise the objective from theta, to where no entry of its gradient is beyond tol.

    `warm` says that theta is where another fit has ended, and not zero.
    """
    if solver == "lbfgs" or (solver == "auto" and _lbfgs_flops(problem) < _newton_flops(problem)):
        if problem.is_sparse:
            return _by_sparse_lbfgs(problem, theta, tol, max_iter)
        return _by_lbfgs(problem, theta, tol, max_iter, _gram_preconditioner(problem))
    own = solver == "newton-cholesky"
    start = None if warm and own else _from_sample(problem, theta, warm)
    if start is None:
        return _by_newton(problem, theta, tol, max_iter)
    theta, factor = start
    if own:
        return _by_newton(problem, theta, tol, max_iter)
    quick = _by_lbfgs(problem, theta, tol, min(max_iter, _QUICK_MAX_ITER), factor.solve)
    if quick.converged or quick.n_iter == max_iter:
        return quick
    # At zero the value is log c; not so far from the minimum as where a bad sample may lead.
    theta = quick.theta if quick.value < math.log(problem.n_classes) else np.zeros(problem.size)
    result = _by_newton(problem, theta, tol, max_iter - quick.n_iter)
    return result._replace(n_iter=quick.n_iter + result.n_iter)
