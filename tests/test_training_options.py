"""The engine's trainings: their options, what they report, and an optimiser that goes on elsewhere."""

import numpy as np
import pytest

from fastnn import Network
from fastnn._check_network import STATES

SIZES = (5, 7, 3)
N = 22  # batches of 8, 8 and 6
KEYWORDS = {"learning_rate": 0.05, "momentum": 0.5, "alpha": 0.25, "batch_size": 8}


@pytest.fixture
def data(dtype, rng):
    return rng.normal(size=(N, 5)).astype(dtype), rng.integers(0, 3, N)


def network(dtype):
    return Network(SIZES, activation="tanh", dtype=dtype, rng=3)


def start(net, solver="adam", **options):
    options = KEYWORDS | options
    names = ("learning_rate", "momentum", "alpha", "batch_size")
    positional = [options.pop(name) for name in names]
    return net._engine.training(solver, *positional, **options)


def parameters(net):
    return [p.copy() for pair in zip(net.weights, net.biases) for p in pair]


def same(a, b):
    return all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))


def textbook_adam(net, x, y, weight, *, beta_1, beta_2, epsilon, per_batch_alpha):
    """One epoch with gradients that the network gives for each batch; in float64 between them."""
    rate, alpha, size = (KEYWORDS[k] for k in ("learning_rate", "alpha", "batch_size"))
    first = [0.0] * 4
    second = [0.0] * 4
    losses, penalties, masses = [], [], []
    for t, begin in enumerate(range(0, N, size), start=1):
        rows = slice(begin, begin + size)
        mass = weight[rows].sum(dtype=np.float64)
        batch_alpha = alpha / mass if per_batch_alpha else alpha
        batch = x[rows], y[rows]
        loss, _ = net.loss_and_gradients(*batch, sample_weight=weight[rows])
        total, pairs = net.loss_and_gradients(*batch, sample_weight=weight[rows], alpha=batch_alpha)
        losses.append(loss)
        penalties.append(total - loss)
        masses.append(mass)
        live = [p for pair in zip(net.weights, net.biases) for p in pair]
        for i, (p, g) in enumerate(zip(live, (g for pair in pairs for g in pair))):
            g = g.astype(np.float64)
            first[i] = beta_1 * first[i] + (1 - beta_1) * g
            second[i] = beta_2 * second[i] + (1 - beta_2) * g**2
            step = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
            p[...] = p - step * first[i] / (np.sqrt(second[i]) + epsilon)
    return np.average(losses, weights=masses), np.average(penalties, weights=masses)


@pytest.mark.parametrize("per_batch_alpha", [False, True])
@pytest.mark.parametrize("constants", [(0.9, 0.999, 1e-8), (0.5, 0.75, 1e-8), (0.0, 0.0, 0.5)])
def test_adam_with_its_options(isa, data, constants, per_batch_alpha, rng):
    x, y = data
    weight = rng.uniform(0.5, 2, N).astype(x.dtype)
    options = dict(zip(("beta_1", "beta_2", "epsilon"), constants))
    options["per_batch_alpha"] = per_batch_alpha
    net, twin = network(x.dtype), network(x.dtype)
    training = start(net, **options)
    got = training.epoch(x, y, np.arange(N), weight)
    expected = textbook_adam(twin, x, y, weight, **options)
    # Few operations of rounded factors each; a sign-like step g / sqrt(g^2) multiplies none of it.
    eps = np.finfo(x.dtype).eps
    assert np.abs(np.subtract(got, expected)).max() <= 256 * eps
    for p, q in zip(parameters(net), parameters(twin), strict=True):
        assert np.abs(p - q).max() <= 256 * eps
    assert training.steps == 3
    other = network(x.dtype)
    start(other, **(options | {"beta_1": 0.3})).epoch(x, y, np.arange(N), weight)
    far = max(np.abs(p - q).max() for p, q in zip(parameters(net), parameters(other), strict=True))
    assert far > 1e-3  # the bound would not let another constant pass


def test_the_parts_of_the_loss(isa, data):
    x, y = data
    net = network(x.dtype)
    loss, penalty = start(net, "sgd", learning_rate=1e-30).epoch(x, y, np.arange(N), None)
    squares = sum((w.astype(np.float64) ** 2).sum() for w in net.weights)
    eps = np.finfo(x.dtype).eps
    assert abs(penalty - 0.125 * squares) <= 8 * eps * squares
    assert abs(loss - net.loss_and_gradients(x, y)[0]) <= 8 * eps * loss
    loss, penalty = start(net, "sgd", alpha=0.0).epoch(x, y, np.arange(N), None)
    assert penalty == 0.0 < loss
    training = start(net, "adam")
    parts = training.epoch(x, y, np.arange(N), None)
    assert abs(training.loss - sum(parts)) <= 8 * np.finfo(np.float64).eps * training.loss


@pytest.mark.parametrize("solver", STATES)
def test_the_learning_rate_between_epochs(isa, data, solver):
    x, y = data
    nets = network(x.dtype), network(x.dtype)
    changed = start(nets[0], solver, learning_rate=9.0)
    assert changed.learning_rate == 9.0
    changed.learning_rate = 0.05
    assert changed.learning_rate == 0.05 and changed.steps == 0
    for training in (changed, start(nets[1], solver)):
        training.epoch(x, y, np.arange(N), None)
    assert same(parameters(nets[0]), parameters(nets[1]))
    assert changed.steps == 3


@pytest.mark.parametrize("solver", STATES)
def test_an_optimiser_goes_on_elsewhere(isa, data, solver):
    x, y = data
    whole, other = network(x.dtype), network(x.dtype)
    training = start(whole, solver)
    training.epoch(x, y, np.arange(N), None)
    state = training.state()
    assert state["steps"] == 3
    assert [[a.shape for a in s] for s in state["states"]] == (
        [[(5, 7), (7,), (7, 3), (3,)]] * STATES[solver]
    )
    assert all(a.dtype == x.dtype and a.any() for s in state["states"] for a in s)
    kept = [[a.copy() for a in s] for s in state["states"]]
    other.weights, other.biases = whole.weights, whole.biases
    training.epoch(x, y, np.arange(N), None)
    assert all(same(s, k) for s, k in zip(state["states"], kept))  # they were copies
    continued = start(other, solver)
    continued.set_state(state)
    continued.epoch(x, y, np.arange(N), None)
    assert same(parameters(whole), parameters(other))
    assert continued.steps == training.steps == 6
    assert all(same(s, k) for s, k in zip(continued.state()["states"], training.state()["states"]))


def test_a_state_that_does_not_fit_is_refused(data):
    x, y = data
    training = start(network(x.dtype))
    training.epoch(x, y, np.arange(N), None)
    good = training.state()

    def with_array(a):
        return good | {"states": [good["states"][0], [a, *good["states"][1][1:]]]}

    other = np.float64 if x.dtype == np.float32 else np.float32
    wrong = [
        (ValueError, "1 states given, expected 2", good | {"states": good["states"][:1]}),
        (ValueError, "at least 0", good | {"steps": -1}),
        (TypeError, "integer", good | {"steps": 1.5}),
        (ValueError, r"states\[1\]\[0\] has shape \(5, 6\)", with_array(np.zeros((5, 6), x.dtype))),
        (TypeError, r"states\[1\]\[0\] is", with_array(np.zeros((5, 7), other))),
        (ValueError, "3 arrays given", good | {"states": [good["states"][0][1:]] * 2}),
    ]
    for error, message, state in wrong:
        with pytest.raises(error, match=message):
            training.set_state(state)
    after = training.state()
    assert after["steps"] == 3
    assert all(same(s, k) for s, k in zip(after["states"], good["states"]))


def test_momentum_may_be_one(isa, data):
    # v = v - rate g: the sum of all gradients, no average.
    x, y = data
    net, twin = network(x.dtype), network(x.dtype)
    start(net, "momentum", momentum=1.0, batch_size=N, alpha=0.0).epoch(x, y, np.arange(N), None)
    start(twin, "sgd", batch_size=N, alpha=0.0).epoch(x, y, np.arange(N), None)
    for p, q in zip(parameters(net), parameters(twin), strict=True):
        assert np.abs(p - q).max() <= 4 * np.finfo(x.dtype).eps
