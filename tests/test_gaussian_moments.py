"""gaussian_moments, and what estimators add to it, against the formulas."""

import model_formulas
import numpy as np
import pytest
from formulas import assert_within, wide
from model_formulas import EPS64
from sizes import LAYOUTS, laid_out, spread
from test_gaussian_kernels import COVARIANCES, SIZES_D, SIZES_N, sizes

import fastnn

backend = fastnn.runtime.backend_module


def moments_case(rng, n, d, c, dtype, weighted, offset=0.0):
    """Rows of c classes, of which the last may be empty, and some weights of 0."""
    labels = rng.integers(0, max(c - 1, 1), n)
    x = (offset + spread(rng, (n, d), np.float64, -4, 3) + labels[:, np.newaxis]).astype(dtype)
    weights = np.abs(spread(rng, n, dtype, -6, 3)) * (rng.random(n) < 0.8) if weighted else None
    return x, labels, None if weights is None else weights.astype(dtype)


def check_moments(x, labels, c, weights, covariance):
    """Assert the bounds, the dtypes and that no input changed."""
    before = [np.copy(a) for a in (x, labels, weights) if a is not None]
    options = {"sample_weight": weights, "covariance": covariance}
    moments = fastnn.gaussian_moments(x, labels, c, **options)
    assert moments._fields == ("weights", "means", "scatter")
    for value, exact in zip(
        moments, model_formulas.gaussian_moments(x, labels, c, **options), strict=True
    ):
        assert value.dtype == np.float64
        assert_within(value, exact)
    after = [a for a in (x, labels, weights) if a is not None]
    assert all(np.array_equal(p, q) for p, q in zip(before, after, strict=True))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("covariance", COVARIANCES)
def test_moments_of_all_sizes(isa, covariance, weighted, dtype, rng):
    for n, d, c in [*sizes(SIZES_D, SIZES_N, rng), (600, 64, 2), (530, 65, 1), (40, 100, 3)]:
        x, labels, w = moments_case(rng, n, d, c, dtype, weighted)
        x = laid_out(x, rng.choice(list(LAYOUTS)))
        w = w if w is None else laid_out(w, rng.choice(list(LAYOUTS)))
        check_moments(x, labels, c, w, covariance)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_moments_of_data_far_from_zero(isa, covariance, dtype, rng):
    offset = 1e8 if dtype == np.float64 else 1e4
    assert np.finfo(dtype).eps * offset**2 > 1  # so squares about 0 have no digits for a variance
    x, labels, w = moments_case(rng, 700, 4, 3, dtype, True, offset)
    check_moments(x, labels, 3, w, covariance)
    _, _, (scatter, bound) = model_formulas.gaussian_moments(
        x, labels, 3, sample_weight=w, covariance="diag"
    )
    assert (bound[:2] < 0.02 * scatter[:2]).all()


def test_the_scatter_divided_by_the_weights_is_the_covariance(isa, rng):
    x = rng.normal(size=(300, 5))
    weights, means, scatter = fastnn.gaussian_moments(x, np.zeros(300, int), 1)
    assert weights == 300
    np.testing.assert_allclose(means[0], x.mean(axis=0), rtol=0, atol=1e-15)
    np.testing.assert_allclose(scatter[0] / 300, np.cov(x.T, bias=True), rtol=0, atol=1e-14)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_a_class_without_weight_has_zeros(isa, covariance, dtype, rng):
    x, labels = rng.normal(size=(9, 3)).astype(dtype), np.array([0, 2] * 4 + [3])
    w = (labels != 3).astype(dtype)
    options = {"covariance": covariance}
    moments = fastnn.gaussian_moments(x, labels, 5, sample_weight=w, **options)
    assert list(moments.weights) == [4, 0, 4, 0, 0]
    assert not moments.means[[1, 3, 4]].any()
    assert covariance == "shared" or not moments.scatter[[1, 3, 4]].any()
    for a in fastnn.gaussian_moments(x, labels, 5, sample_weight=0 * w, **options):
        assert not a.any()
    for a in fastnn.gaussian_moments(x[:0], labels[:0], 2, **options):
        assert not a.any()


def test_nan_stays_in_its_class(isa, dtype, rng):
    x, labels = rng.normal(size=(40, 3)).astype(dtype), np.arange(40) % 4
    whole = fastnn.gaussian_moments(x, labels, 4)
    x[6, 1] = np.nan
    moments = fastnn.gaussian_moments(x, labels, 4)
    clean = [0, 1, 3]
    assert np.isnan(moments.means[2, 1]) and np.isnan(moments.scatter[2, 1, 1])
    assert np.array_equal(moments.means[clean], whole.means[clean])
    assert np.array_equal(moments.scatter[clean], whole.scatter[clean])


def wrong_moments(x, labels, w):
    """Wrong (weights, means, scatter) of two classes by the mistake made."""

    def of(*arrays):
        x, labels, w = arrays
        exact = model_formulas.gaussian_moments(x, labels, 2, sample_weight=w)
        return [value for value, _ in exact]

    right = of(x, labels, w)
    yield "weights ignored", of(x, labels, np.ones_like(w))
    yield "a row lost", of(x[:-1], labels[:-1], w[:-1])
    yield "labels of the next row", of(x, np.roll(labels, 1), w)
    yield "about zero", [*right[:2], right[2] + right[1][:, :, None] * right[1][:, None]]
    yield "about the pooled mean", [*right[:2], right[2] + 0.1 * np.ones((4, 4))]
    yield "divided by the weights", [*right[:2], right[2] / right[0][:, None, None]]
    lower = np.float16 if x.dtype == np.float32 else np.float32
    yield "data rounded", of(x.astype(lower).astype(x.dtype), labels, w)


def test_the_bounds_of_moments_reject(dtype, rng):
    x, labels, w = moments_case(rng, 20, 4, 3, dtype, False)
    w = rng.uniform(0.5, 2, 20).astype(dtype)
    exact = model_formulas.gaussian_moments(x, labels, 2, sample_weight=w)
    for value, bound in exact:
        assert (np.abs(value.astype(dtype) - value) <= bound + np.finfo(dtype).eps * value).all()
    for wrong, values in wrong_moments(x, labels, w):
        beyond = [np.abs(v - e) > b for v, (e, b) in zip(values, exact, strict=True)]
        assert any(b.any() for b in beyond), wrong


# Third and fourth moments, further columns, sums and differences


def higher_moments(x, labels, c, weights, eps):
    """(third, fourth) about the class means, with bounds.

    A product of three or four inexact factors in a sum of n terms, each |u|^2 itself of d terms,
    moved twice (to the mean of a chunk, and to that of the class): the errors are that many times
    those of a factor, relative to the absolute terms with u as wide as its parts.
    """
    n, d = x.shape
    x, w = wide(x), wide(np.ones(n, x.dtype) if weights is None else weights)
    kind = x.dtype
    third, fourth = np.zeros((2, c, d), kind), np.zeros((2, c), kind)
    for k in range(c):
        x_k, w_k = x[labels == k], w[labels == k]
        if w_k.sum() == 0:
            continue
        u = x_k - w_k @ x_k / w_k.sum()
        square = (u * u).sum(axis=1)
        third[0, k], fourth[0, k] = (w_k * square) @ u, (w_k * square) @ square
        chunks = [slice(i, i + 256) for i in range(0, len(u), 256) if w_k[i : i + 256].any()]
        apart = np.max([np.abs(w_k[i] @ u[i]) / w_k[i].sum() for i in chunks], axis=0)
        u = np.abs(u) + apart + (n + 4) * eps * np.abs(x_k).max(axis=0)
        square = (u * u).sum(axis=1)
        third[1, k] = 8 * (n + d + 12) * eps * (w_k * square) @ u
        fourth[1, k] = 10 * (n + d + 12) * eps * (w_k * square) @ square
    return third, fourth


@pytest.mark.parametrize("weighted", [False, True])
def test_third_and_fourth_moments(isa, weighted, dtype, rng):
    for n, d, c in [(1, 1, 1), (5, 3, 2), (40, 9, 3), (300, 17, 1), (700, 4, 2)]:
        x, labels, w = moments_case(rng, n, d, c, dtype, weighted)
        *_, third, fourth = backend.class_moments(x, labels, c, w, "full")
        exact = higher_moments(x, labels, c, w, np.finfo(dtype).eps)
        for value, expected in zip((third, fourth), exact, strict=True):
            assert value.dtype == np.float64
            assert_within(value, tuple(expected))


def test_the_bounds_of_higher_moments_reject(dtype, rng):
    x, labels, w = moments_case(rng, 12, 4, 1, dtype, True)
    eps = np.finfo(dtype).eps
    exact = higher_moments(x, labels, 1, w, eps)
    for wrong in [(x[:-1], labels[:-1], w[:-1]), (x, labels, None), (x + x**2, labels, w)]:
        others = higher_moments(*wrong[:2], 1, wrong[2], eps)
        for (value, bound), (other, _) in zip(exact, others, strict=True):
            assert (np.abs(other - value) > bound).any()


@pytest.mark.parametrize("kind", COVARIANCES)
def test_extra_columns_are_columns(isa, kind, dtype, rng):
    x, labels, w = moments_case(rng, 300, 7, 3, dtype, True)
    extra = spread(rng, (300, 2), dtype)
    whole = backend.class_moments(np.hstack([x, extra]), labels, 3, w, kind)
    for layout in LAYOUTS:
        if layout == "misaligned":
            continue
        columns = laid_out(extra, layout)
        parts = backend.class_moments(laid_out(x, layout), labels, 3, w, kind, columns)
        for a, b in zip(whole, parts, strict=True):
            assert a is b is None or np.array_equal(a, b)


@pytest.mark.parametrize("kind", COVARIANCES)
def test_without_labels_all_rows_are_of_class_zero(isa, kind, dtype, rng):
    x, labels, w = moments_case(rng, 300, 7, 3, dtype, True)
    one = backend.class_moments(x, None, 1, w, kind)
    for a, b in zip(one, backend.class_moments(x, 0 * labels, 1, w, kind), strict=True):
        assert a is b is None or np.array_equal(a, b)
    assert (one[3] is None) == (one[4] is None) == (kind != "full")


def split_case(rng, n, d, c, dtype):
    """Moments of all rows and of two parts, the first without rows of class 0; and the rows."""
    x, _, w = moments_case(rng, n, d, c, dtype, True)
    w += dtype.type(0.125)
    cut = n // 2
    labels = np.concatenate([rng.integers(1, c, cut), rng.integers(0, c, n - cut)])

    def of(rows):
        return backend.class_moments(x[rows], labels[rows], c, w[rows], "full")

    return of(slice(None)), of(slice(cut)), of(slice(cut, None)), (x, labels, w)


def moved(moments, k, delta, size):
    """Scatter, third and fourth moments of class k about its mean + delta, and their terms' size.

    The terms are of the absolute values, with `size` for delta.
    """
    w, _, *own = (wide(m[k]) for m in moments)

    def terms(s, t, q, d):
        square, trace = d @ d, np.trace(s)
        return [
            s + w * np.outer(d, d),
            t + 2 * s @ d + d * (trace + w * square),
            q + 4 * d @ s @ d + w * square**2 + 4 * d @ t + 2 * square * trace,
        ]

    return terms(*own, -delta), terms(*map(np.abs, own), size)


def added_moments(total, part, sign):
    """[(value, bound), ...] of the moments of both, or of the first without the second.

    Products of up to four differences of means, each within 4 eps, and sums of d terms.
    """
    results = [(np.zeros(m.shape, np.longdouble), np.zeros(m.shape)) for m in total]
    eps = (2 * total[1].shape[1] + 24) * EPS64
    for k in range(len(total[0])):
        a, b = wide(total[0][k]), sign * wide(part[0][k])
        if a + b <= 0:
            continue
        share, apart = b / (a + b), wide(part[1][k]) - wide(total[1][k])
        most = np.abs(apart) * max(1, np.abs(share))
        values = [a + b, total[1][k] + share * apart]
        sizes = [np.abs(a) + np.abs(b), np.abs(total[1][k]) + most]
        one, one_size = moved(total, k, share * apart, most)
        other, other_size = moved(part, k, (share - 1) * apart, most)
        values += [p + sign * q for p, q in zip(one, other, strict=True)]
        sizes += [p + q for p, q in zip(one_size, other_size, strict=True)]
        for result, value, size in zip(results, values, sizes, strict=True):
            result[0][k], result[1][k] = value, eps * size
    return results


SPLITS = pytest.mark.parametrize(("n", "d", "c"), [(9, 1, 2), (40, 5, 3), (600, 9, 2)])


@SPLITS
def test_adding_and_taking_away(isa, n, d, c, dtype, rng):
    whole, a, b, _ = split_case(rng, n, d, c, dtype)
    for total, part, sign in [(a, b, 1.0), (b, a, 1.0), (whole, a, -1.0), (whole, b, -1.0)]:
        before = [m.copy() for m in (*total, *part)]
        result = backend.add_moments(total, part, sign)
        assert len(result) == 5
        for value, exact in zip(result, added_moments(total, part, sign), strict=True):
            assert value.dtype == np.float64
            assert_within(value, exact)
        after = (*total, *part)
        assert all(np.array_equal(p, q) for p, q in zip(before, after, strict=True))


def test_wrong_sums_of_moments_are_rejected(dtype, rng):
    whole, a, b, _ = split_case(rng, 40, 5, 3, dtype)
    exact = added_moments(a, b, 1.0)
    plain = [p + q for p, q in zip(a, b, strict=True)]
    inexact = [value * (1 + 1e-9) for value, _ in exact]
    for wrong in (plain, [*whole[:2], *plain[2:]], inexact, [*whole[:1], *a[1:]]):
        beyond = [np.abs(v - e) > b for v, (e, b) in zip(wrong, exact, strict=True)]
        assert any(b.any() for b in beyond)


@SPLITS
def test_moments_of_parts_add_to_those_of_the_whole(n, d, c, dtype, rng):
    whole, a, b, (x, labels, w) = split_case(rng, n, d, c, dtype)
    first = model_formulas.gaussian_moments(x, labels, c, sample_weight=w)
    higher = higher_moments(x, labels, c, w, np.finfo(dtype).eps)
    # The whole is within its bound; the sum of the parts, whose chunks are others, too.
    for (value, _), expected, (_, bound) in zip(
        added_moments(a, b, 1.0), whole, (*first, *higher), strict=True
    ):
        assert (np.abs(value - expected) <= 2 * bound).all()
    both = [value for value, _ in added_moments(a, b, 1.0)]
    for (value, bound), expected in zip(added_moments(both, b, -1.0), a, strict=True):
        assert (np.abs(value - expected) <= bound).all()


def test_what_is_taken_away_whole_leaves_zeros(isa, dtype, rng):
    whole, _, _, _ = split_case(rng, 40, 5, 3, dtype)
    for m in backend.add_moments(whole, whole, -1.0):
        assert not m.any()


def test_a_part_without_weight_changes_no_bit(isa, dtype, rng):
    whole, _, _, _ = split_case(rng, 40, 5, 3, dtype)
    nothing = tuple(np.zeros_like(m) for m in whole)
    for sign in (1.0, -1.0):
        for m, expected in zip(backend.add_moments(whole, nothing, sign), whole, strict=True):
            assert np.array_equal(m, expected)
    for m, expected in zip(backend.add_moments(nothing, whole, 1.0), whole, strict=True):
        assert np.array_equal(m, expected)
