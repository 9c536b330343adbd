"""logsumexp and log_softmax against the formulas, on every set, dtype, layout and size."""

import itertools

import formulas
import model_formulas
import mpmath
import numpy as np
import pytest
from formulas import assert_within
from sizes import KC, LAYOUTS, OUT_LAYOUTS, Out, edges, laid_out, spread

import fastnn

FUNCTIONS = ("logsumexp", "log_softmax")


def check(name, x, out_layout, expected):
    """Compute with an `out`, without one and, if that can be, in place."""
    function = getattr(fastnn, name)
    out = Out(expected[0].shape, x.dtype, out_layout)
    before = x.copy()
    assert function(x, out=out.array) is out.array
    assert np.array_equal(x, before)
    assert_within(out.array, expected)
    out.assert_nothing_beside_it()
    own = function(x)
    assert own.dtype == x.dtype and np.array_equal(own, out.array)
    if name == "log_softmax" and x.flags.aligned:
        assert function(x, out=x) is x
        assert np.array_equal(x, own)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_sizes(isa, name, dtype, rng):
    columns = [c for c in edges(isa, dtype) if c]
    for n, c in itertools.product((0, 1, 2, 3, 15, 16, 17, 31, 32, 33, 65), columns):
        x = spread(rng, (n, c), dtype, -6, 6)
        layouts = rng.choice(list(LAYOUTS)), rng.choice(OUT_LAYOUTS)
        expected = getattr(model_formulas, name)(x)
        check(name, laid_out(x, layouts[0]), layouts[1], expected)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_layouts(isa, name, dtype, rng):
    for shape in [(1, 21), (2, KC + 1), (131, 19), (37,)]:
        if name == "logsumexp" and len(shape) == 1:
            continue
        x = spread(rng, shape, dtype, -6, 6)
        expected = getattr(model_formulas, name)(x)
        for layout, out_layout in itertools.product(LAYOUTS, OUT_LAYOUTS):
            check(name, laid_out(x, layout), out_layout, expected)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_large_and_far_entries(isa, name, dtype):
    top = float(np.finfo(dtype).max)
    x = [[1e4, 1e4, -1e4], [top, 0, -top], [-top, -top, -top], [0, -80, -700], [5, 5, 5]]
    x = np.array(x, dtype)
    value, bound = getattr(model_formulas, name)(x)
    with np.errstate(all="raise"):
        y = getattr(fastnn, name)(x)
    if name == "log_softmax":
        assert y[1, 2] == -np.inf  # what -2 top rounds to
        y[1, 2] = value[1, 2] = 0
    assert_within(y, (value, bound))


def test_a_dominant_entry_keeps_its_logarithm(isa, dtype):
    distances = [
        1,
        10,
        -np.log(np.finfo(dtype).eps),
        30,
        50,
        80,
        87 if dtype.itemsize == 4 else 700,
    ]
    x = np.array([[5.0, 5.0 - distance] for distance in distances], dtype)
    y = fastnn.log_softmax(x)
    for row, (a, b) in zip(y[:, 0], x, strict=True):
        with mpmath.workdps(50):
            exact = -mpmath.log1p(mpmath.exp(mpmath.mpf(float(b)) - mpmath.mpf(float(a))))
        # The rounding of b - a is an error of the exponent; that of exp, log1p and the sum follow.
        bound = (float(a - b) + 4 * formulas.ULP) * np.finfo(dtype).eps
        assert row < 0 and abs(mpmath.mpf(float(row)) / exact - 1) <= bound


def test_a_small_term_beside_a_top_of_zero_is_kept(isa, dtype):
    y = fastnn.logsumexp(np.array([[0, -50], [-60, 0]], dtype))
    exact = np.log1p(np.exp([-50.0, -60.0]))
    assert (np.abs(y / exact - 1) <= (60 + 4 * formulas.ULP) * np.finfo(dtype).eps).all()


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite(isa, special, dtype, rng):
    x = rng.uniform(-1, 1, (40, 5)).astype(dtype)
    whole = fastnn.logsumexp(x), fastnn.log_softmax(x)
    x[7, 3] = special
    x[8] = special
    clean = np.delete(np.arange(40), [7, 8])
    with np.errstate(all="raise"):
        sums, logs = fastnn.logsumexp(x), fastnn.log_softmax(x)
    assert np.array_equal(sums[clean], whole[0][clean])
    assert np.array_equal(logs[clean], whole[1][clean])
    np.testing.assert_array_equal(sums[8], special)
    assert np.isnan(logs[8]).all()
    if special == -np.inf:
        others = np.delete(x[7:8], 3, axis=1)
        assert_within(sums[7:8], model_formulas.logsumexp(others))
        assert_within(np.delete(logs[7:8], 3, axis=1), model_formulas.log_softmax(others))
        assert logs[7, 3] == -np.inf
    else:
        np.testing.assert_array_equal(sums[7], special)
        np.testing.assert_array_equal(logs[7], np.where(np.isfinite(x[7]), -special, np.nan))


def test_no_rows(dtype):
    x = np.zeros((0, 3), dtype)
    assert fastnn.logsumexp(x).shape == (0,) and fastnn.log_softmax(x).shape == (0, 3)


def test_log_softmax_is_the_logarithm_of_softmax(isa, dtype, rng):
    x = rng.uniform(-5, 5, (50, 17)).astype(dtype)
    y, p = formulas.wide(fastnn.log_softmax(x)), formulas.wide(fastnn.softmax(x))
    bound = model_formulas.log_softmax(x)[1]
    # softmax is within c + 2 ULP + |x - max| roundings, relatively.
    assert (
        np.abs(y - np.log(p)) <= bound + (17 + 2 * formulas.ULP + 10) * np.finfo(dtype).eps
    ).all()
    shifted = x - fastnn.logsumexp(x)[:, np.newaxis]
    sums = model_formulas.logsumexp(x)
    scale = np.abs(sums[0]) + np.abs(x).max(axis=1)
    allowed = bound + (sums[1] + 2 * np.finfo(dtype).eps * scale)[:, np.newaxis]
    assert (np.abs(y - shifted) <= allowed).all()


WRONG = {
    "logsumexp": {
        "the maximum": lambda x: x.max(axis=1),
        "the last column left out": lambda x: np.log(np.exp(x[:, :-1]).sum(axis=1)),
        "over all rows": lambda x: np.log(np.exp(x).sum()) + 0 * x[:, 0],
        "the mean": lambda x: np.log(np.exp(x).mean(axis=1)),
        "one unit in the fifth digit": lambda x: np.log(np.exp(x).sum(axis=1)) * (1 + 1e-5),
    },
    "log_softmax": {
        "not normalised": lambda x: x - x.max(axis=1, keepdims=True),
        "softmax": formulas.softmax,
        "of the next row": lambda x: np.roll(
            x - np.log(np.exp(x).sum(1, keepdims=True)), 1, axis=0
        ),
        "one unit in the fifth digit": lambda x: np.log(formulas.softmax(x)) * (1 + 1e-5),
    },
}


@pytest.mark.parametrize(("name", "wrong"), [(n, w) for n in FUNCTIONS for w in WRONG[n]])
def test_the_bound_rejects(name, wrong, dtype, rng):
    x = spread(rng, (5, 6), dtype, -3, 2)
    expected = getattr(model_formulas, name)(x)
    assert_within(expected[0].astype(dtype), expected)
    with pytest.raises(AssertionError):
        assert_within(WRONG[name][wrong](formulas.wide(x)).astype(dtype), expected)


def test_the_bound_rejects_a_logarithm_of_a_rounded_probability(dtype):
    x = np.array([[0, -30 if dtype == np.float32 else -60]], dtype)
    expected = model_formulas.log_softmax(x)
    with pytest.raises(AssertionError):
        assert_within(np.log(formulas.softmax(x).astype(dtype)), expected)
