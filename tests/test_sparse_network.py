"""Networks of sparse rows: the outputs, gradients and trainings of dense ones, to the bit."""

import numpy as np
import pytest

import fastnn
from fastnn._sparse import from_scipy
from fastnn.runtime import threads_of_call

sparse = pytest.importorskip("scipy.sparse")

SIZES = (40, 17, 3)


def case(rng, dtype, n=300, d=40):
    """Dense rows with few values, their labels, and weights of which some are 0."""
    x = (rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.1)).astype(dtype)
    x[n // 3] = 0
    x[:, 5] = 0
    weights = rng.integers(0, 3, n).astype(dtype)
    return x, rng.integers(0, 3, n), weights


def network(dtype, sizes=SIZES, **options):
    """A network that is the same each time."""
    return fastnn.Network(sizes, dtype=dtype, rng=3, **options)


def same(got, expected):
    """Assert equality, to the bit in the compiled backend, but for the sign of zeros."""
    assert got.dtype == expected.dtype and got.shape == expected.shape
    if fastnn.backend() == "numpy":  # BLAS has an order of its own; a few hundred terms of size 1
        tolerance = 2000 * np.finfo(expected.dtype).eps
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)
    else:
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("sizes", [SIZES, (40, 3), (40, 1), (40, 65, 8, 3)])
def test_outputs(isa, dtype, rng, sizes):
    x, _, _ = case(rng, dtype)
    net = network(dtype, sizes, output="sigmoid")
    for n in (0, 1, 7, 300):
        expected = net(x[:n])
        for rows in (sparse.csr_matrix(x[:n]), sparse.coo_array(x[:n]),
                     from_scipy(sparse.csr_array(x[:n]))):  # fmt: skip
            same(net(rows), expected)
        out = np.full((sizes[-1], n), np.nan, dtype).T
        assert net(sparse.csc_array(x[:n]), out=out) is out
        same(out, expected)
        for got, dense in zip(net.activations(sparse.csr_array(x[:n])), net.activations(x[:n])):
            same(got, dense)
    held = net.weights  # now they lie in rows
    same(net(sparse.csr_array(x)), net(x))
    del held


def test_outputs_of_one_row_are_those_in_a_batch(isa, dtype, rng):
    x, _, _ = case(rng, dtype, n=2000)
    net, rows = network(dtype), from_scipy(sparse.csr_array(x))
    whole = net(rows)
    for threads in (1, 2, 3):
        same(net(rows, num_threads=threads), whole)
    for part in (slice(0, 1), slice(667, 668), slice(3, 70)):
        same(net(rows[part]), whole[part])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_gradients(isa, dtype, rng, threads):
    x, y, weights = case(rng, dtype)
    net = network(dtype)
    with threads_of_call(threads):
        loss, gradients = net.loss_and_gradients(sparse.csr_array(x), y, sample_weight=weights)
        expected, dense = net.loss_and_gradients(x, y, sample_weight=weights)
    assert loss == expected or fastnn.backend() == "numpy"
    for pair, dense_pair in zip(gradients, dense):
        for got, right in zip(pair, dense_pair):
            same(got, right)


@pytest.mark.parametrize("solver", ["sgd", "momentum", "nesterov", "adam", "lbfgs"])
@pytest.mark.parametrize("batch_size", [1, 64, 1000])
def test_training(isa, dtype, rng, solver, batch_size):
    x, y, weights = case(rng, dtype)
    nets = network(dtype), network(dtype), network(dtype)
    options = {"epochs": 3, "solver": solver, "batch_size": batch_size, "alpha": 0.01, "rng": 5}
    if fastnn.backend() == "numpy" and (solver == "lbfgs" or batch_size == 1):
        pytest.skip("rounding of its own grows with the steps")
    expected = nets[0].train(x, y, sample_weight=weights, **options)
    for net, threads in zip(nets[1:], (1, 3)):
        with threads_of_call(threads):
            losses = net.train(sparse.csr_array(x), y, sample_weight=weights, **options)
        np.testing.assert_allclose(
            losses, expected, rtol=0 if fastnn.backend() != "numpy" else 1e-4
        )
        for got, right in zip((*net.weights, *net.biases), (*nets[0].weights, *nets[0].biases)):
            same(got, right)


@pytest.mark.parametrize("output, loss", [("exp", None), ("identity", "huber")])
def test_training_with_dropout_and_other_losses(isa, dtype, rng, output, loss):
    x, y, _ = case(rng, dtype)
    y = np.eye(3, dtype=dtype)[y]
    nets = [network(dtype, output=output, loss=loss) for _ in range(2)]
    for net, rows in zip(nets, (x, sparse.csr_array(x))):
        net.train(rows, y, epochs=2, solver="adam", batch_size=50, dropout=0.3, rng=5)
    for got, right in zip(nets[1].weights, nets[0].weights):
        same(got, right)


def test_duplicates_and_any_order_of_columns(dtype):
    net = network(dtype, (3, 4, 2))
    x = sparse.csr_matrix((3, 3), dtype=dtype)
    x.data = np.array([1, 2, 4, 8, 16], dtype)
    x.indices, x.indptr = np.array([2, 0, 2, 1, 1]), np.array([0, 3, 3, 5])
    dense = np.array([[2, 0, 5], [0, 0, 0], [0, 24, 0]], dtype)
    same(net(x), net(dense))
    np.testing.assert_array_equal(x.indices, [2, 0, 2, 1, 1])


def test_bad_rows_are_refused(dtype):
    net = network(dtype)
    other = np.float32 if dtype == np.float64 else np.float64
    y = np.zeros(2, int)
    for x, error, message in [
        (sparse.csr_array((2, 39), dtype=dtype), ValueError, "expected 40 columns"),
        (sparse.csr_array((2, 40), dtype=other), TypeError, "but the network is"),
        (sparse.coo_array(np.ones(40, dtype)), ValueError, "2 dimensions"),
        (sparse.csr_array((2, 40), dtype=complex), ValueError, "Complex data not supported"),
    ]:
        for call in (net, net.activations, lambda a: net.train(a, y, epochs=1)):
            with pytest.raises(error, match=message):
                call(x)
    x = sparse.csr_matrix((2, 40), dtype=dtype)
    x.data, x.indices, x.indptr = np.ones(2, dtype), np.array([0, 40]), np.array([0, 1, 2])
    with pytest.raises(ValueError, match=r"column 40 is not in \[0, 40\)"):
        net(x)
    with pytest.raises(ValueError, match="no rows"):
        net.train(sparse.csr_array((0, 40), dtype=dtype), y[:0], epochs=1)


def test_out_may_not_be_the_values(dtype):
    net = network(dtype, (4, 2))
    values = np.zeros((2, 2), dtype)
    x = from_scipy(sparse.csr_array((2, 4), dtype=dtype))
    assert net(x, out=values) is values
    x = sparse.csr_matrix((2, 4), dtype=dtype)
    x.data, x.indices, x.indptr = values.ravel(), np.arange(4), np.array([0, 2, 4])
    with pytest.raises(ValueError, match="out shares memory with x"):
        net(x, out=values)
