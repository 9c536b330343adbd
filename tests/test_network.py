"""Network: its initial weights, predictions and training."""

import threading

import numpy as np
import pytest
import textbook

import fastnn
from fastnn import Network

SOLVERS = ("sgd", "momentum", "nesterov", "adam")
RATES = {"sgd": 0.5, "momentum": 0.1, "nesterov": 0.1, "adam": 0.02}
N, SIZES = 13, (4, 6, 3)


@pytest.fixture
def data(dtype, rng):
    """x (N, 4) and labels of three classes that a network can tell apart."""
    y = np.arange(N) % 3
    x = rng.normal(0, 0.3, (N, SIZES[0])) + np.eye(3, SIZES[0])[y]
    return x.astype(dtype), y


def parameters(net):
    """Copies of all weights and biases."""
    return [p.copy() for p in (*net.weights, *net.biases)]


def same_parameters(a, b):
    """Tell whether two networks, or lists of parameters, are equal to the bit."""
    a, b = (parameters(n) if isinstance(n, Network) else n for n in (a, b))
    return all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))


def test_initial_weights_follow_their_rules(dtype):
    activation = ["sigmoid", "tanh", "relu", "identity"]
    net = Network((100, 80, 60, 50, 40, 30), activation=activation, dtype=dtype, rng=1)
    for w, b, name in zip(net.weights, net.biases, [*activation, "softmax"], strict=True):
        k, m = w.shape
        limit = np.sqrt(6 / k) if name == "relu" else np.sqrt(6 / (k + m))
        assert w.dtype == b.dtype == dtype
        assert np.abs(w).max() <= limit * (1 + np.finfo(dtype).eps)
        # The mean and variance of k m draws stay within five standard deviations.
        assert abs(w.mean()) < 5 * limit / np.sqrt(3 * k * m)
        assert abs(w.var() * 3 / limit**2 - 1) < 5 * np.sqrt(0.8 / (k * m))
        assert not b.any()


def test_seeds_and_generators_decide_the_weights():
    by_seed = Network(SIZES, rng=7)
    assert same_parameters(by_seed, Network(SIZES, rng=np.random.default_rng(7)))
    assert not same_parameters(by_seed, Network(SIZES, rng=8))
    assert not same_parameters(Network(SIZES), Network(SIZES))
    wide = Network(SIZES, dtype="float64", rng=7)
    for narrow, w in zip(by_seed.weights, wide.weights, strict=True):
        assert np.array_equal(narrow, w.astype(np.float32))


def test_properties_and_repr():
    net = Network([256, np.int64(128), 10])
    assert net.sizes == (256, 128, 10)
    assert net.activation == ("sigmoid",) and net.output == "softmax"
    assert net.dtype == np.float32
    assert net.n_parameters == 256 * 128 + 128 + 128 * 10 + 10
    assert repr(net) == (
        "Network((256, 128, 10), activation='sigmoid', output='softmax', dtype='float32')"
    )
    mixed = Network((2, 3, 3, 1), activation=("tanh", "relu"), output="identity", dtype=float)
    assert "activation=('tanh', 'relu'), output='identity', dtype='float64'" in repr(mixed)
    for n in (net, mixed, Network((2, 3))):
        assert repr(eval(repr(n))) == repr(n)


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "identity"])
def test_outputs_are_those_of_the_layers(output, dtype, rng):
    net = Network((5, 7, 6, 4), activation=["tanh", "relu"], output=output, dtype=dtype, rng=2)
    net.biases = [rng.uniform(-1, 1, b.shape).astype(dtype) for b in net.biases]
    x = rng.uniform(-1, 1, (9, 5)).astype(dtype)
    a, layers = x, net.activations(x)
    # Each layer's own error is that of its sums; the activations' slopes are at most 1, so an error
    # of the layer before grows at most by the column sums of |W| <= k max|W|.
    bound = 0.0
    for w, b, name, out in zip(net.weights, net.biases, ("tanh", "relu", output), layers):
        a = fastnn.dense_forward(a, w, b, activation=name)
        k, top = len(w), float(np.abs(w).max())
        size = k * top * float(np.abs(a).max() + 1) + 1
        bound = 2 * (bound * k * top + (k + 8) * np.finfo(dtype).eps * size)
        assert np.abs(a - out).max() <= bound
    result = net(x)
    assert result.dtype == dtype and result.shape == (9, 4)
    assert np.abs(result - layers[-1]).max() <= bound
    out = np.empty((9, 4), dtype)
    assert net(x, out=out) is out
    assert np.array_equal(out, result)


def test_one_row_gives_one_row(dtype, rng):
    net = Network(SIZES, dtype=dtype, rng=3)
    x = rng.uniform(-1, 1, (5, 4)).astype(dtype)
    whole = net(x)
    for i, row in enumerate(x):
        alone = net(row)
        assert alone.shape == (3,)
        assert [a.shape for a in net.activations(row)] == [(6,), (3,)]
        out = np.empty(3, dtype)
        assert net(row, out=out) is out and np.array_equal(out, alone)
        if fastnn.backend() == "compiled":
            assert np.array_equal(alone, whole[i])
        else:
            assert np.abs(alone - whole[i]).max() <= 16 * np.finfo(dtype).eps


def test_no_rows_give_no_rows(dtype):
    net = Network(SIZES, dtype=dtype)
    assert net(np.zeros((0, 4), dtype)).shape == (0, 3)
    assert [a.shape for a in net.activations(np.zeros((0, 4), dtype))] == [(0, 6), (0, 3)]


def test_weights_in_and_out(dtype, rng):
    net = Network(SIZES, dtype=dtype)
    values = [rng.normal(size=w.shape).astype(dtype) for w in net.weights]
    net.weights = values
    net.biases = [np.arange(b.size, dtype=dtype) for b in net.biases]
    assert all(np.array_equal(w, v) for w, v in zip(net.weights, values, strict=True))
    assert np.array_equal(net.biases[0], np.arange(6))
    values[0][...] = 0
    assert net.weights[0].all()


def test_weights_are_live(data):
    x, y = data
    net = Network(SIZES, dtype=x.dtype, rng=0)
    before = net(x)
    w = net.weights[0]
    w *= 2
    assert not np.array_equal(net(x), before)
    net.train(x, y, epochs=1)
    assert np.array_equal(w, net.weights[0])


def test_weights_can_be_swapped_with_themselves(dtype, rng):
    net = Network((4, 4, 4), dtype=dtype, rng=0)
    first, second = (w.copy() for w in net.weights)
    net.weights = net.weights[::-1]
    assert np.array_equal(net.weights[0], second) and np.array_equal(net.weights[1], first)
    net.weights = [w.T for w in net.weights]
    assert np.array_equal(net.weights[0], second.T)


def in_type(float_type, arrays):
    """The arrays in another float type."""
    return [np.asarray(a).astype(float_type) for a in arrays]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.01])
@pytest.mark.parametrize("solver", SOLVERS)
def test_training_is_the_textbook_loop(solver, alpha, weighted, data, rng):
    x, y = data
    dtype = x.dtype
    net = Network((4, 6, 5, 3), dtype=dtype, rng=4)
    weight = np.where(np.arange(N) % 4 == 1, 0, rng.uniform(0.5, 2, N)) if weighted else np.ones(N)
    weight = weight.astype(dtype)
    options = {"solver": solver, "batch_size": 5, "momentum": 0.8, "alpha": alpha}
    runs = []
    for float_type in (dtype, np.longdouble):
        start = in_type(float_type, net.weights), in_type(float_type, net.biases)
        rate = np.asarray(RATES[solver], dtype).astype(float_type)[()]
        inputs = (x.astype(float_type), y, [np.arange(N)] * 3, weight.astype(float_type))
        runs.append(textbook.train(*start, *inputs, rate=rate, **options))
    losses = net.train(
        x,
        y,
        epochs=3,
        learning_rate=float(np.asarray(RATES[solver], dtype)),
        shuffle=False,
        sample_weight=weight if weighted else None,
        **options,
    )
    (_, narrow_losses), (_, exact_losses) = runs
    # How far rounding takes the same loop in this dtype measures how it grows; 16 such errors are
    # allowed, and the rounding of the last step.
    for p, narrow, exact in zip((*net.weights, *net.biases), runs[0][0], runs[1][0], strict=True):
        bound = 16 * np.abs(narrow - exact).max() + 8 * np.finfo(dtype).eps * np.abs(exact).max()
        assert np.abs(p - exact).max() <= bound
        assert bound < 1e-3 * np.abs(exact).max()
    spread = np.abs(narrow_losses - exact_losses).max()
    assert np.abs(losses - exact_losses).max() <= 16 * spread + 64 * np.finfo(dtype).eps


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "identity"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_training_lowers_the_loss(solver, output, data):
    x, y = data
    net = Network(SIZES, output=output, dtype=x.dtype, rng=5)
    before, _ = net.loss_and_gradients(x, y)
    losses = net.train(
        x, y, epochs=60, batch_size=4, solver=solver, learning_rate=RATES[solver], rng=0
    )
    after, _ = net.loss_and_gradients(x, y)
    assert len(losses) == 60 and all(type(loss) is float for loss in losses)
    assert after < 0.5 * before
    assert losses[-1] < 0.5 * losses[0]


def test_no_epochs_change_nothing(data):
    net = Network(SIZES, dtype=data[0].dtype)
    before = parameters(net)
    assert net.train(*data, epochs=0) == []
    assert same_parameters(net, before)


def test_seeds_decide_the_order(data):
    def trained(**options):
        net = Network(SIZES, dtype=data[0].dtype, rng=6)
        return net.train(*data, epochs=3, batch_size=4, **options), net

    losses, net = trained(rng=1)
    again, same = trained(rng=np.random.default_rng(1))
    assert losses == again and same_parameters(net, same)
    assert trained(rng=2)[0] != losses
    assert trained(shuffle=False)[0] == trained(shuffle=False, rng=9)[0]
    assert trained(shuffle=False)[0] != losses


def test_the_callback_sees_every_epoch_and_may_stop(data):
    net = Network(SIZES, dtype=data[0].dtype)
    seen = []
    losses = net.train(*data, epochs=4, callback=lambda *args: seen.append(args))
    assert seen == list(enumerate(losses)) and len(losses) == 4
    for yes in (True, np.True_):
        assert len(net.train(*data, epochs=9, callback=lambda e, _: yes if e == 2 else None)) == 3
    for no in (False, None, 0.97, "stop"):
        assert len(net.train(*data, epochs=3, callback=lambda e, _: no)) == 3


def test_an_exception_of_the_callback_propagates(data):
    net = Network(SIZES, dtype=data[0].dtype)

    def fail(epoch, loss):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        net.train(*data, epochs=3, callback=fail)
    assert len(net.train(*data, epochs=1)) == 1


def test_training_twice_at_once_is_refused(data):
    x, y = data
    net = Network(SIZES, dtype=x.dtype)
    inside, leave = threading.Event(), threading.Event()

    def wait(epoch, loss):
        inside.set()
        return leave.wait(60)

    thread = threading.Thread(target=net.train, args=data, kwargs={"epochs": 9, "callback": wait})
    thread.start()
    assert inside.wait(60)
    try:
        before = parameters(net)
        with pytest.raises(RuntimeError, match="cannot train: this network is being trained"):
            net.train(x, y, epochs=1)
        with pytest.raises(RuntimeError, match="cannot set weights"):
            net.weights = net.weights
        with pytest.raises(RuntimeError, match="cannot set biases"):
            net.biases = net.biases
        assert same_parameters(net, before)
        assert net(x).shape == (N, 3)
    finally:
        leave.set()
        thread.join(60)
    assert not thread.is_alive()
    net.weights = net.weights


def test_networks_train_in_threads_of_their_own(data):
    def trained():
        net = Network(SIZES, dtype=data[0].dtype, rng=1)
        net.train(*data, epochs=20, batch_size=4, rng=1)
        return net

    nets = [trained()]
    threads = [threading.Thread(target=lambda: nets.append(trained())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(nets) == 7
    assert all(same_parameters(nets[0], net) for net in nets)


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "identity"])
def test_sample_weights_equal_repeated_rows(output, data):
    x, y = data
    counts = np.arange(N) % 4
    weighted, repeated = (Network(SIZES, output=output, dtype=x.dtype, rng=2) for _ in range(2))
    loss, gradients = weighted.loss_and_gradients(x, y, sample_weight=counts.astype(x.dtype))
    rows = np.repeat(np.arange(N), counts)
    expected, expected_gradients = repeated.loss_and_gradients(x[rows], y[rows])
    # Means of at most len(rows) values of order 1, through two layers of at most 6 terms.
    bound = 4 * (len(rows) + 16) * np.finfo(x.dtype).eps
    assert abs(loss - expected) <= bound * max(1, expected)
    for pair, expected_pair in zip(gradients, expected_gradients, strict=True):
        for g, e in zip(pair, expected_pair, strict=True):
            assert np.abs(g - e).max() <= bound * max(1, np.abs(x).max())
    options = {"epochs": 1, "batch_size": 100, "solver": "sgd", "learning_rate": 1.0}
    weighted.train(x, y, sample_weight=counts.astype(x.dtype), shuffle=False, **options)
    repeated.train(x[rows], y[rows], shuffle=False, **options)
    for p, q in zip(parameters(weighted), parameters(repeated), strict=True):
        assert np.abs(p - q).max() <= 2 * bound * max(1, np.abs(x).max())


def test_the_penalty_is_half_alpha_times_the_squares(data):
    x, y = data
    net = Network(SIZES, dtype=x.dtype, rng=2)
    net.biases = [np.full_like(b, 3) for b in net.biases]
    loss, plain = net.loss_and_gradients(x, y)
    penalised, gradients = net.loss_and_gradients(x, y, alpha=0.5)
    squares = sum(float((w.astype(np.longdouble) ** 2).sum()) for w in net.weights)
    eps = np.finfo(x.dtype).eps
    assert abs(penalised - loss - 0.25 * squares) <= 64 * eps * (loss + squares)
    for (dw, db), (dw0, db0), w in zip(gradients, plain, net.weights, strict=True):
        assert np.array_equal(db, db0)
        assert np.abs(dw - dw0 - 0.5 * w).max() <= 4 * eps * (np.abs(dw0) + np.abs(w)).max()


def test_no_hidden_layer_with_squared_error_is_linear_regression(rng):
    x = rng.normal(size=(40, 3))
    design = np.column_stack([x, np.ones(40)])
    y = rng.normal(size=(40, 2))
    exact = np.linalg.lstsq(design, y)[0]
    net = Network((3, 2), output="identity", dtype="float64", rng=0)
    net.train(x, y, epochs=2000, batch_size=40, solver="sgd", learning_rate=0.5)
    # The gradient of the converged network bounds its distance from the least squares solution.
    _, [(dw, db)] = net.loss_and_gradients(x, y)
    smallest = np.linalg.eigvalsh(design.T @ design / 40)[0]
    slack = (np.linalg.norm(np.vstack([dw, db])) + 1e-13) / smallest
    assert slack < 1e-9
    assert np.linalg.norm(np.vstack([net.weights[0], net.biases[0]]) - exact) <= slack
