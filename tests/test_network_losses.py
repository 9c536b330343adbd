"""Networks with other losses than the usual three: what they compute, learn, refuse and keep."""

import pickle

import numpy as np
import pytest

import fastnn
from fastnn import Network

LOSSES = {
    "poisson": ("exp", fastnn.poisson_loss, {}),
    "huber": ("identity", fastnn.huber_loss, {"delta": 0.25}),
    "absolute": ("identity", fastnn.absolute_error, {}),
}
N = 300  # more than a block of rows


def network(loss, dtype, sizes=(4, 6, 2)):
    options = {"huber_delta": 0.25} if loss == "huber" else {}
    return Network(
        sizes, activation="tanh", output=LOSSES[loss][0], loss=loss, dtype=dtype, rng=5, **options
    )


@pytest.fixture
def data(dtype, rng):
    """x (N, 4), targets (N, 2) that are counts, and weights."""
    x = rng.uniform(-1, 1, (N, 4)).astype(dtype)
    y = rng.poisson(np.exp(x[:, :2] + 0.5 * x[:, 2:])).astype(dtype)
    return x, y, rng.uniform(0.5, 2, N).astype(dtype)


def logits(net, x):
    y = net(x)
    return np.log(y) if net.output == "exp" else y


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_is_that_of_the_outputs(isa, loss, data):
    x, y, w = data
    net = network(loss, x.dtype)
    _, kernel, options = LOSSES[loss]
    z = logits(net, x)
    value, gradients = net.loss_and_gradients(x, y, sample_weight=w)
    expected, dz = kernel(z, y, sample_weight=w, **options)
    # One rounding of each logit where they come from a logarithm, and of the float64 sums.
    eps = np.finfo(x.dtype).eps
    assert abs(value - expected) <= 8 * eps * (1 + np.abs(y).mean() * np.abs(z).max())
    db = dz.sum(axis=0, dtype=np.float64)
    assert np.abs(gradients[-1][1] - db).max() <= N * eps * np.abs(dz).sum(axis=0).max()


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("loss", LOSSES)
def test_training_lowers_the_loss(isa, loss, solver, data):
    x, y, w = data
    net = network(loss, x.dtype)
    before, _ = net.loss_and_gradients(x, y, sample_weight=w)
    options = {"epochs": 30, "solver": solver, "learning_rate": 0.02, "rng": 1}
    losses = net.train(x, y, sample_weight=w, **options)
    after, _ = net.loss_and_gradients(x, y, sample_weight=w)
    assert after < before - 0.05 * abs(before) and losses[-1] < losses[0]
    assert not net(x).min() < 0 or net.output != "exp"


def test_poisson_regression_has_balanced_means(dtype, rng):
    # At its minimum the intercept's gradient is 0: the means sum to the counts.
    x = rng.uniform(-1, 1, (N, 3)).astype(dtype)
    y = rng.poisson(np.exp(x @ [1, -0.5, 0.25] + 0.5))[:, np.newaxis].astype(dtype)
    net = Network((3, 1), output="exp", dtype=dtype, rng=0)
    net.train(x, y, epochs=200, solver="lbfgs", tol=0)
    # It ends where 16 roundings of the loss hide any decrease, g^2 / 2 for a curvature of 1.
    hidden = 16 * np.sqrt(np.finfo(dtype).eps)
    assert abs(net(x).mean(dtype=np.float64) - y.mean(dtype=np.float64)) <= hidden


def test_outliers_do_not_move_robust_losses(dtype, rng):
    x = np.zeros((101, 1), dtype)
    y = np.full((101, 1), 2, dtype)
    y[:20] = 1000
    found = {}
    for loss in ("squared_error", "huber", "absolute"):
        net = Network((1, 1), output="identity", loss=loss, dtype=dtype, rng=0)
        net.train(x, y, epochs=400, batch_size=101, learning_rate=0.05)
        net.train(x, y, epochs=100, batch_size=101, learning_rate=0.001)
        found[loss] = float(net(x[0])[0])
    assert abs(found["absolute"] - 2) < 0.01  # the median
    # (y - 2) sum to 0 with slopes within delta = 1: 81 (z - 2) = 20
    assert abs(found["huber"] - 2 - 20 / 81) < 0.01
    assert found["squared_error"] > 10


def test_means_that_overflow_are_reported(isa, dtype, rng):
    x, y = np.full((4, 1), 1000, dtype), np.ones((4, 1), dtype)
    net = Network((1, 1), output="exp", dtype=dtype, rng=0)
    net.weights = [np.ones((1, 1), dtype)]
    assert net.loss_and_gradients(x, y)[0] == np.inf
    for solver in ("sgd", "lbfgs"):
        with pytest.raises(FloatingPointError, match="epoch 0"):
            net.train(x, y, epochs=3, solver=solver)
        assert net.weights[0] == 1 and net.biases[0] == 0


def test_steps_that_overflow_are_shortened_by_lbfgs(dtype):
    # The first step goes along the gradient: a mean of e^-12 and counts of 1e4 make it a long one.
    x, y = np.ones((5, 1), dtype), np.full((5, 1), 1e4, dtype)
    net = Network((1, 1), output="exp", dtype=dtype, rng=0)
    net.weights = [np.full((1, 1), -12, dtype)]
    net.train(x, y, epochs=100, solver="lbfgs")
    assert np.abs(net(x) / 1e4 - 1).max() < 1e-2


def test_unknown_losses_are_refused():
    for output, loss in [("softmax", "huber"), ("exp", "squared_error"), ("identity", "poisson")]:
        with pytest.raises(ValueError, match=f"unknown loss of output='{output}' '{loss}'"):
            Network((2, 2), output=output, loss=loss)
    for delta in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="huber_delta is"):
            Network((2, 2), output="identity", loss="huber", huber_delta=delta)
    with pytest.raises(TypeError, match="huber_delta must be a number"):
        Network((2, 2), output="identity", loss="huber", huber_delta="wide")


def test_negative_counts_are_refused(data):
    x, y, _ = data
    net = network("poisson", x.dtype)
    y[7, 1] = -1
    for method in (net.loss_and_gradients, lambda *a: net.train(*a, epochs=1)):
        with pytest.raises(ValueError, match=r"y has -1\.0: counts must be at least 0"):
            method(x, y)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_survives_pickling(loss, data):
    x, y, _ = data
    net = network(loss, x.dtype)
    copy = pickle.loads(pickle.dumps(net))
    assert (copy.loss, copy.huber_delta) == (net.loss, net.huber_delta) == (loss, net.huber_delta)
    assert repr(copy) == repr(net)
    assert copy.loss_and_gradients(x, y)[0] == net.loss_and_gradients(x, y)[0]


def test_a_pickle_of_before_has_the_usual_loss():
    net = Network((2, 1), output="identity", rng=0)
    state = net.__getstate__()
    del state["loss"], state["huber_delta"]
    old = Network.__new__(Network)
    old.__setstate__(state)
    assert (old.loss, old.huber_delta) == ("squared_error", 1.0)


def test_the_repr_names_an_unusual_loss():
    usual = repr(Network((2, 1), output="identity", loss="squared_error"))
    assert usual == repr(Network((2, 1), output="identity")) and "loss" not in usual
    huber = Network((2, 1), output="identity", loss="huber", huber_delta=2)
    assert "output='identity', loss='huber', huber_delta=2.0, dtype='float32'" in repr(huber)
    assert eval(repr(huber), {"Network": Network}).huber_delta == 2
