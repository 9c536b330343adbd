"""GaussianClassifier where rows are few or features constant: shrinkage and what it falls back on."""

import gaussian_oracle as oracle
import numpy as np
import pytest
from formulas import assert_within
from model_formulas import EPS64

from fastnn import GaussianClassifier

KINDS = ("full", "shared", "diag")


@pytest.fixture(params=KINDS)
def kind(request):
    """Each covariance."""
    return request.param


def ledoit_wolf(u, w):
    """(s, bound) of rows u about their mean, or each about its class's, in long double."""
    u, w, d = u.astype(np.longdouble), w.astype(np.longdouble), u.shape[1]
    total = w.sum()
    cov = (w[:, np.newaxis] * u).T @ u / total
    fourth = (w * (u * u).sum(axis=1) ** 2).sum() / total
    square = (cov * cov).sum()
    distance = square - np.trace(cov) ** 2 / d
    rounding = (len(u) + d * d + 8) * EPS64
    s = (fourth - square) / total / distance
    error = rounding * (fourth + square) / total / distance + rounding * s * square / distance
    return np.clip(s, 0, 1), 4 * error


def blended(covs, s):
    """(1 - s) Sigma + s tr(Sigma)/d I of each."""
    s = np.broadcast_to(s, len(covs))[:, np.newaxis, np.newaxis]
    d = covs.shape[-1]
    return (1 - s) * covs + s * np.trace(covs, axis1=1, axis2=2)[:, None, None] / d * np.eye(d)


def few_rows(rng, dtype="float64", d=6, c=3, n=12):
    """n / c rows in each of c classes, fewer than features."""
    return oracle.blobs(rng, dtype, n=n, d=d, c=c)


def test_the_intensity_of_ledoit_and_wolf(rng):
    x, y = few_rows(rng)
    w = rng.uniform(0.5, 2, len(x))
    model = GaussianClassifier().fit(x, y, w)
    for k in range(3):
        rows = y == k
        u = x[rows] - np.average(x[rows], axis=0, weights=w[rows])
        s, bound = ledoit_wolf(u, w[rows])
        assert abs(model.shrinkage_[k] - s) <= bound
    x, y = few_rows(rng, d=12)
    shared = GaussianClassifier("shared").fit(x, y)
    means = np.stack([x[y == k].mean(axis=0) for k in range(3)])
    s, bound = ledoit_wolf(x - means[y], np.ones(len(x)))
    assert isinstance(shared.shrinkage_, float) and abs(shared.shrinkage_ - s) <= bound


def test_scikit_learn_has_the_same_intensity(rng):
    covariance = pytest.importorskip("sklearn.covariance")
    x, y = few_rows(rng, d=9, n=15)
    model = GaussianClassifier(store_covariance=True).fit(x, y)
    for k in range(3):
        rows = x[y == k]
        _, bound = ledoit_wolf(rows - rows.mean(axis=0), np.ones(len(rows)))
        expected, s = covariance.ledoit_wolf(rows)
        assert abs(model.shrinkage_[k] - s) <= 2 * bound
        size = np.abs(expected).max()
        bound = (2 * bound + 16 * EPS64) * size * np.ones(expected.shape)
        assert_within(model.covariance_[k], (expected, bound))


def test_auto_leaves_alone_what_is_regular(kind, dtype, rng):
    x, y = oracle.blobs(rng, dtype)
    # What is singular depends neither on the units nor on the classes beside it.
    x[:, 0] *= dtype.type(2.0**30)
    model = GaussianClassifier(kind).fit(x, y)
    assert not np.any(model.shrinkage_)
    assert np.array_equal(
        model.predict(x), GaussianClassifier(kind, shrinkage=None).fit(x, y).predict(x)
    )
    flat = x.copy()
    flat[y == 1, 2] = 7
    mixed = GaussianClassifier(kind).fit(flat, y)
    if kind != "shared":
        assert mixed.shrinkage_[1] > 0 and not mixed.shrinkage_[[0, 2]].any()


@pytest.mark.parametrize("s", [0.0, 0.25, 1])
def test_a_number_is_applied_to_every_class(kind, s, rng):
    x, y = oracle.blobs(rng)
    model = GaussianClassifier(kind, shrinkage=s).fit(x, y)
    assert np.all(model.shrinkage_ == s)
    weights, means, plain = oracle.moments(x, y, range(3))
    covs = blended(oracle.covariances(kind, weights, plain), s)
    joint = oracle.log_joint(x, means, covs, weights / weights.sum(), len(x), EPS64)
    assert_within(model.joint_log_likelihood(x), joint)


def test_an_intensity_of_variances_is_the_documented_one(rng):
    x, y = oracle.blobs(rng, d=5)
    x[y == 2, 1] = 3
    model = GaussianClassifier("diag", store_covariance=True).fit(x, y)
    v = x[y == 2].astype(np.longdouble).var(axis=0)
    s = 2 / 80 * (v**2).sum() / ((v - v.mean()) ** 2).sum()
    bound = 4 * 80 * EPS64
    assert abs(model.shrinkage_[2] - s) <= bound * s and not model.shrinkage_[:2].any()
    expected = (1 - s) * v + s * v.mean()
    assert_within(model.covariance_[2], (expected, bound * expected))


def test_without_shrinkage_a_singular_covariance_is_an_error(kind, rng):
    x, y = oracle.blobs(rng)
    names = np.array(["north", "south", "west"])[y]
    x[:, 2] = 5.5 if kind == "shared" else np.where(y == 1, 5.5, x[:, 2])
    message = "covariance is singular" if kind == "shared" else "class 'south' is singular"
    for shrinkage in (None, 0.0):
        model = GaussianClassifier(kind, shrinkage=shrinkage)
        with pytest.raises(ValueError, match=message + ".*shrinkage='auto'"):
            model.fit(x, names)
        assert not hasattr(model, "classes_")
    GaussianClassifier(kind, shrinkage=0.1).fit(x, names)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6 / 3, -1e-30])
def test_constant_features_in_any_grouping(kind, dtype, constant, rng):
    """Rounding leaves something of the variance of a constant, which must not count."""
    x, y = oracle.blobs(rng, dtype, n=300)
    x[:, 1] = constant
    model = GaussianClassifier(kind).fit(x, y)
    pieces = GaussianClassifier(kind)
    for rows in np.array_split(np.arange(300), 7):
        pieces.partial_fit(x[rows], y[rows])
    assert np.all(model.shrinkage_ > 0)
    eps = np.finfo(dtype).eps
    # The sums behind the intensities are within 300 eps, and so are then the variances.
    assert np.allclose(model.shrinkage_, pieces.shrinkage_, rtol=4 * 300 * eps, atol=0)
    assert np.isfinite(model.score_samples(x)).all()
    assert model.score(x, y) > 0.4 and np.mean(model.predict(x) == pieces.predict(x)) > 0.99


def test_a_class_with_one_row_borrows_from_the_others(kind, dtype, rng):
    x, y = oracle.blobs(rng, dtype, c=2)
    x, y = np.vstack([x, x[:1] + 4]), np.append(y, 2)
    model = GaussianClassifier(kind, store_covariance=True).fit(x, y)
    assert model.predict(x[-1:]) == [2]
    assert np.isfinite(model.joint_log_likelihood(x)).all()
    if kind != "shared":
        assert model.shrinkage_.tolist() == [0, 0, 1]
        average = model.covariance_[:2].mean(axis=0)  # the two have the same weight
        bound = 4 * EPS64 * np.abs(model.covariance_[:2]).max(axis=0)
        assert_within(model.covariance_[2], (average, bound))


def test_a_class_with_two_rows_is_a_sphere(dtype, rng):
    x, y = oracle.blobs(rng, dtype, c=2)
    x, y = np.vstack([x, x[:2] + 4]), np.append(y, [2, 2])
    model = GaussianClassifier(store_covariance=True).fit(x, y)
    v = x[-2:].astype(np.longdouble).var(axis=0).mean()
    bound = 16 * np.finfo(dtype).eps * v * np.eye(3)
    assert model.shrinkage_[2] == 1
    assert_within(model.covariance_[2], (v * np.eye(3), bound))


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e-130, 1e130])
@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_one_row_a_class_is_the_nearest_mean(kind, scale, offset, rng):
    x = (rng.normal(size=(6, 4)) + offset) * scale
    model = GaussianClassifier(kind).fit(x, np.arange(6))
    assert np.array_equal(model.predict(x), np.arange(6))
    if scale == 1:
        other = rng.normal(size=(50, 4)) + offset
        distance = ((other[:, np.newaxis] - x) ** 2).sum(axis=-1)
        assert np.array_equal(model.predict(other), distance.argmin(axis=1))


@pytest.mark.parametrize("value", [0.0, 3.0, -1e-300, 1e300])
def test_data_that_is_all_one_value(kind, value):
    x = np.full((8, 3), value)
    model = GaussianClassifier(kind).fit(x, [0, 1] * 4)
    assert np.array_equal(model.predict_proba(x), np.full((8, 2), 0.5))
    assert np.isfinite(model.score_samples(x)).all()


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("d", [1, 2, 7])
def test_any_shape_fits(n, d, kind, dtype, rng):
    x = rng.normal(size=(2 * n, d)).astype(dtype)
    y = np.repeat([0, 1], n)
    x[y == 1] += 20
    model = GaussianClassifier(kind).fit(x, y)
    assert np.array_equal(model.predict(x), y)
    assert np.isfinite(model.joint_log_likelihood(x)).all()
    assert (0 <= np.asarray(model.shrinkage_)).all() and (np.asarray(model.shrinkage_) <= 1).all()


def test_one_feature_is_the_normal_distribution(kind, dtype, rng):
    x, y = oracle.blobs(rng, dtype, d=1)
    model = GaussianClassifier(kind).fit(x, y)
    weights, means, plain = oracle.moments(x, y, range(3))
    covs = oracle.covariances(kind, weights, plain)
    joint = oracle.log_joint(x, means, covs, weights / 240, 240, np.finfo(dtype).eps)
    assert_within(model.joint_log_likelihood(x), joint)


def test_a_feature_that_follows_from_others(dtype, rng):
    x, y = oracle.blobs(rng, dtype, d=4, n=3000)
    x[:, 3] = x[:, 0] + x[:, 1]
    for kind in ("full", "shared"):
        model = GaussianClassifier(kind).fit(x, y)
        # Many rows tell the covariance well, so little shrinkage is enough.
        assert np.all(model.shrinkage_ > 0) and np.all(model.shrinkage_ < 0.05)
        without = GaussianClassifier(kind).fit(x[:, :3], y)
        assert abs(model.score(x, y) - without.score(x[:, :3], y)) < 0.05
