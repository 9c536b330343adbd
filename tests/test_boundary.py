"""Bad input and the edges of good input, for every function and for Network."""

import formulas
import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

import fastnn

ACTIVATIONS = ("identity", "sigmoid", "tanh", "relu", "softmax")
LOSSES = (
    "softmax_cross_entropy",
    "sigmoid_cross_entropy",
    "squared_error",
    "poisson_loss",
    "huber_loss",
    "absolute_error",
)
FUNCTIONS = ("sigmoid", "softmax", "dense_forward", "dense_backward", *LOSSES)
N, K, M = 5, 4, 3


def arguments(name, dtype, rng):
    """Valid array arguments of a function, by name, in the order of its signature."""
    shapes = {
        "sigmoid": {"x": (N, K)},
        "softmax": {"x": (N, K)},
        "dense_forward": {"x": (N, K), "w": (K, M), "b": (M,)},
        "dense_backward": {"x": (N, K), "w": (K, M), "y": (N, M), "dy": (N, M)},
    }.get(name, {"z": (N, M), "y": (N, M)})
    arrays = {a: rng.uniform(-2, 2, shape).astype(dtype) for a, shape in shapes.items()}
    return {a: abs(v) if (name, a) == ("poisson_loss", "y") else v for a, v in arrays.items()}


def call(name, arrays, **options):
    """Call a function with its array arguments given by name."""
    return getattr(fastnn, name)(*arrays.values(), **options)


def results(name, arrays, **options):
    """The array results of a function, as a list."""
    result = call(name, arrays, **options)
    if name in LOSSES:
        return [result[1]]
    return list(result) if name == "dense_backward" else [result]


def exact(name, arrays):
    """The values and bounds of the array results."""
    a = list(arrays.values())
    if name in LOSSES:
        return [formulas.mean_loss(name, *a)[1]]
    if name == "dense_backward":
        return formulas.dense_backward(*a)
    if name == "dense_forward":
        return [formulas.dense_forward(*a)]
    value = formulas.ACTIVATION[name](a[0])
    no_error = np.zeros(a[0].shape)
    eps = np.finfo(a[0].dtype).eps
    return [(value, formulas.activation_bound(name, formulas.wide(a[0]), no_error, value, eps))]


def assert_exact(name, arrays, computed):
    """Assert that the array results are within their bounds."""
    for value, (expected, bound) in zip(computed, exact(name, arrays), strict=True):
        assert value.shape == expected.shape
        assert (np.abs(value - expected) <= bound).all()


def misaligned(a):
    """A copy of `a` that starts one byte off its alignment."""
    buffer = np.zeros(a.nbytes + 1, np.uint8)
    b = buffer[1:].view(a.dtype).reshape(a.shape)
    b[...] = a
    assert a.size == 0 or not b.flags.aligned
    return b


def packed_field(a):
    """A copy of `a` whose strides are no multiples of the item size."""
    b = np.zeros(a.shape, [("tag", "u1"), ("value", a.dtype)])["value"]
    b[...] = a
    return b


def read_only(a):
    """A copy of `a` that cannot be written."""
    b = a.copy()
    b.flags.writeable = False
    return b


def sliced(a):
    """A copy of `a` with gaps on every axis."""
    b = np.zeros([2 * d for d in a.shape], a.dtype)[tuple(slice(0, 2 * d, 2) for d in a.shape)]
    b[...] = a
    return b


def reverse(a):
    """The same values with negative strides on every axis."""
    flip = (slice(None, None, -1),) * a.ndim
    return np.ascontiguousarray(a[flip])[flip]


LAYOUTS = {
    "fortran": np.asfortranarray,
    "sliced": sliced,
    "reversed": reverse,
    "misaligned": misaligned,
    "packed_field": packed_field,
    "byteswapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "read_only": read_only,
    "subclass": lambda a: a.view(np.recarray),
    "list": lambda a: a.tolist(),
}

WRONG_DTYPES = [np.int64, np.uint8, np.bool_, np.float16, np.longdouble, np.complex64, object, "U8"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_layouts_give_the_result_and_keep_the_input(name, layout, dtype, rng):
    if layout == "list" and dtype == np.float32:
        pytest.skip("a list of Python floats is float64")
    arrays = arguments(name, dtype, rng)
    laid = {a: LAYOUTS[layout](value) for a, value in arrays.items()}
    assert_exact(name, arrays, results(name, laid))
    for a, value in arrays.items():
        assert np.array_equal(laid[a], value)


def test_the_oracle_rejects_a_wrong_result(dtype, rng):
    for name in FUNCTIONS:
        arrays = arguments(name, dtype, rng)
        wrong = [r * (1 + 64 * K * N * np.finfo(dtype).eps) for r in results(name, arrays)]
        with pytest.raises(AssertionError):
            assert_exact(name, arrays, wrong)


@pytest.mark.parametrize("layout", ["fortran", "sliced", "reversed"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_out_is_written_and_returned(name, layout, dtype, rng):
    arrays = arguments(name, dtype, rng)
    outs = [LAYOUTS[layout](np.full_like(r, np.nan)) for r in results(name, arrays)]
    given = tuple(outs) if name == "dense_backward" else outs[0]
    computed = results(name, arrays, out=given)
    assert all(r is out for r, out in zip(computed, outs, strict=True))
    assert_exact(name, arrays, computed)


@pytest.mark.parametrize("bad", WRONG_DTYPES, ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_other_dtypes_are_refused(name, bad, dtype, rng):
    arrays = arguments(name, dtype, rng)
    for a, value in arrays.items():
        with pytest.raises(TypeError, match=rf"\b{a}\b.*{np.dtype(bad)}"):
            call(name, arrays | {a: value.astype(bad)})


@pytest.mark.parametrize("name", [f for f in FUNCTIONS if f not in ("sigmoid", "softmax")])
def test_mixed_dtypes_are_refused(name, dtype, rng):
    other = {"float32": "float64", "float64": "float32"}[dtype.name]
    arrays = arguments(name, dtype, rng)
    for a, value in arrays.items():
        # Each message names both dtypes; that of the losses starts from z.
        with pytest.raises(TypeError, match="float32.*float64|float64.*float32"):
            call(name, arrays | {a: value.astype(other)})


@pytest.mark.parametrize("name", FUNCTIONS)
def test_wrong_ranks_are_refused(name, dtype, rng):
    arrays = arguments(name, dtype, rng)
    for a, value in arrays.items():
        for bad in (value[np.newaxis], value.reshape(-1)[0]):
            if name == "sigmoid":
                assert fastnn.sigmoid(bad).shape == bad.shape
                continue
            with pytest.raises(ValueError, match=rf"\b{a}\b"):
                call(name, arrays | {a: bad})


@pytest.mark.parametrize(
    ("name", "a", "shape", "message"),
    [
        ("dense_forward", "w", (K + 1, M), "w must have 4 rows"),
        ("dense_forward", "x", (N, K - 1), r"x \(5, 3\) and w \(4, 3\) do not chain"),
        ("dense_forward", "b", (M + 1,), r"b has shape \(4,\), expected \(3,\)"),
        ("dense_forward", "b", (1,), r"b has shape \(1,\)"),
        ("dense_forward", "b", (1, M), "b must have 1 dimensions"),
        ("dense_backward", "w", (K + 1, M), "w must have 4 rows"),
        ("dense_backward", "y", (N, M + 1), r"y has shape \(5, 4\), expected \(5, 3\)"),
        ("dense_backward", "dy", (1, M), r"dy has shape \(1, 3\), expected \(5, 3\)"),
        *[(loss, "y", (N + 1, M), r"y has shape \(6, 3\), expected") for loss in LOSSES],
        *[(loss, "y", (N, 1), r"y has shape \(5, 1\), expected") for loss in LOSSES],
    ],
)
def test_shapes_that_do_not_chain_are_refused(name, a, shape, message, dtype, rng):
    arrays = arguments(name, dtype, rng)
    with pytest.raises(ValueError, match=message):
        call(name, arrays | {a: np.zeros(shape, dtype)})


def bad_outs(good):
    """Arrays that cannot receive a result like `good`, with the error that each deserves."""
    dtype, other = good.dtype, {"float32": "float64", "float64": "float32"}[good.dtype.name]
    yield "a list", good.tolist(), TypeError, "must be a numpy.ndarray, not list"
    yield "masked", np.ma.masked_array(good), TypeError, "must be a numpy.ndarray"
    yield "dtype", good.astype(other), TypeError, f"{dtype}.*{other}"
    yield "integer", good.astype(np.int32), TypeError, "int32"
    yield "byte-swapped", good.astype(dtype.newbyteorder()), TypeError, "out"
    yield "shape", np.zeros((good.shape[0] + 1, *good.shape[1:]), dtype), ValueError, "has shape"
    yield "rank", good[np.newaxis].copy(), ValueError, "has shape"
    yield "read-only", read_only(good), ValueError, "read-only"
    yield "misaligned", misaligned(good), ValueError, "misaligned"
    once = as_strided(np.zeros(1, dtype), good.shape, (0,) * good.ndim)
    yield "itself", once, ValueError, "overlaps itself"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_bad_out_is_refused_and_left_alone(name, dtype, rng):
    arrays = arguments(name, dtype, rng)
    good = results(name, arrays)
    for position, g in enumerate(good):
        for what, out, error, message in bad_outs(g):
            before = np.array(out)
            given = tuple(out if i == position else None for i in range(3))
            with pytest.raises(error, match=message):
                call(name, arrays, out=given if name == "dense_backward" else out)
            assert np.array_equal(np.array(out), before), what


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_out_over_an_input_is_refused(name, dtype, rng):
    arrays = arguments(name, dtype, rng)
    good = results(name, arrays)
    for a, value in arrays.items():
        for position, g in enumerate(good):
            buffer = np.zeros(max(g.size, value.size) + 1, dtype)
            inside = buffer[: value.size].reshape(value.shape)
            inside[...] = value
            out = buffer[1 : g.size + 1].reshape(g.shape)
            given = tuple(out if i == position else None for i in range(3))
            with pytest.raises(ValueError, match=f"shares memory with {a}"):
                call(name, arrays | {a: inside}, out=given if name == "dense_backward" else out)
            assert np.array_equal(inside, value)


def test_an_out_beside_an_input_in_one_buffer_is_accepted(dtype, rng):
    buffer = rng.uniform(-1, 1, (N, K + M)).astype(dtype)
    x, out, w = buffer[:, :K].copy(), buffer[:, K:], np.ones((K, M), dtype)
    expected = fastnn.dense_forward(x, w)
    assert fastnn.dense_forward(buffer[:, :K], w, out=out) is out
    _, bound = formulas.dense_forward(x, w)
    assert (np.abs(out - expected) <= 2 * bound).all()
    assert np.array_equal(buffer[:, :K], x)


@pytest.mark.parametrize("layout", ["fortran", "sliced", "reversed"])
@pytest.mark.parametrize("name", ["sigmoid", "softmax"])
def test_elementwise_functions_work_in_place(name, layout, dtype, rng):
    arrays = arguments(name, dtype, rng)
    x = LAYOUTS[layout](arrays["x"].copy())
    assert call(name, {"x": x}, out=x) is x
    assert_exact(name, arrays, [x])


def test_gradients_that_are_not_needed_are_none(dtype, rng):
    arrays = arguments("dense_backward", dtype, rng)
    whole = call("dense_backward", arrays)
    for mask in range(8):
        needs = tuple(g for i, g in enumerate(("dx", "dw", "db")) if mask >> i & 1)
        some = call("dense_backward", arrays, needs=needs)
        for name, a, b in zip(("dx", "dw", "db"), some, whole, strict=True):
            assert a is None if name not in needs else np.array_equal(a, b)


def test_bad_needs_and_outs_of_dense_backward_are_refused(dtype, rng):
    arrays = arguments("dense_backward", dtype, rng)
    dx, dw, db = call("dense_backward", arrays)
    for options, error, message in [
        ({"needs": ("dx", "dz")}, ValueError, "'dz'; valid names: 'dx', 'dw', 'db'"),
        ({"needs": "dx"}, TypeError, "needs must be a tuple"),
        ({"needs": None}, TypeError, "needs must be a tuple"),
        ({"out": dx}, TypeError, "out must be a tuple"),
        ({"out": (dx, dw)}, ValueError, "not of length 2"),
        ({"out": (dx, dw, db), "needs": ("dx", "dw")}, ValueError, "db, which is not in needs"),
    ]:
        with pytest.raises(error, match=message):
            call("dense_backward", arrays, **options)
    shared = np.zeros(N * K + K * M, dtype)
    overlapping = (shared[: N * K].reshape(N, K), shared[: K * M].reshape(K, M), None)
    with pytest.raises(ValueError, match="shares memory with out"):
        call("dense_backward", arrays, out=overlapping)


@pytest.mark.parametrize("name", ["dense_forward", "dense_backward"])
@pytest.mark.parametrize("bad", ["Sigmoid", "", "gelu", None, 3])
def test_unknown_activations_are_refused(name, bad, dtype, rng):
    with pytest.raises(ValueError, match="unknown activation") as error:
        call(name, arguments(name, dtype, rng), activation=bad)
    assert all(repr(valid) in str(error.value) for valid in ACTIVATIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_masked_arrays_are_refused(name, dtype, rng):
    arrays = arguments(name, dtype, rng)
    for a, value in arrays.items():
        with pytest.raises(TypeError, match=f"{a} is a masked array"):
            call(name, arrays | {a: np.ma.masked_array(value)})


@pytest.mark.parametrize("name", FUNCTIONS)
def test_ragged_lists_and_strings_are_refused(name, dtype, rng):
    arrays = arguments(name, dtype, rng)
    for a in arrays:
        with pytest.raises(ValueError, match=f"{a} is not an array"):
            call(name, arrays | {a: [[1.0, 2.0], [3.0]]})
        with pytest.raises((TypeError, ValueError), match=a):
            call(name, arrays | {a: "abc"})
