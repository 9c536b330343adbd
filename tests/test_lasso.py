"""Logistic regression with absolute values in its penalty."""

import logistic_oracle as oracle
import numpy as np
import pytest

from fastnn import LogisticRegression, _lasso
from fastnn.linear import ConvergenceWarning

EPS = np.finfo(float).eps
TOL = 1e-10
every_count = pytest.mark.parametrize("c", [2, 3, 4])
every_share = pytest.mark.parametrize("l1_ratio", [1.0, 0.3])


def softmax(z):
    """Probabilities (n, c) of logits."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def excess(model, x, labels, w=None):
    """How far the model is from a minimum: the largest entry of its smallest subgradient.

    Of the mean loss with the penalty, as `tol` is; by the formulas, in float64.
    """
    w = np.ones(len(x)) if w is None else w
    z = x @ model.coef_.T.astype(float) + model.intercept_
    z = np.hstack([np.zeros_like(z), z]) if z.shape[1] == 1 else z
    y = labels[:, np.newaxis] == model.classes_
    delta = (softmax(z) - y) * (w / w.sum())[:, np.newaxis]
    delta = delta[:, 1:] if len(model.classes_) == 2 else delta
    coef, strength = model.coef_.astype(float), 1 / (model.C * w.sum())
    g = delta.T @ x + (1 - model.l1_ratio) * strength * coef
    absolute = model.l1_ratio * strength
    away = np.abs(g + absolute * np.sign(coef))
    held = np.maximum(np.abs(g) - absolute, 0)
    found = np.where(coef != 0, away, held).max()
    return max(found, np.abs(delta.sum(axis=0)).max()) if model.fit_intercept else found


def rounding(model, x, dtype):
    """What sums over the rows, and coefficients in that dtype, may lose of a gradient."""
    reach = np.abs(x).max()
    move = np.finfo(dtype).eps * np.abs(model.coef_).sum(axis=1).max() * reach
    return reach * (64 * EPS * np.sqrt(len(x)) + move)


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("C", [0.05, 1.0, 20.0])
@every_share
@every_count
def test_it_ends_at_a_minimum(c, l1_ratio, C, fit_intercept, rng):
    x, labels = oracle.data(150, 8, c, rng)
    w = rng.uniform(0.2, 2, 150)
    model = LogisticRegression(
        l1_ratio=l1_ratio, C=C, tol=TOL, max_iter=500, fit_intercept=fit_intercept
    )
    model.fit(x, labels, sample_weight=w)
    assert excess(model, x, labels, w) <= TOL + rounding(model, x, float)
    assert fit_intercept or not model.intercept_.any()


def test_the_measure_rejects_another_point(rng):
    x, labels = oracle.data(150, 8, 2, rng)
    model = LogisticRegression(l1_ratio=1.0, C=0.1, tol=TOL).fit(x, labels)
    zeros = model.coef_ == 0
    assert zeros.any() and not zeros.all()
    model.coef_ = model.coef_ * (1 + 1e-4)
    assert excess(model, x, labels) > 1e-6
    model = LogisticRegression(C=0.1, tol=TOL).fit(x, labels)  # of squares
    model.l1_ratio = 1.0
    assert excess(model, x, labels) > 1e-4


def test_a_strong_penalty_leaves_nothing(rng):
    """Up to the C at which the first gradient reaches the penalty, all coefficients are 0."""
    x, labels = oracle.data(100, 5, 2, rng)
    share = np.mean(labels == np.unique(labels)[1])
    first = np.abs(x.T @ (share - (labels == np.unique(labels)[1]))).max()
    options = {"l1_ratio": 1.0, "tol": TOL}
    assert not LogisticRegression(C=0.999 / first, **options).fit(x, labels).coef_.any()
    model = LogisticRegression(C=1.01 / first, **options).fit(x, labels)
    assert (model.coef_ != 0).sum() == 1
    assert abs(model.intercept_[0] - np.log(share / (1 - share))) < 0.05


@every_share
@every_count
def test_features_far_from_zero_float32_and_sparse_rows(c, l1_ratio, dtype, rng):
    x, labels = oracle.data(120, 6, c, rng)
    options = {"l1_ratio": l1_ratio, "C": 0.5, "tol": 1e-9, "max_iter": 500}
    plain = LogisticRegression(**options).fit(x, labels)
    scipy_sparse = pytest.importorskip("scipy.sparse")
    kept = (x * (x > 0)).astype(dtype)
    sparse = LogisticRegression(**options).fit(scipy_sparse.csr_array(kept), labels)
    assert sparse.coef_.dtype == dtype
    assert excess(sparse, kept.astype(float), labels) <= 1e-9 + rounding(sparse, kept, dtype)
    far = (x + 1000.0).astype(dtype)
    model = LogisticRegression(**options).fit(far, labels)
    moved = far.astype(float) - 1000.0
    model.intercept_ = model.intercept_ + 1000.0 * model.coef_.astype(float).sum(axis=1)
    lost = 1000 * np.finfo(dtype).eps * np.abs(model.coef_).sum()
    assert excess(model, moved, labels) <= 1e-9 + 10 * lost + rounding(model, x, dtype)
    assert np.isfinite(plain.coef_).all()


@pytest.mark.parametrize("sparse", [False, True])
@every_share
@pytest.mark.parametrize("c", [2, 3])
def test_many_features_are_solved_in_parts(c, l1_ratio, sparse, rng):
    x, labels = oracle.data(60, 4, c, rng)
    x = np.hstack([x, rng.normal(size=(60, 1200)) * (rng.random((60, 1200)) < 0.3)])
    rows = pytest.importorskip("scipy.sparse").csc_array(x) if sparse else x
    model = LogisticRegression(l1_ratio=l1_ratio, C=0.5, tol=TOL, max_iter=500).fit(rows, labels)
    assert excess(model, x, labels) <= TOL + rounding(model, x, float)
    assert 0 < (model.coef_ != 0).sum() < 400 * c
    assert model.coef_.shape == ((1 if c == 2 else c), 1204)


def test_the_parts_end_where_the_whole_does(rng, monkeypatch):
    x, labels = oracle.data(80, 30, 2, rng)
    options = {"l1_ratio": 0.5, "C": 0.3, "tol": TOL}
    whole = LogisticRegression(**options).fit(x, labels)
    monkeypatch.setattr(_lasso, "_MOST_PARAMETERS", 4)
    monkeypatch.setattr(_lasso, "_FIRST_FEATURES", 2)
    parts = LogisticRegression(**options, max_iter=500).fit(x, labels)
    # The squares' part makes the minimum one, with a Hessian of at least 1/2 / (C n).
    assert np.abs(whole.coef_ - parts.coef_).max() <= 2 * TOL * 2 * 0.3 * 80 * np.sqrt(31)


@pytest.mark.parametrize("C", [0.1, 1.0])
def test_liblinear_penalises_the_intercept_alike(C, rng):
    x, labels = oracle.data(90, 4, 2, rng)
    model = LogisticRegression(solver="liblinear", l1_ratio=1, C=C, tol=TOL, intercept_scaling=2.0)
    model.fit(x + [3.0, 0, 0, 0], labels)
    v = np.append(model.coef_[0], model.intercept_ / 2.0)
    rows = np.column_stack([x + [3.0, 0, 0, 0], np.full(90, 2.0)])
    wide = LogisticRegression(l1_ratio=1.0, C=C, fit_intercept=False)
    wide.coef_, wide.intercept_, wide.classes_ = v[np.newaxis], np.zeros(1), model.classes_
    assert excess(wide, rows, labels) <= TOL + rounding(wide, rows, float)


def test_the_peer_ends_there_too(rng):
    peer = pytest.importorskip("sklearn.linear_model")
    x, labels = oracle.data(200, 5, 2, rng)
    for solver, l1_ratio in (("saga", 1.0), ("saga", 0.5), ("liblinear", 1.0)):
        options = {"solver": solver, "l1_ratio": l1_ratio, "C": 0.2, "tol": 1e-10}
        theirs = peer.LogisticRegression(**options, max_iter=20000, random_state=0).fit(x, labels)
        ours = LogisticRegression(**options).fit(x, labels)
        assert np.abs(ours.coef_ - theirs.coef_).max() < 1e-5  # as far as theirs goes
        assert np.abs(ours.intercept_ - theirs.intercept_).max() < 1e-5


@every_count
def test_starts_and_limits(c, rng):
    x, labels = oracle.data(100, 6, c, rng)
    options = {"l1_ratio": 0.7, "C": 0.5, "tol": 1e-8}
    model = LogisticRegression(**options, warm_start=True).fit(x, labels)
    assert model.n_iter_[0] > 1
    before = model.coef_
    assert model.fit(x, labels).n_iter_[0] <= 1
    assert np.abs(model.coef_ - before).max() <= 1e-8 * 100
    with pytest.warns(ConvergenceWarning, match="not converged after 1 iterations"):
        LogisticRegression(**options, max_iter=1).fit(x, labels)
    other = LogisticRegression(**options)
    other.fit(x, labels, coef_init=model.coef_, intercept_init=model.intercept_)
    assert other.n_iter_[0] <= 1


def test_results_do_not_depend_on_threads(rng):
    x, labels = oracle.data(3000, 10, 3, rng)
    options = {"l1_ratio": 0.5, "C": 0.01}
    one = LogisticRegression(**options, num_threads=1).fit(x, labels)
    two = LogisticRegression(**options, num_threads=2).fit(x, labels)
    assert np.array_equal(one.coef_, two.coef_) and (one.coef_ == 0).any()


@pytest.mark.parametrize("c", [3, 4])
def test_a_weak_penalty_of_features_of_unlike_sizes(c, rng):
    """Coordinate descent alone would creep here."""
    x = rng.normal(size=(80, 30)) * 10.0 ** rng.integers(-3, 4, 30)
    labels = (rng.gumbel(size=(80, c)) + x[:, :1] / np.abs(x[:, 0]).max()).argmax(axis=1)
    model = LogisticRegression(l1_ratio=1.0, C=100.0, tol=1e-7, fit_intercept=False)
    model.fit(x, labels)
    assert excess(model, x, labels) <= 1e-7 + 10 * rounding(model, x, float)


def test_a_constant_and_an_empty_feature(rng):
    x, labels = oracle.data(60, 3, 2, rng)
    x = np.hstack([x, np.zeros((60, 1)), np.ones((60, 1))])
    for l1_ratio in (0.5, 1.0):
        model = LogisticRegression(l1_ratio=l1_ratio, tol=TOL).fit(x, labels)
        assert not model.coef_[0, 3:].any()
        assert excess(model, x, labels) <= TOL + rounding(model, x, float)


BAD = {
    "solver": ({"solver": "lbfgs"}, "solver 'lbfgs' supports only penalties of squares"),
    "mixture": ({"solver": "liblinear"}, "'liblinear' does not mix penalties"),
    "dual": ({"solver": "liblinear", "dual": True, "l1_ratio": 1}, "no dual here"),
    "beyond 1": ({"l1_ratio": 1.5}, "l1_ratio is 1.5"),
}


@pytest.mark.parametrize("case", BAD)
def test_settings_that_are_refused(case, rng):
    options, message = BAD[case]
    model = LogisticRegression(**{"l1_ratio": 0.5, **options})
    with pytest.raises(ValueError, match=message):
        model.fit(*oracle.data(30, 2, 2, rng))
    assert not hasattr(model, "coef_")
