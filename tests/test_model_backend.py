"""What the estimators of Gaussian and linear models ask of either backend, against the formulas."""

import itertools

import formulas
import model_formulas
import numpy as np
import pytest
from formulas import assert_within, wide
from model_formulas import EPS64
from sizes import LAYOUTS, OUT_LAYOUTS, Out, laid_out, spread
from test_gaussian_kernels import COVARIANCES, covariances, gaussian_case

import fastnn

backend = fastnn.runtime.backend_module
WHAT = ("joint", "log_proba", "proba", "log_density", "label")
SIZES_D = (1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 63, 64, 65, 100, 129)


# Posteriors


def gaussians(means, factors, covariance):
    """The Gaussians of arrays of their dtype."""
    wide_means, wide_factors = means.astype(np.float64), factors.astype(np.float64)
    return backend.Gaussians(means.dtype, covariance, wide_means, wide_factors)


def posterior_case(rng, n, d, c, dtype, covariance):
    """Gaussians, rows, offsets, and what evaluation must give: {what: (value, bound)}."""
    x, means, factors = gaussian_case(rng, n, d, c, dtype, covariance, reach=2.0)
    offsets = np.log(rng.dirichlet(np.ones(c)))
    eps = np.finfo(dtype).eps
    joint, error = model_formulas.gaussian_logpdf(x, means, factors, covariance=covariance)
    joint, error = joint + offsets, error + 3 * eps * np.abs(offsets)
    return gaussians(means, factors, covariance), x, offsets, posterior_of(joint, error, eps)


def posterior_of(joint, error, eps):
    """The posterior with bounds, also of no rows."""
    if len(joint) == 0:
        shapes = {what: joint.shape for what in WHAT} | {"log_density": (0,)}
        return {what: (np.zeros(s), np.zeros(s)) for what, s in shapes.items()}
    return model_formulas.posterior(joint, error, eps)


def check_label(label, joint, error):
    """Assert that each label is that of a largest joint density, as far as errors tell."""
    assert label.dtype == np.int64 and label.shape == joint.shape[:1]
    if len(label):
        chosen = np.take_along_axis(joint, label[:, np.newaxis], axis=1)
        assert (chosen >= (joint - 2 * error).max(axis=1, keepdims=True)).all()


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_the_posterior(isa, covariance, dtype, rng):
    for n, d, c in [(0, 3, 2), (1, 1, 1), (3, 2, 2), (17, 9, 3), (33, 16, 10), (530, 4, 17)]:
        g, x, offsets, exact = posterior_case(rng, n, d, c, dtype, covariance)
        for what, layout in itertools.product(WHAT, ("c", "fortran", "reversed")):
            result = g.evaluate(laid_out(x, layout), what, offsets)
            if what == "label":
                check_label(result, *exact["joint"])
            else:
                assert result.dtype == dtype
                assert_within(result, exact[what])


@pytest.mark.parametrize("what", WHAT)
def test_the_posterior_in_an_out(isa, what, dtype, rng):
    g, x, offsets, _ = posterior_case(rng, 70, 5, 3, dtype, "full")
    expected = g.evaluate(x, what, offsets)
    kind = np.int64 if what == "label" else dtype
    for layout in ("c",) if what == "label" else OUT_LAYOUTS:
        out = Out(expected.shape, kind, layout)
        assert g.evaluate(x, what, offsets, out.array) is out.array
        assert np.array_equal(out.array, expected)
        out.assert_nothing_beside_it()


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_without_offsets_they_are_zero(isa, covariance, dtype, rng):
    g, x, offsets, _ = posterior_case(rng, 40, 5, 3, dtype, covariance)
    for what in WHAT:
        assert np.array_equal(g.evaluate(x, what), g.evaluate(x, what, 0 * offsets))


def test_a_class_without_prior_has_no_posterior(isa, dtype, rng):
    g, x, offsets, _ = posterior_case(rng, 40, 5, 3, dtype, "full")
    offsets[1] = -np.inf
    assert (g.evaluate(x, "joint", offsets)[:, 1] == -np.inf).all()
    assert (g.evaluate(x, "log_proba", offsets)[:, 1] == -np.inf).all()
    proba = g.evaluate(x, "proba", offsets)
    assert not proba[:, 1].any()
    assert (np.abs(wide(proba).sum(axis=1) - 1) <= 5 * np.finfo(dtype).eps).all()
    assert 1 not in g.evaluate(x, "label", offsets)
    assert np.isfinite(g.evaluate(x, "log_density", offsets)).all()


def test_the_first_of_equal_classes_is_the_label(isa, dtype):
    means, factors = np.zeros((4, 2), dtype), np.eye(2, dtype=dtype)
    x = np.arange(80, dtype=dtype).reshape(40, 2)
    g = gaussians(means, factors, "shared")
    assert not g.evaluate(x, "label").any()
    offsets = np.array([-1.0, 0.0, 0.0, -2.0])
    assert (g.evaluate(x, "label", offsets) == 1).all()


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_gaussians_keep_nothing_of_their_arguments(isa, covariance, dtype, rng):
    x, means, factors = gaussian_case(rng, 9, 4, 3, dtype, covariance)
    means, factors = means.astype(np.float64), factors.astype(np.float64)
    g = backend.Gaussians(dtype, covariance, means, factors)
    expected = g.evaluate(x, "joint")
    means += 1
    factors *= 2
    assert np.array_equal(g.evaluate(x, "joint"), expected)


def test_wrong_posteriors_are_rejected(dtype, rng):
    *_, exact = posterior_case(rng, 9, 3, 3, dtype, "full")
    joint = exact["joint"][0]
    wrong = {
        "log_proba": joint - joint.max(axis=1, keepdims=True),
        "proba": formulas.softmax(joint[:, ::-1]),
        "log_density": joint.max(axis=1),
        "joint": joint + 1e-4,
    }
    for what, value in wrong.items():
        assert_within(exact[what][0].astype(dtype), exact[what])
        with pytest.raises(AssertionError):
            assert_within(value.astype(dtype), exact[what])
    with pytest.raises(AssertionError):
        check_label(joint.argmin(axis=1), *exact["joint"])


# Factors and sums


def test_pivots(isa, rng):
    for d in SIZES_D:
        a = covariances(rng, 4, d, np.dtype(np.float64))
        a[1, d // 2, d // 2] = -1
        a[2, d - 1, d - 1] = np.nan
        a[3, 0, 0] = 0
        factors, pivots = backend.cholesky(a)
        assert pivots.dtype == np.int64 and list(pivots) == [-1, d // 2, d - 1, 0]
        assert not np.triu(factors[0], 1).any()
        above = a[:1] + np.triu(np.full((d, d), np.nan), 1)
        again, _ = backend.cholesky(above)
        assert np.array_equal(again[0], factors[0])
    one, pivot = backend.cholesky(a[0])
    assert np.array_equal(one, factors[0]) and pivot.shape == () and pivot == -1


def test_solutions(isa, rng):
    for d in SIZES_D:
        l, _ = backend.cholesky(covariances(rng, 1, d, np.dtype(np.float64))[0])
        size = np.abs(wide(l)) @ np.abs(wide(l.T))
        for shape in [(d,), (d, 1), (d, 3), (d, 33)]:
            b = spread(rng, shape, np.float64)
            x = backend.cholesky_solve(l, b)
            assert x.shape == shape
            # Each of the two substitutions solves a system within d eps of its own.
            residual = wide(l) @ (wide(l.T) @ x) - b
            bound = (2 * d + 4) * EPS64 * size @ np.abs(x)
            assert (np.abs(residual) <= bound).all()
            with pytest.raises(AssertionError):
                wrong = wide(l) @ (wide(l.T) @ (x * (1 + 1e-9))) - b
                assert (np.abs(wrong) <= bound).all()


def test_inverses(isa, rng):
    for d in SIZES_D:
        l, _ = backend.cholesky(covariances(rng, 1, d, np.dtype(np.float64))[0])
        inverse = backend.triangular_inverse(l)
        exact = model_formulas.inverse(wide(l))
        bound = (d + 2) * EPS64 * np.abs(exact) @ np.abs(l) @ np.abs(exact)
        assert_within(inverse, (exact, bound))
        assert not np.triu(inverse, 1).any()
        with pytest.raises(AssertionError):
            assert_within(inverse * (1 + 1e-9), (exact, bound))


def test_dot(isa, rng):
    for n in (0, 1, 2, 7, 8, 9, 31, 32, 33, 64, 65, 1000):
        a, b = spread(rng, n, np.float64), spread(rng, n, np.float64)
        value = backend.dot(a, b)
        assert type(value) is float
        exact, size = (wide(a) * wide(b)).sum(), np.abs(wide(a) * wide(b)).sum()
        assert abs(value - exact) <= (n + 2) * EPS64 * size
        assert n == 0 or abs(value + 1e-9 * size - exact) > (n + 2) * EPS64 * size


@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_finite(isa, layout, dtype, rng):
    for shape in [(0, 3), (1, 1), (37,), (1, 70), (5, 33), (130, 3)]:
        a = laid_out(spread(rng, shape, dtype), layout)
        assert backend.all_finite(a) is True
        if a.size == 0:
            continue
        a[...] = np.finfo(dtype).max
        assert backend.all_finite(a) is True
        for special in (np.nan, np.inf, -np.inf):
            for i in {0, a.size // 2, a.size - 1}:
                index = np.unravel_index(i, a.shape)
                kept, a[index] = a[index], special
                assert backend.all_finite(a) is False
                a[index] = kept
    assert backend.all_finite(np.broadcast_to(np.ones((), dtype), (300, 40))) is True
