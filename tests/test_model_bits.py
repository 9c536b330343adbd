"""The same bits of Gaussian and linear models: in any batch and layout, on every set with FMA."""

import itertools

import numpy as np
import pytest
from exact_data import digest, integers, labels, numbers
from sizes import LAYOUTS, OUT_LAYOUTS, Out, laid_out
from test_gaussian_kernels import COVARIANCES, gaussian_case, paired_case
from test_same_bits import FMA_SETS, assert_splits, same

import fastnn

pytestmark = pytest.mark.skipif(
    fastnn.backend() != "compiled", reason="only the compiled kernels promise bits"
)

backend = fastnn.runtime.backend_module
LOSSES = ("softmax_cross_entropy", "sigmoid_cross_entropy", "squared_error")
WHAT = ("joint", "log_proba", "proba", "log_density", "label")


def density_of(means, factors, covariance):
    """The densities as a function of the rows."""
    return lambda x: fastnn.gaussian_logpdf(x, means, factors, covariance=covariance)


@pytest.mark.parametrize("reach", [3.0, 1e3])
@pytest.mark.parametrize("covariance", COVARIANCES)
def test_batch_splits_of_densities(isa, covariance, reach, dtype, rng):
    for n, d, c in [(40, 5, 3), (37, 17, 2), (33, 1, 10), (35, 100, 2)]:
        x, means, factors = gaussian_case(rng, n, d, c, dtype, covariance, reach)
        f = density_of(means, factors, covariance)
        assert_splits(f, x, f(x))


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_a_row_of_densities_in_a_large_batch(isa, covariance, dtype, rng):
    for n, d, c in [(1300, 3, 2), (600, 70, 3), (1100, 9, 17)]:
        x, means, factors = gaussian_case(rng, n, d, c, dtype, covariance)
        f = density_of(means, factors, covariance)
        whole = f(x)
        for i in {0, 1, 31, 32, 33, 511, 512, n // 2, n - 1}:
            assert same(f(x[i : i + 1])[0], whole[i])
        for size in (2, 3, 31, 33, 257, 513):
            assert same(np.concatenate([f(x[i : i + size]) for i in range(0, n, size)]), whole)


@pytest.mark.parametrize("what", WHAT)
def test_batch_splits_of_posteriors(isa, what, dtype, rng):
    x, means, factors = gaussian_case(rng, 40, 5, 10, dtype, "shared")
    g = backend.Gaussians(dtype, "shared", means.astype(np.float64), factors.astype(np.float64))
    offsets = np.linspace(-3, 0, 10)
    assert_splits(lambda p: g.evaluate(p, what, offsets), x, g.evaluate(x, what, offsets))


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_batch_splits_of_paired_densities(isa, covariance, dtype, rng):
    options = {"covariance": covariance, "paired": True}
    for n, d in [(20, 3), (20, 17), (9, 130)]:
        x, means, factors = paired_case(rng, n, d, dtype, covariance)
        whole = fastnn.gaussian_logpdf(x, means, factors, **options)
        placed = (laid_out(a, "fortran") for a in (x, means))
        assert same(fastnn.gaussian_logpdf(*placed, factors, **options), whole)
        for i in range(n):
            own = factors if covariance == "shared" else factors[i : i + 1]
            one = fastnn.gaussian_logpdf(x[i : i + 1], means[i : i + 1], own, **options)
            assert same(one, whole[i : i + 1])


@pytest.mark.parametrize("name", ["logsumexp", "log_softmax"])
def test_batch_splits_of_rows(isa, name, dtype):
    for n, c in [(40, 1), (40, 3), (37, 70)]:
        x = numbers((n, c), 3, dtype, 8)
        assert_splits(getattr(fastnn, name), x, getattr(fastnn, name)(x))


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_layouts_of_densities_and_moments(isa, covariance, dtype, rng):
    x, means, factors = gaussian_case(rng, 300, 19, 3, dtype, covariance)
    y, w = labels(300, 3, 4), np.abs(numbers(300, 5, dtype)) + dtype.type(0.25)
    density = fastnn.gaussian_logpdf(x, means, factors, covariance=covariance)
    moments = fastnn.gaussian_moments(x, y, 3, sample_weight=w, covariance=covariance)
    for layout, out_layout in itertools.product(LAYOUTS, OUT_LAYOUTS):
        placed, out = laid_out(x, layout), Out((300, 3), dtype, out_layout).array
        fastnn.gaussian_logpdf(placed, means, factors, covariance=covariance, out=out)
        assert same(out, density)
        weights = laid_out(w, layout)
        again = fastnn.gaussian_moments(placed, y, 3, sample_weight=weights, covariance=covariance)
        assert all(map(same, again, moments))


@pytest.mark.parametrize("loss", LOSSES)
def test_layouts_of_linear_models(isa, loss, dtype):
    x, w = numbers((300, 19), 1, dtype, 2), numbers((19, 3), 2, dtype)
    weights = np.abs(numbers(300, 5, dtype)) + dtype.type(0.25)
    for y in (labels(300, 3, 4), numbers((300, 3), 6, dtype)):
        options = {"loss": loss, "hessian": True}
        results = fastnn.linear_loss(x, y, w, w[0], sample_weight=weights, **options)
        for layout in LAYOUTS:
            arrays = [laid_out(a, layout) for a in (x, y, w, w[0])]
            options["sample_weight"] = laid_out(weights, layout)
            assert all(map(same, fastnn.linear_loss(*arrays, **options), results))


# Everything below gives (name, values) that must not depend on the set.


def factors_of(c, d, dtype):
    """Triangles (c, d, d) of exact data with a dominant diagonal."""
    strict = np.tril(numbers((c, d, d), 21, dtype), -1) / dtype.type(64)
    return strict + np.eye(d, dtype=dtype) * (1 + np.abs(numbers((c, 1, d), 22, dtype)))


def density_results(dtype):
    """Densities and posteriors of few and of many features, with means near and far."""
    for (n, d, c), far in itertools.product([(1, 1, 1), (45, 19, 3), (530, 7, 10)], [1, 1024]):
        x, means = numbers((n, d), 23, dtype, 2 * far), numbers((c, d), 24, dtype, far)
        factors = factors_of(c, d, dtype)
        scales = {"full": factors, "shared": factors[0], "diag": factors[:, -1] + dtype.type(2)}
        for covariance, scale in scales.items():
            arrays = (a.astype(np.float64) for a in (means, scale))
            g = backend.Gaussians(dtype, covariance, *arrays)
            values = [g.evaluate(x, what, numbers(c, 25, np.dtype(float))) for what in WHAT]
            yield f"densities {covariance} {n}-{d}-{c} x {far}", values
        own = factors_of(n, d, dtype)
        x_i, means_i = numbers((n, d), 26, dtype), numbers((n, d), 27, dtype)
        yield f"paired {n}-{d}", (fastnn.gaussian_logpdf(x_i, means_i, own, paired=True),)


def row_results(dtype):
    """logsumexp and log_softmax of moderate and of large entries."""
    for scale, shape in itertools.product([4, 128], [(1, 1), (5, 3), (70, 10), (33, 131)]):
        x = numbers(shape, 28, dtype, scale)
        yield f"rows {shape} x {scale}", (fastnn.logsumexp(x), fastnn.log_softmax(x))


def moment_results(dtype):
    """Moments of all kinds, their sum and difference."""
    for (n, d, c), weighted in itertools.product(
        [(1, 1, 1), (45, 19, 3), (700, 7, 2), (300, 70, 1)], [False, True]
    ):
        x, y = numbers((n, d), 29, dtype, 4) + dtype.type(64), labels(n, c, 30)
        w = np.abs(numbers(n, 31, dtype)) * (np.arange(n) % 5 != 2) if weighted else None
        extra = numbers((n, 2), 32, dtype)
        parts = {k: backend.class_moments(x, y, c, w, k, extra) for k in COVARIANCES}
        for kind, part in parts.items():
            yield f"moments {kind} {n}-{d}-{c}", [m for m in part if m is not None]
        half = backend.class_moments(x[::2], y[::2].copy(), c, None, "full", extra[::2])
        for sign in (1.0, -1.0):
            yield f"moments added {n}-{d}-{c}", backend.add_moments(parts["full"], half, sign)


def factor_results(dtype):
    """Factors of whole numbers, and what float64 computes with them."""
    for d in (1, 2, 7, 16, 33, 65, 130):
        whole = (integers((2, d, 2 * d), 33) % np.uint64(17)).astype(np.float64) - 8
        cov = (whole @ whole.swapaxes(1, 2) + np.eye(d)).astype(dtype)  # exact in any order
        factors = fastnn.cholesky_factors(cov)
        l, b = factors[0].astype(np.float64), numbers((d, 3), 34, np.float64)
        values = backend.cholesky_solve(l, b), backend.triangular_inverse(l)
        product = backend.dot(values[1].ravel(), values[1].T.ravel())
        yield f"factors {d}", (factors, *values, product)


def linear_results(dtype):
    """Every linear loss with its gradient and Hessian."""
    for (n, d, c), loss in itertools.product([(1, 1, 1), (45, 19, 3), (530, 7, 10)], LOSSES):
        x, w = numbers((n, d), 35, dtype, 2), numbers((d, c), 36, dtype)
        weights = np.abs(numbers(n, 37, dtype)) + dtype.type(0.5)
        for y in (labels(n, c, 38), numbers((n, c), 39, dtype)):
            options = {"loss": loss, "alpha": 0.125, "hessian": True}
            results = fastnn.linear_loss(x, y, w, w[0], sample_weight=weights, **options)
            yield f"{loss} {n}-{d}-{c} of {y.dtype}", results


RESULTS = {
    "densities": density_results,
    "rows": row_results,
    "moments": moment_results,
    "factors": factor_results,
    "linear": linear_results,
}


@pytest.mark.skipif(len(FMA_SETS) < 2, reason=f"this machine has only {FMA_SETS}")
@pytest.mark.parametrize("what", RESULTS)
def test_the_sets_with_fma_agree(what, dtype):
    computed = []
    for isa in FMA_SETS:
        with fastnn.use_isa(isa):
            computed.append(list(RESULTS[what](dtype)))
    for other in computed[1:]:
        for (name, values), (_, others) in zip(computed[0], other, strict=True):
            assert all(map(same, values, others)), name


# SHA-256 of results on the sets with FMA, as in test_same_bits.
GOLDEN = {
    ("densities", "float32"): "884c97a257b2829703dd656ecd6d82cad825132eb8b682274089b7a4261832ac",
    ("densities", "float64"): "9c246231485a0cd239dd2b4eeb6e4eec1a7706894061880531ab474b662ee05e",
    ("rows", "float32"): "cc56799b3615036ca672c25ae8f65f78c96c0cb2adcad31391768342b40fe415",
    ("rows", "float64"): "fd5f61cc4c9476696754e0e9d6c0a00d63e6e4eada1e396fb8c45f757939db11",
    ("moments", "float32"): "ca8ba6ad7665e7fb9d38b6f46f9c735f91e3173fea58be28e25aab5e751867aa",
    ("moments", "float64"): "42866502c25b56e6bd457af2a7e7ab50d56a7cdba4f1a6b9e2d9803f9e56945b",
    ("factors", "float32"): "d16dc99681f4ba9673e736f211a880777c1a3fa6169e24616491f073ea366932",
    ("factors", "float64"): "fd8583c17bd9afdc9bd1615ee1a7625cfe6ad29012926d2168d27f1630b692fc",
    ("linear", "float32"): "c75c016ad066e9892e5fb0876dc7c114041fca65ea893f394c2e1035bd5b04bd",
    ("linear", "float64"): "2d976ef3ea6778802d054b6e14440aaca9e4557833120c77d7a99c8e99d796dc",
}


@pytest.mark.parametrize("what", RESULTS)
def test_golden_digests(isa, what, dtype):
    if isa == "scalar":
        pytest.skip("the digests are of the sets with FMA")
    found = digest(*(v for _, values in RESULTS[what](dtype) for v in values))
    assert found == GOLDEN[what, dtype.name]
