"""Bad input of Network: nothing is half done, and every message says what was expected."""

import numpy as np
import pytest

from fastnn import Network

N, SIZES = 6, (4, 5, 3)
TRAIN = {"epochs": 1}


@pytest.fixture
def net(dtype):
    """A network 4-5-3."""
    return Network(SIZES, dtype=dtype, rng=0)


@pytest.fixture
def x(dtype, rng):
    """Rows that fit the network."""
    return rng.uniform(-1, 1, (N, 4)).astype(dtype)


def parameters(net):
    """Copies of all weights and biases."""
    return [p.copy() for p in (*net.weights, *net.biases)]


@pytest.fixture
def unchanged(net):
    """Asserts at the end that the network has kept its parameters."""
    before = parameters(net)
    yield
    assert all(np.array_equal(p, q) for p, q in zip(parameters(net), before, strict=True))


@pytest.mark.parametrize(
    ("sizes", "error"),
    [
        ((), ValueError),
        ((3,), ValueError),
        ((3, 0, 2), ValueError),
        ((0, 2), ValueError),
        ((3, -1), ValueError),
        ((1, 2**70), ValueError),
        ((3, 2.0), TypeError),
        ((3, "2"), TypeError),
        (5, TypeError),
        (None, TypeError),
        ("34", TypeError),
    ],
)
def test_bad_sizes(sizes, error):
    with pytest.raises(error, match="sizes"):
        Network(sizes)


@pytest.mark.parametrize("sizes", [(2**31, 2**31), (2**62, 4), (2, 2**62), (2**60, 1)])
def test_sizes_beyond_memory(sizes, dtype):
    with pytest.raises((MemoryError, ValueError, OverflowError)):
        Network(sizes, dtype=dtype)


def test_unknown_names():
    with pytest.raises(ValueError, match="unknown activation 'gelu'") as error:
        Network(SIZES, activation="gelu")
    for name in ("identity", "sigmoid", "tanh", "relu"):
        assert repr(name) in str(error.value)
    with pytest.raises(ValueError, match="unknown activation 'softmax'"):
        Network(SIZES, activation="softmax")
    with pytest.raises(ValueError, match="unknown activation 'gelu'"):
        Network((4, 3), activation="gelu")
    with pytest.raises(ValueError, match="unknown activation 3"):
        Network(SIZES, activation=[3])
    with pytest.raises(ValueError, match="2 activations given for 1 hidden"):
        Network(SIZES, activation=["relu", "relu"])
    with pytest.raises(ValueError, match="'relu'; valid names: 'softmax', 'sigmoid', 'identity'"):
        Network(SIZES, output="relu")


@pytest.mark.parametrize("bad", ["float16", "int64", "complex64", "longdouble", None, "nonsense"])
def test_bad_dtypes(bad):
    with pytest.raises(TypeError, match="dtype must be 'float32' or 'float64'"):
        Network(SIZES, dtype=bad)


def test_bad_rng(net, x):
    with pytest.raises(TypeError, match="rng must be"):
        Network(SIZES, rng="seed")
    with pytest.raises(TypeError, match="rng must be"):
        net.train(x, [0] * N, epochs=1, rng=0.5)


def each_method(net, x):
    """Calls that take x."""
    return [
        lambda: net(x),
        lambda: net.activations(x),
        lambda: net.loss_and_gradients(x, [0] * N),
        lambda: net.train(x, [0] * N, **TRAIN),
    ]


@pytest.mark.usefixtures("unchanged")
def test_bad_x(net, x):
    other = {"float32": "float64", "float64": "float32"}[x.dtype.name]
    for bad, error, message in [
        (x.astype(other), TypeError, rf"x is {other}.*x.astype\('{x.dtype}'\)"),
        (x.astype(int), TypeError, "x must be float32 or float64, not int64"),
        (x.astype(complex), TypeError, "x must be float32 or float64, not complex128"),
        (x.astype(object), TypeError, "x must be float32 or float64, not object"),
        (np.ma.masked_array(x), TypeError, "x is a masked array"),
        (x[:, :3], ValueError, r"x has shape \(6, 3\), expected 4 columns"),
        (x[:, :0], ValueError, r"x has shape \(6, 0\), expected 4 columns"),
        (x[np.newaxis], ValueError, "x must have .*2 dimensions, not 3"),
        (x[0, 0], ValueError, "x must have .*2 dimensions, not 0"),
    ]:
        for attempt in each_method(net, bad):
            with pytest.raises(error, match=message):
                attempt()


@pytest.mark.usefixtures("unchanged")
def test_one_row_or_none_has_no_mean(net, x):
    for method, options in [(net.loss_and_gradients, {}), (net.train, TRAIN)]:
        with pytest.raises(ValueError, match="x must have 2 dimensions"):
            method(x[0], [0], **options)
        with pytest.raises(ValueError, match=r"x \(0, 4\) has no rows"):
            method(x[:0], np.zeros(0, int), **options)


@pytest.mark.usefixtures("unchanged")
def test_bad_labels_and_weights(net, x):
    ones, dtype = np.ones(N, x.dtype), x.dtype
    for method, options in [(net.loss_and_gradients, {}), (net.train, TRAIN)]:
        for y, error, message in [
            ([0, 1, 2, 3, 0, 0], ValueError, r"y\[3\] is 3: labels must be in \[0, 3\)"),
            ([0, -1, 2, 0, 0, 0], ValueError, r"y\[1\] is -1"),
            ([0, 1], ValueError, r"y has shape \(2,\)"),
            (ones, TypeError, "labels must be integers"),
            (np.ones((N, 3), int), TypeError, "targets a matrix"),
            (np.ones((N, 2), dtype), ValueError, r"expected targets \(6, 3\)"),
        ]:
            with pytest.raises(error, match=message):
                method(x, y, **options)
        for weight, error, message in [
            (-ones, ValueError, r"sample_weight\[0\] is -1.0"),
            (ones * np.nan, ValueError, r"sample_weight\[0\] is nan"),
            (ones * 0, ValueError, "sum of sample_weight is 0.0"),
            (ones[:5], ValueError, r"sample_weight has shape \(5,\)"),
            (ones.astype(int), TypeError, "sample_weight must be float32 or float64"),
        ]:
            with pytest.raises(error, match=message):
                method(x, [0] * N, sample_weight=weight, **options)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": -1}, ValueError, "epochs is -1: it must be at least 0"),
        ({"epochs": 1.0}, TypeError, "epochs must be an integer, not 1.0"),
        ({"batch_size": 0}, ValueError, "batch_size is 0: it must be at least 1"),
        ({"batch_size": 2**63}, ValueError, r"batch_size is \d+: it must be at most"),
        ({"batch_size": "64"}, TypeError, "batch_size must be an integer"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate is 0.0: it must be finite and pos"),
        ({"learning_rate": -1}, ValueError, "learning_rate is -1.0"),
        ({"learning_rate": np.inf}, ValueError, "learning_rate is inf"),
        ({"learning_rate": np.nan}, ValueError, "learning_rate is nan"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate must be a number, not 'fast'"),
        ({"momentum": 1.0}, ValueError, r"momentum is 1.0: it must be in \[0, 1\)"),
        ({"momentum": -0.1}, ValueError, "momentum is -0.1"),
        ({"momentum": np.nan}, ValueError, "momentum is nan"),
        ({"alpha": -1e-9}, ValueError, "alpha is -1e-09: it must be finite and at least 0"),
        ({"alpha": np.inf}, ValueError, "alpha is inf"),
        ({"alpha": None}, TypeError, "alpha must be a number"),
        ({"callback": 5}, TypeError, "callback must be callable, not int"),
    ],
)
def test_bad_options_of_training(options, error, message, net, x):
    with pytest.raises(error, match=message):
        net.train(x, [0] * N, **(TRAIN | options))


@pytest.mark.usefixtures("unchanged")
def test_unknown_solvers(net, x):
    with pytest.raises(ValueError, match="unknown solver 'rmsprop'") as error:
        net.train(x, [0] * N, epochs=1, solver="rmsprop")
    assert "'sgd', 'momentum', 'nesterov', 'adam', 'lbfgs'" in str(error.value)


def test_bad_alpha_of_the_loss(net, x):
    for bad in (-1.0, np.nan):
        with pytest.raises(ValueError, match="alpha is"):
            net.loss_and_gradients(x, [0] * N, alpha=bad)


@pytest.mark.usefixtures("unchanged")
def test_bad_weights_and_biases(net, dtype):
    other = {"float32": "float64", "float64": "float32"}[dtype.name]
    first, second = (np.ones_like(w) for w in net.weights)
    for bad, error, message in [
        ([first], ValueError, "weights: 1 arrays given, expected 2"),
        ([first, second, second], ValueError, "weights: 3 arrays given"),
        ([first, second.T], ValueError, r"weights\[1\] has shape \(3, 5\), expected \(5, 3\)"),
        ([first, second[0]], ValueError, r"weights\[1\] must have 2 dimensions"),
        ([first, second.astype(other)], TypeError, rf"weights\[1\] is {other} but the network is"),
        ([first, second.astype(int)], TypeError, r"weights\[1\] must be float32 or float64"),
        (5, TypeError, "iterable"),
    ]:
        with pytest.raises(error, match=message):
            net.weights = bad
    with pytest.raises(ValueError, match=r"biases\[0\] has shape \(4,\), expected \(5,\)"):
        net.biases = [np.ones(4, dtype), np.ones(3, dtype)]
    with pytest.raises(TypeError):
        net.weights[0] = first
    with pytest.raises(AttributeError):
        net.weight = [first, second]


@pytest.mark.usefixtures("unchanged")
def test_bad_out(net, x, dtype):
    other = {"float32": "float64", "float64": "float32"}[dtype.name]
    square = Network((4, 4), dtype=dtype)
    fixed = np.zeros((N, 3), dtype)
    fixed.flags.writeable = False
    for out, error, message in [
        (np.zeros((N, 4), dtype), ValueError, r"out has shape \(6, 4\), expected \(6, 3\)"),
        (np.zeros(3, dtype), ValueError, r"out has shape \(3,\)"),
        (np.zeros((N, 3), other), TypeError, f"out must be .*{dtype}"),
        ([[0.0] * 3] * N, TypeError, "out must be a numpy.ndarray"),
        (fixed, ValueError, "read-only"),
        (x[:, :3], ValueError, "out shares memory with x"),
    ]:
        with pytest.raises(error, match=message):
            net(x, out=out)
    with pytest.raises(ValueError, match=r"shares memory with weights\[0\]"):
        square(x[:4], out=square.weights[0])


def test_layouts(net, x):
    expected = net(x)
    y = np.arange(N) % 3
    loss, _ = net.loss_and_gradients(x, y)
    odd = np.zeros(x.shape, [("tag", "u1"), ("value", x.dtype)])["value"]
    odd[...] = x
    fixed = x.copy()
    fixed.flags.writeable = False
    backwards = np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1]
    # Copies of the same values: the rounding may differ only through the order of the sums.
    bound = 64 * np.finfo(x.dtype).eps
    for other in (np.asfortranarray(x), odd, fixed, backwards, x.astype(x.dtype.newbyteorder())):
        before = other.copy()
        assert np.abs(net(other) - expected).max() <= bound
        assert abs(net.loss_and_gradients(other, y)[0] - loss) <= bound
        assert len(net.train(other, y, epochs=1, learning_rate=1e-30)) == 1
        assert np.array_equal(other, before)
