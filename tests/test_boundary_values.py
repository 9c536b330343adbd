"""Labels, weights, sizes of zero and beyond memory, and values that are not finite."""

import formulas
import numpy as np
import pytest

import fastnn
from fastnn import _check

ACTIVATIONS = ("identity", "sigmoid", "tanh", "relu", "softmax")
LOSSES = (
    "softmax_cross_entropy",
    "sigmoid_cross_entropy",
    "squared_error",
    "poisson_loss",
    "huber_loss",
    "absolute_error",
)
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", ">i4", "bool")
N, C = 6, 3


@pytest.fixture
def z(dtype, rng):
    """Logits (N, C)."""
    return rng.uniform(-3, 3, (N, C)).astype(dtype)


def assert_loss(name, z, y, sample_weight=None):
    """Assert that a loss and its gradient are within their bounds."""
    loss, dz = getattr(fastnn, name)(z, y, sample_weight=sample_weight)
    (expected, bound), (gradient, gradient_bound) = formulas.mean_loss(name, z, y, sample_weight)
    assert type(loss) is float
    assert dz.dtype == z.dtype
    assert abs(loss - expected) <= bound
    assert (np.abs(dz - gradient) <= gradient_bound).all()


def test_the_bounds_of_the_losses_are_sharp(z):
    y = [0, 2, 1, 1, 0, 2]
    for name in LOSSES:
        (loss, bound), (_, gradient_bound) = formulas.mean_loss(name, z, y)
        grain = 1000 * np.finfo(z.dtype).eps
        assert bound < grain * loss and gradient_bound.max() < grain


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("kind", INTEGERS)
def test_labels_of_any_integer_type(name, kind, z):
    labels = np.array([0, 1, 1, 0, 1, 1] if kind == "bool" else [0, 2, 1, 1, 0, 2]).astype(kind)
    assert_loss(name, z, labels)
    assert_loss(name, z, labels[::-1])


@pytest.mark.parametrize("name", LOSSES)
def test_labels_equal_one_hot_targets(name, z):
    labels = [0, 2, 1, 1, 0, 2]
    loss, dz = getattr(fastnn, name)(z, labels)
    loss_of_targets, dz_of_targets = getattr(fastnn, name)(z, np.eye(C, dtype=z.dtype)[labels])
    (_, bound), (_, gradient_bound) = formulas.mean_loss(name, z, labels)
    assert abs(loss - loss_of_targets) <= 2 * bound
    assert (np.abs(dz - dz_of_targets) <= 2 * gradient_bound).all()


@pytest.mark.parametrize("name", ["sigmoid_cross_entropy", "squared_error"])
def test_labels_of_one_column_are_the_value(name, z):
    assert_loss(name, z[:, :1], [0, 1, 1, 0, 1, 0])
    with pytest.raises(ValueError, match=r"y\[1\] is 2: labels must be in \[0, 2\)"):
        getattr(fastnn, name)(z[:, :1], [0, 2, 0, 0, 0, 0])


def test_the_only_label_of_a_softmax_of_one_column_is_zero(z):
    loss, dz = fastnn.softmax_cross_entropy(z[:, :1], [0] * N)
    assert loss == 0.0 and not dz.any()
    with pytest.raises(ValueError, match=r"y\[3\] is 1: labels must be in \[0, 1\)"):
        fastnn.softmax_cross_entropy(z[:, :1], [0, 0, 0, 1, 0, 0])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    ("bad", "kind"),
    [(-1, "int64"), (C, "int64"), (-128, "int8"), (2**63, "uint64"), (255, "uint8")],
)
def test_labels_out_of_range_are_refused(name, bad, kind, z):
    labels = np.zeros(N, kind)
    labels[4] = bad
    with pytest.raises(ValueError, match=rf"y\[4\] is {bad}: labels must be in \[0, {C}\)"):
        getattr(fastnn, name)(z, labels)


@pytest.mark.parametrize("name", LOSSES)
def test_float_labels_are_refused(name, z):
    for labels in (np.zeros(N, z.dtype), [0.0] * N, np.zeros(N, np.float16)):
        with pytest.raises(TypeError, match="labels must be integers.*targets a matrix"):
            getattr(fastnn, name)(z, labels)


@pytest.mark.parametrize("name", LOSSES)
def test_wrong_shapes_of_labels_are_refused(name, z):
    for labels in ([0] * (N - 1), [], np.zeros((N, 1, 1), int), np.int64(0)):
        with pytest.raises((ValueError, TypeError), match=r"\by\b"):
            getattr(fastnn, name)(z, labels)
    with pytest.raises(TypeError, match="targets a matrix"):
        getattr(fastnn, name)(z, np.zeros((N, C), int))


@pytest.mark.parametrize("name", LOSSES)
def test_sample_weights(name, z, rng):
    targets = rng.uniform(0, 1, (N, C)).astype(z.dtype)
    weights = np.array([0.5, 0.0, 3.0, 1e-3, 1.0, 2.0], z.dtype)
    for y in (targets, [0, 2, 1, 1, 0, 2]):
        assert_loss(name, z, y, weights)
        assert_loss(name, z, y, weights[::-1])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf, -np.inf])
def test_bad_weights_are_refused(name, bad, z):
    weights = np.ones(N, z.dtype)
    weights[2] = bad
    with pytest.raises(ValueError, match=rf"sample_weight\[2\] is {bad}.*finite and at least 0"):
        getattr(fastnn, name)(z, [0] * N, sample_weight=weights)


@pytest.mark.parametrize("name", LOSSES)
def test_bad_arrays_of_weights_are_refused(name, z):
    other = {"float32": "float64", "float64": "float32"}[z.dtype.name]
    for weights, error, message in [
        (np.zeros(N, z.dtype), ValueError, "sum of sample_weight is 0.0"),
        (np.ones(N - 1, z.dtype), ValueError, r"sample_weight has shape \(5,\), expected \(6,\)"),
        (np.ones((N, 1), z.dtype), ValueError, "sample_weight must have 1 dimensions"),
        (z.dtype.type(1), ValueError, "sample_weight must have 1 dimensions"),
        (np.ones(N, other), TypeError, f"sample_weight is {other}, expected {z.dtype}"),
        (np.ones(N, int), TypeError, "sample_weight must be float32 or float64"),
    ]:
        with pytest.raises(error, match=message):
            getattr(fastnn, name)(z, [0] * N, sample_weight=weights)


def test_a_sum_of_weights_that_overflows_is_refused():
    weights = np.full(4, np.finfo(np.float64).max)
    with pytest.raises(ValueError, match="sum of sample_weight is inf"):
        fastnn.squared_error(np.zeros((4, 1)), [0] * 4, sample_weight=weights)


@pytest.mark.parametrize("name", LOSSES)
def test_no_rows_or_columns_have_no_mean(name, dtype):
    for n, c, missing in [(0, 3, "rows"), (3, 0, "columns"), (0, 0, "rows")]:
        z = np.zeros((n, c), dtype)
        with pytest.raises(ValueError, match=rf"{name}: z \({n}, {c}\) has no {missing}"):
            getattr(fastnn, name)(z, z)


def test_zero_rows_give_empty_results(dtype):
    x, w, y = np.zeros((0, 4), dtype), np.ones((4, 3), dtype), np.zeros((0, 3), dtype)
    assert fastnn.sigmoid(x).shape == fastnn.softmax(x).shape == (0, 4)
    assert fastnn.sigmoid(np.zeros((2, 0, 3), dtype)).shape == (2, 0, 3)
    for name in ACTIVATIONS:
        out = np.empty((0, 3), dtype)
        assert fastnn.dense_forward(x, w, activation=name, out=out) is out
        dx, dw, db = fastnn.dense_backward(x, w, y, y, activation=name)
        assert dx.shape == (0, 4)
        assert np.array_equal(dw, np.zeros((4, 3))) and np.array_equal(db, np.zeros(3))


def test_a_layer_without_inputs_gives_the_bias(dtype):
    x, w, b = np.zeros((2, 0), dtype), np.zeros((0, 3), dtype), np.array([-1, 0, 2], dtype)
    for name in ACTIVATIONS:
        expected, bound = formulas.dense_forward(x, w, b, activation=name)
        y = fastnn.dense_forward(x, w, b, activation=name)
        assert (np.abs(y - expected) <= bound).all()
        assert fastnn.dense_forward(x, w, activation=name).shape == (2, 3)
        dx, dw, db = fastnn.dense_backward(x, w, y, np.ones_like(y), activation=name)
        assert dx.shape == (2, 0) and dw.shape == (0, 3) and db.shape == (3,)


def test_a_layer_without_outputs_is_empty(dtype):
    x, w, y = np.ones((2, 4), dtype), np.zeros((4, 0), dtype), np.zeros((2, 0), dtype)
    for name in ACTIVATIONS:
        assert fastnn.dense_forward(x, w, y[0], activation=name).shape == (2, 0)
        dx, dw, db = fastnn.dense_backward(x, w, y, y, activation=name)
        assert np.array_equal(dx, np.zeros((2, 4))) and dw.shape == (4, 0) and db.shape == (0,)


def test_softmax_without_columns_is_refused(dtype):
    for shape in [(0,), (3, 0), (0, 0)]:
        with pytest.raises(ValueError, match="softmax: x .* has no columns"):
            fastnn.softmax(np.zeros(shape, dtype))


def test_scalars_and_many_axes_of_sigmoid(dtype):
    y = fastnn.sigmoid(np.zeros((), dtype))
    assert isinstance(y, np.ndarray) and y.shape == () and y.dtype == dtype and y == 0.5
    x = np.zeros((2, 1, 3, 1, 2), dtype)
    assert fastnn.sigmoid(x.transpose(4, 2, 0, 1, 3)).shape == (2, 3, 2, 1, 1)


HUGE = 2**59  # elements: their bytes can be counted in 63 bits, but no machine has them


def broadcast(dtype, *shape):
    """An array of any shape in the memory of one element."""
    return np.broadcast_to(np.ones((), dtype), shape)


def test_sizes_whose_product_overflows_are_refused(dtype):
    tall, wide = broadcast(dtype, 2**32, 1), broadcast(dtype, 1, 2**32)
    no_columns, no_rows = broadcast(dtype, 2**32, 0), broadcast(dtype, 0, 2**32)
    for x, w in [(tall, wide), (no_columns, no_rows)]:
        for activation in ACTIVATIONS:
            with pytest.raises((MemoryError, ValueError)):
                fastnn.dense_forward(x, w, activation=activation)


@pytest.mark.parametrize("layout", ["native", "byteswapped"])
def test_sizes_beyond_memory_are_refused(layout, dtype):
    kind = dtype if layout == "native" else dtype.newbyteorder()
    column, row = broadcast(kind, HUGE, 1), broadcast(kind, 1, HUGE)
    calls = [
        lambda: fastnn.sigmoid(column),
        lambda: fastnn.softmax(row),
        lambda: fastnn.dense_forward(column, broadcast(kind, 1, 1), activation="softmax"),
        lambda: fastnn.dense_forward(broadcast(kind, 1, 1), row, row[0], activation="tanh"),
        lambda: fastnn.dense_backward(column, broadcast(kind, 1, 1), column, column),
        lambda: fastnn.dense_backward(broadcast(kind, 1, 1), row, row, row, needs=("dw",)),
        lambda: fastnn.softmax_cross_entropy(column, broadcast(np.int8, HUGE)),
        lambda: fastnn.sigmoid_cross_entropy(column, column),
        lambda: fastnn.squared_error(row, row),
        lambda: fastnn.squared_error(column, column, sample_weight=column[:, 0]),
    ]
    for attempt in calls:
        with pytest.raises((MemoryError, ValueError)):
            attempt()


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_stay_in_their_row(special, dtype, rng):
    x = rng.uniform(-1, 1, (5, 4)).astype(dtype)
    w = rng.uniform(-1, 1, (4, 3)).astype(dtype)
    clean = np.delete(np.arange(5), 2)
    for name in ACTIVATIONS:
        expected, bound = formulas.dense_forward(x[clean], w, activation=name)
        bad = x.copy()
        bad[2, 1] = special
        y = fastnn.dense_forward(bad, w, activation=name)
        assert (np.abs(y[clean] - expected) <= bound).all()
        if np.isnan(special) or name == "softmax":
            assert np.isnan(y[2]).all()


def test_specials_of_the_elementwise_functions(dtype):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], dtype)
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(fastnn.sigmoid(x), [np.nan, 1, 0, 0.5, 0.5])
        assert np.isnan(fastnn.softmax(x)).all()
        np.testing.assert_array_equal(fastnn.softmax(x[2:4]), [0, 1])
    one, x = np.ones((1, 1), dtype), x[:, np.newaxis]
    for name, expected in [("tanh", [np.nan, 1, -1, 0, 0]), ("relu", [np.nan, np.inf, 0, 0, 0])]:
        y = fastnn.dense_forward(x, one, activation=name)
        np.testing.assert_array_equal(y[:, 0], expected)


def test_the_largest_float32_gives_finite_losses():
    top = np.finfo(np.float32).max
    z = np.array([[top, -top], [-top, top], [top, top]], np.float32)
    for name in set(LOSSES) - {"poisson_loss"}:
        for y in ([0, 0, 1], np.eye(2, dtype=np.float32)[[0, 0, 1]]):
            loss, dz = getattr(fastnn, name)(z, y)
            assert np.isfinite(loss) and np.isfinite(dz).all()
            (expected, bound), _ = formulas.mean_loss(name, z, y)
            assert abs(loss - expected) <= bound


@pytest.mark.parametrize("name", LOSSES)
def test_nan_in_the_logits_reaches_the_loss(name, z):
    z[1, 1] = np.nan
    loss, dz = getattr(fastnn, name)(z, [0] * N)
    assert np.isnan(loss) and np.isnan(dz[1, 1])
    clean = np.delete(np.arange(N), 1)
    assert np.isfinite(dz[clean]).all()


def test_misaligned_labels_are_read_from_a_copy(dtype):
    memory = np.zeros(8 * 4 + 1, np.uint8)
    labels = memory[1:].view(np.int64)
    labels[:] = [2, 0, 1, 1]
    assert not labels.flags.aligned
    z = np.arange(12, dtype=dtype).reshape(4, 3)
    loss, dz = fastnn.softmax_cross_entropy(z, labels)
    expected, expected_dz = fastnn.softmax_cross_entropy(z, labels.copy())
    assert loss == expected
    assert np.array_equal(dz, expected_dz)
    checked, _ = _check.labels_or_targets(labels, 4, 3, dtype)
    assert checked.flags.aligned
