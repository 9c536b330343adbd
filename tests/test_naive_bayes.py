"""GaussianNB: scikit-learn's attributes, learning in parts, variances of zero."""

import importlib

import gaussian_oracle as oracle
import numpy as np
import pytest
from formulas import assert_within
from model_formulas import EPS64

from fastnn import GaussianNB


def agree(mine, theirs, error):
    """Assert that arrays differ by no more than `error` of their largest element."""
    mine, theirs = np.asarray(mine), np.asarray(theirs)
    assert_within(mine, (theirs, np.full(theirs.shape, error * np.abs(theirs).max())))


@pytest.mark.parametrize("options", [{}, {"var_smoothing": 0.1}, {"priors": [0.2, 0.5, 0.3]}])
def test_it_agrees_with_scikit_learn(options, dtype, rng):
    pytest.importorskip("sklearn", minversion="1.9")
    theirs = importlib.import_module("sklearn.naive_bayes")
    x, y = oracle.blobs(rng, dtype)
    mine, other = GaussianNB(**options).fit(x, y), theirs.GaussianNB(**options).fit(x, y)
    learned = {name for name in vars(other) if name.endswith("_")}
    assert learned == {name for name in vars(mine) if name.endswith("_")}
    # Sums of n terms there, in the dtype of the data; squares of deviations double their errors.
    error = 2 * (len(x) + 8) * np.finfo(dtype).eps
    for name in learned - {"classes_"}:
        agree(getattr(mine, name), getattr(other, name), error)
    for name in ("theta_", "var_", "class_prior_", "class_count_"):
        assert getattr(mine, name).dtype == dtype
    joint = other.predict_joint_log_proba(x)
    agree(mine.predict_joint_log_proba(x), joint, 4 * error)
    assert np.array_equal(mine.predict_joint_log_proba(x), mine.joint_log_likelihood(x))
    bound = 8 * error * np.abs(joint).max()
    assert np.abs(mine.predict_proba(x) - other.predict_proba(x)).max() <= bound


def test_smoothing_is_of_all_rows_together(rng):
    x, y = oracle.blobs(rng)
    x[:, 1] *= 30
    model = GaussianNB(var_smoothing=0.5).fit(x, y)
    error = 4 * (len(x) + 8) * EPS64
    assert abs(model.epsilon_ - 0.5 * x[:, 1].var()) <= error * model.epsilon_
    bare = GaussianNB(var_smoothing=0.0).fit(x, y)
    agree(model.var_, bare.var_ + model.epsilon_, error)


def test_parts_give_the_model_of_all_rows(rng):
    x, y = oracle.blobs(rng)
    x[100:] += 5  # what is seen first says little about what comes
    w = rng.uniform(0.5, 2, len(x))
    whole = GaussianNB(var_smoothing=0.3).fit(x, y, w)
    parts = GaussianNB(var_smoothing=0.3).partial_fit(x[:100], y[:100], [0, 1, 2], w[:100])
    parts.partial_fit(x[100:], y[100:], sample_weight=w[100:])
    error = 8 * (len(x) + 8) * EPS64
    for name in ("theta_", "var_", "class_prior_", "epsilon_"):
        agree(getattr(parts, name), getattr(whole, name), error)
    with pytest.raises(ValueError, match="are not those of before"):
        parts.partial_fit(x, y, classes=[0, 1])
    with pytest.raises(ValueError, match="none of the classes"):
        parts.partial_fit(x, y + 1)
    parts.forget(x[100:], y[100:], w[100:])
    first = GaussianNB(var_smoothing=0.3).fit(x[:100], y[:100], w[:100])
    agree(parts.var_, first.var_, 10 * error)  # what is left is small beside what was there


def test_single_rows_are_learned_one_by_one(rng):
    x, y = oracle.blobs(rng, n=30)
    model = GaussianNB()
    for i in range(30):
        model.partial_fit(x[i : i + 1], y[i : i + 1], classes=[0, 1, 2])
        if i == 0:
            assert np.array_equal(model.class_prior_, [1, 0, 0])
            with pytest.raises(ValueError, match="feature 0 has the variance 0 in class 0"):
                model.predict(x)
    agree(model.var_, GaussianNB().fit(x, y).var_, 100 * 30 * EPS64)


def test_classes_without_rows_are_never_predicted(rng):
    x, y = oracle.blobs(rng)
    model = GaussianNB().partial_fit(x, y, classes=[0, 1, 2, 9])
    assert model.class_prior_[3] == 0 and (model.var_[3] == model.epsilon_).all()
    assert (model.predict_proba(x)[:, 3] == 0).all()
    weighted = GaussianNB().fit(x, y, sample_weight=(y != 2).astype(float))
    assert weighted.class_prior_[2] == 0 and (weighted.predict(x) != 2).all()
    given = GaussianNB(priors=[0.2, 0.3, 0.5]).fit(x, y, sample_weight=(y != 2).astype(float))
    agree(given.class_prior_, [0.4, 0.6, 0.0], 4 * EPS64)


def test_a_constant_feature_needs_smoothing(rng):
    x, y = oracle.blobs(rng)
    x[:, 1] = 7
    assert GaussianNB().fit(x, y).score(x, y) > 0.5
    bare = GaussianNB(var_smoothing=0).fit(x, y)
    for answer in (bare.predict, bare.predict_proba, bare.score_samples, bare.decision_function):
        with pytest.raises(ValueError, match="feature 1 has the variance 0 in class 0"):
            answer(x)
    assert GaussianNB().fit(x, y).set_params(var_smoothing=0).predict(x).shape == (len(x),)


def test_missing_values_are_an_error_unless_asked_for(rng):
    x, y = oracle.blobs(rng)
    x[::7, 1] = np.nan
    with pytest.raises(ValueError, match="X contains NaN"):
        GaussianNB().fit(x, y)
    model = GaussianNB(missing="marginalize", var_smoothing=0).fit(x, y)
    known = x[:, 1][(y == 0) & ~np.isnan(x[:, 1])]
    assert abs(model.var_[0, 1] - known.var()) <= 2 * (len(known) + 8) * EPS64 * model.var_[0, 1]
    assert model.score(x, y) > 0.5


@pytest.mark.parametrize(
    "options, kind, message",
    [
        ({"var_smoothing": -1e-9}, ValueError, "var_smoothing is -1e-09"),
        ({"var_smoothing": "much"}, TypeError, "var_smoothing must be a number"),
        ({"missing": "ignore"}, ValueError, "unknown missing 'ignore'"),
        ({"priors": [0.5, 0.5]}, ValueError, "Number of priors must match number of classes"),
        ({"priors": [1.0, 1.0, 0.0]}, ValueError, "The sum of the priors should be 1"),
        ({"priors": [-1.0, 2.0, 0.0]}, ValueError, "Priors must be non-negative"),
        ({"priors": "abc"}, ValueError, "priors are not numbers"),
    ],
    ids=repr,
)
def test_parameters_are_checked(options, kind, message, rng):
    x, y = oracle.blobs(rng)
    with pytest.raises(kind, match=message):
        GaussianNB(**options).fit(x, y)
