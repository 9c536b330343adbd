"""The perceptrons beside scikit-learn's: the same draws, and losses that differ by rounding."""

import warnings

import numpy as np
import pytest

from fastnn import MLPClassifier, MLPRegressor

peers = pytest.importorskip("sklearn.neural_network", reason="needs scikit-learn")

EPOCHS = 25
# A step rounds some hundred times, relative to its operands; what it leaves is carried along by the
# later steps, which change it by factors near 1.
RTOL = EPOCHS * 100 * np.finfo(np.float64).eps


def rows(seed=0, n=60, d=5):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * 2.0 ** rng.integers(-2, 2, d)
    return x, np.sin(x[:, 0]) + x[:, 1] * x[:, 2] / 4 + 0.1 * rng.normal(size=n)


def targets(kind):
    x, z = rows()
    if kind == "binary":
        return x, np.where(z > 0, "yes", "no")
    if kind == "classes":
        return x, np.digitize(z, [-0.5, 0.1, 0.8]) * 10
    if kind == "labels":
        return x, np.stack([z > 0, z > 0.5, x[:, 0] > 0], axis=1).astype(int)
    if kind == "numbers":
        return x, z
    if kind == "counts":
        return x, np.random.default_rng(1).poisson(np.exp(z / 2))
    return x, np.stack([z, z**2, x[:, 3]], axis=1)


def both(kind, fit=None, **parameters):
    """Fit our model and scikit-learn's with the same parameters."""
    x, y = targets(kind)
    regression = kind in ("numbers", "counts", "several")
    ours, theirs = (
        (MLPRegressor, peers.MLPRegressor)
        if regression
        else (
            MLPClassifier,
            peers.MLPClassifier,
        )
    )
    if kind == "counts":
        parameters["loss"] = "poisson"
    settings = {"hidden_layer_sizes": (7, 4), "max_iter": EPOCHS, "random_state": 3, **parameters}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a = ours(**settings).fit(x, y, **(fit or {}))
        b = theirs(**settings).fit(x, y, **(fit or {}))
    return a, b, x


def assert_same(a, b, x, rtol=RTOL):
    assert a.n_iter_ == b.n_iter_
    assert a.t_ == b.t_
    assert a.out_activation_ == b.out_activation_
    assert (a.n_layers_, a.n_outputs_) == (b.n_layers_, b.n_outputs_)
    np.testing.assert_allclose(a.loss_curve_, b.loss_curve_, rtol=rtol)
    for mine, other in zip([*a.coefs_, *a.intercepts_], [*b.coefs_, *b.intercepts_]):
        np.testing.assert_allclose(mine, other, rtol=0, atol=rtol * np.abs(other).max())
    answer = "predict_proba" if hasattr(b, "predict_proba") else "predict"
    outputs = getattr(b, answer)(x)
    mine = getattr(a, answer)(x)
    assert mine.shape == outputs.shape
    np.testing.assert_allclose(mine, outputs, rtol=0, atol=rtol * np.abs(outputs).max())
    assert a.predict(x).shape == b.predict(x).shape


KINDS = ("binary", "classes", "labels", "numbers", "counts", "several")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ["logistic", "tanh", "relu", "identity"])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_full_batches_follow_the_peer(kind, activation, solver):
    rate = 0.01 if kind == "counts" or activation == "identity" else 0.05
    assert_same(
        *both(
            kind,
            activation=activation,
            solver=solver,
            batch_size=60,
            learning_rate_init=rate,
            alpha=0.1,
        )
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shuffle", [True, False])
def test_minibatches_with_a_short_last_one_follow_the_peer(kind, shuffle):
    assert_same(*both(kind, batch_size=16, alpha=0.3, shuffle=shuffle, activation="tanh"))


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("schedule", ["constant", "invscaling", "adaptive"])
def test_momentum_and_schedules_follow_the_peer(momentum, nesterov, schedule):
    a, b, x = both(
        "classes",
        solver="sgd",
        momentum=momentum,
        nesterovs_momentum=nesterov,
        learning_rate=schedule,
        learning_rate_init=0.2,
        activation="tanh",
        batch_size=30,
        n_iter_no_change=2,
        tol=0.02,
    )
    assert_same(a, b, x)
    assert a._optimizer.learning_rate == pytest.approx(b._optimizer.learning_rate, rel=1e-15)


def test_constants_of_adam_follow_the_peer():
    assert_same(*both("classes", beta_1=0.7, beta_2=0.9, epsilon=1e-3, batch_size=20))


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_full_batches_follow_the_peer(kind):
    weights = np.random.default_rng(5).integers(0, 4, 60).astype(float)
    assert_same(*both(kind, fit={"sample_weight": weights}, batch_size=60, activation="tanh"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_early_stopping_takes_the_peers_rows(kind, weighted):
    fit = {"sample_weight": np.ones(60)} if weighted else None
    a, b, x = both(
        kind,
        fit,
        early_stopping=True,
        validation_fraction=0.23,
        learning_rate_init=0.02,
        n_iter_no_change=3,
        activation="tanh",
        tol=1e-3,
        batch_size=60,
    )
    assert_same(a, b, x)
    # R^2 near 0 is a difference of numbers near 1.
    np.testing.assert_allclose(a.validation_scores_, b.validation_scores_, rtol=0, atol=100 * RTOL)
    assert a.best_loss_ is None and b.best_loss_ is None


@pytest.mark.parametrize("warm_start", [True, False])
def test_a_second_fit_follows_the_peer(warm_start):
    x, y = targets("classes")
    models = []
    for kind in (MLPClassifier, peers.MLPClassifier):
        model = kind((6,), "tanh", warm_start=warm_start, max_iter=5, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            models.append(model.fit(x, y).fit(x, y))
    assert_same(*models, x)


def test_partial_fits_follow_the_peer():
    x, y = targets("classes")
    models = []
    for kind in (MLPClassifier, peers.MLPClassifier):
        model = kind((6,), "tanh", random_state=0, batch_size=8)
        for start in range(0, 60, 20):
            model.partial_fit(x[start : start + 20], y[start : start + 20], classes=np.unique(y))
        models.append(model)
    assert_same(*models, x)


@pytest.mark.parametrize("kind", KINDS)
def test_lbfgs_ends_as_low_as_the_peer(kind):
    # Both stop at a gradient within tol; from there the losses differ in second order, tol^2.
    a, b, _ = both(
        kind, solver="lbfgs", alpha=1.0, max_iter=5000, max_fun=50000, tol=1e-7,
        hidden_layer_sizes=(), activation="identity",
    )  # fmt: skip
    if kind == "several":  # there scikit-learn's objective and its gradient differ by a factor
        return
    # The other one also stops where an iteration has gained 2.2e-9 of the loss; a thousand such is more
    # than may be left there.
    assert b.loss_ * (1 - 2.2e-6) <= a.loss_ <= b.loss_ * (1 + 1e-12)


def test_float32_stays_float32():
    x, y = targets("classes")
    model = MLPClassifier((5,), max_iter=3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a = model.fit(x.astype(np.float32), y)
        b = peers.MLPClassifier((5,), max_iter=3, random_state=0).fit(x.astype(np.float32), y)
    assert {p.dtype for p in (*a.coefs_, *a.intercepts_)} == {np.dtype(np.float32)}
    assert a.predict_proba(x.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(a.loss_curve_, b.loss_curve_, rtol=100 * 2.0**-23)
