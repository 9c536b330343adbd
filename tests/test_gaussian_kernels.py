"""gaussian_logpdf and cholesky_factors against the formulas, SciPy and exact arithmetic."""

import itertools

import model_formulas
import mpmath
import numpy as np
import pytest
from formulas import assert_within, wide
from scipy.stats import multivariate_normal
from sizes import LAYOUTS, OUT_LAYOUTS, Out, laid_out, spread

import fastnn

COVARIANCES = ("full", "shared", "diag")
SIZES_N = sorted({0, 2, 3} | {e + d for e in (1, 16, 32, 128, 256, 512) for d in (-1, 0, 1)})
SIZES_D = (1, 2, 3, 7, 8, 9, 13, 14, 15, 16, 17, 31, 32, 33)
LARGE_D = (64, 65, 100, 257)
SIZES_C = (1, 2, 3, 10, 17)


def lower_factors(rng, shape, dtype):
    """Triangles with rows of scales 2^-4 .. 2^4, well conditioned apart from that; NaN above."""
    *_, d = shape
    scale = np.abs(spread(rng, (*shape[:-1], 1), np.float64, -4, 5))
    strict = np.tril(rng.uniform(-1, 1, shape), -1) / np.sqrt(d)
    diagonal = np.eye(d) * rng.uniform(0.5, 1.5, shape)
    above = np.triu(np.full((d, d), np.nan), 1)
    return (scale * (strict + diagonal) + above).astype(dtype)


def gaussian_case(rng, n, d, c, dtype, covariance, reach=3.0):
    """x (n, d), means (c, d) and factors: rows around the means, those within a sphere."""
    shape = {"full": (c, d, d), "shared": (d, d), "diag": (c, d)}[covariance]
    if covariance == "diag":
        factors = np.abs(spread(rng, shape, dtype, -4, 5))
    else:
        factors = lower_factors(rng, shape, dtype)
    matrix = np.tril(np.nan_to_num(factors)) if covariance != "diag" else factors[0] * np.eye(d)
    matrix = (matrix[0] if covariance == "full" else matrix).astype(np.float64)
    direction = rng.normal(size=(c, d))
    direction *= reach / np.linalg.norm(direction, axis=1, keepdims=True)
    means = (direction @ matrix.T).astype(dtype)
    x = means[rng.integers(0, c, n)] + rng.normal(size=(n, d)) @ matrix.T
    return x.astype(dtype), means, factors


def paired_case(rng, n, d, dtype, covariance):
    """As gaussian_case, each row with its own Gaussian."""
    x, means, factors = gaussian_case(rng, n, d, max(n, 1), dtype, covariance)
    return x, means[:n], factors if covariance == "shared" else factors[:n]


def check_density(arrays, options, out_layout, exact=None):
    """Compute into an `out`; assert the bound, that no input and nothing beside `out` changed."""
    before = [a.copy() for a in arrays]
    exact = exact or model_formulas.gaussian_logpdf(*arrays, **options)
    out = Out(exact[0].shape, arrays[0].dtype, out_layout)
    assert fastnn.gaussian_logpdf(*arrays, **options, out=out.array) is out.array
    assert_within(out.array, exact)
    out.assert_nothing_beside_it()
    own = fastnn.gaussian_logpdf(*arrays, **options)
    assert own.dtype == out.array.dtype and np.array_equal(own, out.array)
    for a, b in zip(arrays, before, strict=True):
        assert np.array_equal(a, b, equal_nan=True)


def sizes(dims, n_sizes, rng):
    """(n, d, c) with every d of `dims`, in which n and c take turns."""
    turn = itertools.count(rng.integers(100))
    for d in dims:
        for c in SIZES_C:
            yield n_sizes[7 * next(turn) % len(n_sizes)], d, c


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_all_sizes(isa, covariance, dtype, rng):
    for n, d, c in sizes(SIZES_D, SIZES_N, rng):
        arrays = gaussian_case(rng, n, d, c, dtype, covariance)
        check_density(arrays, {"covariance": covariance}, rng.choice(OUT_LAYOUTS))


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_large_sizes(isa, covariance, dtype, rng):
    for d, (n, c) in zip(LARGE_D, [(129, 3), (33, 2), (257, 2), (65, 2)], strict=True):
        arrays = gaussian_case(rng, n, d, c, dtype, covariance)
        check_density(arrays, {"covariance": covariance}, "c")


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_means_far_from_each_other(isa, covariance, dtype, rng):
    for n, d, c in [(40, 9, 3), (129, 17, 10), (513, 2, 2)]:
        for reach in (15.0, 17.0, 1e6):
            arrays = gaussian_case(rng, n, d, c, dtype, covariance, reach)
            check_density(arrays, {"covariance": covariance}, "c")


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_paired(isa, covariance, dtype, rng):
    for n, d in [(0, 3), (1, 1), (1, 9), (2, 33), (17, 2), (33, 8), (31, 15), (129, 17), (3, 100)]:
        arrays = paired_case(rng, n, d, dtype, covariance)
        options = {"covariance": covariance, "paired": True}
        check_density(arrays, options, rng.choice(OUT_LAYOUTS))


def strided(a):
    """A copy of a stack of matrices with gaps in every axis, and the last two exchanged."""
    buffer = np.zeros([2 * s for s in a.shape], a.dtype)[::2, ::2, ::-2].swapaxes(1, 2)
    buffer[...] = a
    return buffer


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("covariance", COVARIANCES)
def test_all_layouts(isa, covariance, paired, dtype, rng):
    arrays = gaussian_case(rng, 37, 5, 37 if paired else 4, dtype, covariance)
    options = {"covariance": covariance, "paired": paired}
    exact = model_formulas.gaussian_logpdf(*arrays, **options)
    for layout, other, out_layout in itertools.product(LAYOUTS, LAYOUTS, OUT_LAYOUTS):
        x, means = laid_out(arrays[0], layout), laid_out(arrays[1], other)
        factors = strided(arrays[2]) if arrays[2].ndim == 3 else laid_out(arrays[2], other)
        check_density((x, means, factors), options, out_layout, exact)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_agreement_with_scipy(isa, covariance, rng):
    for n, d, c in [(20, 1, 2), (20, 4, 3), (50, 17, 3)]:
        x, means, factors = gaussian_case(rng, n, d, c, np.dtype(np.float64), covariance)
        y = fastnn.gaussian_logpdf(x, means, factors, covariance=covariance)
        if covariance == "diag":
            cov = [np.diag(s**2) for s in factors]
        else:
            l = np.broadcast_to(np.tril(factors), (c, d, d))
            cov = l @ l.transpose(0, 2, 1)
        expected = [multivariate_normal(means[k], cov[k]).logpdf(x) for k in range(c)]
        np.testing.assert_allclose(y, np.transpose(expected), rtol=1e-10, atol=0)


# Extreme cases, in 50 digits


def exact_logpdf(x, mean, l):
    """log N(x; mean, l l^T) of one row."""
    with mpmath.workdps(50):
        d, z = len(x), []
        for j in range(d):
            known = mpmath.fdot((mpmath.mpf(float(l[j, k])), z[k]) for k in range(j))
            difference = mpmath.mpf(float(x[j])) - mpmath.mpf(float(mean[j]))
            z.append((difference - known) / mpmath.mpf(float(l[j, j])))
        logs = mpmath.fsum(mpmath.log(float(l[j, j])) for j in range(d))
        squares = mpmath.fdot(z, z)
        return -squares / 2 - logs - d * mpmath.log(2 * mpmath.pi) / 2


def exact_densities(x, means, factors, covariance):
    """(n, c) as long double; the digits that it lacks are below all bounds."""
    value = np.empty((len(x), len(means)), np.longdouble)
    for i, k in np.ndindex(value.shape):
        l = np.diag(factors[k]) if covariance == "diag" else np.tril(factors)
        l = np.tril(factors[k]) if covariance == "full" else l
        value[i, k] = np.longdouble(mpmath.nstr(exact_logpdf(x[i], means[k], l), 25))
    return value


def graded(rng, d, condition):
    """A triangle whose columns fall from 1 to 1 / condition."""
    lower = np.tril(rng.uniform(-1, 1, (d, d)), -1) + np.eye(d)
    return lower * np.logspace(0, -np.log10(condition), d)


def extreme_case(name, rng, dtype, covariance):
    """x, means and factors, and how sharp the bound must be on the densities of a row's class."""
    d, c = 6, 3
    offset, apart, condition, sharp = {
        "means far from zero": (1e6 if dtype == np.float64 else 1e4, 3.0, 1.0, 1e4),
        "means far apart": (0.0, 1e6, 1.0, 1e4),
        "ill-conditioned": (0.0, 3.0, 1e12 if dtype == np.float64 else 1e4, None),
    }[name]
    l = graded(rng, d, condition) if condition > 1 else np.tril(lower_factors(rng, (d, d), dtype))
    l = l / np.abs(l).max()
    if name == "ill-conditioned" and covariance == "diag":
        l = np.diag(np.diag(l))
    means = (offset + apart * rng.normal(size=(c, d)) @ l.T).astype(dtype)
    x = (means[np.arange(9) % c] + rng.normal(size=(9, d)) @ l.T).astype(dtype)
    factors = {
        "full": np.stack([l * (1 + k) for k in range(c)]),
        "shared": l,
        "diag": np.stack([np.diag(l) * (1 + k) for k in range(c)]),
    }[covariance]
    return x, means, factors.astype(dtype), sharp


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("name", ["means far from zero", "means far apart", "ill-conditioned"])
def test_extreme_cases(isa, name, covariance, dtype, rng):
    x, means, factors, sharp = extreme_case(name, rng, dtype, covariance)
    exact = exact_densities(x, means, factors, covariance)
    value, bound = model_formulas.gaussian_logpdf(x, means, factors, covariance=covariance)
    assert (np.abs(value - exact) <= bound / 100).all()
    own = np.arange(9), np.arange(9) % 3  # each row and its class
    assert sharp is None or bound[own].max() < sharp * np.finfo(dtype).eps
    assert_within(fastnn.gaussian_logpdf(x, means, factors, covariance=covariance), (exact, bound))
    arrays = x, means[own[1]], factors if covariance == "shared" else factors[own[1]]
    options = {"covariance": covariance, "paired": True}
    _, bound = model_formulas.gaussian_logpdf(*arrays, **options)
    assert_within(fastnn.gaussian_logpdf(*arrays, **options), (exact[own], bound))


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("covariance", COVARIANCES)
def test_far_rows_have_no_density_but_are_not_nan(isa, covariance, paired, dtype):
    top = np.finfo(dtype).max
    x = np.array([[top, -top], [0, 0]], dtype)
    means = np.zeros((1 + paired, 2), dtype)
    factors = {"full": np.stack([np.eye(2)] * len(means)), "shared": np.eye(2)}
    scales = factors.get(covariance, np.ones((len(means), 2))).astype(dtype)
    with np.errstate(all="raise"):
        y = fastnn.gaussian_logpdf(x, means, scales, covariance=covariance, paired=paired)
    assert y.ravel()[0] == -np.inf and np.isfinite(y.ravel()[1])


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("covariance", COVARIANCES)
def test_nan_stays_in_its_row(isa, covariance, paired, dtype, rng):
    n = 70
    x, means, factors = gaussian_case(rng, n, 5, n if paired else 3, dtype, covariance)
    options = {"covariance": covariance, "paired": paired}
    whole = fastnn.gaussian_logpdf(x, means, factors, **options)
    x[33, 2] = np.nan
    y = fastnn.gaussian_logpdf(x, means, factors, **options)
    clean = np.arange(n) != 33
    assert np.isnan(y[33]).all() and np.array_equal(y[clean], whole[clean])


# What the bounds must not let pass

WRONG_DENSITY = {
    "the determinant lost": lambda x, m, l, f: f(x, m, l) + np.log(np.diagonal(l, 0, 1, 2)).sum(1),
    "half of 2 pi lost": lambda x, m, l, f: f(x, m, l) + x.shape[1] * np.log(2) / 2,
    "the factor transposed": lambda x, m, l, f: f(
        x, m, np.tril(l.transpose(0, 2, 1)[:, ::-1, ::-1])
    ),
    "the covariance for the factor": lambda x, m, l, f: f(x, m, np.tril(l @ l.transpose(0, 2, 1))),
    "the mean of the next class": lambda x, m, l, f: f(x, np.roll(m, 1, axis=0), l),
    "the last feature lost": lambda x, m, l, f: f(x[:, :-1], m[:, :-1], l[:, :-1, :-1]),
    "one unit in the fourth digit": lambda x, m, l, f: f(x, m, l) * (1 + 1e-4),
}


@pytest.mark.parametrize("wrong", WRONG_DENSITY)
def test_the_bound_rejects(wrong, dtype, rng):
    x, means, factors = gaussian_case(rng, 7, 4, 3, dtype, "full")
    factors = np.tril(factors)
    exact = model_formulas.gaussian_logpdf(x, means, factors)
    assert_within(exact[0].astype(dtype), exact)
    y = WRONG_DENSITY[wrong](x, means, factors, lambda *a: model_formulas.gaussian_logpdf(*a)[0])
    with pytest.raises(AssertionError):
        assert_within(y.astype(dtype), exact)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("covariance", COVARIANCES)
def test_the_bound_rejects_less_precision(covariance, paired, dtype, rng):
    arrays = gaussian_case(rng, 7, 4, 7, dtype, covariance)
    options = {"covariance": covariance, "paired": paired}
    value, bound = model_formulas.gaussian_logpdf(*arrays, **options)
    lower = np.float16 if dtype == np.float32 else np.float32
    with np.errstate(over="ignore"):
        rounded = value.astype(lower)
    with pytest.raises(AssertionError):
        assert_within(rounded.astype(dtype), (value, bound))


# Cholesky factors


def covariances(rng, c, d, dtype):
    """Symmetric positive definite matrices (c, d, d)."""
    a = rng.normal(size=(c, d, 2 * d)) * np.abs(spread(rng, (c, d, 1), np.float64, -3, 4))
    return (a @ a.transpose(0, 2, 1) / d).astype(dtype)


def check_factors(cov, factors):
    """Assert that L L^T is within the rounding of a factorisation in float64, and of L."""
    a, l, d = wide(cov), wide(factors), cov.shape[-1]
    assert factors.dtype == cov.dtype and not np.triu(factors, 1).any()
    size = np.abs(l) @ np.abs(l).swapaxes(-2, -1)
    rounding = 0 if cov.dtype == np.float64 else 2 * np.finfo(cov.dtype).eps
    bound = ((d + 1) * model_formulas.EPS64 + rounding) * size
    assert (np.abs(l @ l.swapaxes(-2, -1) - a) <= bound).all()


def test_factors_of_all_sizes(isa, dtype, rng):
    for d in (*SIZES_D, *LARGE_D, 63, 127, 128, 129):
        cov = covariances(rng, 1 if d > 33 else 3, d, dtype)
        factors = fastnn.cholesky_factors(cov)
        check_factors(cov, factors)
        assert np.array_equal(fastnn.cholesky_factors(cov[0]), factors[0])
    assert fastnn.cholesky_factors(np.zeros((0, 3, 3), dtype)).shape == (0, 3, 3)


def test_factors_in_all_layouts(isa, dtype, rng):
    cov = covariances(rng, 3, 5, dtype)
    cov = (cov + cov.transpose(0, 2, 1)) / 2
    expected = fastnn.cholesky_factors(cov)
    out = strided(np.zeros_like(cov))
    assert fastnn.cholesky_factors(strided(cov), out=out) is out
    assert np.array_equal(out, expected)
    for layout, out_layout in itertools.product(LAYOUTS, OUT_LAYOUTS):
        one = Out((5, 5), dtype, out_layout)
        given = laid_out(cov[1], layout)
        assert fastnn.cholesky_factors(given, out=one.array) is one.array
        assert np.array_equal(one.array, expected[1]) and np.array_equal(given, cov[1])
        one.assert_nothing_beside_it()


def test_wrong_factors_are_rejected(dtype, rng):
    cov = covariances(rng, 2, 5, dtype)
    factors = np.linalg.cholesky(cov.astype(np.float64))
    check_factors(cov, factors.astype(dtype))
    lower = np.float16 if dtype == np.float32 else np.float32
    for wrong in (factors * (1 + 1e-5), factors[::-1], factors.astype(lower), factors - np.eye(5)):
        with pytest.raises(AssertionError):
            check_factors(cov, wrong.astype(dtype))
