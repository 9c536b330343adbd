"""LogisticRegression as an estimator: predictions, bad input, and what a model keeps."""

import copy
import pickle

import logistic_oracle as oracle
import numpy as np
import pytest

import fastnn
from fastnn import GaussianClassifier, LogisticRegression
from fastnn.linear import ConvergenceWarning


@pytest.fixture(params=[2, 4], ids="{} classes".format)
def c(request):
    """Number of classes."""
    return request.param


@pytest.fixture
def fitted(c, dtype, rng):
    """A fitted model, and its data."""
    x, labels = oracle.data(80, 3, c, rng)
    x = x.astype(dtype)
    return LogisticRegression().fit(x, labels), x, labels


# Predictions


def test_predictions_follow_from_the_logits(fitted):
    model, x, _ = fitted
    eps = np.finfo(x.dtype).eps
    z = x.astype(np.longdouble) @ model.coef_.T + model.intercept_
    size = np.abs(x).astype(np.longdouble) @ np.abs(model.coef_.T) + np.abs(model.intercept_)
    bound = 5 * eps * size
    logits = model.decision_function(x).reshape(len(x), -1)
    assert logits.dtype == x.dtype and (np.abs(logits - z) <= bound).all()
    # An error of the logits, then a few units in the last place of exp, sums and quotients.
    relative = 2 * bound.max(axis=1, keepdims=True) + 16 * eps
    both = np.hstack([0 * z, z]) if z.shape[1] == 1 else z
    e = np.exp(both - both.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    probabilities, logarithms = model.predict_proba(x), model.predict_log_proba(x)
    assert probabilities.dtype == logarithms.dtype == x.dtype
    assert (np.abs(probabilities - p) <= relative * p).all()
    assert (np.abs(logarithms - np.log(p)) <= relative + 4 * eps * np.abs(np.log(p))).all()
    assert (np.abs(probabilities.sum(axis=1) - 1) <= 8 * eps).all()
    best = np.sort(p, axis=1)
    clear = best[:, -1] - best[:, -2] > 2 * relative[:, 0]
    assert clear.sum() > 70
    assert np.array_equal(model.predict(x)[clear], p.argmax(axis=1)[clear])


def test_one_dimension_of_decisions_for_two_classes(fitted, c):
    model, x, labels = fitted
    assert model.decision_function(x).shape == ((80,) if c == 2 else (80, 4))
    assert model.predict_proba(x).shape == model.predict_log_proba(x).shape == (80, c)
    assert model.score(x, labels) == (model.predict(x) == labels).mean()


def test_probabilities_far_out_are_not_lost(dtype):
    model = LogisticRegression().fit(np.array([[-1.0], [1.0]], dtype), [0, 1])
    slope = float(model.coef_[0, 0])
    far = np.array([[-50.0], [50.0]], dtype)
    p, log_p = model.predict_proba(far), model.predict_log_proba(far)
    eps = np.finfo(dtype).eps
    for row, small in ((0, 1), (1, 0)):
        # The logit 50 slope has a rounding of 50 slope eps, which is relative in the probability.
        assert abs(p[row, small] / np.exp(-50 * slope) - 1) <= (100 * slope + 8) * eps
        assert abs(log_p[row, small] + 50 * slope) <= (100 * slope + 8) * eps
        assert abs(log_p[row, 1 - small] / -np.exp(-50 * slope) - 1) <= (100 * slope + 8) * eps
    with np.errstate(under="ignore"):
        beyond = model.predict_log_proba(np.array([[-2e4]], dtype))
    assert beyond[0, 0] == 0 and np.isfinite(beyond).all()


def test_layouts_and_lists_give_the_same_model(fitted):
    model, x, labels = fitted
    eps = np.finfo(x.dtype).eps
    # Sums of 80 rows in another order, through Newton's last step; the compiled ones have one.
    exact = fastnn.backend() == "compiled"
    bound = 0.0 if exact else 1000 * eps * np.abs(model.coef_).max()
    wide = np.zeros((160, 7), x.dtype)
    wide[::2, 1::2] = x
    for same in (np.asfortranarray(x), wide[::2, 1::2], x[::-1].copy()[::-1]):
        again = LogisticRegression().fit(same, labels)
        assert np.abs(again.coef_ - model.coef_).max() <= bound
        assert np.abs(model.predict_proba(same) - model.predict_proba(x)).max() <= bound
    if x.dtype == np.float64:
        assert np.array_equal(LogisticRegression().fit(x.tolist(), labels).coef_, model.coef_)


def test_inputs_are_not_changed(fitted):
    model, x, labels = fitted
    weight = np.ones(80)
    x, labels = x + 1000, labels.copy()  # so that it is centred
    kept = x.copy(), labels.copy(), weight.copy()
    LogisticRegression(class_weight="balanced").fit(x, labels, sample_weight=weight)
    model.predict_proba(x)
    assert all(np.array_equal(a, b) for a, b in zip((x, labels, weight), kept))


@pytest.mark.parametrize(
    "names",
    [["no", "yes"], [False, True], [-5, 3], [1.0, 2.0], [b"a", b"b"], [(1, 2), (3, 4)]],
    ids=lambda names: type(names[0]).__name__,
)
def test_labels_of_any_kind(names, rng):
    x, labels = oracle.data(60, 3, 2, rng)
    y = [names[k] for k in labels]
    if isinstance(names[0], tuple):
        y = np.array([None] * 60, dtype=object)
        y[:] = [names[k] for k in labels]
    plain, model = LogisticRegression().fit(x, labels), LogisticRegression().fit(x, y)
    assert np.array_equal(plain.coef_, model.coef_)
    assert model.classes_.tolist() == names
    assert model.predict(x).tolist() == [names[k] for k in plain.predict(x)]
    assert model.score(x, y) == plain.score(x, labels)


def test_class_weights_are_by_name(rng):
    x, labels = oracle.data(60, 3, 2, rng)
    y = np.array(["no", "yes"])[labels]
    by_name = LogisticRegression(class_weight={"yes": 2.0}).fit(x, y)
    weighted = LogisticRegression().fit(x, y, sample_weight=np.where(labels, 2.0, 1.0))
    assert np.array_equal(by_name.coef_, weighted.coef_)


def test_a_weight_counts_as_that_many_rows(c, dtype, rng):
    x, labels = oracle.data(80, 3, c, rng)
    counts = rng.integers(0, 4, 80)
    rows = np.repeat(np.arange(80), counts)
    x = x.astype(dtype)
    options = {"C": 0.7, "tol": 0.0}
    a = LogisticRegression(**options).fit(x, labels, sample_weight=counts)
    b = LogisticRegression(**options).fit(x[rows], labels[rows])
    objective = oracle.Objective(x.astype(np.float64), labels, c, C=0.7, w=counts)
    bounds = [objective.distance(oracle.parameters(m)) for m in (a, b)]
    eps = np.finfo(dtype).eps
    apart = np.linalg.norm(oracle.parameters(a) - oracle.parameters(b))
    assert apart <= sum(bounds) + 80 * eps * np.abs(a.coef_).max() < 2000 * eps


def test_one_weight_is_for_all(rng):
    x, labels = oracle.data(60, 3, 2, rng)
    a = LogisticRegression(C=1.0).fit(x, labels, sample_weight=2.0)
    b = LogisticRegression(C=1.0).fit(x, labels, sample_weight=np.full(60, 2.0))
    assert np.array_equal(a.coef_, b.coef_)


# Bad input


def attributes(model):
    """Copies of what a model has learned."""
    return {k: copy.deepcopy(v) for k, v in vars(model).items() if k.endswith("_")}


def same_attributes(a, b):
    """Tell whether two such dicts are equal, arrays to the bit."""
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


X, Y = np.arange(12.0).reshape(6, 2) % 5, np.array([0, 1, 0, 1, 1, 0])


def changed(at, value, a=X):
    """A copy of an array with another value at a place."""
    a = a.astype(float)
    a[at] = value
    return a


BAD_DATA = {
    "no rows": (np.zeros((0, 2)), [], {}, "0 sample"),
    "no columns": (np.zeros((6, 0)), Y, {}, "0 feature"),
    "one dimension": (X[:, 0], Y, {}, "Reshape your data"),
    "three dimensions": (X[np.newaxis], Y, {}, "2 dimensions"),
    "NaN": (changed((1, 1), np.nan), Y, {}, "NaN"),
    "infinity": (changed((2, 0), -np.inf), Y, {}, "infinity"),
    "text": (X.astype(str), Y, {}, "numbers"),
    "complex": (X * 1j, Y, {}, "Complex"),
    "too large": (X * 1e200, Y, {"solver": "newton-cholesky"}, "overflows"),
    "few labels": (X, Y[:5], {}, "5 labels"),
    "no labels": (X, None, {}, "y"),
    "continuous labels": (X, Y + 0.5, {}, "continuous"),
    "missing label": (X, changed(3, np.nan, Y), {}, "NaN"),
    "one class": (X, np.zeros(6), {}, "at least 2 classes"),
    "labels in two columns": (X, np.column_stack([Y, Y]), {}, "labels"),
    "C of 0": (X, Y, {"C": 0}, "C is 0"),
    "negative C": (X, Y, {"C": -1.0}, "C is -1"),
    "C of NaN": (X, Y, {"C": np.nan}, "C is nan"),
    "C of -inf": (X, Y, {"C": -np.inf}, "C is -inf"),
    "unknown solver": (X, Y, {"solver": "adam"}, "unknown solver 'adam'; valid names: 'auto'"),
    "negative tol": (X, Y, {"tol": -1e-4}, "tol"),
    "infinite tol": (X, Y, {"tol": np.inf}, "tol"),
    "negative max_iter": (X, Y, {"max_iter": -1}, "max_iter"),
    "unknown class weight": (X, Y, {"class_weight": "equal"}, "class_weight 'equal'"),
    "class weight of others": (X, Y, {"class_weight": {0: 1, 7: 2}}, r"\[1\].*\[7\]"),
    "negative class weight": (X, Y, {"class_weight": {0: -1, 1: 2}}, "class_weight"),
    "a class of weight 0": (X, Y, {"class_weight": {1: 0}}, "class 1 is 0"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_values(case):
    x, y, options, message = BAD_DATA[case]
    model = LogisticRegression().fit(X, Y)
    model.set_params(**options)
    before = attributes(model)
    with pytest.raises(ValueError, match=message):
        model.fit(x, y)
    assert same_attributes(attributes(model), before)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1, 1, 1, -1, 1, 1], r"sample_weight\[3\]"),
        ([1, 1, np.nan, 1, 1, 1], r"sample_weight\[2\]"),
        ([1, 1, np.inf, 1, 1, 1], r"sample_weight\[2\]"),
        ([1, 1, 1], "sample_weight"),
        (np.ones((6, 1)), "sample_weight"),
        (np.zeros(6), "sample_weight"),
        (["a"] * 6, "sample_weight"),
        (1 - Y, "weight of class 1 is 0"),
    ],
)
def test_bad_weights(weight, message):
    model = LogisticRegression().fit(X, Y)
    before = attributes(model)
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y, sample_weight=weight)
    assert same_attributes(attributes(model), before)


@pytest.mark.parametrize(
    "options",
    [{"C": "1"}, {"C": None}, {"tol": "x"}, {"max_iter": 1.5}, {"class_weight": [1, 2]}],
    ids=str,
)
def test_parameters_of_another_kind(options):
    model = LogisticRegression(**options)
    if options.get("C") == "1":
        assert np.array_equal(model.fit(X, Y).coef_, LogisticRegression().fit(X, Y).coef_)
        return
    with pytest.raises(TypeError, match=next(iter(options))):
        model.fit(X, Y)
    assert not hasattr(model, "coef_")


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_log_proba", "decision_function"]
)
def test_bad_rows_of_predictions(method, c, rng):
    model = LogisticRegression()
    with pytest.raises(ValueError, match="not fitted yet"):
        getattr(model, method)(X)
    predict = getattr(model.fit(*oracle.data(40, 2, c, rng)), method)
    with pytest.raises(ValueError, match="X has 3 features, but LogisticRegression is expecting 2"):
        predict(np.ones((4, 3)))
    for bad, message in [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")]:
        with pytest.raises(ValueError, match=message):
            predict(changed((1, 1), bad))
    with pytest.raises(ValueError, match="Reshape your data"):
        predict(X[0])


def test_masked_is_refused():
    with pytest.raises(TypeError, match="masked"):
        LogisticRegression().fit(np.ma.masked_equal(X, 1.0), Y)


# What a model keeps


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.loads])
def test_copies_answer_the_same(duplicate, fitted):
    model, x, _ = fitted
    twin = duplicate(pickle.dumps(model)) if duplicate is pickle.loads else duplicate(model)
    assert same_attributes(attributes(twin), attributes(model))
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        assert np.array_equal(getattr(twin, method)(x), getattr(model, method)(x))


def test_standard_errors_are_pickled(rng):
    model = LogisticRegression(C=np.inf).fit(*oracle.data(100, 3, 2, rng))
    twin = pickle.loads(pickle.dumps(model))
    assert np.array_equal(twin.standard_errors().coef, model.standard_errors().coef)


def test_parameters_in_and_out():
    options = {"C": 2.0, "fit_intercept": False, "class_weight": "balanced", "solver": "lbfgs"}
    model = LogisticRegression(**options, tol=1e-3, max_iter=7, warm_start=True)
    everything = {**options, "tol": 1e-3, "max_iter": 7, "warm_start": True}
    assert model.get_params() == {**LogisticRegression().get_params(), **everything}
    assert LogisticRegression().set_params(**everything).get_params() == model.get_params()
    assert repr(LogisticRegression(C=2.0)) == "LogisticRegression(C=2.0)"
    with pytest.raises(ValueError, match="no parameter 'multi_class'"):
        model.set_params(multi_class="auto")


def test_clones_are_not_fitted():
    base = pytest.importorskip("sklearn.base")
    model = LogisticRegression(C=3.0).fit(X, Y)
    clone = base.clone(model)
    assert clone.get_params() == model.get_params() and not hasattr(clone, "coef_")


@pytest.mark.parametrize("solver", ["auto", "newton-cholesky", "lbfgs"])
@pytest.mark.parametrize("n", [100, 5000])
def test_a_warm_start_goes_on_from_the_solution(n, solver, c, dtype, rng):
    x, labels = oracle.data(n, 3, c, rng)
    x = (x + [1000, 0, 0]).astype(dtype)
    model = LogisticRegression(solver=solver, warm_start=True).fit(x, labels)
    first = model.coef_.copy()
    assert model.n_iter_[0] >= 1
    model.set_params(tol=1.001e-4).fit(x, labels)  # as coef_ is rounded
    assert model.n_iter_[0] <= 1
    assert np.abs(model.coef_ - first).max() <= 0.02 * np.abs(first).max()
    cold = LogisticRegression(solver=solver).fit(x[:, :2], labels)
    model.set_params(tol=1e-4).fit(x[:, :2], labels)  # another shape: from zero
    assert np.array_equal(model.coef_, cold.coef_)


def test_a_fit_in_steps_ends_at_the_solution(c, rng):
    x, labels = oracle.data(100, 3, c, rng)
    model = LogisticRegression(max_iter=1, warm_start=True, tol=1e-6)
    for _ in range(20):
        try:
            model.fit(x, labels)
            break
        except ConvergenceWarning:  # the tests take warnings for errors; the model has its step
            assert model.n_iter_[0] == 1
    assert oracle.Objective(x, labels, c).distance(oracle.parameters(model)) < 1e-4


def test_a_gaussian_classifier_makes_a_model(c, dtype, rng):
    x, labels = oracle.data(200, 3, c, rng)
    gaussian = GaussianClassifier("shared").fit(x.astype(dtype), labels)
    model = gaussian.to_logistic()
    assert isinstance(model, LogisticRegression)
    apart = np.abs(model.predict_proba(x) - gaussian.predict_proba(x)).max()
    size = np.abs(x).max() * np.abs(model.coef_).sum() + np.abs(model.intercept_).max()
    assert apart <= 32 * np.finfo(dtype).eps * size
    assert model.score(x, labels) == gaussian.score(x, labels)
    model.set_params(warm_start=True).fit(x, labels)
    assert oracle.Objective(x, labels, c).distance(oracle.parameters(model)) < 0.1
