"""GaussianClassifier on rows with missing values: exact marginals, and what it learns from gaps."""

import gaussian_oracle as oracle
import numpy as np
import pytest
from formulas import assert_within
from model_formulas import EPS64, posterior

from fastnn import GaussianClassifier

KINDS = ("full", "shared", "diag")
ANSWERS = {
    "joint": "joint_log_likelihood",
    "log_proba": "predict_log_proba",
    "proba": "predict_proba",
    "log_density": "score_samples",
}
METHODS = (*ANSWERS.values(), "predict", "decision_function")


@pytest.fixture(params=KINDS)
def kind(request):
    """Each covariance."""
    return request.param


def with_gaps(x, rng, share=0.3):
    """A copy with NaN here and there; the first row has all, the second none of its values."""
    gaps = rng.random(x.shape) < share
    gaps[0], gaps[1] = False, True
    return np.where(gaps, x.dtype.type(np.nan), x)


def marginal_joint(model, x, kind, n):
    """(log p(x_observed | k) + log P(k), bound) by the rows and columns of the covariances."""
    c, eps = len(model.classes_), np.finfo(x.dtype).eps
    covs = (
        model.covariance_[:, np.newaxis] * np.eye(x.shape[1])
        if kind == "diag"
        else (np.broadcast_to(model.covariance_, (c, x.shape[1], x.shape[1])))
    )
    value, bound = np.zeros((2, len(x), c), np.longdouble)
    for i, row in enumerate(x):
        seen = ~np.isnan(row)
        means, some = model.means_[:, seen], covs[:, seen][:, :, seen]
        logs = np.log(model.priors_.astype(np.longdouble))
        if seen.any():
            value[i], bound[i] = oracle.log_densities(row[np.newaxis, seen], means, some, n, eps)
        bound[i] += 4 * eps * (1 + np.abs(value[i]) + np.abs(logs))
        value[i] += logs
    return value, bound


def test_every_method_integrates_out_what_is_missing(kind, dtype, rng):
    x, y = oracle.blobs(rng, dtype, d=5)
    model = GaussianClassifier(kind, store_covariance=True).fit(x, y)
    x = with_gaps(x, rng)
    joint, bound = marginal_joint(model, x, kind, len(x))
    for what, expected in posterior(joint, bound, np.finfo(dtype).eps).items():
        answer = getattr(model, ANSWERS[what])(x)
        assert answer.dtype == dtype
        assert_within(answer, expected)
    top = np.sort(joint, axis=1)
    clear = top[:, -1] - top[:, -2] > 2 * bound.max(axis=1)
    assert np.array_equal(model.predict(x)[clear], joint.argmax(axis=1)[clear])
    assert np.array_equal(model.decision_function(x), model.predict_log_proba(x))
    assert 0 <= model.score(x, y) <= 1


def test_scipy_has_the_same_marginals(kind, rng):
    stats = pytest.importorskip("scipy.stats")
    x, y = oracle.blobs(rng, d=4, c=2)
    model = GaussianClassifier(kind, store_covariance=True).fit(x, y)
    x = with_gaps(x, rng)[2:40]
    x[:, 1] = 0.5  # SciPy has no density of nothing
    joint = model.joint_log_likelihood(x)
    _, bound = marginal_joint(model, x, kind, 240)
    for i, row in enumerate(x):
        seen = ~np.isnan(row)
        for k in range(2):
            cov = model.covariance_ if kind == "shared" else model.covariance_[k]
            cov = np.diag(cov) if kind == "diag" else cov
            peer = stats.multivariate_normal(model.means_[k, seen], cov[seen][:, seen])
            expected = peer.logpdf(row[seen]) + np.log(model.priors_[k])
            assert abs(joint[i, k] - expected) <= 2 * bound[i, k]


def test_the_oracle_rejects_zeros_in_place_of_gaps(kind, rng):
    x, y = oracle.blobs(rng, d=5, offset=1.0)
    model = GaussianClassifier(kind, store_covariance=True).fit(x, y)
    x = with_gaps(x, rng)
    expected = marginal_joint(model, x, kind, len(x))
    with pytest.raises(AssertionError, match="beyond their bounds"):
        assert_within(model.joint_log_likelihood(np.nan_to_num(x)), expected)


@pytest.mark.parametrize("method", METHODS)
def test_complete_rows_are_not_affected(kind, dtype, method, rng):
    x, y = oracle.blobs(rng, dtype, d=5)
    model = GaussianClassifier(kind).fit(x, y)
    gaps = x.copy()
    gaps[::3, 2] = np.nan
    mixed, alone = getattr(model, method)(gaps), getattr(model, method)(x)
    whole = np.arange(len(x)) % 3 > 0
    error = 64 * np.finfo(dtype).eps * np.abs(alone[whole]).max(initial=1)
    assert_within(mixed[whole], (alone[whole], np.full(alone[whole].shape, error)))


def test_nothing_observed_is_the_prior(kind, dtype, rng):
    x, y = oracle.blobs(rng, dtype)
    model = GaussianClassifier(kind, priors=[0.2, 0.5, 0.3]).fit(x, y)
    x = np.full((2, 3), np.nan, dtype)
    assert (model.score_samples(x) == 0).all() and (model.predict(x) == 1).all()
    assert np.array_equal(model.predict_proba(x), np.tile(model.priors_, (2, 1)).astype(dtype))
    logs = np.log(model.priors_)
    bound = 2 * np.finfo(dtype).eps * np.ones((2, 3))
    for method in ("joint_log_likelihood", "predict_log_proba"):
        assert_within(getattr(model, method)(x), (np.tile(logs, (2, 1)), bound))


def test_a_class_of_prior_zero_stays_out(kind, rng):
    x, y = oracle.blobs(rng)
    model = GaussianClassifier(kind, priors=[0.5, 0.0, 0.5]).fit(x, y)
    x = with_gaps(x, rng)
    assert (model.predict_proba(x)[:, 1] == 0).all()
    assert (model.joint_log_likelihood(x)[:, 1] == -np.inf).all()
    assert not (model.predict(x) == 1).any() and np.isfinite(model.score_samples(x)).all()


def test_singular_classes_have_marginals(kind, rng):
    x, y = oracle.blobs(rng, d=9, n=12)
    x[:, 4] = 1
    model = GaussianClassifier(kind).fit(x, y)
    assert np.isfinite(model.joint_log_likelihood(with_gaps(x, rng))).all()


@pytest.mark.parametrize("method", METHODS)
def test_infinity_is_always_an_error(kind, method, rng):
    x, y = oracle.blobs(rng)
    model = GaussianClassifier(kind).fit(x, y)
    x[3, 1], x[5, 2] = np.nan, np.inf
    with pytest.raises(ValueError, match=r"infinity, first at X\[5, 2\]"):
        getattr(model, method)(x)


@pytest.mark.parametrize("method", METHODS)
def test_missing_values_can_be_errors(kind, method, rng):
    x, y = oracle.blobs(rng)
    model = GaussianClassifier(kind, missing="error").fit(x, y)
    x[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"NaN, first at X\[3, 1\]"):
        getattr(model, method)(x)
    for learn in (model.fit, model.partial_fit, model.forget):
        with pytest.raises(ValueError, match=r"NaN, first at X\[3, 1\]"):
            learn(x, y)


@pytest.mark.parametrize("kind", ["full", "shared"])
def test_correlated_features_are_not_learned_from_gaps(kind, rng):
    x, y = oracle.blobs(rng)
    model = GaussianClassifier(kind).fit(x, y)
    expected = model.predict_proba(x)
    gaps = x.copy()
    gaps[3, 1] = np.nan
    for learn in (model.fit, model.partial_fit, model.forget):
        with pytest.raises(ValueError, match="only covariance='diag' learns from missing values"):
            learn(gaps, y)
    assert np.array_equal(model.predict_proba(x), expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_naive_bayes_learns_each_feature_from_where_it_is_observed(weighted, dtype, rng):
    x, y = oracle.blobs(rng, dtype, d=4)
    x = with_gaps(x, rng)
    x[:, 3] = rng.normal(size=len(x))
    w = rng.uniform(0.5, 2, len(x)).astype(dtype) if weighted else np.ones(len(x), dtype)
    x[1, 3] = np.nan
    model = GaussianClassifier("diag", store_covariance=True).fit(x, y, w if weighted else None)
    eps, n = np.finfo(dtype).eps, len(x)
    share = np.array([w[y == k].sum(dtype=np.longdouble) for k in range(3)])
    assert_within(model.class_count_, (share, n * EPS64 * share))
    for j in range(4):
        rows = ~np.isnan(x[:, j])
        _, means, covs = oracle.moments(x[rows, j : j + 1], y[rows], range(3), w[rows])
        size = np.nanmax(np.abs(x))
        bound = (n + 8) * eps * np.ones(3)
        assert_within(model.means_[:, j], (means[:, 0], bound * size))
        assert_within(model.covariance_[:, j], (covs[:, 0, 0], bound * size**2))


def test_gaps_make_no_difference_to_the_order_of_learning(dtype, rng):
    x, y = oracle.blobs(rng, dtype, d=4)
    x = with_gaps(x, rng)
    model = GaussianClassifier("diag", store_covariance=True).fit(x, y)
    pieces, other = GaussianClassifier("diag", store_covariance=True), GaussianClassifier("diag")
    pieces.partial_fit(x[:50], y[:50]).partial_fit(x[50:70], y[50:70])
    pieces.merge(other.fit(x[70:], y[70:]))
    extra = with_gaps(x[:40], rng)
    pieces.partial_fit(extra, y[:40]).forget(extra, y[:40])
    bound = 4 * len(x) * np.finfo(dtype).eps * np.nanmax(np.abs(x)) ** 2
    for name in ("means_", "covariance_", "priors_", "class_count_"):
        expected = getattr(model, name)
        assert_within(getattr(pieces, name), (expected, np.full(expected.shape, bound)))


def test_a_feature_must_be_observed_in_each_class(rng):
    x, y = oracle.blobs(rng)
    names = np.array(["a", "b", "c"])[y]
    gaps = x.copy()
    gaps[y == 1, 2] = np.nan
    with pytest.raises(ValueError, match="feature 2 is missing in every row of class 'b'"):
        GaussianClassifier("diag").fit(gaps, names)
    alone = GaussianClassifier("diag").fit(gaps[y != 1], names[y != 1])
    with pytest.raises(ValueError, match="feature 2 is missing in every row of class 'b'"):
        alone.partial_fit(gaps[y == 1], names[y == 1])
    assert alone.classes_.tolist() == ["a", "c"]


def test_forgetting_can_leave_a_feature_unobserved(rng):
    x, y = oracle.blobs(rng)
    extra = np.array([[np.nan, 1.0, 2.0]])
    model = GaussianClassifier("diag").fit(x, y).partial_fit(extra, [0])
    with pytest.raises(ValueError, match="feature 0 is missing in every row of class 0"):
        model.forget(x[y == 0], y[y == 0])
    assert model.class_count_.tolist() == [81, 80, 80]


def test_a_feature_missing_everywhere_is_an_error():
    x = np.array([[np.nan, 1.0], [np.nan, 2.0]])
    with pytest.raises(ValueError, match="feature 0 is missing in every row of class 0"):
        GaussianClassifier("diag").fit(x, [0, 0])
    with pytest.raises(ValueError, match="feature 0 is missing"):
        GaussianClassifier("diag").fit(np.full((2, 1), np.nan), [0, 1])
