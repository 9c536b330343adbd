"""One fitted model of each kind that can be saved, small, with the rows that it was fitted to."""

import warnings

import numpy as np

import fastnn
from fastnn.linear import ConvergenceWarning


def rows(dtype=np.float64, n=60, d=3, c=3):
    """Rows (n, d) of c overlapping classes, and their indices."""
    rng = np.random.default_rng(7)
    labels = np.arange(n) % c
    return (rng.normal(size=(n, d)) + labels[:, np.newaxis]).astype(dtype), labels


def _linear(dtype):
    x, labels = rows(dtype)
    two = labels > 0
    yield "logistic", fastnn.LogisticRegression(C=2.0), labels
    yield "logistic-two", fastnn.LogisticRegression(class_weight={"b": 2.0}), two
    yield "logistic-mle", fastnn.LogisticRegression(C=np.inf, tol=1e-6), two
    yield "ridge", fastnn.Ridge(0.5), x[:, 0] + labels
    yield "ridge-many", fastnn.Ridge(0.5, fit_intercept=False), np.c_[x[:, 0], labels]


def _gaussian(dtype):
    _, labels = rows(dtype)
    priors = np.array([0.2, 0.3, 0.5])
    for covariance in ("full", "shared", "diag"):
        model = fastnn.GaussianClassifier(covariance, priors=priors, store_covariance=True)
        yield f"gaussian-{covariance}", model, labels
    yield "bayes", fastnn.GaussianNB(), labels
    yield "quadratic", fastnn.QuadraticDiscriminantAnalysis(), labels
    yield (
        "quadratic-eigen",
        fastnn.QuadraticDiscriminantAnalysis(
            solver="eigen", shrinkage="auto", store_covariance=True
        ),
        labels,
    )
    for solver in ("svd", "lsqr", "eigen"):
        model = fastnn.LinearDiscriminantAnalysis(solver, priors=[0.2, 0.3, 0.5])
        yield f"linear-{solver}", model, labels
    yield "linear-two", fastnn.LinearDiscriminantAnalysis(n_components=1), labels > 0


def _perceptrons(dtype):
    x, labels = rows(dtype)
    few = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0, "tol": 0.0}
    yield "mlp", fastnn.MLPClassifier(**few), labels
    yield "mlp-two", fastnn.MLPClassifier(**few, solver="sgd", alpha=0.1), labels > 0
    yield "mlp-labels", fastnn.MLPClassifier(**few), np.c_[labels > 0, labels > 1]
    yield "mlp-lbfgs", fastnn.MLPClassifier(**few, solver="lbfgs"), labels
    yield "mlp-stopping", fastnn.MLPClassifier(**few, early_stopping=True), labels
    yield "mlp-dropout", fastnn.MLPClassifier(**few, dropout=0.3), labels
    yield "regressor", fastnn.MLPRegressor(**few, activation=["tanh"]), x[:, 0] + labels
    yield "regressor-huber", fastnn.MLPRegressor("huber", **few), np.c_[x[:, 0], x[:, 1]]
    yield "regressor-counts", fastnn.MLPRegressor("poisson", **few), labels.astype(float)


def fitted(dtype=np.float64):
    """Every model by a name, fitted; those that learn from labels learn texts."""
    x, _ = rows(dtype)
    models = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of perceptrons that hardly trained
        for source in (_linear, _gaussian, _perceptrons):
            for name, model, y in source(dtype):
                labels = y.dtype.kind != "f" and y.ndim == 1
                y = np.array(["a", "b", "c"])[y.astype(int)] if labels else y
                models[name] = model.fit(x, y)
    models["network"] = fastnn.Network((3, 4, 2), activation="tanh", dtype=dtype, rng=0)
    return models


NAMES = tuple(fitted())


def answers(model, x):
    """All that a model says of rows."""
    if isinstance(model, fastnn.Network):
        return {"call": model(x)}
    methods = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform")
    methods += ("score_samples", "joint_log_likelihood")
    said = {}
    for method in methods:
        if hasattr(model, method):
            try:
                said[method] = getattr(model, method)(x)
            except NotImplementedError:  # transform of a solver without it
                continue
    assert said
    return said


def same(a, b):
    """Whether two values are the same, with the bits of all arrays in them."""
    if isinstance(a, np.ndarray):
        return (
            isinstance(b, np.ndarray)
            and (a.dtype, a.shape) == (b.dtype, b.shape)
            and (a.tolist() == b.tolist() if a.dtype == object else a.tobytes() == b.tobytes())
        )
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and repr(a) == repr(b)
