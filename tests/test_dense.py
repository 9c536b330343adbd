"""dense_forward and dense_backward against the formulas, on every set, dtype, layout and size."""

import itertools

import formulas
import numpy as np
import pytest
from formulas import ACTIVATION, assert_within
from sizes import (
    KC,
    LAYOUTS,
    OUT_LAYOUTS,
    TILE_ROWS,
    Out,
    dense_case,
    edges,
    laid_out,
    lanes,
    pairwise,
    spread,
)

import fastnn

ACTIVATIONS = tuple(ACTIVATION)
GRADIENTS = ("dx", "dw", "db")
SUBSETS = [s for r in range(4) for s in itertools.combinations(GRADIENTS, r)]


def some_layout(rng, a):
    """A copy of `a` in a layout drawn at random."""
    return laid_out(a, rng.choice(list(LAYOUTS)))


def check_forward(arrays, activation, out_layout, exact=None):
    """Compute into an `out`; assert the bound, and that nothing else was written."""
    x, w, b = arrays
    before = [a.copy() for a in arrays if a is not None]
    out = Out((x.shape[0], w.shape[1]), x.dtype, out_layout)
    y = fastnn.dense_forward(*arrays, activation=activation, out=out.array)
    assert y is out.array
    assert_within(y, exact or formulas.dense_forward(*arrays, activation=activation))
    out.assert_nothing_beside_it()
    after = [a for a in arrays if a is not None]
    assert all(np.array_equal(p, q) for p, q in zip(before, after, strict=True))


def test_the_data_is_mixed(dtype, rng):
    a = spread(rng, (100, 100), dtype)
    exponents = np.frexp(a)[1]
    assert 0.45 < (a > 0).mean() < 0.55 and a.all()
    assert (np.bincount(exponents.ravel() + 11) > 500).all() and np.ptp(exponents) == 14
    assert np.unique(a).size > 9000
    x, w, b = dense_case(rng, 8, 64, 8, dtype, cancelling=True)
    z = np.abs(formulas.wide(x) @ formulas.wide(w))
    size = np.abs(formulas.wide(x)) @ np.abs(formulas.wide(w))
    assert (z < 2**-10 * size).all() and np.median(z / size) > 2**-18


def test_the_sizes_meet_in_every_pair(isa, dtype):
    values, cases = set(edges(isa, dtype)), set(pairwise(isa, dtype))
    v = lanes(isa, dtype)
    assert values >= {0, 1, 2, 3, v, v + 1, TILE_ROWS[isa] + 1, KC - 1, KC, KC + 1, 2 * KC + 3}
    for dimensions in itertools.combinations(range(3), 2):
        met = {tuple(case[d] for d in dimensions) for case in cases}
        assert met >= set(itertools.product(values, repeat=2))


def test_forward_on_all_sizes(isa, dtype, rng):
    for n, k, m in pairwise(isa, dtype):
        x, w, b = dense_case(rng, n, k, m, dtype, cancelling=rng.random() < 0.2)
        b = None if rng.random() < 0.2 else some_layout(rng, b)
        arrays = some_layout(rng, x), some_layout(rng, w), b
        check_forward(arrays, rng.choice(ACTIVATIONS).item(), rng.choice(OUT_LAYOUTS))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_forward_in_all_layouts(isa, activation, dtype, rng):
    k, m = 5, 2 * lanes(isa, dtype) + 3
    for n in (1, TILE_ROWS[isa] + 1):
        x, w, b = dense_case(rng, n, k, m, dtype)
        exact = formulas.dense_forward(x, w, b, activation=activation)
        for layouts in itertools.product(LAYOUTS, LAYOUTS, ("c", "columns"), OUT_LAYOUTS):
            arrays = [laid_out(a, name) for a, name in zip((x, w, b), layouts[:3], strict=True)]
            check_forward(arrays, activation, layouts[3], exact)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("cancelling", [False, True])
def test_forward_of_long_sums(isa, cancelling, activation, dtype, rng):
    for k in (KC - 1, KC + 1, 2 * KC + 3):
        arrays = dense_case(rng, TILE_ROWS[isa] + 1, k, 37, dtype, cancelling)
        for out_layout in OUT_LAYOUTS:
            check_forward(arrays, activation, out_layout)


def test_rows_of_w_that_share_cache_sets(isa, dtype, rng):
    # Row strides that are multiples of many cache lines take the packed path when there are many
    # rows, and the one in place when there are few.
    for m in (1024, 1024 + 7):
        buffer = np.zeros((9, 2048), dtype)
        x, buffer[:, :m], b = dense_case(rng, 40, 9, m, dtype)
        for n in (3, 40):
            check_forward((x[:n], buffer[:, :m], b), "identity", "padded")


def backward_case(rng, n, k, m, dtype, activation):
    """x, w, y = act(x w) and dy."""
    x, w, _ = dense_case(rng, n, k, m, dtype)
    z = x.astype(np.float64) @ w.astype(np.float64)
    return x, w, ACTIVATION[activation](z).astype(dtype), spread(rng, (n, m), dtype)


def check_backward(arrays, activation, needs, out_layouts, exact=None):
    """Compute some gradients; a layout of None lets the function allocate that one."""
    (n, k), m = arrays[0].shape, arrays[1].shape[1]
    shapes = {"dx": (n, k), "dw": (k, m), "db": (m,)}
    outs = [
        Out(shapes[name], arrays[0].dtype, layout) if name in needs and layout else None
        for name, layout in zip(GRADIENTS, out_layouts, strict=True)
    ]
    given = tuple(out.array if out else None for out in outs)
    results = fastnn.dense_backward(*arrays, activation=activation, needs=needs, out=given)
    exact = exact or formulas.dense_backward(*arrays, activation=activation)
    for name, result, out, expected in zip(GRADIENTS, results, outs, exact, strict=True):
        if name not in needs:
            assert result is None
            continue
        assert_within(result, expected)
        if out:
            assert result is out.array
            out.assert_nothing_beside_it()


def test_backward_on_all_sizes(isa, dtype, rng):
    layouts = [*OUT_LAYOUTS, None]
    for n, k, m in pairwise(isa, dtype):
        activation = rng.choice(ACTIVATIONS).item()
        arrays = backward_case(rng, n, k, m, dtype, activation)
        arrays = [some_layout(rng, a) for a in arrays]
        needs = GRADIENTS if rng.random() < 0.5 else SUBSETS[rng.integers(len(SUBSETS))]
        outs = [layouts[i] for i in rng.integers(len(layouts), size=3)]
        check_backward(arrays, activation, needs, outs)


@pytest.mark.parametrize("needs", SUBSETS, ids="-".join)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_backward_needs(isa, activation, needs, dtype, rng):
    sizes = TILE_ROWS[isa] + 1, 2 * lanes(isa, dtype) + 3, lanes(isa, dtype) + 1
    arrays = backward_case(rng, *sizes, dtype, activation)
    exact = formulas.dense_backward(*arrays, activation=activation)
    for layout in (*OUT_LAYOUTS, None):
        check_backward(arrays, activation, needs, [layout] * 3, exact)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_backward_in_all_layouts(isa, activation, dtype, rng):
    arrays = backward_case(rng, TILE_ROWS[isa] + 1, 5, lanes(isa, dtype) + 3, dtype, activation)
    exact = formulas.dense_backward(*arrays, activation=activation)
    for layouts in itertools.product(LAYOUTS, repeat=4):
        placed = [laid_out(a, name) for a, name in zip(arrays, layouts, strict=True)]
        out = layouts[0] if layouts[0] in OUT_LAYOUTS else None
        check_backward(placed, activation, GRADIENTS, [out] * 3, exact)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_backward_over_several_blocks_of_rows(isa, activation, dtype, rng):
    for n in (KC - 1, KC, KC + 1, 2 * KC + 3):
        arrays = backward_case(rng, n, 9, 21, dtype, activation)
        check_backward(arrays, activation, GRADIENTS, ["c", "columns", "reversed"])


# What the bounds must not let pass: results that are wrong in ways kernels are.

WRONG_FORWARD = {
    "without bias": lambda x, w, b: (x, w, 0 * b),
    "the last term lost": lambda x, w, b: (x[:, :-1], w[:-1], b),
    "the first term lost": lambda x, w, b: (x[:, 1:], w[1:], b),
    "rows exchanged": lambda x, w, b: (x[[1, 0, *range(2, len(x))]], w, b),
    "columns shifted": lambda x, w, b: (x, np.roll(w, 1, axis=1), b),
    "bias shifted": lambda x, w, b: (x, w, np.roll(b, 1)),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("wrong", WRONG_FORWARD)
def test_the_bound_of_forward_rejects(wrong, activation, dtype, rng):
    x, w, b = (a / 4 for a in dense_case(rng, 5, 7, 6, dtype))
    exact = formulas.dense_forward(x, w, b, activation=activation)
    y, _ = formulas.dense_forward(*WRONG_FORWARD[wrong](x, w, b), activation=activation)
    assert_within(exact[0].astype(dtype), exact)
    with pytest.raises(AssertionError):
        assert_within(y.astype(dtype), exact)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_bound_of_forward_rejects_less_precision(activation, dtype, rng):
    x, w, b = (a / 4 for a in dense_case(rng, 5, 7, 6, dtype))
    y, bound = formulas.dense_forward(x, w, b, activation=activation)
    lower = np.float16 if dtype == np.float32 else np.float32
    with pytest.raises(AssertionError):
        assert_within(y.astype(lower).astype(dtype), (y, bound))
    spoilt = y.astype(dtype)
    spoilt[2, 3] = np.nan
    with pytest.raises(AssertionError):
        assert_within(spoilt, (y, bound))


WRONG_BACKWARD = {
    "another activation": lambda x, w, y, dy, act: (x, w, y, dy, "identity"),
    "the last row lost": lambda x, w, y, dy, act: (x[:-1], w, y[:-1], dy[:-1], act),
    "dy of the next row": lambda x, w, y, dy, act: (x, w, y, np.roll(dy, 1, axis=0), act),
    "y of the next row": lambda x, w, y, dy, act: (x, w, np.roll(y, 1, axis=0), dy, act),
}


@pytest.mark.parametrize("activation", [a for a in ACTIVATIONS if a != "identity"])
@pytest.mark.parametrize("wrong", WRONG_BACKWARD)
def test_the_bound_of_backward_rejects(wrong, activation, dtype, rng):
    arrays = [a / 4 for a in backward_case(rng, 5, 7, 6, dtype, activation)]
    exact = formulas.dense_backward(*arrays, activation=activation)
    *others, act = WRONG_BACKWARD[wrong](*arrays, activation)
    for (value, _), (expected, bound) in zip(
        formulas.dense_backward(*others, activation=act), exact, strict=True
    ):
        assert_within(expected.astype(dtype), (expected, bound))
        with pytest.raises(AssertionError):
            assert_within(value.astype(dtype), (expected, bound))
