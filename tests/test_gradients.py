"""Analytic gradients against central differences, in float64."""

import numpy as np
import pytest

import fastnn
from fastnn import Network

ACTIVATIONS = ("identity", "sigmoid", "tanh", "relu", "softmax")
LOSSES = ("softmax_cross_entropy", "sigmoid_cross_entropy", "squared_error", "poisson_loss")
OUTPUTS = ("softmax", "sigmoid", "identity", "exp")
EPS = np.finfo(np.float64).eps
H = 2.0**-9
TERMS = 64  # more than any sum of these tests has


def fourth_order(values, h):
    """f' from f(p + h), f(p - h), f(p + 2 h), f(p - 2 h); the error is h^4 / 30 |f'''''|."""
    plus, minus, plus2, minus2 = values
    return (8 * (plus - minus) - (plus2 - minus2)) / (12 * h)


def numerical_gradient(f, p):
    """The gradient of f by the elements of p, and how far it may be off.

    Twice the step makes the error of truncation 16 times as large, so the difference of the two
    estimates is 15 times that of the finer one. A value of f is off by TERMS eps of its terms, and
    the formula multiplies that by at most 18 / (12 h).
    """
    gradient, bound = np.empty_like(p), np.empty_like(p)
    for i in np.ndindex(p.shape):
        centre, values = p[i], {}
        for step in (1, -1, 2, -2, 4, -4):
            p[i] = centre + step * H
            values[step] = f()
        p[i] = centre
        gradient[i] = fourth_order([values[s] for s in (1, -1, 2, -2)], H)
        coarse = fourth_order([values[s] for s in (2, -2, 4, -4)], 2 * H)
        size = max(1.0, *(abs(v) for v in values.values()))
        bound[i] = abs(gradient[i] - coarse) + 1.5 / H * TERMS * EPS * size
    return gradient, bound


def assert_gradient(analytic, f, p):
    """Assert that `analytic` is the gradient of f by p; the bound must be sharp enough to tell."""
    numerical, bound = numerical_gradient(f, p)
    assert analytic.shape == p.shape
    assert bound.max() < 1e-6
    assert (np.abs(analytic - numerical) <= bound).all()


def away_from_kinks(z):
    """Tell whether a step of 4 H in a parameter (inputs within 1) leaves the sign of every z."""
    return np.abs(z).min() > 8 * H


def layer(activation, rng):
    """x, w, b of a layer whose pre-activations are away from the kink of relu."""
    while True:
        x, w, b = (rng.uniform(-1, 1, shape) for shape in [(5, 4), (4, 3), (3,)])
        if activation != "relu" or away_from_kinks(x @ w + b):
            return x, w, b


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_dense_backward(activation, rng):
    x, w, b = layer(activation, rng)
    dy = rng.uniform(-1, 1, (5, 3))

    def f():
        return float((dy * fastnn.dense_forward(x, w, b, activation=activation)).sum())

    y = fastnn.dense_forward(x, w, b, activation=activation)
    dx, dw, db = fastnn.dense_backward(x, w, y, dy, activation=activation)
    for gradient, p in [(dx, x), (dw, w), (db, b)]:
        assert_gradient(gradient, f, p)


def test_a_wrong_gradient_is_rejected(rng):
    x, w, b = layer("tanh", rng)

    def f():
        return float(fastnn.dense_forward(x, w, b, activation="tanh").sum())

    y = fastnn.dense_forward(x, w, b, activation="tanh")
    _, dw, _ = fastnn.dense_backward(x, w, y, np.ones_like(y), activation="tanh")
    assert_gradient(dw, f, w)
    for wrong in (dw * (1 + 1e-6), dw.T[:, :3].repeat(2, axis=0)[:4], -dw):
        with pytest.raises(AssertionError):
            assert_gradient(wrong, f, w)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["labels", "targets"])
@pytest.mark.parametrize("c", [1, 4])
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, c, kind, weighted, rng):
    n = 6
    z = rng.uniform(-3, 3, (n, c))
    n_values = c if name == "softmax_cross_entropy" else max(c, 2)
    y = rng.integers(0, n_values, n) if kind == "labels" else rng.uniform(0, 1, (n, c))
    weights = rng.uniform(0, 2, n) if weighted else None

    def f():
        return getattr(fastnn, name)(z, y, sample_weight=weights)[0]

    _, dz = getattr(fastnn, name)(z, y, sample_weight=weights)
    assert_gradient(dz, f, z)


def network(sizes, activation, output, x, rng):
    """A network with weights and biases of its generator, away from the kinks of relu."""
    net = Network(sizes, activation=activation, output=output, dtype="float64")
    while True:
        net.weights = [rng.uniform(-1, 1, w.shape) for w in net.weights]
        net.biases = [rng.uniform(-1, 1, b.shape) for b in net.biases]
        a = [x, *net.activations(x)]
        z = [p @ w + b for p, w, b in zip(a, net.weights, net.biases)][:-1]
        relus = [p for p, name in zip(z, net.activation) if name == "relu"]
        if all(away_from_kinks(p) for p in relus):
            return net


def problem(n, k, c, kind, rng):
    """Inputs and labels or targets."""
    y = rng.integers(0, c, n) if kind == "labels" else rng.uniform(0, 1, (n, c))
    return rng.uniform(-1, 1, (n, k)), y


def assert_network_gradients(net, x, y, **options):
    """Assert the gradient of every parameter; the live arrays are moved for it."""

    def f():
        return net.loss_and_gradients(x, y, **options)[0]

    _, gradients = net.loss_and_gradients(x, y, **options)
    assert len(gradients) == len(net.weights)
    for (dw, db), w, b in zip(gradients, net.weights, net.biases, strict=True):
        assert_gradient(dw, f, w)
        assert_gradient(db, f, b)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("activation", ["identity", "sigmoid", "tanh", "relu"])
def test_network_with_one_hidden_layer(activation, output, rng):
    x, y = problem(4, 3, 3, "labels", rng)
    net = network((3, 5, 3), activation, output, x, rng)
    assert_network_gradients(net, x, y)


@pytest.mark.parametrize("kind", ["labels", "targets"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("output", OUTPUTS)
def test_network_with_penalty_weights_and_targets(output, alpha, weighted, kind, rng):
    x, y = problem(5, 3, 2, kind, rng)
    net = network((3, 4, 2), "tanh", output, x, rng)
    weights = rng.uniform(0, 2, len(x)) if weighted else None
    assert_network_gradients(net, x, y, alpha=alpha, sample_weight=weights)


@pytest.mark.parametrize(
    ("sizes", "activation"),
    [
        ((3, 2), []),
        ((1, 1), []),
        ((2, 3, 4, 2), ["sigmoid", "tanh"]),
        ((2, 3, 1, 3, 2), ["tanh", "identity", "sigmoid"]),
        ((3, 3, 3, 2), ["relu", "tanh"]),
    ],
)
@pytest.mark.parametrize("output", OUTPUTS)
def test_network_of_any_depth(sizes, activation, output, rng):
    x, y = problem(3, sizes[0], sizes[-1], "targets", rng)
    net = network(sizes, activation, output, x, rng)
    assert_network_gradients(net, x, y, alpha=0.1)
