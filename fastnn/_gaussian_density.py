"""The fitted Gaussians of a classifier: densities of rows, with gaps too, samples and logits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .runtime import backend_module as _backend

Array = NDArray[Any]


class Densities:
    """Gaussians with prior probabilities, c of them in d dimensions; immutable.

    `factors` are those of the backend's Gaussians: float64, lower Cholesky factors or deviations.
    """

    def __init__(self, kind: str, means: Array, factors: Array, priors: Array) -> None:
        self._arguments = kind, means, factors, priors
        self._kind, self._means, self._factors, self._priors = self._arguments
        self._log_priors = np.array([math.log(p) if p else -math.inf for p in priors.tolist()])
        self._prepared: dict[np.dtype[Any], Any] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return Densities, self._arguments  # what is prepared is not for another process

    def of_complete(self, x: Array, what: str) -> Array:
        """What the backend's Gaussians evaluate of the rows x (n, d), all finite."""
        gaussians = self._prepared.get(x.dtype)
        if gaussians is None:
            gaussians = _backend.Gaussians(x.dtype, self._kind, self._means, self._factors)
            self._prepared[x.dtype] = gaussians
        return gaussians.evaluate(x, what, self._log_priors)

    def of_incomplete(self, x: Array, what: str) -> Array:
        """The same of the observed features of each row, where x is NaN for a missing one."""
        missing = np.isnan(x)
        shape = (len(x),) if what in ("log_density", "label") else (len(x), len(self._means))
        out = np.empty(shape, np.int64 if what == "label" else x.dtype)
        for rows in _groups(missing):
            seen = ~missing[rows[0]]
            if seen.all():
                out[rows] = self.of_complete(x[rows], what)
            elif seen.any():
                gaussians = self._marginal(x.dtype, seen)
                part = np.ascontiguousarray(x[rows][:, seen])
                out[rows] = gaussians.evaluate(part, what, self._log_priors)
            else:
                out[rows] = self._of_nothing(what)
        return out

    def _marginal(self, dtype: np.dtype[Any], seen: Array) -> Any:
        """Gaussians of some features: Sigma_oo = L_o L_o^T."""
        means = np.ascontiguousarray(self._means[:, seen])
        if self._kind == "diag":
            factors = np.ascontiguousarray(self._factors[:, seen])
        else:
            some = self._factors[..., seen, :].reshape(-1, means.shape[1], self._means.shape[1])
            covariance = np.stack([_backend.dense_forward(l, l.T) for l in some])
            factors = _backend.cholesky(covariance)[0]
        factors = factors[0] if self._kind == "shared" else factors
        return _backend.Gaussians(dtype, self._kind, means, factors)

    def _of_nothing(self, what: str) -> Any:
        """The density of no features is 1, so the posterior is the prior."""
        if what == "label":
            return self._priors.argmax()
        values = {"log_density": 0.0, "proba": self._priors}
        return values.get(what, self._log_priors)

    def sample(self, n: int, rng: Any) -> tuple[Array, Array]:
        """Rows (n, d) and their classes (n,), with the methods random and standard_normal."""
        share = np.cumsum(self._priors)
        labels = np.searchsorted(share, rng.random(n) * share[-1], side="right")
        labels = np.minimum(labels, np.flatnonzero(self._priors)[-1])
        x = rng.standard_normal((n, self._means.shape[1]))
        for k in np.unique(labels):
            rows = labels == k
            if self._kind == "diag":
                deviation = x[rows] * self._factors[k]
            else:
                l = self._factors if self._kind == "shared" else self._factors[k]
                deviation = _backend.dense_forward(x[rows], l.T)
            x[rows] = self._means[k] + deviation
        return x, labels

    def logits(self) -> tuple[Array, Array]:
        """w (c, d) and b (c,) of the logits x w_k + b_k of "shared"; of two classes, one (1, d)."""
        priors = self._priors[:, np.newaxis]
        centre = (priors * self._means).sum(axis=0)
        if len(self._means) == 2:
            difference = self._means[1:] - self._means[:1]
            around = (self._means[1:] + self._means[:1]) / 2
            constant = self._log_priors[1:] - self._log_priors[:1]
        else:
            difference, around = self._means - centre, (self._means + centre) / 2
            constant = self._log_priors
        w = np.ascontiguousarray(_backend.cholesky_solve(self._factors, difference.T.copy()).T)
        return w, constant - np.array([_backend.dot(a, b) for a, b in zip(around, w)])


def _groups(missing: Array) -> list[Array]:
    """The rows (n, d) of each pattern."""
    patterns = np.packbits(missing, axis=1)
    _, which = np.unique(patterns, axis=0, return_inverse=True)
    which = which.reshape(-1)
    return np.split(np.argsort(which, kind="stable"), np.cumsum(np.bincount(which))[:-1])
