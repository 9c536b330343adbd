"""Cases of estimators, against scikit-learn's of the same name and parameters."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import fastnn

from .cases import Case, Runs

try:
    import sklearn.discriminant_analysis
    import sklearn.linear_model
    import sklearn.naive_bayes
    import sklearn.neural_network as neural
except ImportError:  # no peer, no cases
    neural = None

# Layers, rows of a minibatch, rows, epochs.
FITS = [
    ((20, 64, 2), 32, 2_000, 20),
    ((256, 128, 10), 64, 5_000, 5),
    ((784, 512, 256, 10), 256, 5_000, 2),
]
ONE_ROW = (16, 3)  # features and classes


def _classes(n: int, d: int, c: int, dtype: str) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, c, n)
    x = rng.normal(size=(n, d)) + rng.normal(size=(c, d))[y]
    return x.astype(dtype), y


def _quietly(fit: Callable[[], Any]) -> Callable[[], Any]:
    """Without the warning that so few epochs are not enough."""

    def run() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return fit()

    return run


def fit(sizes: tuple[int, ...], batch: int, n: int, epochs: int, dtype: str) -> Case:
    """fit of MLPClassifier with equal settings; what is compared are the losses."""

    def runs() -> Runs:
        x, y = _classes(n, sizes[0], sizes[-1], dtype)
        settings: dict[str, Any] = {
            "hidden_layer_sizes": sizes[1:-1],
            "batch_size": batch,
            "max_iter": epochs,
            "random_state": 0,
        }
        return {
            "fastnn": _quietly(lambda: fastnn.MLPClassifier(**settings).fit(x, y)),
            "scikit-learn": _quietly(lambda: neural.MLPClassifier(**settings).fit(x, y)),
        }

    weights = sum(k * m for k, m in zip(sizes, sizes[1:]))
    flops = 2.0 * n * (3 * weights - sizes[0] * sizes[1]) * epochs
    name = f"MLPClassifier {'-'.join(map(str, sizes))} batch {batch}, {n} rows, {epochs} epochs"
    # Each step rounds; what Adam divides by may be as small as the rounding.
    tolerance = 1e-2 if dtype == "float32" else 1e-6
    names = ("fastnn", "scikit-learn")
    return Case(
        "fit", name, dtype, flops, runs, tolerance, names, value=lambda m: np.array(m.loss_curve_)
    )


def _models() -> dict[str, tuple[Any, Any]]:
    """Each estimator with its peer, as they are made."""
    linear, discriminant = sklearn.linear_model, sklearn.discriminant_analysis
    mlp = {"hidden_layer_sizes": 32, "max_iter": 20, "random_state": 0}
    return {
        "MLPClassifier 16-32-3": (fastnn.MLPClassifier(**mlp), neural.MLPClassifier(**mlp)),
        "MLPRegressor 16-32-1": (fastnn.MLPRegressor(**mlp), neural.MLPRegressor(**mlp)),
        "LogisticRegression": (
            fastnn.LogisticRegression(tol=1e-9),
            linear.LogisticRegression(tol=1e-9),
        ),
        "Ridge": (fastnn.Ridge(), linear.Ridge()),
        "LinearDiscriminantAnalysis": (
            fastnn.LinearDiscriminantAnalysis(),
            discriminant.LinearDiscriminantAnalysis(),
        ),
        "QuadraticDiscriminantAnalysis": (
            fastnn.QuadraticDiscriminantAnalysis(),
            discriminant.QuadraticDiscriminantAnalysis(),
        ),
        "GaussianNB": (fastnn.GaussianNB(), sklearn.naive_bayes.GaussianNB()),
        "GaussianClassifier shared": (
            fastnn.GaussianClassifier("shared"),
            discriminant.LinearDiscriminantAnalysis(),
        ),
        "GaussianClassifier full": (
            fastnn.GaussianClassifier("full"),
            discriminant.QuadraticDiscriminantAnalysis(),
        ),
        "GaussianClassifier diag": (
            fastnn.GaussianClassifier("diag"),
            sklearn.naive_bayes.GaussianNB(var_smoothing=0.0),
        ),
    }


def one_row(name: str) -> Case:
    """predict_proba of one row, of regressors predict, with all checks of the input."""

    def runs() -> Runs:
        ours, peer = _models()[name]
        d, c = ONE_ROW
        x, y = _classes(500, d, c, "float64")
        row = x[:1].copy()
        answers = []
        for model in (ours, peer):
            _quietly(lambda model=model: model.fit(x, y))()
            answers.append(getattr(model, "predict_proba", None) or model.predict)
        mine, other = answers
        return {"fastnn": lambda: mine(row), "scikit-learn": lambda: other(row)}

    return Case("one row, estimator", name, "float64", 0.0, runs, 1e-3, ("fastnn", "scikit-learn"))


def all_cases(dtypes: tuple[str, ...] = ("float32", "float64")) -> Iterator[Case]:
    """Every case; none without scikit-learn."""
    if neural is None:
        return
    for dtype in dtypes:
        yield from (fit(*shape, dtype) for shape in FITS)
    if "float64" in dtypes:
        yield from (one_row(name) for name in _models())
