"""LinearDiscriminantAnalysis and QuadraticDiscriminantAnalysis: definitions, scikit-learn, limits.

Agreement: sums over n rows have relative errors of up to (n + 8) eps, elementwise, in units of the
deviations. That moves a solution of Sigma w = b by at most d kappa of itself, kappa the condition
number of Sigma, which the data here keep small; eigenvectors move by as much over the relative gap
of the eigenvalues, which GAP bounds from below for the data here.
"""

import importlib
import pickle

import gaussian_oracle as oracle
import numpy as np
import pytest
from formulas import assert_within

import fastnn
from fastnn import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis

D = 4
GAP = 0.02
PRIORS = {2: [0.3, 0.7], 3: [0.2, 0.5, 0.3]}
LDA = [
    {},
    {"store_covariance": True},
    {"solver": "lsqr"},
    {"solver": "lsqr", "shrinkage": 0.3},
    {"solver": "lsqr", "shrinkage": "auto"},
    {"solver": "eigen"},
    {"solver": "eigen", "shrinkage": 0.3},
    {"solver": "eigen", "shrinkage": "auto"},
]
QDA = [
    {"store_covariance": True},
    {"reg_param": 0.2, "store_covariance": True},
    {"solver": "eigen"},
    {"solver": "eigen", "shrinkage": 0.3},
    {"solver": "eigen", "shrinkage": "auto", "store_covariance": True},
]


def written(options):
    """The id of a case."""
    return "-".join(str(v) for v in options.values()) or "default"


def case(rng, c=3, dtype="float64", n=240):
    """Rows of c classes of spread D, labels, and what an error in the last place can grow to."""
    x, y = oracle.blobs(rng, dtype, n, D, c)
    y = np.array(["cherry", "apple", "banana"])[:c][y]
    _, _, covs = oracle.moments(x, y, np.unique(y))
    kappa = max(np.linalg.cond(cov.astype(float)) for cov in [*covs, covs.mean(axis=0)])
    return x, y, (n + 8) * D * kappa * np.finfo(dtype).eps


def agree(mine, theirs, error):
    """Assert that arrays differ by no more than `error` of their largest element."""
    mine, theirs = np.asarray(mine), np.asarray(theirs)
    assert_within(mine, (theirs, np.full(theirs.shape, error * np.abs(theirs).max())))


@pytest.fixture
def theirs():
    """scikit-learn's module of the same models."""
    pytest.importorskip("sklearn", minversion="1.9")
    return importlib.import_module("sklearn.discriminant_analysis")


# Linear


@pytest.mark.parametrize("given", [False, True], ids=["shares", "priors"])
@pytest.mark.parametrize("c", [2, 3])
@pytest.mark.parametrize("options", LDA, ids=written)
def test_linear_agrees_with_scikit_learn(options, c, given, rng, theirs):
    x, y, error = case(rng, c)
    options = options | ({"priors": PRIORS[c]} if given else {})
    mine = LinearDiscriminantAnalysis(**options).fit(x, y)
    other = theirs.LinearDiscriminantAnalysis(**options).fit(x, y)
    learned = {name for name in vars(other) if name.endswith("_")}
    assert learned == {name for name in vars(mine) if name.endswith("_")}
    assert np.array_equal(mine.classes_, other.classes_)
    for name in learned - {"classes_", "scalings_"}:
        agree(getattr(mine, name), getattr(other, name), 2 * error)
    z = other.decision_function(x)
    agree(mine.decision_function(x), z, 4 * error)
    # A posterior moves by no more than its logits, which move by that much of the largest.
    bound = 8 * error * np.abs(z).max()
    assert np.abs(mine.predict_proba(x) - other.predict_proba(x)).max() <= bound
    near = np.sort(other.predict_proba(x), axis=1)
    clear = near[:, -1] - near[:, -2] > 2 * bound
    assert clear.mean() > 0.9
    assert np.array_equal(mine.predict(x)[clear], other.predict(x)[clear])
    if mine.solver != "lsqr":
        columns = c - 1
        assert mine.scalings_.shape == other.scalings_.shape
        a, b = np.abs(mine.scalings_[:, :columns]), np.abs(other.scalings_[:, :columns])
        agree(a, b, error / GAP)
        agree(np.abs(mine.transform(x)), np.abs(other.transform(x)), error / GAP)
        assert mine.get_feature_names_out().tolist() == other.get_feature_names_out().tolist()


def test_the_oracle_rejects_another_shrinkage(rng, theirs):
    x, y, error = case(rng)
    a = LinearDiscriminantAnalysis("lsqr", shrinkage=0.3).fit(x, y)
    b = theirs.LinearDiscriminantAnalysis("lsqr", shrinkage=0.3000001).fit(x, y)
    with pytest.raises(AssertionError):
        agree(a.coef_, b.coef_, 2 * error)


@pytest.mark.parametrize("solver", ["svd", "lsqr", "eigen"])
def test_the_linear_formula(solver, dtype, rng):
    x, y, error = case(rng, dtype=dtype)
    model = LinearDiscriminantAnalysis(solver).fit(x, y)
    weights, means, covs = oracle.moments(x, y, model.classes_)
    covariance = oracle.covariances("shared", weights, covs)[0]
    w = np.linalg.solve(covariance.astype(float), means.T.astype(float))
    b = np.log((weights / weights.sum()).astype(float)) - 0.5 * (w * means.T.astype(float)).sum(0)
    expected = x @ w + b
    expected -= expected.mean(axis=1, keepdims=True)
    z = model.decision_function(x)
    assert z.dtype == model.coef_.dtype == model.means_.dtype == x.dtype
    agree(z - z.mean(axis=1, keepdims=True), expected, 8 * error)


def test_discriminants_have_variance_one_within_classes(rng):
    x, y, error = case(rng)
    for solver in ("svd", "eigen"):
        model = LinearDiscriminantAnalysis(solver).fit(x, y)
        t = model.transform(x)
        weights, _, covs = oracle.moments(t, y, model.classes_)
        agree(oracle.covariances("shared", weights, covs)[0].astype(float), np.eye(2), error)
        largest = np.abs(model.scalings_).argmax(axis=0)
        assert (model.scalings_[largest, np.arange(model.scalings_.shape[1])] > 0).all()


def test_components_are_the_first_ones(rng):
    x, y, error = case(rng)
    every = LinearDiscriminantAnalysis().fit(x, y)
    one = LinearDiscriminantAnalysis(n_components=1)
    agree(one.fit_transform(x, y), every.transform(x)[:, :1], error)
    assert len(one.explained_variance_ratio_) == 1
    assert abs(every.explained_variance_ratio_.sum() - 1) <= 4 * np.finfo(float).eps
    assert one.get_feature_names_out().tolist() == ["lineardiscriminantanalysis0"]
    with pytest.raises(ValueError, match="n_components cannot be larger than 2"):
        LinearDiscriminantAnalysis(n_components=3).fit(x, y)
    with pytest.raises(ValueError, match="n_components is 0"):
        LinearDiscriminantAnalysis(n_components=0).fit(x, y)


@pytest.mark.parametrize("kind", ["copied column", "constant column", "few rows"])
def test_singular_covariances_are_told(kind, rng, theirs):
    x, y, _ = case(rng)
    if kind == "few rows":
        x, y = rng.normal(size=(9, 12)), np.arange(9) % 3
    else:
        x[:, 3] = x[:, 0] if kind == "copied column" else 7.0
    with pytest.warns(UserWarning, match="within classes has rank"):
        mine = LinearDiscriminantAnalysis().fit(x, y)
    other = theirs.LinearDiscriminantAnalysis().fit(x, y)
    deviations = x - np.stack([x[y == k].mean(axis=0) for k in y])
    s = np.linalg.svd(deviations / np.where(deviations.any(axis=0), deviations.std(axis=0), 1))[1]
    kappa = (s[0] / s[s > 1e-6].min()) ** 2
    agree(mine.coef_, other.coef_, 2 * (len(x) + 8) * x.shape[1] * kappa * np.finfo(float).eps)
    with pytest.warns(UserWarning, match="within classes has rank"):
        LinearDiscriminantAnalysis("lsqr").fit(x, y)
    model = LinearDiscriminantAnalysis("eigen")
    with pytest.raises(np.linalg.LinAlgError, match="singular to working precision"):
        model.fit(x, y)
    assert not hasattr(model, "classes_")


def test_classes_of_equal_rows_have_no_scale():
    with pytest.raises(ValueError, match="constant within each class"):
        LinearDiscriminantAnalysis().fit([[0.0], [0.0], [1.0], [1.0]], [0, 0, 1, 1])


def test_units_do_not_matter(rng):
    x, y, error = case(rng)
    units = np.array([1e-6, 1.0, 1e3, 1e9])
    a = LinearDiscriminantAnalysis().fit(x, y)
    b = LinearDiscriminantAnalysis().fit(x * units, y)
    agree(b.coef_ * units, a.coef_, 2 * error)


@pytest.mark.parametrize("solver", ["svd", "lsqr", "eigen"])
def test_one_class_is_always_predicted(solver, rng):
    x = rng.normal(3.0, size=(20, 3))
    model = LinearDiscriminantAnalysis(solver).fit(x, ["only"] * 20)
    assert (model.predict(x) == "only").all()
    assert (model.predict_proba(x) == 1).all()


def test_linear_warns_of_priors_that_do_not_sum_to_one(rng):
    x, y, _ = case(rng, 2)
    with pytest.warns(UserWarning, match="not to 1"):
        model = LinearDiscriminantAnalysis(priors=[1, 3]).fit(x, y)
    assert np.array_equal(model.priors_, [0.25, 0.75])
    never = LinearDiscriminantAnalysis(priors=[0.0, 1.0]).fit(x, y)
    assert (never.predict(x) == "cherry").all() and (never.predict_proba(x)[:, 0] == 0).all()


def test_what_another_solver_learned_is_gone(rng):
    x, y, _ = case(rng)
    model = LinearDiscriminantAnalysis().fit(x, y)
    model.set_params(solver="lsqr").fit(x, y)
    assert not hasattr(model, "scalings_") and not hasattr(model, "xbar_")
    with pytest.raises(NotImplementedError, match="transform not implemented for 'lsqr'"):
        model.transform(x)
    before = model.coef_
    with pytest.raises(ValueError, match="priors must be non-negative"):
        model.set_params(priors=[-1, 1, 1]).fit(x, y)
    assert model.coef_ is before


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_transform_returns_frames(container, rng):
    frames = pytest.importorskip(container)
    x, y, _ = case(rng)
    model = LinearDiscriminantAnalysis().fit(x, y)
    values = model.transform(x)
    framed = model.set_output(transform=container).set_output(transform=None).transform(x)
    assert isinstance(framed, frames.DataFrame)
    assert list(framed.columns) == model.get_feature_names_out().tolist()
    assert np.array_equal(framed.to_numpy(), values)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).transform(x).to_numpy(), values)
    assert np.array_equal(model.set_output(transform="default").transform(x), values)
    with pytest.raises(ValueError, match="must be one of"):
        model.set_output(transform="arrow")


def test_frames_keep_their_row_labels(rng):
    pandas = pytest.importorskip("pandas")
    x, y, _ = case(rng)
    frame = pandas.DataFrame(x, index=[f"row {i}" for i in range(len(x))], columns=list("abcd"))
    model = LinearDiscriminantAnalysis().set_output(transform="pandas")
    assert model.fit_transform(frame, y).index.equals(frame.index)


def test_the_setting_of_scikit_learn_holds(rng):
    sklearn, pandas = pytest.importorskip("sklearn"), pytest.importorskip("pandas")
    x, y, _ = case(rng)
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(LinearDiscriminantAnalysis().fit_transform(x, y), pandas.DataFrame)


# Quadratic


@pytest.mark.parametrize("given", [False, True], ids=["shares", "priors"])
@pytest.mark.parametrize("c", [2, 3])
@pytest.mark.parametrize("options", QDA, ids=written)
def test_quadratic_agrees_with_scikit_learn(options, c, given, rng, theirs):
    x, y, error = case(rng, c)
    options = options | ({"priors": PRIORS[c]} if given else {})
    mine = QuadraticDiscriminantAnalysis(**options).fit(x, y)
    other = theirs.QuadraticDiscriminantAnalysis(**options).fit(x, y)
    learned = {name for name in vars(other) if name.endswith("_")}
    assert learned | {"class_count_"} == {name for name in vars(mine) if name.endswith("_")}
    assert np.array_equal(mine.classes_, other.classes_)
    for name in learned - {"classes_", "rotations_"}:
        agree(getattr(mine, name), getattr(other, name), 2 * error)
    agree(np.abs(mine.rotations_), np.abs(other.rotations_), error / GAP)
    z = other.decision_function(x)
    agree(mine.decision_function(x), z, 4 * error)
    bound = 8 * error * np.abs(z).max()
    assert np.abs(mine.predict_proba(x) - other.predict_proba(x)).max() <= bound
    assert (mine.predict(x) == other.predict(x)).mean() > 0.99


def test_quadratic_attributes_have_the_dtype_of_x(dtype, rng):
    x, y, _ = case(rng, dtype=dtype)
    model = QuadraticDiscriminantAnalysis(store_covariance=True).fit(x, y)
    for name in ("means_", "priors_", "scalings_", "rotations_", "covariance_"):
        assert np.asarray(getattr(model, name)).dtype == dtype
    assert model.predict_proba(x).dtype == np.float64


@pytest.mark.skipif(fastnn.backend() == "numpy", reason="a contract of the compiled kernels")
def test_a_row_has_the_same_bits_alone(dtype, rng):
    x, y, _ = case(rng, dtype=dtype)
    model = QuadraticDiscriminantAnalysis().fit(x, y)
    whole = model.predict_proba(x)
    alone = np.concatenate([model.predict_proba(x[i : i + 1]) for i in range(len(x))])
    assert np.array_equal(whole, alone)


def test_quadratic_refuses_singular_covariances(rng):
    x, y, _ = case(rng)
    model = QuadraticDiscriminantAnalysis().fit(x, y)
    before = model.means_
    constant = x.copy()
    constant[y == "banana", 1] = 3.0
    with pytest.raises(np.linalg.LinAlgError, match="class 'banana' is not full rank.*reg_param"):
        model.fit(constant, y)
    with pytest.raises(np.linalg.LinAlgError, match="is not full rank.*`shrinkage`"):
        QuadraticDiscriminantAnalysis(solver="eigen").fit(constant, y)
    with pytest.raises(np.linalg.LinAlgError, match="is not full rank"):
        QuadraticDiscriminantAnalysis(tol=0.0).fit(constant, y)
    assert model.means_ is before
    for options in ({"reg_param": 0.01}, {"solver": "eigen", "shrinkage": 0.01}):
        assert QuadraticDiscriminantAnalysis(**options).fit(constant, y).score(constant, y) > 0.5


def test_reg_param_mends_classes_of_few_rows(rng):
    x, y = rng.normal(size=(12, 5)), np.arange(12) % 3
    model = QuadraticDiscriminantAnalysis(reg_param=0.3, store_covariance=True).fit(x, y)
    _, _, covs = oracle.moments(x, y, model.classes_)
    error = 20 * np.finfo(float).eps
    agree(model.covariance_, (0.7 * covs + 0.3 * np.eye(5)).astype(float), error)


def test_quadratic_needs_two_classes_of_two_rows(rng):
    x = rng.normal(size=(6, 2))
    with pytest.raises(ValueError, match="The number of classes must be greater than 1"):
        QuadraticDiscriminantAnalysis().fit(x, [1] * 6)
    with pytest.raises(ValueError, match="y has only 1 sample in class 'b'"):
        QuadraticDiscriminantAnalysis().fit(x, list("aaaaab"))


def test_quadratic_learns_in_parts(rng):
    x, y, error = case(rng)
    whole = QuadraticDiscriminantAnalysis().fit(x, y)
    parts = QuadraticDiscriminantAnalysis().partial_fit(x[:100], y[:100])
    parts.partial_fit(x[100:], y[100:])
    agree(parts.scalings_, whole.scalings_, error)
    merged = QuadraticDiscriminantAnalysis().fit(x[:100], y[:100])
    merged.merge(QuadraticDiscriminantAnalysis().fit(x[100:], y[100:]))
    agree(merged.scalings_, whole.scalings_, error)
    auto = QuadraticDiscriminantAnalysis(solver="eigen", shrinkage="auto").fit(x, y)
    with pytest.raises(ValueError, match="need the rows themselves"):
        auto.partial_fit(x, y)


# Both

BOTH = pytest.mark.parametrize(
    "model_type", [LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis]
)


WEIGHTED = [
    (LinearDiscriminantAnalysis, "fit", None),
    (LinearDiscriminantAnalysis, "fit", 0.3),
    (LinearDiscriminantAnalysis, "fit", "auto"),
    (QuadraticDiscriminantAnalysis, "partial_fit", None),
    (QuadraticDiscriminantAnalysis, "partial_fit", 0.3),
]


@pytest.mark.parametrize(("model_type", "method", "shrinkage"), WEIGHTED)
def test_a_weight_counts_as_so_many_rows(model_type, method, shrinkage, rng):
    x, y, error = case(rng)
    w = rng.integers(0, 4, len(x))
    options = {} if shrinkage is None else {"solver": "eigen", "shrinkage": shrinkage}
    weighted = getattr(model_type(**options), method)(x, y, sample_weight=w)
    repeated = model_type(**options).fit(x.repeat(w, axis=0), y.repeat(w))
    agree(weighted.priors_, repeated.priors_, error)
    agree(weighted.predict_proba(x), repeated.predict_proba(x), 16 * error)


@BOTH
def test_a_covariance_estimator_is_asked(model_type, rng):
    class Fixed:
        def fit(self, x):
            self.covariance_ = np.diag([1.0, 2.0, 3.0, 4.0]) * len(x) / 80

    x, y, error = case(rng)
    model = model_type(solver="eigen", covariance_estimator=Fixed(), store_covariance=True)
    model.fit(x, y)
    expected = np.diag([1.0, 2.0, 3.0, 4.0])
    found = model.covariance_ if model_type is LinearDiscriminantAnalysis else model.covariance_[2]
    agree(found, expected, error)
    if model_type is LinearDiscriminantAnalysis:
        with pytest.raises(ValueError, match="sample_weight cannot be passed on"):
            model.fit(x, y, sample_weight=np.ones(len(x)))
    dull = type("Dull", (), {"fit": lambda self, x: self})()
    with pytest.raises(ValueError, match="Dull has no covariance_"):
        model.set_params(covariance_estimator=dull).fit(x, y)
    with pytest.raises(ValueError, match="must have a method fit"):
        model.set_params(covariance_estimator=3).fit(x, y)


@BOTH
@pytest.mark.parametrize(
    "options, kind, message",
    [
        ({"solver": "qr"}, ValueError, "unknown solver 'qr'"),
        ({"solver": "eigen", "shrinkage": "some"}, ValueError, "unknown shrinkage 'some'"),
        ({"solver": "eigen", "shrinkage": 1.5}, ValueError, "shrinkage is 1.5"),
        ({"shrinkage": 0.5}, NotImplementedError, "not supported with solver='svd'"),
        ({"shrinkage": "auto"}, NotImplementedError, "not supported with solver='svd'"),
        ({"tol": -1}, ValueError, "tol is -1"),
        ({"tol": "small"}, TypeError, "tol must be a number"),
        ({"priors": [0.5, 0.5]}, ValueError, "there are 3 classes"),
        ({"priors": [0.5, -0.5, 1.0]}, ValueError, "priors must be non-negative"),
        ({"priors": [0.0, 0.0, 0.0]}, ValueError, "positive"),
        ({"priors": ["a", "b", "c"]}, ValueError, "not numbers"),
        ({"covariance_estimator": Ellipsis}, ValueError, "must have a method fit"),
    ],
    ids=repr,
)
def test_parameters_are_checked(model_type, options, kind, message, rng):
    x, y, _ = case(rng)
    with pytest.raises(kind, match=message):
        model_type(**options).fit(x, y)


@BOTH
def test_an_estimator_excludes_shrinkage_and_svd(model_type, rng):
    x, y, _ = case(rng)
    estimator = type("Estimator", (), {"fit": lambda self, x: self})()
    with pytest.raises(ValueError, match="not supported with solver='svd'"):
        model_type(covariance_estimator=estimator).fit(x, y)
    with pytest.raises(ValueError, match="either covariance_estimator or shrinkage"):
        model_type(solver="eigen", shrinkage=0.1, covariance_estimator=estimator).fit(x, y)


@BOTH
def test_rows_that_are_too_large_are_refused(model_type):
    with pytest.raises(ValueError, match="too large|overflow"):
        model_type().fit([[-1e200], [1e200], [-1e200], [1e200]], [0, 0, 1, 1])


def test_there_must_be_more_rows_than_classes():
    with pytest.raises(ValueError, match="The number of samples must be more than"):
        LinearDiscriminantAnalysis().fit([[0.5, 0.6], [0.6, 0.5]], ["a", "b"])
    with pytest.raises(ValueError, match="'b' is left without weight"):
        LinearDiscriminantAnalysis().fit(np.eye(3), list("aab"), sample_weight=[1, 1, 0])
