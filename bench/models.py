"""Cases of Gaussian classifiers and linear models, against SciPy and scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

import fastnn

from .cases import Case, Runs

try:
    from scipy.stats import multivariate_normal
    from sklearn.discriminant_analysis import (
        LinearDiscriminantAnalysis,
        QuadraticDiscriminantAnalysis,
    )
    from sklearn.linear_model import LogisticRegression
    from sklearn.mixture import GaussianMixture
    from sklearn.naive_bayes import GaussianNB
except ImportError:  # no peers, no cases
    GaussianNB = None

# (n, d, c)
GAUSSIAN = [(100_000, 2, 3), (20_000, 16, 10), (20_000, 64, 10), (5_000, 256, 10)]
LOGISTIC = [(100_000, 50, 2), (20_000, 256, 10)]
GAP = 1e-8  # of the objective, relative: what counts as solved

Run = Callable[[], Any]


def classes(n: int, d: int, c: int, dtype: str) -> tuple[Any, Any]:
    """Rows of c Gaussians of different shape, and their labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, c, n)
    x = rng.normal(size=(n, d))
    for k in range(c):
        rows = labels == k
        mix = np.eye(d) + rng.normal(size=(d, d)) / (2 * d**0.5)
        x[rows] = x[rows] @ mix + rng.normal(size=d) / d**0.5
    return x.astype(dtype), labels


def shape(n: int, d: int, c: int) -> str:
    return f"{n}x{d}, {c} classes"


def joint(n: int, d: int, c: int, dtype: str) -> Case:
    """log p(x, k) of full covariances; the peers get theirs from the same parameters."""

    def runs() -> Runs:
        x, y = classes(n, d, c, dtype)
        model = fastnn.GaussianClassifier("full", store_covariance=True).fit(x, y)
        frozen = [multivariate_normal(m, s) for m, s in zip(model.means_, model.covariance_)]
        mixture = GaussianMixture(c)
        mixture.weights_, mixture.means_ = model.priors_, model.means_
        whitening = np.linalg.inv(np.linalg.cholesky(model.covariance_))
        mixture.precisions_cholesky_ = whitening.transpose(0, 2, 1).copy()
        log_priors = np.log(model.priors_)
        return {
            "fastnn": lambda: model.joint_log_likelihood(x),
            "SciPy": lambda: np.stack([f.logpdf(x) for f in frozen], axis=1) + log_priors,
            "GaussianMixture": lambda: mixture._estimate_weighted_log_prob(x),
        }

    flops = float(n) * c * d * (d + 1)
    tolerance = 64 * d * float(np.finfo(dtype).eps)
    names = ("fastnn", "SciPy", "GaussianMixture")
    return Case("joint", shape(n, d, c), dtype, flops, runs, tolerance, names, memory=True)


def naive_bayes(n: int, d: int, c: int, dtype: str) -> Case:
    """predict_log_proba of independent features."""

    def runs() -> Runs:
        x, y = classes(n, d, c, dtype)
        model = fastnn.GaussianClassifier("diag").fit(x, y)
        peer = GaussianNB(var_smoothing=0.0).fit(x, y)
        return {
            "fastnn": lambda: model.predict_log_proba(x),
            "GaussianNB": lambda: peer.predict_log_proba(x),
        }

    tolerance = 64 * d * float(np.finfo(dtype).eps)
    names = ("fastnn", "GaussianNB")
    return Case(
        "predict", f"diag {shape(n, d, c)}", dtype, 0.0, runs, tolerance, names, memory=True
    )


PEERS = {"full": "QDA", "shared": "LDA", "diag": "GaussianNB"}


def fit(covariance: str, n: int, d: int, c: int, dtype: str) -> Case:
    """Maximum likelihood; the results compared are the means."""
    peer = PEERS[covariance]

    def runs() -> Runs:
        x, y = classes(n, d, c, dtype)
        make = {
            "QDA": QuadraticDiscriminantAnalysis,
            "LDA": LinearDiscriminantAnalysis,
            "GaussianNB": GaussianNB,
        }
        return {
            "fastnn": lambda: fastnn.GaussianClassifier(covariance).fit(x, y),
            peer: lambda: make[peer]().fit(x, y),
        }

    def means(model: Any) -> Any:
        return model.theta_ if hasattr(model, "theta_") else model.means_

    tolerance = n * float(np.finfo(dtype).eps)
    name = f"{covariance} {shape(n, d, c)}"
    return Case("fit", name, dtype, 0.0, runs, tolerance, ("fastnn", peer), value=means)


# ---- logistic regression: time to the same objective


def logistic_data(n: int, d: int, c: int, dtype: str) -> tuple[Any, Any]:
    """Features of different scale, correlated by pairs, and labels drawn from a logistic model."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, d))
    x[:, 1::2] += 0.5 * x[:, : d - d % 2 : 2]
    x *= np.geomspace(0.5, 2.0, d)
    z = x @ rng.normal(size=(d, c)) * (1.5 / d**0.5)
    return x.astype(dtype), (z + rng.gumbel(size=z.shape)).argmax(axis=1)


def objective(model: Any, x: Any, y: Any) -> float:
    """The sum of the cross-entropies + 1/2 the squared coefficients, in float64."""
    z = x.astype(np.float64) @ model.coef_.T.astype(np.float64) + model.intercept_
    if z.shape[1] == 1:
        z = np.hstack([np.zeros_like(z), z])
    loss = np.logaddexp.reduce(z, axis=1) - z[np.arange(len(y)), y]
    return float(loss.sum() + 0.5 * (model.coef_.astype(np.float64) ** 2).sum())


def loosest(make: Callable[[float], Any], x: Any, y: Any, best: float) -> Run | None:
    """The fit with the largest tolerance whose objective is within GAP of the best."""
    for tol in np.geomspace(1e-2, 1e-8, 13):
        if objective(make(tol).fit(x, y), x, y) <= best * (1 + GAP):
            return lambda: make(tol).fit(x, y)
    return None


def logistic(n: int, d: int, c: int, dtype: str) -> Case:
    """Fit to the same objective; each contender at the largest tolerance that reaches it."""
    solvers = ("lbfgs", "newton-cg", *(("newton-cholesky",) if c == 2 else ()))

    @cache  # drawn when the case is wanted
    def data() -> tuple[Any, Any]:
        return logistic_data(n, d, c, dtype)

    def make(name: str) -> Callable[[float], Any]:
        if name == "fastnn":
            return lambda tol: fastnn.LogisticRegression(tol=tol, max_iter=1000)
        return lambda tol: LogisticRegression(tol=tol, max_iter=1000, solver=name)

    def runs() -> Runs:
        x, y = data()
        best = objective(make("fastnn")(1e-9).fit(x, y), x, y)
        found = {name: loosest(make(name), x, y, best) for name in names}
        return {name: run for name, run in found.items() if run is not None}

    names = ("fastnn", *solvers)

    def value(model: Any) -> float:
        return objective(model, *data())

    return Case("logistic", shape(n, d, c), dtype, 0.0, runs, 2 * GAP, names, value=value)


def all_cases(dtypes: tuple[str, ...] = ("float32", "float64")) -> Iterator[Case]:
    """Every case of this module, if the peers are there."""
    if GaussianNB is None:
        return
    for dtype in dtypes:
        for n_d_c in GAUSSIAN:
            yield joint(*n_d_c, dtype)
            yield naive_bayes(*n_d_c, dtype)
            yield from (fit(covariance, *n_d_c, dtype) for covariance in PEERS)
        yield from (logistic(*n_d_c, dtype) for n_d_c in LOGISTIC)
