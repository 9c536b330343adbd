"""Linear models of sparse rows: the solutions, predictions and errors of dense ones."""

import warnings

import numpy as np
import pytest

import fastnn
from fastnn import LogisticRegression, Ridge, _sparse_linear
from fastnn._sparse import from_scipy
from fastnn.linear import ConvergenceWarning

sparse = pytest.importorskip("scipy.sparse")
backend = fastnn.runtime.backend_module

EPS = np.finfo(np.float64).eps


def rows_of(rng, n, d, density=0.2):
    """Sparse rows with features of several sizes, of which one is dense and one is zero."""
    x = rng.normal(size=(n, d)) * (rng.random((n, d)) < density) * np.exp(rng.normal(size=d))
    x[:, 0] = rng.normal(size=n) + 1
    x[:, -1] = 0
    x[n // 2] = 0
    return x


def labels_of(rng, x, c):
    """Labels that follow from x, not without noise."""
    z = x @ rng.normal(size=(x.shape[1], c)) + 2 * rng.gumbel(size=(len(x), c))
    return z.argmax(axis=1)


FORMATS = (sparse.csr_matrix, sparse.csc_array, sparse.coo_array, sparse.lil_matrix)


# The loss


@pytest.mark.parametrize("loss, c", [("sigmoid_cross_entropy", 1), ("softmax_cross_entropy", 3)])
@pytest.mark.parametrize("intercept", [0, 1])
@pytest.mark.parametrize("weighted", [False, True])
def test_terms_are_those_of_dense_rows(isa, rng, loss, c, intercept, weighted):
    n, d = 300, 20
    x = rows_of(rng, n, d)
    y = rng.integers(0, max(c, 2), n)
    w = rng.random(n) if weighted else None
    theta = rng.normal(size=(c, d + intercept))
    given = loss, x, y, theta, 0.25, w, True
    value, gradient, hessian = backend.linear_terms(*given)
    got = _sparse_linear.linear_terms(loss, from_scipy(sparse.csr_array(x)), *given[2:])
    # Sums of n terms, each with the error of a logit, d + 2 roundings, and some of the function.
    bound = (n + d + 20) * EPS
    size = np.abs(x).max() ** 2 + 1
    assert abs(got[0] - value) <= bound * (abs(value) + np.abs(x @ theta[:, :d].T).mean())
    assert np.abs(got[1] - gradient).max() <= bound * size
    assert np.abs(got[2] - hessian.reshape(got[2].shape)).max() <= bound * size
    assert (
        _sparse_linear.linear_terms(loss, from_scipy(sparse.csr_array(x)), *given[2:6], False)[2]
        is None
    )


def test_the_gram_matrix_goes_by_blocks(rng, monkeypatch):
    x = rows_of(rng, 1000, 30)
    h = rng.normal(size=1000)
    rows = from_scipy(sparse.csr_array(x))
    exact = (x * h[:, np.newaxis]).T @ x
    bound = 1000 * EPS * (np.abs(x * h[:, np.newaxis]).T @ np.abs(x))
    for values in (1 << 21, 30 * 100):
        monkeypatch.setattr(_sparse_linear, "_BLOCK_VALUES", values)
        assert (np.abs(_sparse_linear.gram(rows, h) - exact) <= bound).all()


# Logistic regression


@pytest.mark.parametrize("solver", ["auto", "newton-cholesky", "lbfgs"])
@pytest.mark.parametrize("c", [2, 4])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_logistic_regression_ends_at_the_dense_solution(rng, solver, c, fit_intercept):
    x = rows_of(rng, 500, 30)
    y = labels_of(rng, x, c)
    w = rng.random(500) + 0.1
    options = {"C": 2.0, "tol": 1e-10, "max_iter": 1000, "fit_intercept": fit_intercept}
    dense = LogisticRegression(**options).fit(x, y, w)
    for container in FORMATS:
        model = LogisticRegression(solver=solver, **options).fit(container(x), y, w)
        # The penalty's curvature is 1 / (C sum w): within tol / that of the solution.
        close = 2 * options["tol"] * options["C"] * w.sum() * np.sqrt(30 * c)
        assert np.abs(model.coef_ - dense.coef_).max() <= close
        assert np.abs(model.predict_proba(container(x)) - dense.predict_proba(x)).max() <= 1e-6
    assert model.n_features_in_ == 30 and model.coef_.dtype == np.float64


def test_more_features_than_can_be_squared(rng):
    x = sparse.random_array((400, 30_000), density=0.002, rng=rng, format="csr")
    x.data = rng.normal(size=x.nnz)
    y = (np.arange(400) % 3 == 0).astype(int)
    model = LogisticRegression(tol=1e-8, max_iter=500).fit(x, y)
    z = x @ model.coef_[0] + model.intercept_[0]
    p = 1 / (1 + np.exp(-z))
    gradient = (x.T @ (p - y) + model.coef_[0]) / 400
    assert np.abs(gradient).max() <= 1.01e-8 and abs((p - y).mean()) <= 1.01e-8


def test_a_loose_tolerance_of_many_features_is_near_the_minimum(rng):
    x = sparse.random_array((500, 10_000), density=0.01, rng=rng, format="csr")
    x.data = rng.normal(size=x.nnz)
    y = (x @ rng.normal(size=10_000) > 0).astype(int)

    def value(model):
        z = np.where(y == 1, 1, -1) * model.decision_function(x)
        return np.logaddexp(0, -z).sum() + 0.5 * (model.coef_**2).sum()

    exact, loose = (
        value(LogisticRegression(tol=tol, max_iter=500).fit(x, y)) for tol in (1e-9, 1e-4)
    )
    # gap <= |g|^2 / (2 alpha) a row for |g|^2 <= 100 tol^2 and alpha = 1 / n: 500 * 500 * 50 * 1e-8.
    assert exact <= loose * (1 + 1e-12) and loose - exact <= 0.125
    with pytest.warns(ConvergenceWarning, match="not converged after 1 iterations"):
        LogisticRegression(max_iter=1).fit(x * 100, y)


@pytest.mark.parametrize("n", [0, 1])
def test_predictions_are_those_of_dense_rows(isa, dtype, rng, n):
    x = rows_of(rng, 200, 12).astype(dtype)
    for c in (2, 3):
        y = labels_of(rng, x, c)
        model = LogisticRegression().fit(x, y)
        for part in (slice(None), slice(n, n + 1)):
            rows = sparse.csr_array(x[part])
            dense = model.decision_function(x[part])
            got = model.decision_function(rows)
            assert got.dtype == dtype and got.shape == dense.shape
            size = np.abs(x[part]) @ np.abs(model.coef_.T) + np.abs(model.intercept_)
            error = np.abs(got - dense).reshape(size.shape)
            assert (error <= 2 * 14 * np.finfo(dtype).eps * size).all()
            np.testing.assert_array_equal(model.predict(rows), model.predict(x[part]))
            for name in ("predict_proba", "predict_log_proba"):
                a, b = getattr(model, name)(rows), getattr(model, name)(x[part])
                assert a.dtype == dtype
                np.testing.assert_allclose(a, b, rtol=60 * np.finfo(dtype).eps * (1 + size.max()))
        assert model.score(sparse.csc_array(x), y) == model.score(x, y)


def test_float32_gives_float32(rng):
    x = rows_of(rng, 200, 12).astype(np.float32)
    y = labels_of(rng, x, 2)
    dense, model = LogisticRegression(tol=1e-6), LogisticRegression(tol=1e-6)
    dense.fit(x, y)
    model.fit(sparse.csr_array(x), y)
    assert model.coef_.dtype == model.intercept_.dtype == np.float32
    np.testing.assert_allclose(model.coef_, dense.coef_, atol=2e-4)
    assert model.predict_proba(sparse.csr_array(x)).dtype == np.float32
    assert Ridge().fit(sparse.csr_array(x), y).coef_.dtype == np.float32


def test_separable_classes_and_errors_of_a_fit_without_penalty(rng):
    x = rows_of(rng, 400, 6)[:, :-1]
    y = labels_of(rng, x, 2)
    options = {"C": np.inf, "tol": 1e-9, "max_iter": 200}
    dense = LogisticRegression(**options).fit(x, y).standard_errors()
    model = LogisticRegression(**options).fit(sparse.csr_array(x), y)
    np.testing.assert_allclose(model.standard_errors().coef, dense.coef, rtol=1e-6)
    with pytest.warns(ConvergenceWarning, match="separable"):
        LogisticRegression(C=np.inf).fit(sparse.csr_array(np.eye(4)), [0, 0, 1, 1])


def test_a_failed_fit_changes_nothing(rng):
    x = rows_of(rng, 50, 5)
    model = LogisticRegression().fit(x, labels_of(rng, x, 2))
    before = model.coef_.copy()
    bad = sparse.csr_array(x)
    bad.data[3] = np.nan
    with pytest.raises(ValueError, match="X contains NaN"):
        model.fit(bad, labels_of(rng, x, 2))
    with pytest.raises(ValueError, match="X contains NaN"):
        model.predict(bad)
    with pytest.raises(ValueError, match="Complex data not supported"):
        model.fit(sparse.csr_array(x * 1j), labels_of(rng, x, 2))
    np.testing.assert_array_equal(model.coef_, before)


# Ridge regression


@pytest.mark.parametrize("shape", [(300, 20), (20, 60)])
@pytest.mark.parametrize("alpha", [0.0, 0.01, 3.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_ridge_ends_at_the_dense_solution(rng, shape, alpha, fit_intercept, weighted):
    x = rows_of(rng, *shape)
    y = x[:, :5] @ rng.normal(size=(5, 3)) + rng.normal(size=(shape[0], 3)) + 4
    w = rng.random(shape[0]) if weighted else None
    options = {"alpha": alpha, "fit_intercept": fit_intercept}
    dense = Ridge(**options).fit(x, y, w)
    for container in FORMATS:
        model = Ridge(**options).fit(container(x), y, w)
        np.testing.assert_allclose(model.coef_, dense.coef_, rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(model.intercept_, dense.intercept_, rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(model.predict(container(x)), dense.predict(x), atol=1e-6)
    one = Ridge(**options).fit(sparse.csr_array(x), y[:, 0], w)
    np.testing.assert_allclose(one.coef_, dense.coef_[0], rtol=1e-7, atol=1e-7)


def test_conjugate_gradients_agree_with_the_normal_equations(rng, monkeypatch):
    x, y = rows_of(rng, 300, 40), rng.normal(size=(300, 2))
    rows = from_scipy(sparse.csr_array(x))
    for alpha in (0.0, 1.0):
        direct = _sparse_linear.ridge(rows, y, None, alpha, True)
        monkeypatch.setattr(_sparse_linear, "_MOST_NORMAL", 0)
        steps = _sparse_linear.ridge(rows, y, None, alpha, True)
        monkeypatch.undo()
        assert direct[2] == "cholesky" and steps[2] == "sparse_cg"
        for a, b in zip(direct[:2], steps[:2]):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8)


def test_features_far_from_zero_go_another_way(rng):
    x = np.hstack([rows_of(rng, 200, 5), 1e7 + rng.normal(size=(200, 1))])
    y = x[:, 5] - 1e7 + rng.normal(size=200)
    model = Ridge(alpha=1.0).fit(sparse.csr_array(x), y)
    exact = Ridge(alpha=1.0).fit(x, y)
    # x - mean has lost 7 of 16 digits either way.
    np.testing.assert_allclose(model.coef_, exact.coef_, atol=1e-6)


def test_what_has_not_converged_says_so(rng, monkeypatch):
    x = from_scipy(sparse.csr_array(rows_of(rng, 100, 40)))
    monkeypatch.setattr(_sparse_linear, "_MOST_NORMAL", 0)
    monkeypatch.setattr(_sparse_linear, "_LEAST_ITERATIONS", 3)
    monkeypatch.setattr(_sparse_linear, "_ITERATIONS", 0)
    with pytest.warns(ConvergenceWarning, match="conjugate gradients have not converged"):
        _sparse_linear.ridge(x, rng.normal(size=(100, 1)), None, 1e-6, True)


def test_the_peer_agrees(rng):
    peer = pytest.importorskip("sklearn.linear_model")
    x = sparse.random_array((500, 3000), density=0.01, rng=rng, format="csr")
    y = x @ rng.normal(size=3000) + rng.normal(size=500) + 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = peer.Ridge(alpha=0.5, tol=1e-12, solver="sparse_cg").fit(x, y)
        theirs_l = peer.LogisticRegression(tol=1e-10, max_iter=5000).fit(x, y > 1)
    ours = Ridge(alpha=0.5).fit(x, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-6)
    ours_l = LogisticRegression(tol=1e-10, max_iter=5000).fit(x, y > 1)
    np.testing.assert_allclose(ours_l.coef_, theirs_l.coef_, atol=1e-5)
