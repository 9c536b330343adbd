"""sigmoid and softmax against the formulas, on every set, dtype, layout and size."""

import itertools

import formulas
import numpy as np
import pytest
from formulas import assert_within
from sizes import KC, LAYOUTS, OUT_LAYOUTS, Out, edges, laid_out, spread

import fastnn

FUNCTIONS = ("sigmoid", "softmax")
ROW_BLOCK = 64  # rows with strided columns are gathered in blocks of so many


def exact(name, x):
    """The values and their bound."""
    z, eps = formulas.wide(x), np.finfo(x.dtype).eps
    y = formulas.ACTIVATION[name](x)
    return y, formulas.activation_bound(name, z, np.zeros(x.shape), y, eps)


def check(name, x, out_layout, expected):
    """Compute with an `out`, without one and in place; all are within the bound."""
    out = Out(x.shape, x.dtype, out_layout)
    before = x.copy()
    assert getattr(fastnn, name)(x, out=out.array) is out.array
    assert np.array_equal(x, before)
    assert_within(out.array, expected)
    out.assert_nothing_beside_it()
    own = getattr(fastnn, name)(x)
    assert own.dtype == x.dtype and np.array_equal(own, out.array)
    if x.flags.aligned:
        assert getattr(fastnn, name)(x, out=x) is x
        assert np.array_equal(x, own)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_sizes(isa, name, dtype, rng):
    columns = [c for c in edges(isa, dtype) if c or name == "sigmoid"]
    for n, c in itertools.product((0, 1, 2, 3, ROW_BLOCK - 1, ROW_BLOCK, ROW_BLOCK + 1), columns):
        x = spread(rng, (n, c), dtype, -6, 6)
        layouts = rng.choice(list(LAYOUTS)), rng.choice(OUT_LAYOUTS)
        check(name, laid_out(x, layouts[0]), layouts[1], exact(name, x))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_layouts(isa, name, dtype, rng):
    for shape in [(1, 21), (2, KC + 1), (2 * ROW_BLOCK + 3, 19), (37,)]:
        x = spread(rng, shape, dtype, -6, 6)
        expected = exact(name, x)
        for layout, out_layout in itertools.product(LAYOUTS, OUT_LAYOUTS):
            check(name, laid_out(x, layout), out_layout, expected)


@pytest.mark.parametrize("axes", [*itertools.permutations(range(3))])
def test_sigmoid_of_three_axes(isa, axes, dtype, rng):
    x = spread(rng, (3, 4, 17), dtype, -6, 6).transpose(axes)
    expected = exact("sigmoid", x)
    assert_within(fastnn.sigmoid(x), expected)
    for order in itertools.permutations(range(3)):
        shape = [x.shape[axis] for axis in order]
        out = np.empty(shape, dtype)[::-1].transpose(np.argsort(order))
        assert fastnn.sigmoid(x, out=out) is out
        assert_within(out, expected)


def test_rows_of_softmax_sum_to_one(isa, dtype, rng):
    for c in (1, 2, 3, 17, 100, 1000):
        y = fastnn.softmax(spread(rng, (50, c), dtype, -6, 6))
        assert (y >= 0).all()
        # Each quotient is rounded once, and the divisor is the sum within c roundings.
        bound = (c + 2) * np.finfo(dtype).eps
        assert np.abs(formulas.wide(y).sum(axis=1) - 1).max() <= bound


WRONG = {
    "sigmoid": {
        "one unit in the fifth digit": lambda x: formulas.sigmoid(x) * (1 + 1e-5),
        "tanh": np.tanh,
        "of the negative": lambda x: formulas.sigmoid(-x),
    },
    "softmax": {
        "not normalised": lambda x: np.exp(x - x.max(axis=1, keepdims=True)),
        "over all rows": lambda x: np.exp(x) / np.exp(x).sum(),
        "the last column left out": lambda x: np.exp(x) / np.exp(x[:, :-1]).sum(1, keepdims=True),
    },
}


@pytest.mark.parametrize(("name", "wrong"), [(n, w) for n in FUNCTIONS for w in WRONG[n]])
def test_the_bound_rejects(name, wrong, dtype, rng):
    x = spread(rng, (5, 6), dtype, -3, 2)
    expected = exact(name, x)
    assert_within(expected[0].astype(dtype), expected)
    with pytest.raises(AssertionError):
        assert_within(WRONG[name][wrong](formulas.wide(x)).astype(dtype), expected)
