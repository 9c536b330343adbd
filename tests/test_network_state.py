"""What a Network keeps: copies and pickles, and its weights when a training goes wrong."""

import _thread
import copy
import pickle
import threading

import numpy as np
import pytest

from fastnn import Network

SIZES = (4, 6, 5, 3)


def data(dtype, rng, n=20):
    """x (n, 4) and labels of three classes."""
    return rng.normal(size=(n, 4)).astype(dtype), rng.integers(0, 3, n)


def parameters(net):
    """Copies of all weights and biases."""
    return [p.copy() for p in (*net.weights, *net.biases)]


def assert_parameters(net, expected):
    """Assert that the parameters are those to the bit, and finite."""
    for p, q in zip(parameters(net), expected, strict=True):
        assert np.array_equal(p, q) and np.isfinite(p).all()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_keeps_the_bits(protocol, dtype, rng):
    check_copy(lambda net: pickle.loads(pickle.dumps(net, protocol)), dtype, rng)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_copies_keep_the_bits(duplicate, dtype, rng):
    check_copy(duplicate, dtype, rng)


def check_copy(duplicate, dtype, rng):
    """Assert that a duplicate predicts and trains the same, and is independent."""
    x, y = data(dtype, rng)
    net = Network(SIZES, activation=["tanh", "relu"], output="sigmoid", dtype=dtype, rng=1)
    net.train(x, y, epochs=2)
    twin = duplicate(net)
    assert repr(twin) == repr(net)
    assert_parameters(twin, parameters(net))
    for rows in (x, x[0], x[:7]):
        assert np.array_equal(twin(rows), net(rows))
    options = {"epochs": 2, "batch_size": 8, "rng": 3}
    before = parameters(twin)
    losses = net.train(x, y, **options)
    assert_parameters(twin, before)
    assert twin.train(x, y, **options) == losses
    assert_parameters(twin, parameters(net))


def test_a_network_in_training_can_be_copied_by_its_callback(rng):
    x, y = data("float32", rng)
    net, kept = Network(SIZES), []
    net.train(x, y, epochs=3, callback=lambda epoch, loss: kept.append(copy.copy(net)))
    assert_parameters(kept[-1], parameters(net))
    kept[0].train(x, y, epochs=1)


@pytest.mark.parametrize("solver", ["sgd", "momentum", "nesterov", "adam"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_in_x_stops_before_it_does_harm(bad, solver, dtype, rng):
    x, y = data(dtype, rng)
    x[17, 2] = bad
    net = Network(SIZES, activation="relu", dtype=dtype, rng=0)
    before = parameters(net)
    with pytest.raises(FloatingPointError, match="epoch 0: .* is not finite.*are kept.*NaN"):
        net.train(x, y, epochs=5, batch_size=4, solver=solver)
    assert_parameters(net, before)
    x[17, 2] = 0
    assert len(net.train(x, y, epochs=1)) == 1


def test_divergence_names_the_epoch_and_keeps_the_one_before(dtype, rng):
    x, _ = data(dtype, rng)
    net = Network((4, 3), output="identity", dtype=dtype, rng=0)
    kept = [parameters(net)]
    with pytest.raises(FloatingPointError) as error:
        net.train(
            x,
            rng.normal(size=(20, 3)).astype(dtype),
            epochs=1000,
            solver="sgd",
            learning_rate=5.0,
            callback=lambda epoch, loss: kept.append(parameters(net)),
        )
    assert f"epoch {len(kept) - 1}: " in str(error.value)
    assert len(kept) > 5
    assert_parameters(net, kept[-1])


def test_a_last_step_that_overflows_is_undone(dtype):
    net = Network((1, 1), output="identity", dtype=dtype, rng=0)
    before = parameters(net)
    x = np.full((1, 1), 1e10, dtype)
    with pytest.raises(FloatingPointError, match="epoch 0: a weight is not finite"):
        net.train(x, -x, epochs=1, solver="sgd", learning_rate=1e300)
    assert_parameters(net, before)


def test_nan_predictions_stay_in_their_row(dtype, rng):
    net = Network(SIZES, dtype=dtype, rng=0)
    x, _ = data(dtype, rng)
    x[5] = np.nan
    y = net(x)
    assert np.isnan(y[5]).all()
    assert np.isfinite(np.delete(y, 5, axis=0)).all()


def test_an_interrupt_leaves_a_usable_network(dtype, rng):
    x, y = data(dtype, rng, 1000)
    net = Network(SIZES, dtype=dtype, rng=0)
    before = parameters(net)
    timer = threading.Timer(0.2, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        net.train(x, y, epochs=10**9)
    timer.join()
    assert any((p != q).any() for p, q in zip(parameters(net), before, strict=True))
    assert all(np.isfinite(p).all() for p in parameters(net))
    assert len(net.train(x, y, epochs=1)) == 1
