"""Bad options, labels, weights and values, for the kernels of Gaussian and linear models."""

import model_formulas
import numpy as np
import pytest
from test_boundary_models import DENSITIES, LABELS, LINEAR, C, D, N, arguments, call
from test_boundary_values import HUGE, INTEGERS, broadcast

import fastnn


@pytest.mark.parametrize("bad", ["Full", "", "spherical", None, 3])
def test_unknown_covariances_are_refused(bad, dtype, rng):
    x = rng.uniform(-1, 1, (N, D)).astype(dtype)
    for attempt in (
        lambda: fastnn.gaussian_logpdf(x, x[:1], x, covariance=bad),
        lambda: fastnn.gaussian_moments(x, LABELS, C, covariance=bad),
    ):
        with pytest.raises(ValueError, match="unknown covariance .*'full', 'shared', 'diag'"):
            attempt()


@pytest.mark.parametrize("bad", ["softmax", "", None, 1])
def test_unknown_losses_are_refused(bad, dtype):
    x, w = np.ones((N, D), dtype), np.ones((D, C), dtype)
    with pytest.raises(ValueError, match="unknown loss .*'squared_error'"):
        fastnn.linear_loss(x, LABELS, w, loss=bad)


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf, "much", None])
def test_bad_penalties_are_refused(bad, dtype):
    x, w = np.ones((N, D), dtype), np.ones((D, C), dtype)
    with pytest.raises((TypeError, ValueError), match="alpha (is .* at least 0|must be a number)"):
        fastnn.linear_loss(x, LABELS, w, alpha=bad)


@pytest.mark.parametrize("bad", [0, -2, 2.0, "3", None, [3]])
def test_bad_numbers_of_classes_are_refused(bad, dtype):
    with pytest.raises(
        (TypeError, ValueError), match="n_classes (is .* at least 1|must be an int)"
    ):
        fastnn.gaussian_moments(np.ones((N, D), dtype), LABELS, bad)


# Labels and weights


@pytest.mark.parametrize("kind", INTEGERS)
def test_labels_of_any_integer_type(kind, dtype, rng):
    x = rng.uniform(-1, 1, (N, D)).astype(dtype)
    labels = np.array([0, 1, 1, 0, 1] if kind == "bool" else LABELS).astype(kind)
    expected = fastnn.gaussian_moments(x, labels.astype(int), C)
    for given in (labels, np.repeat(labels, 2)[::2], list(labels)):
        moments = fastnn.gaussian_moments(x, given, C)
        assert all(np.array_equal(a, b) for a, b in zip(moments, expected, strict=True))


@pytest.mark.parametrize(("bad", "kind"), [(-1, "int64"), (C, "int8"), (2**63, "uint64")])
def test_labels_out_of_range_are_refused(bad, kind, dtype):
    labels = np.zeros(N, kind)
    labels[3] = bad
    x, w = np.ones((N, D), dtype), np.ones((D, C), dtype)
    with pytest.raises(ValueError, match=rf"labels\[3\] is {bad}: labels must be in \[0, {C}\)"):
        fastnn.gaussian_moments(x, labels, C)
    with pytest.raises(ValueError, match=rf"y\[3\] is {bad}: labels must be in \[0, {C}\)"):
        fastnn.linear_loss(x, labels, w)


def test_labels_that_are_not_integers_are_refused(dtype):
    x = np.ones((N, D), dtype)
    for labels in (np.zeros(N, dtype), [0.0] * N, list("abcde"), None):
        with pytest.raises(TypeError, match="labels must be integers"):
            fastnn.gaussian_moments(x, labels, C)
    for labels in (np.zeros((N, 1), int), np.int64(0), [0] * (N - 1)):
        with pytest.raises(ValueError, match=rf"labels has shape .*, expected {N} labels"):
            fastnn.gaussian_moments(x, labels, C)


def test_labels_of_one_column_are_the_value(dtype, rng):
    x, w = rng.uniform(-1, 1, (N, D)).astype(dtype), np.ones((D, 1), dtype)
    targets = np.array([[0], [1], [1], [0], [1]], dtype)
    for loss in ("sigmoid_cross_entropy", "squared_error"):
        of_labels = fastnn.linear_loss(x, targets[:, 0].astype(int), w, loss=loss)
        of_targets = fastnn.linear_loss(x, targets, w, loss=loss)
        _, (_, bound), *_ = model_formulas.linear_loss(x, targets, w, loss=loss)
        assert (np.abs(of_labels[1] - of_targets[1]) <= 2 * bound).all()
        with pytest.raises(ValueError, match=r"y\[0\] is 2: labels must be in \[0, 2\)"):
            fastnn.linear_loss(x, [2] * N, w, loss=loss)
    with pytest.raises(ValueError, match=r"y\[0\] is 1: labels must be in \[0, 1\)"):
        fastnn.linear_loss(x, [1] * N, w)


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("case", ["gaussian_moments", *LINEAR])
def test_bad_weights_are_refused(case, bad, dtype, rng):
    arrays = arguments(case, dtype, rng)
    arrays["sample_weight"][2] = bad
    with pytest.raises(ValueError, match=rf"sample_weight\[2\] is {bad}.*finite and at least 0"):
        call(case, arrays)


def test_sums_of_weights(rng):
    top = np.finfo(np.float64).max
    for case in ("gaussian_moments", *LINEAR):
        arrays = arguments(case, np.float64, rng)
        with pytest.raises(ValueError, match="sum of sample_weight is inf"):
            call(case, arrays | {"sample_weight": np.full(N, top)})
        if case in LINEAR:
            with pytest.raises(ValueError, match=r"sum of sample_weight is 0\.0"):
                call(case, arrays | {"sample_weight": np.zeros(N)})


# Values


@pytest.mark.parametrize("case", DENSITIES)
def test_means_that_are_not_finite_are_refused(case, dtype, rng):
    for bad in (np.nan, np.inf, -np.inf):
        arrays = arguments(case, dtype, rng)
        arrays["means"][2, 1] = bad
        with pytest.raises(ValueError, match=rf"means\[2, 1\] is {bad}: it must be finite"):
            call(case, arrays)


@pytest.mark.parametrize("bad", [0.0, -0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("case", DENSITIES)
def test_scales_that_are_not_positive_are_refused(case, bad, dtype, rng):
    arrays = arguments(case, dtype, rng)
    index = {"full": (1, 2, 2), "shared": (2, 2), "diag": (1, 2)}[case.split()[1]]
    arrays["factors"][index] = bad
    where = ", ".join(map(str, index))
    with pytest.raises(ValueError, match=rf"factors\[{where}\] is {bad}: .* must be positive and"):
        call(case, arrays)


def test_what_is_above_a_diagonal_is_not_read(dtype, rng):
    for case in DENSITIES:
        if "diag" in case:
            continue
        arrays = arguments(case, dtype, rng)
        expected = call(case, arrays)
        above = np.triu(np.full((D, D), np.nan, dtype), 1)
        arrays["factors"] = np.tril(arrays["factors"]) + above
        assert np.array_equal(call(case, arrays), expected)


def test_covariances_that_are_not_finite_are_refused(dtype, rng):
    for bad in (np.nan, np.inf, -np.inf):
        arrays = arguments("cholesky_factors", dtype, rng)
        arrays["cov"][1, 2, 3] = bad
        with pytest.raises(ValueError, match=rf"cov\[1, 2, 3\] is {bad}: it must be finite"):
            call("cholesky_factors", arrays)


def test_covariances_that_are_not_symmetric_are_refused(dtype, rng):
    cov = arguments("cholesky_factors", dtype, rng)["cov"]
    grain = np.finfo(dtype).eps * np.abs(cov[1]).max()
    cov[1, 2, 0] = cov[1, 0, 2] + dtype.type(90) * grain
    fastnn.cholesky_factors(cov)
    cov[1, 2, 0] = cov[1, 0, 2] + dtype.type(110) * grain
    with pytest.raises(ValueError, match=r"cov\[1, 0, 2\] is .* but cov\[1, 2, 0\] is .*symmetric"):
        fastnn.cholesky_factors(cov)
    with pytest.raises(ValueError, match=r"cov\[0, 2\] is .* but cov\[2, 0\] is .*symmetric"):
        fastnn.cholesky_factors(cov[1])


def test_covariances_that_are_not_positive_definite_are_refused(dtype, rng):
    cov = arguments("cholesky_factors", dtype, rng)["cov"]
    cov[2, 3, 3] = -1
    out = np.full_like(cov, 7)
    message = r"cov\[2\] is not positive definite: .* column 3"
    with pytest.raises(np.linalg.LinAlgError, match=message):
        fastnn.cholesky_factors(cov, out=out)
    assert (out == 7).all()
    with pytest.raises(ValueError, match=r"cov is not positive definite: .* column 1"):
        fastnn.cholesky_factors(np.diag(np.array([1, 0, 1], dtype)))
    with pytest.raises(np.linalg.LinAlgError, match="column 1"):
        fastnn.cholesky_factors(np.ones((2, 2), dtype))


@pytest.mark.parametrize("case", LINEAR)
def test_nan_in_the_data_reaches_the_loss(case, dtype, rng):
    for name in ("x", "w", "b"):
        arrays = arguments(case, dtype, rng)
        arrays[name].flat[1] = np.nan
        loss, dw, *_ = call(case, arrays)
        assert np.isnan(loss) and np.isnan(dw).any()


def test_no_rows_have_no_densities(dtype):
    x, means = np.zeros((0, D), dtype), np.zeros((C, D), dtype)
    factors = np.tile(np.eye(D, dtype=dtype), (C, 1, 1))
    assert fastnn.gaussian_logpdf(x, means, factors).shape == (0, C)
    for name, scales in [("full", factors[:0]), ("shared", factors[0]), ("diag", means[:0])]:
        y = fastnn.gaussian_logpdf(x, means[:0], scales, covariance=name, paired=True)
        assert y.shape == (0,) and y.dtype == dtype


@pytest.mark.parametrize("layout", ["native", "byteswapped"])
def test_sizes_beyond_memory_are_refused(layout, dtype):
    kind = dtype if layout == "native" else dtype.newbyteorder()
    column, one = broadcast(kind, HUGE, 1), broadcast(kind, 1, 1)
    labels, row = broadcast(np.int8, HUGE), broadcast(kind, 1, HUGE)
    calls = [
        lambda: fastnn.logsumexp(column),
        lambda: fastnn.log_softmax(column),
        lambda: fastnn.log_softmax(row),
        lambda: fastnn.cholesky_factors(broadcast(kind, HUGE, 1, 1)),
        lambda: fastnn.gaussian_logpdf(column, one, one, covariance="diag"),
        lambda: fastnn.gaussian_logpdf(one, column, one, covariance="shared"),
        lambda: fastnn.gaussian_logpdf(column, column, column, covariance="diag", paired=True),
        lambda: fastnn.gaussian_moments(column, labels, 2),
        lambda: fastnn.gaussian_moments(one, [0], HUGE),
        lambda: fastnn.linear_loss(column, labels, one, loss="squared_error"),
        lambda: fastnn.linear_loss(one, row, row),
    ]
    for attempt in calls:
        with pytest.raises((MemoryError, ValueError)):
            attempt()
