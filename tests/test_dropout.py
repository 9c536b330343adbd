"""Dropout: its masks, its gradients, and on what it does not depend."""

import numpy as np
import pytest

import fastnn
from fastnn import Network, _dropout, reference
from fastnn.runtime import use_isa

SIZES, RATES = (6, 40, 33, 3), (0.25, 0.5)
N = 300  # more than a block of rows
SEED = 987654321987654321


@pytest.fixture
def data(dtype, rng):
    return rng.normal(size=(N, 6)).astype(dtype), rng.integers(0, 3, N)


def network(dtype, sizes=SIZES, activation="tanh"):
    return Network(sizes, activation=activation, dtype=dtype, rng=1)


def parameters(net):
    return [p.copy() for pair in zip(net.weights, net.biases) for p in pair]


def same(a, b):
    return all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))


def in_numpy(net):
    """The engine of the NumPy backend with a network's parameters."""
    engine = reference.NetworkEngine(net.sizes, net.activation, net.output, net.dtype)
    for live, p in zip((*engine.weights(), *engine.biases()), (*net.weights, *net.biases)):
        live[...] = p
    return engine


def test_the_share_that_is_dropped():
    n, m = 1000, 1000
    for rate in (0.1, 0.5, 0.9):
        mask = _dropout.mask(rate, SEED, 3, 1, n, m, np.float64)
        assert set(np.unique(mask)) == {0, 1 / (1 - rate)}
        dropped = mask == 0
        deviation = np.sqrt(rate * (1 - rate))
        assert abs(dropped.mean() - rate) < 5 * deviation / np.sqrt(n * m)
        for axis in (0, 1):  # 1000 means: one beyond five deviations has a chance of 1 in 1700
            assert np.abs(dropped.mean(axis) - rate).max() < 5 * deviation / np.sqrt(1000)


def test_masks_have_nothing_to_do_with_each_other():
    base = (SEED, 3, 1)
    first = _dropout.numbers(*base, 400, 400) < 2**31
    others = [(SEED + 1, 3, 1), (SEED, 4, 1), (SEED, 3, 2), (SEED, 2, 2), (SEED + 1, 2, 1)]
    for other in others:
        both = first == (_dropout.numbers(*other, 400, 400) < 2**31)
        assert abs(both.mean() - 0.5) < 5 * 0.5 / 400
    for shift in range(1, 5):
        for axis in (0, 1):
            both = first == np.roll(first, shift, axis)
            assert abs(both.mean() - 0.5) < 5 * 0.5 / 400


def test_the_gradient_with_fixed_masks(rng):
    x, y = rng.normal(size=(9, 6)), rng.integers(0, 3, 9)
    engine = in_numpy(network(np.float64))
    masks = [
        _dropout.mask(rate, SEED, 0, layer, 9, m, np.float64)
        for layer, (rate, m) in enumerate(zip(RATES, SIZES[1:]))
    ]
    _, _, gradients = engine.terms(x, y, 0.0, None, masks)
    h = 2.0**-12
    for p, g in zip(
        (*engine.weights(), *engine.biases()),
        [*(w for w, _ in gradients), *(b for _, b in gradients)],
    ):
        for index in [(0,) * p.ndim, tuple(rng.integers(0, p.shape)), (-1,) * p.ndim]:
            value, found = p[index], []
            for step in (h, -h, 2 * h, -2 * h):
                p[index] = value + step
                found.append(engine.terms(x, y, 0.0, None, masks)[0])
            p[index] = value
            numerical = (8 * (found[0] - found[1]) - (found[2] - found[3])) / (12 * h)
            # h^4 / 30 times a fifth derivative of order 1, and rounded losses of order 1
            assert abs(numerical - g[index]) <= 16 * h**4 + 64 * np.finfo(float).eps / h


@pytest.mark.parametrize("batch_size", [7, N])
def test_a_step_is_that_of_the_reference(isa, data, batch_size):
    x, y = data
    net = network(x.dtype)
    engine = in_numpy(net)
    options = ("sgd", 0.5, 0.0, 0.0, batch_size)
    trainings = [e.training(*options, dropout=RATES, seed=SEED) for e in (net._engine, engine)]
    order = np.arange(batch_size)
    for _ in range(2):  # the second step has other masks
        losses = [t.epoch(x, y, order, None)[0] for t in trainings]
    # With another mask of one element a step is another by far more than what sums are rounded by.
    eps = np.finfo(x.dtype).eps
    assert abs(losses[0] - losses[1]) <= 64 * eps
    for p, q in zip((*net.weights, *net.biases), (*engine.weights(), *engine.biases())):
        assert np.abs(p - q).max() <= 64 * eps
    before = [p.copy() for p in (*net.weights, *net.biases)]
    engine = in_numpy(net)
    other = engine.training(*options, dropout=RATES, seed=SEED + 1)
    other.epoch(x, y, order, None)
    trainings[0].epoch(x, y, order, None)
    far = [np.abs(p - q).max() for p, q in zip(net.weights, engine.weights())]
    assert max(far) > 1e-3 and not same(before, [*net.weights, *net.biases])


@pytest.mark.skipif(fastnn.backend() == "numpy", reason="NumPy promises no bits")
def test_threads_and_sets_do_not_matter(dtype, rng):
    sizes = (40, 300, 200, 5)  # work for several threads, by rows and by columns
    x, y = rng.normal(size=(N, 40)).astype(dtype), rng.integers(0, 5, N)
    for batch_size in (32, 290):
        found = []
        for isa in [i for i in fastnn.available_isas() if i != "scalar"]:
            for threads in (1, 2, 3):
                net = network(dtype, sizes)
                options = {"rng": 2, "dropout": RATES, "num_threads": threads}
                with use_isa(isa):
                    losses = net.train(x, y, epochs=2, batch_size=batch_size, **options)
                found.append([np.array(losses), *parameters(net)])
        assert all(same(found[0], other) for other in found[1:])


def test_no_dropout_changes_no_bit(isa, data):
    x, y = data
    found = []
    for dropout in (None, 0.0, (0, 0)):
        net = network(x.dtype)
        options = {} if dropout is None else {"dropout": dropout}
        losses = net.train(x, y, epochs=2, rng=3, **options)
        found.append([np.array(losses), *parameters(net)])
    assert same(found[0], found[1]) and same(found[0], found[2])
    nets = network(x.dtype), network(x.dtype)
    for net, dropout in zip(nets, ((), (0.0, 0.0))):
        net._engine.training("adam", 0.1, 0.0, 0.0, 8, dropout=dropout, seed=5).epoch(
            x, y, np.arange(N), None
        )
    assert same(parameters(nets[0]), parameters(nets[1]))


def test_the_rng_decides_what_is_dropped(data):
    x, y = data
    found = []
    for seed in (3, 3, 4):
        net = network(x.dtype)
        net.train(x, y, epochs=1, shuffle=False, dropout=0.5, rng=seed)
        found.append(parameters(net))
    assert same(found[0], found[1]) and not same(found[0], found[2])


def test_one_layer_may_drop_and_the_other_not(isa, data):
    x, y = data
    for rates in ((0.0, 0.5), (0.5, 0.0)):
        net = network(x.dtype)
        engine = in_numpy(net)
        for e in (net._engine, engine):
            e.training("sgd", 0.5, 0.0, 0.0, N, dropout=rates, seed=1).epoch(
                x, y, np.arange(N), None
            )
        for p, q in zip(net.weights, engine.weights()):
            assert np.abs(p - q).max() <= 64 * np.finfo(x.dtype).eps


def test_outputs_are_those_of_the_whole_network(data):
    x, y = data
    net = network(x.dtype)
    net.train(x, y, epochs=1, dropout=0.5, rng=0)
    copy = network(x.dtype)
    copy.weights, copy.biases = net.weights, net.biases
    assert np.array_equal(net(x), copy(x))
    assert net.loss_and_gradients(x, y)[0] == copy.loss_and_gradients(x, y)[0]


def test_an_optimiser_that_goes_on_drops_what_it_would_have(data):
    x, y = data
    nets = network(x.dtype), network(x.dtype)
    options = ("adam", 0.01, 0.0, 0.0, 32)
    whole = nets[0]._engine.training(*options, dropout=RATES, seed=9)
    whole.epoch(x, y, np.arange(N), None)
    nets[1].weights, nets[1].biases = nets[0].weights, nets[0].biases
    other = nets[1]._engine.training(*options, dropout=RATES, seed=9)
    other.set_state(whole.state())
    for training in (whole, other):
        training.epoch(x, y, np.arange(N), None)
    assert same(parameters(nets[0]), parameters(nets[1]))


@pytest.mark.parametrize("dropout", [-0.1, 1, np.nan, (0.5,), (0.5, 1.0), (0.1, 0.1, 0.1)])
def test_rates_out_of_range_are_refused(dropout, data):
    x, y = data
    net = network(x.dtype)
    before = parameters(net)
    with pytest.raises(ValueError, match="dropout"):
        net.train(x, y, epochs=1, dropout=dropout)
    if np.ndim(dropout):
        with pytest.raises(ValueError, match="dropout"):
            net._engine.training("sgd", 0.1, 0.0, 0.0, 8, dropout=dropout)
    assert same(before, parameters(net))


def test_lbfgs_takes_no_dropout(data):
    x, y = data
    net = network(x.dtype)
    with pytest.raises(ValueError, match="lbfgs takes no dropout"):
        net.train(x, y, epochs=1, solver="lbfgs", dropout=0.5)
    assert len(net.train(x, y, epochs=2, solver="lbfgs", dropout=0.0)) > 0
    with pytest.raises(TypeError, match="dropout must be a number"):
        net.train(x, y, epochs=1, dropout="half")


def test_without_hidden_layers_there_is_nothing_to_drop(data):
    x, y = data
    nets = [Network((6, 3), dtype=x.dtype, rng=0) for _ in range(2)]
    nets[0].train(x, y, epochs=1, dropout=0.5, shuffle=False)
    nets[1].train(x, y, epochs=1, shuffle=False)
    assert same(parameters(nets[0]), parameters(nets[1]))
