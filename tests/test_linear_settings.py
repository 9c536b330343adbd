"""What scikit-learn's parameters of linear models do here, and its methods and attributes."""

import importlib
import inspect
import warnings

import logistic_oracle as oracle
import numpy as np
import pytest

import fastnn
from fastnn import LogisticRegression, Ridge
from fastnn._nonnegative import least_nonnegative

EPS = np.finfo(float).eps
TOL = 1e-12
every_count = pytest.mark.parametrize("c", [2, 3])


def peer(cls):
    """scikit-learn's estimator of that name."""
    pytest.importorskip("sklearn", minversion="1.9")
    return getattr(importlib.import_module("sklearn.linear_model"), cls.__name__)


@pytest.mark.parametrize("cls", [LogisticRegression, Ridge])
def test_the_interface_is_that_of_the_peer(cls):
    theirs = peer(cls)
    mine, given = inspect.signature(cls).parameters, inspect.signature(theirs).parameters
    assert list(given) == list(mine)[: len(given)]
    for name, parameter in given.items():
        assert mine[name].kind == parameter.kind
        if (cls, name) != (LogisticRegression, "solver"):
            assert mine[name].default == parameter.default
    public = {n for n, _ in inspect.getmembers(theirs, inspect.isfunction) if n[0] != "_"}
    assert public - {"set_callbacks"} <= set(dir(cls))
    x, y = oracle.data(30, 3, 2, np.random.default_rng(0))
    learned = {n for n in vars(theirs().fit(x, y)) if n.endswith("_") and n[0] != "_"}
    assert learned <= {n for n in vars(cls().fit(x, y)) if n.endswith("_")}


# Logistic regression


@pytest.mark.parametrize("solver", ["newton-cg", "sag", "saga", "lbfgs", "newton-cholesky"])
@every_count
def test_every_solver_ends_alike(solver, c, rng):
    x, labels = oracle.data(80, 4, c, rng)
    model = LogisticRegression(solver=solver, tol=TOL, random_state=3).fit(x, labels)
    auto = LogisticRegression(tol=TOL).fit(x, labels)
    # At the tolerance of both gradients, and a Hessian of 1/(C n) at least.
    assert np.abs(model.coef_ - auto.coef_).max() <= 2 * TOL * 80 * np.sqrt(auto.coef_.size)


def liblinear_gradient(model, x, positive):
    """Of |[w, v]|^2 / 2 + C sum loss, by w and v, where b = s v."""
    s = model.intercept_scaling
    wide = np.column_stack([x, np.full(len(x), s)])
    v = np.append(model.coef_[0], model.intercept_ / s)
    return v + model.C * wide.T @ (1 / (1 + np.exp(-(wide @ v))) - positive)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("scaling", [0.5, 1, 7.0])
def test_liblinear_penalises_the_intercept(scaling, sparse, rng):
    x, labels = oracle.data(60, 3, 2, rng)
    x = x + [3.0, 0, 0]
    rows = pytest.importorskip("scipy.sparse").csr_array(x * (x > 0)) if sparse else x
    x = rows.toarray() if sparse else x
    options = {"solver": "liblinear", "C": 2.0, "intercept_scaling": scaling}
    model = LogisticRegression(**options, tol=TOL).fit(rows, labels)
    assert model.coef_.shape == (1, 3) and model.n_features_in_ == 3
    positive = (labels == model.classes_[1]).astype(float)
    gradient = liblinear_gradient(model, x, positive)
    assert np.abs(gradient).max() <= 2 * TOL * 2.0 * 60 + 1e3 * EPS * 60
    plain = LogisticRegression(C=2.0, tol=TOL).fit(rows, labels)
    assert abs(plain.intercept_ - model.intercept_)[0] > 1e-3  # so that it is another problem
    twin = LogisticRegression(**options, tol=TOL, dual=True).fit(rows, labels)
    assert np.array_equal(twin.coef_, model.coef_)
    again = LogisticRegression(**options, tol=TOL, warm_start=True).fit(rows, labels)
    assert again.fit(rows, labels).n_iter_[0] <= 1


def test_liblinear_is_that_of_the_peer(rng):
    x, labels = oracle.data(100, 4, 2, rng)
    theirs = peer(LogisticRegression)(solver="liblinear", tol=1e-10, max_iter=10000)
    theirs.fit(x, labels)
    ours = LogisticRegression(solver="liblinear", tol=TOL).fit(x, labels)
    assert np.abs(ours.coef_ - theirs.coef_).max() < 1e-6  # as far as its dual ascent goes
    assert np.abs(ours.intercept_ - theirs.intercept_).max() < 1e-6


def test_liblinear_without_an_intercept_or_a_penalty(rng):
    x, labels = oracle.data(60, 3, 2, rng)
    for options in ({"fit_intercept": False}, {"C": np.inf}):
        plain = LogisticRegression(**options, tol=TOL).fit(x, labels)
        model = LogisticRegression(**options, tol=TOL, solver="liblinear").fit(x, labels)
        assert np.array_equal(plain.coef_, model.coef_)
        assert np.array_equal(plain.intercept_, model.intercept_)


BAD = {
    "dual": ({"dual": True}, "supports only dual=False"),
    "scaling": ({"intercept_scaling": 0}, "intercept_scaling is 0"),
    "three classes": ({"solver": "liblinear"}, "for two classes, and these are 3"),
    "verbose": ({"verbose": -1}, "verbose"),
}


@pytest.mark.parametrize("case", BAD)
def test_settings_of_logistic_regression_that_are_refused(case, rng):
    options, message = BAD[case]
    model = LogisticRegression(**options)
    with pytest.raises(ValueError, match=message):
        model.fit(*oracle.data(30, 2, 3, rng))
    assert not hasattr(model, "coef_")


def test_a_penalty_of_absolute_values_counts_for_nothing_without_one(rng):
    x, labels = oracle.data(80, 2, 2, rng)
    free = LogisticRegression(C=np.inf, l1_ratio=1.0).fit(x, labels)
    assert np.array_equal(free.coef_, LogisticRegression(C=np.inf).fit(x, labels).coef_)


def test_the_deprecated_penalty(rng):
    x, labels = oracle.data(80, 2, 2, rng)
    plain, free = LogisticRegression().fit(x, labels), LogisticRegression(C=np.inf).fit(x, labels)
    with pytest.warns(FutureWarning, match="penalty is deprecated") as caught:
        model = LogisticRegression("l2").fit(x, labels)
    assert np.array_equal(model.coef_, plain.coef_) and caught[0].filename == __file__
    with pytest.warns(FutureWarning, match="penalty is deprecated"):
        model = LogisticRegression(None).fit(x, labels)
    assert np.array_equal(model.coef_, free.coef_)
    with pytest.warns(FutureWarning), pytest.warns(UserWarning, match="makes C meaningless"):
        model = LogisticRegression(None, C=3.0).fit(x, labels)
    assert np.array_equal(model.coef_, free.coef_)
    with pytest.warns(FutureWarning), pytest.warns(UserWarning, match="overrides l1_ratio=0.5"):
        model = LogisticRegression("l2", l1_ratio=0.5).fit(x, labels)
    assert np.array_equal(model.coef_, plain.coef_)
    for penalty, l1_ratio in (("l1", 1.0), ("elasticnet", 0.5)):
        with pytest.warns(FutureWarning, match="penalty is deprecated"):
            model = LogisticRegression(penalty, l1_ratio=l1_ratio).fit(x, labels)
        same = LogisticRegression(l1_ratio=l1_ratio).fit(x, labels)
        assert np.array_equal(model.coef_, same.coef_)
    with pytest.warns(FutureWarning), pytest.raises(ValueError, match="needs an l1_ratio"):
        LogisticRegression("elasticnet", l1_ratio=None).fit(x, labels)
    with pytest.warns(FutureWarning, match="l1_ratio=None is deprecated"):
        LogisticRegression(l1_ratio=None).fit(x, labels)
    with pytest.warns(FutureWarning, match="n_jobs has no effect; num_threads"):
        LogisticRegression(n_jobs=2).fit(x, labels)


def test_verbose_prints_how_it_has_ended(rng, capsys):
    x, labels = oracle.data(80, 2, 2, rng)
    LogisticRegression().fit(x, labels)
    assert capsys.readouterr().out == ""
    model = LogisticRegression(verbose=1).fit(x, labels)
    assert capsys.readouterr().out.startswith(f"LogisticRegression: {model.n_iter_[0]} iterations")


@every_count
@pytest.mark.parametrize("sparse", [False, True])
def test_a_fit_starts_where_it_is_told(c, sparse, rng):
    x, labels = oracle.data(100, 3, c, rng)
    x = x if sparse else x + [0, 1000.0, 0]  # is centred then
    rows = pytest.importorskip("scipy.sparse").csr_array(x) if sparse else x
    solved = LogisticRegression(tol=1e-10).fit(rows, labels)
    model = LogisticRegression(tol=1e-8)
    model.fit(rows, labels, None, solved.coef_, solved.intercept_)
    assert model.n_iter_[0] <= 1
    lone = LogisticRegression(tol=1e-8).fit(rows, labels)
    assert lone.n_iter_[0] > 1
    far = LogisticRegression(tol=TOL, max_iter=1000)
    far.fit(rows, labels, coef_init=100.0 * rng.normal(size=solved.coef_.shape))
    assert np.abs(far.coef_ - solved.coef_).max() <= 1e-10 * 100 * 4
    if c == 2:  # the axis of length 1 may be left out
        model.fit(rows, labels, coef_init=solved.coef_[0], intercept_init=solved.intercept_[0])
        assert model.n_iter_[0] <= 1
    stopped, near = LogisticRegression(max_iter=0), 0.5 * solved.coef_
    with pytest.warns(fastnn.linear.ConvergenceWarning, match="not converged") as caught:
        stopped.fit(rows, labels, coef_init=near, intercept_init=0.5 * solved.intercept_)
    assert caught[0].filename == __file__
    scale = np.abs(solved.intercept_).max() + np.abs(solved.coef_).max() * np.abs(x).max()
    assert np.abs(stopped.coef_ - near).max() <= 8 * EPS * scale
    assert np.abs(stopped.intercept_ - 0.5 * solved.intercept_).max() <= 32 * EPS * scale


@pytest.mark.parametrize(
    "name, given, message",
    [
        ("coef_init", np.zeros((2, 3)), r"coef_init has shape \(2, 3\), expected \(1, 3\)"),
        ("coef_init", np.zeros(4), r"coef_init has shape \(4,\)"),
        ("coef_init", [0, np.nan, 0], "coef_init contains NaN or infinity"),
        ("intercept_init", np.zeros(2), r"intercept_init has shape \(2,\), expected \(1,\)"),
    ],
)
def test_starts_that_are_refused(name, given, message, rng):
    x, labels = oracle.data(30, 3, 2, rng)
    model = LogisticRegression().fit(x, labels)
    before = model.coef_
    with pytest.raises(ValueError, match=message):
        model.fit(x, labels, **{name: given})
    assert model.coef_ is before
    with pytest.raises(TypeError, match="coef_init must hold numbers"):
        model.fit(x, labels, coef_init=["a", "b", "c"])


@every_count
def test_sparse_coefficients(c, rng):
    pytest.importorskip("scipy.sparse")
    x, labels = oracle.data(50, 3, c, rng)
    model = LogisticRegression(C=np.inf, warm_start=True).fit(x, labels)
    coef, intervals = model.coef_, model.confidence_intervals()
    answers = [getattr(model, m)(x) for m in ("predict", "predict_proba", "decision_function")]
    assert model.sparsify() is model and model.coef_.format == "csr"
    assert model.sparsify().coef_.shape == coef.shape
    for method, answer in zip(("predict", "predict_proba", "decision_function"), answers):
        assert np.array_equal(getattr(model, method)(x), answer)
    assert np.array_equal(model.confidence_intervals().coef, intervals.coef)
    assert model.densify() is model and np.array_equal(model.coef_, coef)
    assert np.array_equal(model.densify().coef_, coef)
    assert model.sparsify().fit(x, labels).n_iter_[0] <= 1
    state = model.sparsify()._saved()  # files hold arrays
    assert np.array_equal(state["coef_"], model.densify().coef_)
    for method in ("sparsify", "densify"):
        with pytest.raises(ValueError, match="not fitted"):
            getattr(LogisticRegression(), method)()


# Ridge


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("n, d", [(40, 5), (10, 30)])
@pytest.mark.parametrize("alphas", [[0.5, 3.0, 0.5], [1.0, 1.0, 1.0], [0.0, 2.0, 5.0]])
def test_a_penalty_for_each_target(alphas, n, d, sparse, dtype, rng):
    x, y = rng.normal(size=(n, d)).astype(dtype), rng.normal(size=(n, 3)).astype(dtype)
    w = rng.uniform(0.5, 2, n)
    rows = pytest.importorskip("scipy.sparse").csr_array(x) if sparse else x
    model = Ridge(alphas).fit(rows, y, w)
    assert model.coef_.shape == (3, d) and model.coef_.dtype == dtype
    for j, alpha in enumerate(alphas):
        one = Ridge(alpha).fit(rows, y[:, j], w)
        # Both are exact but for rounding; wide problems may take another way for alpha=0.
        bound = 1e4 * np.finfo(dtype).eps * np.abs(one.coef_).max()
        assert np.abs(model.coef_[j] - one.coef_).max() <= bound
        assert abs(model.intercept_[j] - one.intercept_) <= bound * d
    for penalty in (2.0, [2.0], np.array(2.0)):
        same = Ridge(penalty).fit(rows, y).coef_
        assert np.array_equal(same, Ridge([2.0] * 3).fit(rows, y).coef_)


@pytest.mark.parametrize("t", [None, 1, 3])
def test_shapes_are_those_of_the_peer(t, rng):
    x, y = rng.normal(size=(20, 4)), rng.normal(size=(20, t or 1))
    y = y[:, 0] if t is None else y
    ours, theirs = Ridge().fit(x, y), peer(Ridge)().fit(x, y)
    assert ours.coef_.shape == theirs.coef_.shape
    assert np.shape(ours.intercept_) == np.shape(theirs.intercept_)
    assert ours.predict(x).shape == theirs.predict(x).shape
    assert abs(ours.score(x, y) - theirs.score(x, y)) <= 1e3 * EPS


def test_a_penalty_that_rounding_hides_is_none(rng):
    """With more features than rows, sparse ones too, it leaves the solution of least norm."""
    sparse = pytest.importorskip("scipy.sparse")
    x = rng.normal(size=(20, 40)) * np.exp(rng.normal(size=40))
    y = x @ rng.normal(size=40)
    for fit_intercept in (False, True):
        u, v = (a - a.mean(axis=0) * fit_intercept for a in (x, y))
        expected = np.linalg.pinv(u) @ v
        model = Ridge(1e-16, fit_intercept=fit_intercept).fit(sparse.csr_array(x), y)
        # Conjugate gradients end at 1e-12 of the gradient, times the square of the condition.
        condition = np.linalg.cond(u[:-1] if fit_intercept else u)
        assert np.abs(model.coef_ - expected).max() <= 1e-12 * condition**2 * np.abs(v).max()


def test_what_has_solved_it(rng):
    x, y = rng.normal(size=(30, 4)), rng.normal(size=30)
    assert Ridge().fit(x, y).solver_ == Ridge().fit(x[:3], y[:3]).solver_ == "cholesky"
    assert Ridge(0.0).fit(x[:, [0, 0]], y).solver_ == "svd"
    assert Ridge(positive=True).fit(x, y).solver_ == "active_set"
    exact = Ridge(solver="svd").fit(x, y)
    assert exact.solver_ == "svd" and exact.n_iter_ is None
    plain = Ridge().fit(x, y).coef_
    assert np.abs(exact.coef_ - plain).max() <= 1e3 * EPS * np.abs(plain).max()
    sparse = pytest.importorskip("scipy.sparse")
    assert Ridge().fit(sparse.csr_array(x), y).solver_ == "cholesky"
    assert Ridge().fit(sparse.csr_array(x[:3]), y[:3]).solver_ == "sparse_cg"


@pytest.mark.parametrize("solver", ["cholesky", "lsqr", "sparse_cg", "sag", "saga"])
def test_every_solver_of_ridge_is_exact(solver, rng):
    x, y = rng.normal(size=(30, 4)), rng.normal(size=30)
    model = Ridge(solver=solver, max_iter=3, tol=0.5, copy_X=False, random_state=0).fit(x, y)
    assert np.array_equal(model.coef_, Ridge().fit(x, y).coef_)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"alpha": -1.0}, "alpha is -1"),
        ({"alpha": [1.0, -1.0]}, r"alpha\[1\] is -1"),
        ({"alpha": [1.0, 2.0, 3.0]}, "penalties do not correspond: 3 != 2"),
        ({"solver": "newton"}, "unknown solver 'newton'"),
        ({"solver": "lbfgs"}, "only with positive=True"),
        ({"solver": "svd", "positive": True}, "solver='svd' does not support positive"),
        ({"tol": -1.0}, "tol is -1"),
        ({"max_iter": 0}, "max_iter"),
    ],
)
def test_settings_of_ridge_that_are_refused(options, message, rng):
    model = Ridge(**options)
    with pytest.raises(ValueError, match=message):
        model.fit(rng.normal(size=(20, 3)), rng.normal(size=(20, 2)))
    assert not hasattr(model, "coef_")


def conditions(h, b, w):
    """How far w is from the minimum over w >= 0, as the parts of the gradient that count."""
    gradient = h @ w - b
    return max(np.abs(gradient[w > 0]).max(initial=0.0), -gradient[w == 0].min(initial=0.0))


@pytest.mark.parametrize("n, d", [(1, 1), (20, 3), (200, 30), (15, 40), (60, 60)])
def test_nonnegative_least_squares(n, d, rng):
    for kind in range(6):
        x = rng.normal(size=(n, d)) * np.exp(rng.normal(size=d))
        if kind == 1:
            x = np.abs(x)  # strongly correlated
        if kind == 2:
            x[:, ::2] = x[:, 1::2][:, : (d + 1) // 2] if d % 2 == 0 else x[:, ::2]  # duplicates
        y = x @ rng.normal(size=d) + rng.normal(size=n)
        y = -np.abs(y) if kind == 3 else y
        h, b = x.T @ x + (kind == 4) * np.eye(d), x.T @ y
        w = least_nonnegative(h, b)
        assert (w >= 0).all()
        # Factor damps singular matrices by sqrt(eps); regular ones are exact but for rounding.
        assert conditions(h, b, w) <= 1e-6 * np.abs(h).max() * max(1.0, np.abs(w).max())
    assert not least_nonnegative(np.zeros((d, d)), np.zeros(d)).any()


def test_the_conditions_find_another_point(rng):
    x = rng.normal(size=(20, 3))
    h, b = x.T @ x, x.T @ (x @ [1.0, -1.0, 2.0])
    w = least_nonnegative(h, b)
    assert conditions(h, b, w) <= 1e-12 * np.abs(h).max()
    assert w[1] == 0 and conditions(h, b, w * 1.001) > 1e-4
    assert conditions(h, b, np.zeros(3)) > 1


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_positive_coefficients(fit_intercept, sparse, dtype, rng):
    x = rng.normal(size=(60, 5)).astype(dtype)
    y = (x @ rng.normal(size=(5, 3)) + 2 + 0.1 * rng.normal(size=(60, 3))).astype(dtype)
    w = rng.uniform(0.5, 2, 60)
    rows = pytest.importorskip("scipy.sparse").csr_array(x) if sparse else x
    options = {"alpha": [0.1, 1.0, 10.0], "fit_intercept": fit_intercept, "positive": True}
    model = Ridge(**options).fit(rows, y, w)
    assert (model.coef_ >= 0).all() and (model.coef_ == 0).any() and (model.coef_ > 0).any()
    means = [np.average(a, axis=0, weights=w) * fit_intercept for a in (x, y)]
    u, v = x - means[0], y - means[1]
    for j, alpha in enumerate(options["alpha"]):
        h = (u.T * w) @ u + alpha * np.eye(5)
        bound = 200 * np.finfo(dtype).eps * np.abs(h).max() * (1 + np.abs(model.coef_).max())
        assert conditions(h, (u.T * w) @ v[:, j], model.coef_[j]) <= bound
        expected = means[1][j] - model.coef_[j] @ means[0] if fit_intercept else 0.0
        assert abs(model.intercept_[j] - expected) <= 200 * np.finfo(dtype).eps * 4


def test_positive_is_that_of_the_peer(rng):
    x, y = rng.normal(size=(80, 6)), rng.normal(size=80)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = peer(Ridge)(alpha=0.5, positive=True, tol=1e-12, max_iter=10000).fit(x, y)
    ours = Ridge(0.5, positive=True).fit(x, y)
    assert np.abs(ours.coef_ - theirs.coef_).max() < 1e-5  # as far as its L-BFGS-B goes


# Threads


@pytest.mark.parametrize("cls", [LogisticRegression, Ridge])
def test_threads(cls, rng):
    x, labels = oracle.data(3000, 20, 2, rng)
    expected = cls(num_threads=1).fit(x, labels)
    for threads in (None, 2, 3):
        model = cls(num_threads=threads).fit(x, labels)
        assert np.array_equal(model.coef_, expected.coef_)
        assert np.array_equal(model.predict(x), expected.predict(x))
    before = fastnn.get_num_threads()
    with pytest.raises(ValueError, match="num_threads"):
        cls(num_threads=0).fit(x, labels)
    assert fastnn.get_num_threads() == before
