"""Ridge: its solution beside long double normal equations, NumPy's lstsq and scikit-learn's."""

import copy
import pickle

import numpy as np
import pytest

from fastnn import Ridge, _least_squares

LD = np.longdouble
EPS = np.finfo(np.float64).eps


def solve(a, b):
    """The solution of a x = b in long double, by elimination with pivots."""
    a, b = a.astype(LD).copy(), b.astype(LD).copy()
    n = len(a)
    for j in range(n):
        p = j + int(np.abs(a[j:, j]).argmax())
        a[[j, p]], b[[j, p]] = a[[p, j]], b[[p, j]]
        factor = a[j + 1 :, j] / a[j, j]
        a[j + 1 :] -= factor[:, np.newaxis] * a[j]
        b[j + 1 :] -= factor[:, np.newaxis] * b[j]
    for j in reversed(range(n)):
        b[j] = (b[j] - a[j, j + 1 :] @ b[j + 1 :]) / a[j, j]
    return b


def deviations(x, y, w, fit_intercept):
    """x and y less their means, times sqrt(w); and the means: long double."""
    x, y = x.astype(LD), y.astype(LD).reshape(len(y), -1)
    w = np.ones(len(x), LD) if w is None else w.astype(LD)
    means = [(w[:, np.newaxis] * a).sum(axis=0) / w.sum() * fit_intercept for a in (x, y)]
    root = np.sqrt(w)[:, np.newaxis]
    return (x - means[0]) * root, (y - means[1]) * root, *means


def spread(u):
    """The norms of the columns; a column of zeros has an exact solution, and counts as 1."""
    norms = np.sqrt((u * u).sum(axis=0))
    return np.where(norms > 0, norms, 1)


def exact(x, y, w, alpha, fit_intercept):
    """W (t, d) and b (t,) of the normal equations, and a bound on the error of W's norm.

    Sums of n products of deviations are within (n + 8) eps, once the size of the data beside their
    deviations is counted; Cholesky adds 3 d eps. Both are taken through the inverse of the matrix
    with its diagonal scaled to 1.
    """
    u, v, x_mean, y_mean = deviations(x, y, w, fit_intercept)
    (n, d), t = u.shape, v.shape[1]
    a = u.T @ u + LD(alpha) * np.eye(d)
    coef = solve(a, u.T @ v).T
    scale = np.sqrt(np.diag(a)).astype(np.float64)
    inverse = np.linalg.norm(np.linalg.inv((a / np.outer(scale, scale)).astype(np.float64)), 2)
    size = 1.0 + max(float((np.abs(p).max(axis=0) / spread(q)).max()) for p, q in ((x, u), (y, v)))
    of_matrix = d * (n + 3 * d + 8) * float(np.linalg.norm(coef * scale))
    of_right = np.sqrt(d) * (n + 8) * float(np.linalg.norm(v))
    bound = inverse * size * (of_matrix + of_right) / scale.min()
    return coef.reshape(t, d), y_mean - coef @ x_mean, bound


def data(n, d, t, rng):
    """x (n, d) with means and deviations of their own, y (n, t) or (n,) for t = 0."""
    x = rng.normal(size=(n, d)) @ (np.eye(d) + rng.normal(size=(d, d)) / (3 * np.sqrt(d)))
    x = (x + rng.normal(0, 3, d)) * 2.0 ** rng.integers(-3, 4, d)
    y = x @ rng.normal(size=(d, max(t, 1))) + rng.normal(size=(n, max(t, 1))) + 5
    return x, y if t else y[:, 0]


@pytest.fixture
def singular_values(monkeypatch):
    """A list that grows with each use of the singular values."""
    used, function = [], _least_squares._by_singular_values

    def counting(*args):
        used.append(args)
        return function(*args)

    monkeypatch.setattr(_least_squares, "_by_singular_values", counting)
    return used


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 1e-3, 1.0, 1e4])
@pytest.mark.parametrize("t", [0, 1, 3])
@pytest.mark.parametrize(("n", "d"), [(30, 1), (40, 5), (300, 20)])
def test_it_solves_the_normal_equations(n, d, t, alpha, fit_intercept, weighted, dtype, rng):
    x, y = (a.astype(dtype) for a in data(n, d, t, rng))
    w = rng.uniform(0.1, 3, n).astype(dtype) if weighted else None
    model = Ridge(alpha, fit_intercept=fit_intercept)
    assert model.fit(x, y, sample_weight=w) is model
    assert model.coef_.shape == ((t, d) if t > 1 else (d,))
    assert model.coef_.dtype == model.intercept_.dtype == dtype
    coef, intercept, bound = exact(x, y, w, alpha, fit_intercept)
    eps = np.finfo(dtype).eps
    assert np.linalg.norm((model.coef_ - coef).astype(np.float64)) <= eps * bound
    reach = np.linalg.norm(x.mean(axis=0)) + 1
    error = eps * (bound * reach + 8 * np.abs(y).max() + 8 * np.abs(x).max() * np.abs(coef).sum())
    assert np.abs(model.intercept_ - intercept).max() <= error
    assert np.shape(model.intercept_) == ((t,) if t else ())
    if not fit_intercept:
        assert not np.any(model.intercept_)
    assert model.n_features_in_ == d


def test_the_bound_rejects_another_solution(rng):
    x, y = data(40, 5, 0, rng)
    coef, _, bound = exact(x, y, None, 1.0, True)
    other, *_ = exact(x, y, None, 1.0 + 1e-6, True)
    assert np.linalg.norm((coef - other).astype(np.float64)) > EPS * bound


def test_predictions_are_affine(dtype, rng):
    x, y = (a.astype(dtype) for a in data(40, 5, 3, rng))
    model = Ridge().fit(x, y)
    expected = x.astype(LD) @ model.coef_.T + model.intercept_
    size = np.abs(x) @ np.abs(model.coef_.T) + np.abs(model.intercept_)
    assert model.predict(x).dtype == dtype
    assert (np.abs(model.predict(x) - expected) <= 7 * np.finfo(dtype).eps * size).all()
    one = Ridge().fit(x, y[:, 0])
    assert one.predict(x).shape == (40,) and one.predict(x.astype(np.float64)).dtype == np.float64
    residual = ((y[:, 0] - one.predict(x)) ** 2).sum() / ((y[:, 0] - y[:, 0].mean()) ** 2).sum()
    assert abs(one.score(x, y[:, 0]) - (1 - residual)) <= 400 * np.finfo(dtype).eps
    assert 0.5 < model.score(x, y) <= 1


# More features than rows, and singular ones


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize(("n", "d"), [(1, 3), (6, 9), (20, 100)])
def test_more_features_than_rows(n, d, fit_intercept, dtype, rng, singular_values):
    x, y = (a.astype(dtype) for a in data(n, d, 2, rng))
    w = rng.uniform(0.5, 2, n).astype(dtype)
    model = Ridge(2.0, fit_intercept=fit_intercept).fit(x, y, sample_weight=w)
    assert not singular_values
    coef, _, bound = exact(x, y, w, 2.0, fit_intercept)
    assert np.linalg.norm((model.coef_ - coef).astype(np.float64)) <= np.finfo(dtype).eps * bound


def least_norm(x, y, eps):
    """The solution of least norm for deviations x and y (float64), and a bound on its error.

    It goes with the square of the condition of the singular values that count.
    """
    s = np.linalg.svd(x, compute_uv=False)
    kept = s[s > max(x.shape) * eps * s[0]]
    coef = (np.linalg.pinv(x, rcond=max(x.shape) * eps) @ y).T
    residual = np.linalg.norm(y - x @ coef.T)
    condition = kept[0] / kept[-1]
    size = condition * np.linalg.norm(coef) + condition * residual / kept[-1]
    return coef, 16 * max(x.shape) * eps * size


DEFECTS = {
    "fewer rows": lambda x: x[:4],
    "as many rows": lambda x: x[:6],
    "the same twice": lambda x: np.column_stack([x, x[:, 1]]),
    "a multiple": lambda x: np.column_stack([x, -4 * x[:, 0]]),
    "a sum": lambda x: np.column_stack([x, x[:, 0] + x[:, 1] + x[:, 2]]),
}


@pytest.mark.parametrize("alpha", [0.0, 1e-200])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("defect", DEFECTS)
def test_of_many_solutions_it_is_that_of_least_norm(defect, fit_intercept, alpha, dtype, rng):
    x = DEFECTS[defect]((rng.normal(size=(30, 6)) + 1).astype(dtype))
    y = rng.normal(size=(len(x), 2)).astype(dtype)
    w = rng.uniform(0.5, 2, len(x)).astype(dtype)
    u, v, *_ = (a.astype(np.float64) for a in deviations(x, y, w, fit_intercept))
    expected, bound = least_norm(u, v, np.finfo(dtype).eps)
    model = Ridge(alpha, fit_intercept=fit_intercept).fit(x, y, sample_weight=w)
    assert np.linalg.norm(model.coef_ - expected) <= bound
    assert bound < 0.1 * np.linalg.norm(expected)


def test_without_penalty_it_is_lstsq(rng):
    x, y = data(50, 6, 2, rng)
    for fit_intercept in (False, True):
        design = np.column_stack([x, np.ones(50)]) if fit_intercept else x
        expected = np.linalg.lstsq(design, y)[0][:6].T
        model = Ridge(0.0, fit_intercept=fit_intercept).fit(x, y)
        _, _, bound = exact(x, y, None, 0.0, fit_intercept)
        condition = np.linalg.cond(design)
        theirs = 16 * 50 * EPS * condition**2 * np.linalg.norm(expected)
        assert np.linalg.norm(model.coef_ - expected) <= EPS * bound + theirs


@pytest.mark.parametrize("alpha", [1e-15, 1e-9, 1e-6])
def test_a_penalty_decides_between_collinear_features(alpha, rng, singular_values):
    """For x = z B, the least |w|^2 with B w = v is v' (B B')^-1 v; v is well conditioned."""
    z = rng.integers(-500, 500, (40, 4)) / 256.0  # so that differences are exact
    b = np.column_stack([np.eye(4), [1, 0, -1, 0]])
    y = z @ [1, 2, -1, 0.5] + rng.normal(size=40)
    model = Ridge(alpha).fit(z @ b, y)
    assert singular_values
    u, v, *_ = deviations(z, y, None, True)
    metric = np.linalg.inv(b @ b.T)
    expected = b.T @ metric @ solve(u.T @ u + LD(alpha) * metric, u.T @ v)[:, 0]
    # The singular values that count are of a condition below 10.
    assert np.linalg.cond(u.astype(np.float64)) < 3
    bound = 16 * 40 * EPS * 10**2 * np.linalg.norm(v.astype(np.float64))
    assert np.abs(model.coef_ - expected).max() <= bound


def test_the_condition_decides_the_way(rng, singular_values):
    x, y = data(100, 3, 0, rng)
    Ridge(0.0).fit(x, y)
    assert not singular_values
    for gap, uses in ((1e-2, 0), (1e-5, 1), (1e-9, 1)):
        singular_values.clear()
        near = np.column_stack([x, x[:, 0] + gap * rng.normal(size=100)])
        model = Ridge(0.0).fit(near, y)
        assert len(singular_values) == uses
        # The residual is orthogonal to the features, to the rounding of values of their size.
        residual = y - model.predict(near)
        u, *_ = deviations(near, y, None, True)
        size = 100 * np.abs(near).max() * (np.abs(y).max() + np.abs(near).max() / gap)
        assert np.abs(u.T @ residual).max() <= 100 * EPS * size


def test_constant_features_and_targets(dtype, rng):
    x, y = (a.astype(dtype) for a in data(40, 3, 2, rng))
    y[:, 1] = 7
    constant = np.array([0.1, 0, 1e9], dtype) * np.ones((40, 1), dtype)
    for alpha in (0.0, 1e-30, 1.0):
        plain = Ridge(alpha).fit(x, y)
        model = Ridge(alpha).fit(np.column_stack([x, constant]), y)
        assert not model.coef_[:, 3:].any()
        coef, _, bound = exact(x, y, None, alpha, True)
        assert np.linalg.norm((model.coef_[:, :3] - coef).astype(float)) <= (
            np.finfo(dtype).eps * bound
        )
        assert np.abs(plain.predict(x)[:, 1] - 7).max() <= 64 * np.finfo(dtype).eps * 7
    only = Ridge(0.0).fit(np.ones((5, 2), dtype), np.arange(5))
    assert not only.coef_.any() and only.intercept_ == 2


def test_an_offset_costs_only_the_bits_of_the_data(dtype, rng):
    x, y = data(100, 3, 0, rng)
    x = (x + 1e4).astype(dtype)
    y = y.astype(dtype)
    coef, _, bound = exact(x, y, None, 0.0, True)
    model = Ridge(0.0).fit(x, y)
    assert np.linalg.norm((model.coef_ - coef).astype(float)) <= np.finfo(dtype).eps * bound


def test_scikit_learn_agrees(rng):
    linear_model = pytest.importorskip("sklearn.linear_model")
    for t in (0, 2):
        for alpha in (1e-3, 1.0, 100.0):
            for fit_intercept in (False, True):
                x, y = data(60, 8, t, rng)
                w = rng.uniform(0.1, 2, 60)
                ours = Ridge(alpha, fit_intercept=fit_intercept).fit(x, y, sample_weight=w)
                theirs = linear_model.Ridge(alpha, fit_intercept=fit_intercept, solver="svd")
                theirs.fit(x, y, sample_weight=w)
                assert ours.coef_.shape == theirs.coef_.shape
                _, _, bound = exact(x, y, w, alpha, fit_intercept)
                assert np.linalg.norm(ours.coef_ - theirs.coef_) <= 2 * EPS * bound
                assert abs(ours.score(x, y) - theirs.score(x, y)) <= 1000 * EPS


def test_a_weight_counts_as_that_many_rows(rng):
    x, y = data(50, 4, 2, rng)
    counts = rng.integers(0, 4, 50)
    rows = np.repeat(np.arange(50), counts)
    a, b = Ridge(0.5).fit(x, y, sample_weight=counts), Ridge(0.5).fit(x[rows], y[rows])
    _, _, bound = exact(x[rows], y[rows], None, 0.5, True)
    assert np.linalg.norm(a.coef_ - b.coef_) <= 2 * EPS * bound


# Bad input


X, Y = np.arange(12.0).reshape(6, 2) % 5, np.arange(6.0)


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (np.zeros((0, 2)), [], {}, "0 sample"),
        (np.zeros((6, 0)), Y, {}, "0 feature"),
        (Y, Y, {}, "Reshape your data"),
        (np.where(X == 3, np.nan, X), Y, {}, "NaN"),
        (np.where(X == 3, np.inf, X), Y, {}, "infinity"),
        (X, None, {}, "target y is None"),
        (X, Y[:5], {}, r"y has shape \(5,\)"),
        (X, np.zeros((6, 0)), {}, r"y has shape \(6, 0\)"),
        (X, np.zeros((6, 1, 1)), {}, "y has shape"),
        (X, np.where(Y == 2, np.nan, Y), {}, "y contains NaN"),
        (X, np.where(Y == 2, np.inf, Y), {}, "y contains"),
        (X.astype(np.float32), Y * 1e300, {}, "too large for float32"),
        (X, Y * 1j, {}, "y must hold real numbers"),
        (X, list("abcdef"), {}, "y must hold real numbers"),
        (X, Y, {"alpha": -1.0}, "alpha is -1"),
        (X, Y, {"alpha": np.nan}, "alpha is nan"),
        (X, Y, {"alpha": np.inf}, "alpha is inf"),
        (X, Y, {"w": [1, 1, 1, -1, 1, 1]}, "sample_weight"),
        (X, Y, {"w": [1, np.nan, 1, 1, 1, 1]}, "sample_weight"),
        (X, Y, {"w": [1, 1]}, "sample_weight"),
        (X, Y, {"w": np.zeros(6)}, "sample_weight"),
    ],
)
def test_bad_values(x, y, options, message):
    model = Ridge().fit(X, Y)
    coef, intercept = model.coef_.copy(), model.intercept_
    options = dict(options)
    w = options.pop("w", None)
    model.set_params(**options)
    with pytest.raises(ValueError, match=message):
        model.fit(x, y, sample_weight=w)
    assert np.array_equal(model.coef_, coef) and model.intercept_ == intercept


def test_other_misuse():
    with pytest.raises(TypeError, match="alpha"):
        Ridge(alpha=None).fit(X, Y)
    with pytest.raises(ValueError, match="not fitted yet"):
        Ridge().predict(X)
    model = Ridge().fit(X, Y)
    with pytest.raises(ValueError, match="X has 3 features, but Ridge is expecting 2 features"):
        model.predict(np.ones((2, 3)))
    with pytest.raises(ValueError, match="NaN"):
        model.predict(np.full((2, 2), np.nan))


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.loads])
def test_copies_answer_the_same(duplicate):
    model = Ridge(3.0, fit_intercept=False).fit(X, Y)
    twin = duplicate(pickle.dumps(model)) if duplicate is pickle.loads else duplicate(model)
    assert repr(twin) == repr(model) == "Ridge(alpha=3.0, fit_intercept=False)"
    assert np.array_equal(twin.predict(X), model.predict(X))
    assert twin.get_params() == {**Ridge().get_params(), "alpha": 3.0, "fit_intercept": False}


def test_clones_are_not_fitted():
    base = pytest.importorskip("sklearn.base")
    clone = base.clone(Ridge(2.0).fit(X, Y))
    assert clone.get_params() == Ridge(2.0).get_params() and not hasattr(clone, "coef_")


def test_inputs_are_not_changed():
    x, y, w = X + 1000, Y.copy(), np.ones(6)
    kept = x.copy(), y.copy(), w.copy()
    for alpha in (0.0, 1.0):
        Ridge(alpha).fit(x, y, sample_weight=w)
        Ridge(alpha).fit(x[:1], y[:1], sample_weight=w[:1])
    assert all(np.array_equal(a, b) for a, b in zip((x, y, w), kept))
