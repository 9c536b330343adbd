"""Arrays of a network's parameters are live: what is written into them, however, is predicted with."""

import copy
import gc
import pickle

import numpy as np
import pytest
from exact_data import labels, network, numbers, parameters
from processes import output_of

import fastnn

SIZES = (20, 33, 17, 10)
ROWS = (1, 2, 7, 300)


class Twin:
    """The same network in NumPy, from copies of the parameters; bits may differ, not more."""

    def __init__(self, net):
        self._net = net

    def __call__(self, x):
        """The outputs by formula."""
        net = self._net
        for w, b, name in zip(net.weights, net.biases, (*net.activation, net.output), strict=True):
            z = x.astype(np.float64) @ w.astype(np.float64) + b.astype(np.float64)
            if name == "softmax":
                e = np.exp(z - z.max(axis=-1, keepdims=True))
                x = e / e.sum(axis=-1, keepdims=True)
            else:
                x = {
                    "identity": np.array,
                    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
                    "tanh": np.tanh,
                }[name](z)
        return x


def predictions(net):
    """One row twice, by either shape, and 2, 7, 300 rows."""
    x = numbers((300, net.sizes[0]), 1, net.dtype)
    return [net(x[0]), *(net(x[:n]) for n in ROWS)]


def assert_current(net):
    """Assert that predictions follow from what the arrays show."""
    x = numbers((300, net.sizes[0]), 1, net.dtype)
    found = [*predictions(net), *(net.activations(x[:n])[-1] for n in ROWS)]
    right = Twin(net)(x)
    tolerance = 1e-12 if net.dtype == np.float64 else 1e-4
    for y in found:
        n = 1 if y.ndim == 1 else len(y)
        np.testing.assert_allclose(y.reshape(n, -1), right[:n], rtol=0, atol=tolerance)


def assert_seen(net, write):
    """Assert that predictions change by write() and are right before and after."""
    assert_current(net)
    before = predictions(net)
    write()
    after = predictions(net)
    assert all((a != b).any() for a, b in zip(before, after, strict=True))
    assert_current(net)


WAYS = {
    "all": lambda w: np.copyto(w, w + 1),
    "slice": lambda w: np.copyto(w[1:, ::2], 0.75),
    "transpose": lambda w: np.copyto(w.T[0], 0.75),
    "asarray": lambda w: np.copyto(np.asarray(w)[0], 0.75),
    "memoryview": lambda w: np.copyto(np.asarray(memoryview(w))[0], 0.75),
    "ufunc": lambda w: np.multiply(w, 0.5, out=w),
    "last element": lambda w: w.__setitem__((-1, -1), 8),
    "diagonal": lambda w: np.fill_diagonal(w, 0.75),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_writing_through_a_fresh_array(isa, way, layer, dtype):
    net = network(dtype)
    assert_seen(net, lambda: WAYS[way](net.weights[layer]))


@pytest.mark.parametrize("way", WAYS)
def test_writing_through_a_kept_array(isa, way, dtype):
    net = network(dtype)
    predictions(net)
    kept = [net.weights[1]]
    assert_seen(net, lambda: WAYS[way](kept[0]))
    assert_seen(net, lambda: np.copyto(kept[0], 0.125))
    kept.clear()
    assert_current(net)


def test_writing_through_biases(isa, dtype):
    net = network(dtype)
    for layer in range(3):
        assert_seen(net, lambda layer=layer: net.biases[layer].__setitem__(0, 4))
    kept = net.biases
    del kept
    assert_current(net)


@pytest.mark.parametrize("derive", [
    lambda w: w[2:, 1:], lambda w: w.T, lambda w: memoryview(w), lambda w: np.asarray(w)[0],
    lambda w: w.reshape(-1, copy=False) if w.flags.c_contiguous else w[:, 0],
    lambda w: w.view(np.uint8), lambda w: np.lib.stride_tricks.as_strided(w),
    lambda w: np.from_dlpack(w), lambda w: iter(w), lambda w: w.flat,
], ids=[
    "slice", "transpose", "memoryview", "row", "column", "bytes", "strided", "dlpack", "iterator",
    "flat",
])  # fmt: skip
def test_what_is_derived_keeps_them_live(isa, derive, dtype):
    """A view, after the array itself is gone and a prediction was made."""
    net = network(dtype)
    predictions(net)
    kept = [derive(net.weights[1])]
    gc.collect()

    def write():
        view = kept[0]
        if isinstance(view, memoryview):
            np.asarray(view)[0] = 0.75
        elif isinstance(view, np.flatiter):
            view[0] = 0.75
        elif isinstance(view, np.ndarray):
            view[...] = 0.75 if view.dtype == dtype else 0
        else:
            next(view)[...] = 0.75

    assert_seen(net, write)
    kept.clear()
    assert_current(net)


def test_assigning_is_seen(isa, dtype):
    net = network(dtype)
    changed = [w * dtype.type(0.5) for w in net.weights]
    assert_seen(net, lambda: setattr(net, "weights", changed))
    assert_seen(net, lambda: setattr(net, "biases", [b + dtype.type(1) for b in net.biases]))


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_a_kept_array_sees_training(isa, solver, dtype):
    net, free = network(dtype), network(dtype)
    kept = parameters(net)
    before = [p.copy() for p in kept]
    x, y = numbers((300, 20), 2, dtype), labels(300, 10, 3)
    options = {"epochs": 3, "batch_size": 50, "solver": solver, "learning_rate": 0.05, "rng": 0}
    assert net.train(x, y, **options) == free.train(x, y, **options)
    for p, q, old in zip(kept, parameters(free), before, strict=True):
        assert np.array_equal(p, q) and (p != old).any()
    assert_current(net)
    assert_current(free)
    assert_seen(net, lambda: np.copyto(kept[0], 0.25))


def test_writing_between_epochs_counts(isa, dtype):
    """A callback that writes, by a kept array or a fresh one, or assigns nothing but looks."""
    x, y = numbers((300, 20), 2, dtype), labels(300, 10, 3)

    def train(kept):
        net = network(dtype)
        arrays = net.weights if kept else None

        def callback(epoch, loss):
            w = arrays[1] if kept else net.weights[1]
            w[...] *= dtype.type(0.5)
            assert_current(net)

        losses = net.train(x, y, epochs=3, batch_size=50, rng=0, callback=callback)
        assert_current(net)
        return losses, [p.copy() for p in parameters(net)]

    (losses, found), (others, right) = train(False), train(True)
    untouched = network(dtype).train(x, y, epochs=3, batch_size=50, rng=0)
    assert losses == others != untouched
    assert all(map(np.array_equal, found, right))


@pytest.mark.parametrize("other", ["scalar", "best"])
def test_writing_after_a_change_of_the_set(isa, other, dtype):
    """Packed for one set, trained or not, then written and predicted with another, and back."""
    name = fastnn.available_isas()[0] if other == "best" else fastnn.available_isas()[-1]
    x, y = numbers((300, 20), 2, dtype), labels(300, 10, 3)
    for trained in (False, True):
        net = network(dtype)
        predictions(net)
        if trained:
            net.train(x, y, epochs=1, rng=0)
        with fastnn.use_isa(name):
            assert_seen(net, lambda net=net: np.copyto(net.weights[0], 0.125))
            if trained:
                net.train(x, y, epochs=1, rng=0)
            assert_current(net)
        assert_current(net)
        assert_seen(net, lambda net=net: np.copyto(net.weights[1], 0.25))


def test_training_after_a_change_of_the_set(isa, dtype):
    """What one set has trained another one shows, predicts with and copies."""
    x, y = numbers((300, 20), 2, dtype), labels(300, 10, 3)
    net = network(dtype)
    net.train(x, y, epochs=1, rng=0)
    for name in fastnn.available_isas():
        with fastnn.use_isa(name):
            assert_current(copy.deepcopy(net))
            assert_current(net)
            net.train(x, y, epochs=1, rng=0)


def test_arrays_outlive_the_network(isa, dtype):
    net = network(dtype)
    w, b = net.weights[0], net.biases[2]
    right = w.copy(), b.copy()
    del net
    gc.collect()
    assert np.array_equal(w, right[0]) and np.array_equal(b, right[1])
    w[...] = 3
    b[...] = 4
    assert (w == 3).all() and (b == 4).all()


@pytest.mark.parametrize("how", ["copy", "deepcopy", "pickle"])
@pytest.mark.parametrize("held", [False, True])
def test_copies_are_current_and_apart(isa, how, held, dtype):
    copies = {
        "copy": copy.copy,
        "deepcopy": copy.deepcopy,
        "pickle": lambda net: pickle.loads(pickle.dumps(net)),
    }
    net = network(dtype)
    x, y = numbers((300, 20), 2, dtype), labels(300, 10, 3)
    kept = net.weights if held else ()
    predictions(net)
    net.train(x, y, epochs=1, rng=0)
    net.weights[1][...] *= dtype.type(0.5)
    twin = copies[how](net)
    assert all(map(np.array_equal, predictions(net), predictions(twin)))
    before = predictions(net)
    assert_seen(twin, lambda: np.copyto(twin.weights[0], 0.25))
    assert all(map(np.array_equal, predictions(net), before))
    assert_current(net)
    del kept


def test_a_divergence_is_undone_for_predictions_too(isa, dtype):
    for held in (False, True):
        net = network(dtype, output="identity")
        kept = net.weights if held else ()
        x, y = numbers((300, 20), 2, dtype), numbers((300, 10), 3, dtype)
        x[299] = np.inf
        before = predictions(net)
        with pytest.raises(FloatingPointError):
            net.train(x, y, epochs=1, batch_size=50, shuffle=False)
        assert all(map(np.array_equal, predictions(net), before))
        del kept
        assert all(map(np.array_equal, predictions(net), before))


@pytest.mark.parametrize("other", ["scalar", "best"])
def test_what_was_infinite_under_another_set_is_forgotten(isa, other, dtype):
    name = fastnn.available_isas()[0] if other == "best" else fastnn.available_isas()[-1]
    net = network(dtype, (40, 10), (), "identity")
    good = net.weights[0].copy()
    net.weights[0][...] = np.inf
    predictions(net)
    net.weights = [good]
    with fastnn.use_isa(name):
        x, y = numbers((30, 40), 2, dtype), numbers((30, 10), 3, dtype)
        assert len(net.train(x, y, epochs=1)) == 1
        assert_current(net)


def test_sets_that_take_turns_train_the_same(isa, dtype):
    """Those with FMA give the same bits, whichever is in use, so they may change between epochs."""
    x, y = numbers((300, 20), 2, dtype), labels(300, 10, 3)
    sets = [name for name in fastnn.available_isas() if name not in ("scalar", "numpy")]
    if isa not in sets or len(sets) < 2:
        pytest.skip("there are no two sets with FMA to take turns")

    def train(*turns):
        net = network(dtype)

        def callback(epoch, loss):
            fastnn.runtime.backend_module.set_isa(turns[epoch % len(turns)])

        with fastnn.use_isa(isa):
            losses = net.train(x, y, epochs=5, batch_size=50, rng=0, callback=callback)
        return losses, [p.copy() for p in parameters(net)]

    (losses, right), (others, found) = train(isa), train(*sets)
    assert losses == others
    assert all(map(np.array_equal, found, right))


GARBAGE = """
    import gc, numpy as np, fastnn
    net = fastnn.Network((4, 3), rng=0)
    x = np.ones((2, 4), np.float32)
    for with_net in (False, True, False):
        base = net.weights[0].base
        cycle = [base, net] if with_net else [base]
        cycle.append(cycle)
        del base, cycle
        gc.collect()
    net.weights[0][...] = 0
    print(net(x)[0].tolist() == net(x[0]).tolist())
"""


def test_what_keeps_arrays_live_can_be_garbage():
    """The base of an array, in a cycle that the collector breaks."""
    assert output_of(GARBAGE, timeout=60) == "True\n"


def test_a_network_that_was_never_built_is_no_crash():
    code = """
        import numpy as np, fastnn
        class Bare(fastnn.Network):
            def __init__(self):
                pass
        for net in (Bare(), fastnn.Network.__new__(fastnn.Network)):
            for x in (np.ones(4, np.float32), np.ones((2, 4), np.float32)):
                try:
                    net(x, num_threads=2)
                except (AttributeError, RuntimeError):
                    print("refused")
                try:
                    net(x)
                except (AttributeError, RuntimeError):
                    print("refused")
    """
    assert output_of(code, timeout=60) == "refused\n" * 8
