"""Standard errors and confidence intervals of LogisticRegression."""

import logistic_oracle as oracle
import numpy as np
import pytest

from fastnn import GaussianClassifier, LogisticRegression
from fastnn.linear import ConvergenceWarning

EPS = np.finfo(np.float64).eps


def difference_hessian(objective, theta, step):
    """Central differences of the long double gradient by the parameters that are fitted."""
    columns = []
    for k, j in np.ndindex(theta.shape):
        if not objective.free[j]:
            continue
        move = np.zeros(theta.shape, np.longdouble)
        move[k, j] = step
        rise = objective.gradient(theta + move) - objective.gradient(theta - move)
        columns.append((rise[:, objective.free] / (2 * step)).ravel())
    return np.array(columns).astype(np.float64)


def exact_errors(objective, theta, step):
    """Standard errors from the pseudo-inverse of the information, and what rounding may add.

    For more than two classes its null space is the common moves of all classes, so it is that of
    the solution whose sum over the classes is zero.
    """
    h = difference_hessian(objective, theta, step)
    h = float(objective.total) * (h + h.T) / 2
    covariance = np.linalg.pinv(h, rcond=1e-8, hermitian=True)
    condition = np.linalg.norm(h, 2) * np.linalg.norm(covariance, 2)
    errors = np.zeros(theta.shape)
    errors[:, objective.free] = np.sqrt(np.diag(covariance)).reshape(len(theta), -1)
    return errors, 10 * len(h) * EPS * condition


@pytest.mark.parametrize("solver", ["newton-cholesky", "lbfgs"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("c", [2, 3, 4])
def test_they_are_those_of_the_inverse_information(c, fit_intercept, weighted, solver, rng):
    x, labels = oracle.data(300, 3, c, rng)
    w = rng.uniform(0.5, 3, 300) if weighted else None
    options = {"fit_intercept": fit_intercept, "solver": solver, "tol": 1e-11}
    model = LogisticRegression(C=np.inf, **options).fit(x, labels, sample_weight=w)
    objective = oracle.Objective(x, labels, c, C=np.inf, w=w, fit_intercept=fit_intercept)
    theta = oracle.parameters(model)
    near, rounding = exact_errors(objective, theta, 1e-5)
    far, _ = exact_errors(objective, theta, 2e-5)
    errors = model.standard_errors()
    coef, intercept = errors
    assert coef is errors.coef and intercept is errors.intercept
    assert coef.shape == model.coef_.shape and intercept.shape == model.intercept_.shape
    assert coef.dtype == intercept.dtype == np.float64
    # The error of a central difference goes with the square of its step: here it is a third of what
    # doubling the step changes.
    bound = np.abs(near - far) + rounding * near.max() + 1e-9 * near
    assert (np.abs(np.column_stack([coef, intercept]) - near) <= bound).all()
    assert bound.max() < 1e-6 and near[:, :3].min() > 1e-2


def test_the_oracle_sees_the_sum_to_zero(rng):
    """The reference-class parametrisation has other errors: it is not tested for nothing."""
    x, labels = oracle.data(300, 3, 3, rng)
    model = LogisticRegression(C=np.inf, tol=1e-11).fit(x, labels)
    objective = oracle.Objective(x, labels, 3, C=np.inf)
    h = 300 * objective.hessian(oracle.parameters(model))
    reference = np.sqrt(np.diag(np.linalg.inv(h[:8, :8]))).reshape(2, 4)
    assert (np.abs(model.standard_errors().coef[:2] / reference[:, :3] - 1) > 0.01).all()


def test_a_known_case():
    """One binary feature: the log odds ratio has the variance 1/a + 1/b + 1/c + 1/d."""
    counts = np.array([[30, 10], [15, 45]])
    x = np.repeat([[0.0], [0.0], [1.0], [1.0]], counts.ravel(), axis=0)
    labels = np.repeat([0, 1, 0, 1], counts.ravel())
    for rows, y, w in [(x, labels, None), ([[0], [0], [1], [1]], [0, 1, 0, 1], counts.ravel())]:
        model = LogisticRegression(C=np.inf, tol=1e-12).fit(rows, y, sample_weight=w)
        log_ratio = np.log(30 * 45 / (10 * 15))
        error = np.sqrt((1 / counts).sum())
        # Four rows' worth of rounding, twice, through a Hessian of condition below 100.
        assert abs(model.coef_[0, 0] - log_ratio) <= 1e-10
        assert abs(model.standard_errors().coef[0, 0] - error) <= 1e-10
        assert abs(model.standard_errors().intercept[0] - np.sqrt(1 / 30 + 1 / 10)) <= 1e-10
        low, high = model.confidence_intervals().coef[0, 0]
        assert abs((high - low) / 2 - 1.959963984540054 * error) <= 1e-9
        assert abs((high + low) / 2 - log_ratio) <= 1e-10


def test_offsets_and_scales_are_followed(rng):
    x, labels = oracle.data(300, 3, 3, rng)
    plain = LogisticRegression(C=np.inf, tol=1e-11).fit(x, labels)
    shift, scale = np.array([1e4, 0, -1e3]), np.array([1, 10, 0.1])
    model = LogisticRegression(C=np.inf, tol=1e-11).fit(x * scale + shift, labels)
    errors, moved = plain.standard_errors(), model.standard_errors()
    objective = oracle.Objective(x, labels, 3, C=np.inf)
    theta = oracle.parameters(plain)
    # Features are rounded to eps |shift|, that is 1e4 eps of their deviations, which moves the
    # solution; a logit that changes by t changes p (1 - p) and so a variance by a factor of e^t.
    row = np.abs(x).sum(axis=1).max() + 1
    change = row * (2 * objective.distance(theta) + 300 * 1e4 * EPS)
    assert change < 1e-7
    assert (np.abs(moved.coef * scale - errors.coef) <= change * errors.coef).all()
    covariance = np.linalg.pinv(300 * objective.hessian(theta), rcond=1e-8, hermitian=True)
    along = np.append(-shift / scale, 1.0)  # b of the moved features, by w and b of the plain
    variance = np.einsum("kikj,i,j->k", covariance.reshape(3, 4, 3, 4), along, along)
    assert (np.abs(moved.intercept / np.sqrt(variance) - 1) <= change).all()


def test_confidence_intervals_cover(rng):
    """In 200 samples, an interval of 90 percent misses 20 +- 5 sqrt(18) true coefficients."""
    true, missed = np.array([0.8, -0.5]), np.zeros(2)
    for _ in range(200):
        x = rng.normal(size=(400, 2))
        labels = x @ true + rng.logistic(size=400) > 0
        model = LogisticRegression(C=np.inf, tol=1e-8).fit(x, labels)
        ends = model.confidence_intervals(0.9).coef
        assert ends.shape == (1, 2, 2)
        missed += (true < ends[0, :, 0]) | (true > ends[0, :, 1])
    assert (np.abs(missed - 20) < 5 * np.sqrt(18)).all()


def refused(model, reason):
    """Assert that a model has no standard errors for that reason."""
    for method in (model.standard_errors, model.confidence_intervals):
        with pytest.raises(ValueError, match=reason):
            method()


def test_there_are_none_without_a_good_fit(rng):
    x, labels = oracle.data(100, 3, 2, rng)
    refused(LogisticRegression(), "not fitted yet")
    refused(LogisticRegression(C=1e9).fit(x, labels), "penalty, C=1000000000.0, and not C=inf")
    model = LogisticRegression(C=np.inf)
    refused(model.fit(x[:, [0, 1, 0]], labels), "collinear")
    refused(model.fit(np.column_stack([x, np.ones(100)]), labels), "collinear")
    with pytest.warns(ConvergenceWarning):
        model.fit(x, x[:, 0] > 0)
    refused(model, "classes are separable")
    with pytest.warns(ConvergenceWarning):
        model.set_params(max_iter=1).fit(x, labels)
    refused(model, "has not converged")
    with pytest.warns(ConvergenceWarning):
        model.set_params(max_iter=100, tol=0.5).fit(x, labels)
    refused(model, "tol is too large")
    model.set_params(tol=1e-6).fit(x, labels).standard_errors()
    model.set_params(C=1.0)  # says nothing of the fit that there is
    model.standard_errors()
    refused(model.fit(x, labels), "penalty")


def test_there_are_none_for_too_many_parameters(rng, monkeypatch):
    x, labels = oracle.data(100, 3, 2, rng)
    monkeypatch.setattr("fastnn._inference._MOST_PARAMETERS", 3)
    refused(LogisticRegression(C=np.inf).fit(x, labels), "4 parameters, more than 3")


def test_there_are_none_for_a_model_made_from_another(rng):
    x, labels = oracle.data(100, 3, 2, rng)
    model = GaussianClassifier("shared").fit(x, labels).to_logistic()
    refused(model, "made from another one")
    assert model.predict(x).shape == (100,)


@pytest.mark.parametrize(
    ("level", "error"),
    [(0, ValueError), (1, ValueError), (-0.5, ValueError), (np.nan, ValueError), ("x", TypeError)],
)
def test_bad_levels(level, error, rng):
    model = LogisticRegression(C=np.inf).fit(*oracle.data(100, 3, 2, rng))
    with pytest.raises(error, match="level"):
        model.confidence_intervals(level)
    assert model.confidence_intervals(np.nextafter(1, 0)).coef.shape == (1, 3, 2)
