"""The losses and their gradients against the formulas, on every set, dtype, layout and size."""

import itertools

import formulas
import numpy as np
import pytest
from formulas import assert_within
from sizes import LAYOUTS, OUT_LAYOUTS, Out, edges, laid_out, spread

import fastnn

LOSSES = tuple(formulas.LOSS)
KINDS = ("labels", "targets")
BLOCK = 64  # rows with strided columns are gathered in blocks of so many


def loss_case(rng, name, n, c, dtype, kind, weighted):
    """z (n, c), labels or targets, weights or None; some weights are 0."""
    z = spread(rng, (n, c), dtype, -6, 2 if name == "poisson_loss" else 5)
    if kind == "labels":
        y = rng.integers(0, c if name.startswith("softmax") else max(c, 2), n)
    else:
        y = rng.uniform(0 if name == "poisson_loss" else -0.5, 1.5, (n, c)).astype(dtype)
    w = None
    if weighted:
        w = np.abs(spread(rng, n, dtype)) * (rng.random(n) < 0.8)
        w = (w if w.any() else np.ones(n)).astype(dtype)
    return z, y, w


def check(name, z, y, weights, out_layout, exact=None):
    """Compute into an `out`; assert both bounds, and that nothing else was written."""
    out = Out(z.shape, z.dtype, out_layout)
    before = [np.copy(a) for a in (z, y, weights) if a is not None]
    loss, dz = getattr(fastnn, name)(z, y, sample_weight=weights, out=out.array)
    assert dz is out.array and type(loss) is float
    value, gradient = exact or formulas.mean_loss(name, z, y, weights)
    assert abs(loss - value[0]) <= value[1]
    assert_within(dz, gradient)
    out.assert_nothing_beside_it()
    after = [a for a in (z, y, weights) if a is not None]
    assert all(np.array_equal(p, q) for p, q in zip(before, after, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LOSSES)
def test_all_sizes(isa, name, kind, dtype, rng):
    columns = [c for c in edges(isa, dtype) if c]
    for n, c in itertools.product((1, 2, 3, 15, 16, 17, BLOCK - 1, BLOCK, BLOCK + 1), columns):
        z, y, w = loss_case(rng, name, n, c, dtype, kind, rng.random() < 0.5)
        z, w = (a if a is None else laid_out(a, rng.choice(list(LAYOUTS))) for a in (z, w))
        y = laid_out(y, rng.choice(list(LAYOUTS)))
        check(name, z, y, w, rng.choice(OUT_LAYOUTS))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LOSSES)
def test_all_layouts(isa, name, kind, weighted, dtype, rng):
    for n, c in [(2, 21), (2 * BLOCK + 3, 5)]:
        z, y, w = loss_case(rng, name, n, c, dtype, kind, weighted)
        exact = formulas.mean_loss(name, z, y, w)
        for layouts in itertools.product(LAYOUTS, LAYOUTS, OUT_LAYOUTS):
            weights = w if w is None else laid_out(w, layouts[1])
            placed = laid_out(z, layouts[0]), laid_out(y, layouts[1])
            check(name, *placed, weights, layouts[2], exact)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LOSSES)
def test_without_out(isa, name, kind, dtype, rng):
    z, y, w = loss_case(rng, name, 33, 10, dtype, kind, True)
    out = np.empty((33, 10), dtype)
    loss, dz = getattr(fastnn, name)(z, y, sample_weight=w)
    assert loss == getattr(fastnn, name)(z, y, sample_weight=w, out=out)[0]
    assert dz.dtype == dtype and np.array_equal(dz, out)


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "poisson_loss"])
def test_confident_logits(isa, name, dtype):
    for distance in (1, 3 - np.log(np.finfo(dtype).eps), 80, 1e4, 1e18):  # right, and wrong, by
        z = np.array([[distance, 0.0], [0.0, distance]], dtype)
        for y in ([0, 1], [1, 0], [0, 0]):
            check(name, z, np.array(y), None, "c")


def test_a_sure_and_right_answer_keeps_a_loss(isa, dtype):
    # log(1 - p) of a rounded p would be 0.
    loss, _ = fastnn.sigmoid_cross_entropy(np.array([[40], [-40]], dtype), [1, 0])
    assert abs(loss / np.exp(np.longdouble(-40)) - 1) <= 8 * np.finfo(dtype).eps


def test_means_that_overflow_are_infinite(isa, dtype):
    most = np.log(np.finfo(dtype).max)
    for z in (most * 1.01, np.finfo(dtype).max):
        loss, dz = fastnn.poisson_loss(np.array([[z, 0]], dtype), np.ones((1, 2), dtype))
        assert loss == np.inf and dz.tolist() == [[np.inf, 0]]
    below = np.array([[most * 0.99]], dtype)
    loss, dz = fastnn.poisson_loss(below, np.ones((1, 1), dtype))
    assert np.isfinite(loss) and np.isfinite(dz).all()
    for z in (-np.inf, np.finfo(dtype).min):
        loss, dz = fastnn.poisson_loss(np.array([[z]], dtype), np.zeros((1, 1), dtype))
        assert loss == 0 and dz == 0


@pytest.mark.parametrize("name", ["poisson_loss", "huber_loss", "absolute_error"])
def test_nan_propagates(isa, name, dtype):
    loss, dz = getattr(fastnn, name)(np.array([[np.nan, 1]], dtype), np.zeros((1, 2), dtype))
    assert np.isnan(loss) and np.isnan(dz[0, 0]) and np.isfinite(dz[0, 1])


def test_negative_counts_are_refused(dtype):
    y = np.array([[1, 0], [2, -0.5]], dtype)
    with pytest.raises(ValueError, match=r"y has -0\.5: counts must be at least 0"):
        fastnn.poisson_loss(np.zeros((2, 2), dtype), y)


def test_the_loss_of_huber_changes_at_delta(isa, dtype):
    z, zeros = np.array([[0.5, 2, 4, -4]], dtype), np.zeros((1, 4), dtype)
    loss, dz = fastnn.huber_loss(z, zeros, delta=2)
    assert loss == 0.125 + 2 + 6 + 6 and dz.tolist() == [[0.5, 2, 2, -2]]
    wide, dz = fastnn.huber_loss(z, zeros, delta=1e30)
    assert (wide, dz.tolist()) == (fastnn.squared_error(z, zeros)[0], z.tolist())
    for bad in (0, -1, np.inf, np.nan):
        with pytest.raises(ValueError, match="delta is .*: it must be finite and positive"):
            fastnn.huber_loss(z, zeros, delta=bad)
    with pytest.raises(TypeError, match="delta must be a number"):
        fastnn.huber_loss(z, zeros, delta="one")


def test_equal_values_have_no_absolute_gradient(isa, dtype):
    z = np.array([[1, 2, 3]], dtype)
    loss, dz = fastnn.absolute_error(z, np.array([[1, 5, -1]], dtype))
    assert loss == 7 and dz.tolist() == [[0, -1, 1]]


# What the bounds must not let pass: a loss or gradient that is wrong in ways kernels are.


def wrong_results(name, z, y, w):
    """Wrong (loss, dz) by the mistake made."""
    (loss, _), (dz, _) = formulas.mean_loss(name, z, y, w)
    n = len(z)
    plain = formulas.mean_loss(name, z, y)
    yield "weights ignored", plain[0][0], plain[1][0]
    yield "sum, not mean", loss * n, dz * n
    yield "a row lost", *(v for v, _ in formulas.mean_loss(name, z[:-1], y[:-1], w[:-1]))
    shifted = formulas.mean_loss(name, z, np.roll(y, 1, axis=0), w)
    yield "targets of the next row", shifted[0][0], shifted[1][0]
    yield "sign", -loss, -dz
    lower = np.float16 if z.dtype == np.float32 else np.float32
    rounded = formulas.mean_loss(name, z.astype(lower).astype(z.dtype), y, w)
    yield "logits rounded", rounded[0][0], rounded[1][0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LOSSES)
def test_the_bounds_reject(name, kind, dtype, rng):
    z, y, w = loss_case(rng, name, 9, 4, dtype, kind, True)
    (loss, bound), gradient = formulas.mean_loss(name, z, y, w)
    assert abs(dtype.type(loss) - loss) <= bound
    assert_within(gradient[0].astype(dtype), gradient)
    for wrong, value, dz in wrong_results(name, z, y, w):
        assert abs(value - loss) > bound, wrong
        # What moves an output a little changes no sign.
        signs = name == "absolute_error" and wrong in ("logits rounded", "targets of the next row")
        if dz.shape == z.shape and not signs:
            with pytest.raises(AssertionError):
                assert_within(dz.astype(dtype), gradient)
