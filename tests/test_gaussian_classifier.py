"""GaussianClassifier: what it learns and predicts, against the formulas and scikit-learn."""

import copy
import doctest
import inspect
import pickle

import gaussian_oracle as oracle
import numpy as np
import pytest
from formulas import assert_within
from model_formulas import EPS64, posterior

from fastnn import GaussianClassifier, _gaussian_prediction, gaussian
from fastnn.datasets import load_digits16

KINDS = ("full", "shared", "diag")
ANSWERS = {
    "joint": "joint_log_likelihood",
    "log_proba": "predict_log_proba",
    "proba": "predict_proba",
    "log_density": "score_samples",
}


@pytest.fixture(params=KINDS)
def kind(request):
    """Each covariance."""
    return request.param


def check_posterior(model, x, joint, bound):
    """Assert that all methods answer what follows from the joint density, within its bound."""
    eps = np.finfo(x.dtype).eps
    for what, expected in posterior(joint, bound, eps).items():
        answer = getattr(model, ANSWERS[what])(x)
        assert answer.dtype == x.dtype
        assert_within(answer, expected)
    clear = np.sort(joint, axis=1)
    clear = clear[:, -1] - clear[:, -2] > 2 * bound.max(axis=1)
    assert clear.mean() > 0.9
    predicted = model.predict(x)
    assert np.array_equal(predicted[clear], model.classes_[joint.argmax(axis=1)][clear])


def fitted(kind, x, y, w=None, **options):
    """A model, and the oracle's weights, means and covariances."""
    model = GaussianClassifier(kind, **options).fit(x, y, sample_weight=w)
    weights, means, plain = oracle.moments(x, y, model.classes_, w)
    return model, weights, means, oracle.covariances(kind, weights, plain)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_formulas(kind, dtype, weighted, rng):
    x, y = oracle.blobs(rng, dtype)
    w = rng.uniform(0.5, 2, len(x)).astype(dtype) if weighted else None
    model, weights, means, covs = fitted(kind, x, y, w, store_covariance=True)
    n, eps = len(x), np.finfo(dtype).eps
    size = np.abs(x).max()
    assert_within(model.class_count_, (weights, n * EPS64 * weights))
    assert_within(model.priors_, (weights / weights.sum(), 2 * n * EPS64 * np.ones(3)))
    assert_within(model.means_, (means, np.full(means.shape, (n + 4) * eps * size)))
    full = model.covariance_
    full = full[:, np.newaxis] * np.eye(3) if kind == "diag" else np.broadcast_to(full, covs.shape)
    assert_within(full, (covs, np.full(covs.shape, (n + 8) * eps * size**2)))
    assert not np.any(model.shrinkage_)
    assert np.array_equal(model.classes_, [0, 1, 2]) and model.n_features_in_ == 3
    joint = oracle.log_joint(x, means, covs, weights / weights.sum(), n, eps)
    check_posterior(model, x, *joint)


def test_the_oracle_rejects_covariances_divided_by_n_minus_1(kind, rng):
    x, y = oracle.blobs(rng)
    model, weights, means, covs = fitted(kind, x, y)
    wrong = covs * (weights / (weights - 1))[:, np.newaxis, np.newaxis]
    joint, bound = oracle.log_joint(x, means, wrong, weights / 240, 240, EPS64)
    with pytest.raises(AssertionError, match="beyond their bounds"):
        assert_within(model.joint_log_likelihood(x), (joint, bound))


def test_weights_count_rows(kind, rng):
    x, y = oracle.blobs(rng)
    w = rng.integers(0, 4, len(x))
    model = GaussianClassifier(kind).fit(x, y, w)
    twin = GaussianClassifier(kind).fit(np.repeat(x, w, axis=0), np.repeat(y, w))
    weights, means, plain = oracle.moments(x, y, model.classes_, w)
    covs = oracle.covariances(kind, weights, plain)
    joint, bound = oracle.log_joint(x, means, covs, weights / weights.sum(), w.sum(), EPS64)
    for m in (model, twin):
        check_posterior(m, x, joint, bound)
    scaled = GaussianClassifier(kind).fit(x, y, 0.5)
    assert np.array_equal(scaled.class_count_, [40, 40, 40])


@pytest.mark.parametrize(
    "name, options, kind",
    [
        ("LinearDiscriminantAnalysis", {"solver": "lsqr"}, "shared"),
        ("LinearDiscriminantAnalysis", {"solver": "eigen"}, "shared"),
        ("QuadraticDiscriminantAnalysis", {}, "full"),
        ("QuadraticDiscriminantAnalysis", {"priors": [0.2, 0.3, 0.5]}, "full"),
        ("GaussianNB", {"var_smoothing": 0}, "diag"),
        ("GaussianNB", {"var_smoothing": 0, "priors": [0.2, 0.3, 0.5]}, "diag"),
    ],
)
def test_scikit_learn_agrees(name, options, kind, rng):
    pytest.importorskip("sklearn", minversion="1.9")
    from sklearn import discriminant_analysis, naive_bayes

    x, y = oracle.blobs(rng)
    peer = getattr(discriminant_analysis, name, None) or getattr(naive_bayes, name)
    peer = peer(**options).fit(x, y)
    model, _, means, covs = fitted(kind, x, y, priors=options.get("priors"))
    joint, bound = oracle.log_joint(x, means, covs, model.priors_, len(x), EPS64)
    # The peer has the same error; its logits of "shared" are from the origin.
    size = 1 + np.abs(x).max() / np.abs(x - x.mean(axis=0)).max()
    _, bound = posterior(joint, (1 + size) * bound, EPS64)["proba"]
    assert_within(peer.predict_proba(x), (model.predict_proba(x), bound))
    assert np.array_equal(peer.predict(x), model.predict(x))


def test_decision_function(kind, rng):
    x, y = oracle.blobs(rng)
    model = GaussianClassifier(kind).fit(x, y)
    assert np.array_equal(model.decision_function(x), model.predict_log_proba(x))
    two = GaussianClassifier(kind).fit(x, y == 1)
    joint = two.joint_log_likelihood(x)
    assert np.array_equal(two.decision_function(x), joint[:, 1] - joint[:, 0])
    assert np.array_equal(two.decision_function(x) > 0, two.predict(x))


def test_log_posteriors_do_not_come_from_rounded_posteriors(kind, dtype):
    x = np.array([[-5.0], [-3.0], [3.0], [5.0]], dtype)
    model = GaussianClassifier(kind).fit(x, [0, 0, 1, 1])
    assert model.predict_proba(x)[0, 0] == 1
    # The logits are 40 apart, (9^2 - 1^2) / 2 with variances of 1, of a few numbers of that size.
    tail, error = np.exp(-40.0), 8 * 40 * np.finfo(dtype).eps
    assert_within(
        model.predict_log_proba(x)[0], (np.array([-tail, -40]), np.array([tail, 1]) * error)
    )


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_an_offset_of_a_million_deviations_costs_nothing(kind, scale, rng):
    x, y = oracle.blobs(rng, offset=1e6)
    x *= scale
    model, weights, means, covs = fitted(kind, x, y)
    joint = oracle.log_joint(x, means, covs, weights / weights.sum(), len(x), EPS64)
    check_posterior(model, x, *joint)


def test_float32_data_with_an_offset(kind, rng):
    x, y = oracle.blobs(rng, "float32", offset=2000.0)
    model, weights, means, covs = fitted(kind, x, y)
    eps = np.finfo(np.float32).eps
    check_posterior(
        model, x, *oracle.log_joint(x, means, covs, weights / weights.sum(), len(x), eps)
    )


def test_strided_and_converted_input(kind, dtype, rng):
    x, y = oracle.blobs(rng, dtype, d=4)
    model = GaussianClassifier(kind).fit(x, y)
    expected = model.predict_proba(x)
    bound = 64 * np.finfo(dtype).eps * np.ones(expected.shape)  # rows may be summed in other orders
    wide = np.zeros((len(x), 8), dtype)
    wide[:, ::2] = x
    for view in (
        np.asfortranarray(x),
        wide[:, ::2],
        x[::-1][::-1],
        x.astype(x.dtype.newbyteorder()),
    ):
        twin = GaussianClassifier(kind).fit(view, y)
        assert_within(twin.predict_proba(view), (expected, bound))
    whole = np.round(x * 8)
    as_lists = GaussianClassifier(kind).fit(whole.astype(int).tolist(), y.tolist())
    assert as_lists.predict_proba(whole.astype(np.int8)).dtype == np.float64
    before = x.copy()
    model.fit(x, y).predict(x)
    assert np.array_equal(x, before)


@pytest.mark.parametrize(
    "names",
    [
        ["b", "a", "c"],
        [True, False],
        [-3, 7, -(2**40)],
        np.array([2**64 - 1, 0, 5], np.uint64),
        [2.0, 0.0, -1.0],
        np.array(["low", "high"], object),
        np.array([(1, 2), (0, 1), None], object)[:2],
        np.array([3, 1], np.int8),
    ],
)
def test_labels_of_any_kind(names, rng):
    names = np.array(names)
    x, y = oracle.blobs(rng, c=len(names))
    model = GaussianClassifier().fit(x, names[y])
    assert model.classes_.dtype == names.dtype
    assert model.classes_.tolist() == sorted(names.tolist())
    predicted = model.predict(x)
    assert predicted.dtype == names.dtype
    assert np.mean([p == t for p, t in zip(predicted, names[y])]) > 0.6
    assert model.score(x, names[y]) == np.mean(predicted == names[y])


def test_one_class_is_always_predicted(kind, dtype, rng):
    x, _ = oracle.blobs(rng, dtype)
    model = GaussianClassifier(kind).fit(x, ["only"] * len(x))
    assert (model.predict(x) == "only").all()
    assert (model.predict_proba(x) == 1).all() and model.decision_function(x).shape == (len(x), 1)
    assert np.array_equal(model.score_samples(x), model.joint_log_likelihood(x)[:, 0])


def test_given_priors(kind, rng):
    x, y = oracle.blobs(rng)
    plain = GaussianClassifier(kind).fit(x, y)
    model = GaussianClassifier(kind, priors=(0.5, 0.0, 0.5)).fit(x, y)
    assert np.array_equal(model.priors_, [0.5, 0, 0.5])
    joint = model.joint_log_likelihood(x)
    assert (joint[:, 1] == -np.inf).all() and (model.predict_proba(x)[:, 1] == 0).all()
    assert np.isin(model.predict(x), [0, 2]).all() and np.isfinite(model.score_samples(x)).all()
    shift = plain.joint_log_likelihood(x)[:, ::2] - np.log(1 / 3) + np.log(0.5)
    assert_within(joint[:, ::2], (shift, 8 * EPS64 * (1 + np.abs(shift))))


@pytest.mark.parametrize(
    "priors, message",
    [
        ([0.5, 0.6, -0.1], "at least 0 and sum to 1"),
        ([0.5, 0.25, 0.2], "at least 0 and sum to 1"),
        ([0.5, 0.5, 1e-7], "at least 0 and sum to 1"),
        ([0.5, np.nan, 0.5], "at least 0 and sum to 1"),
        ([0.5, 0.5], r"shape \(2,\), but there are 3 classes"),
        (["a", "b", "c"], "not numbers"),
    ],
)
def test_priors_that_are_none(priors, message, rng):
    x, y = oracle.blobs(rng)
    with pytest.raises(ValueError, match=message):
        GaussianClassifier(priors=priors).fit(x, y)
    exact = GaussianClassifier(priors=[1 / 3, 1 / 3, 0.333333333]).fit(x, y)
    assert abs(exact.priors_.sum() - 1) <= 3 * EPS64


@pytest.mark.parametrize(
    "w, message",
    [
        (-1, r"sample_weight\[3\] is -1.0"),
        (np.nan, r"sample_weight\[3\] is nan"),
        (np.inf, r"sample_weight\[3\] is inf"),
    ],
)
def test_weights_that_are_none(w, message, rng):
    x, y = oracle.blobs(rng)
    weights = np.ones(len(x))
    weights[3] = w
    with pytest.raises(ValueError, match=message):
        GaussianClassifier().fit(x, y, weights)
    with pytest.raises(ValueError, match="zero for every row"):
        GaussianClassifier().fit(x, y, np.zeros(len(x)))
    with pytest.raises(ValueError, match="class 1 is left without weight"):
        GaussianClassifier().fit(x, y, (y != 1).astype(float))


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"covariance": "tied"},
            "unknown covariance 'tied'; valid names: 'full', 'shared', 'diag'",
        ),
        ({"missing": "drop"}, "unknown missing"),
        ({"shrinkage": "best"}, "shrinkage is 'best'"),
        ({"shrinkage": 1.5}, "shrinkage is 1.5: it must be between 0 and 1"),
        ({"shrinkage": -0.1}, "between 0 and 1"),
    ],
)
def test_parameters_that_are_none(options, message, rng):
    x, y = oracle.blobs(rng)
    model = GaussianClassifier(**options)  # only fit looks at them
    with pytest.raises(ValueError, match=message):
        model.fit(x, y)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(x, y)
    assert not hasattr(model, "classes_")


@pytest.mark.parametrize(
    "x, y, message",
    [
        (np.empty((0, 2)), [], r"0 sample\(s\)"),
        (np.empty((2, 0)), [0, 1], r"0 feature\(s\)"),
        (np.ones(2), [0, 1], "Reshape your data"),
        (np.ones((2, 2)), [0], "y has 1 labels, but X has 2 rows"),
        (np.ones((2, 2)), [0.5, 1], "Unknown label type: continuous"),
        ([[np.inf], [0]], [0, 1], r"infinity, first at X\[0, 0\]"),
        ([[1e200], [-1e200]], [0, 0], "overflow"),
    ],
)
def test_data_that_is_none(x, y, message, kind):
    with pytest.raises(ValueError, match=message):
        GaussianClassifier(kind).fit(x, y)


def test_a_different_number_of_features(kind, rng):
    x, y = oracle.blobs(rng, d=4)
    model = GaussianClassifier(kind).fit(x, y)
    message = "X has 3 features, but GaussianClassifier is expecting 4 features as input"
    for method in (*ANSWERS.values(), "predict", "decision_function"):
        with pytest.raises(ValueError, match=message):
            getattr(model, method)(x[:, :3])
    for method in (model.partial_fit, model.forget, model.score):
        with pytest.raises(ValueError, match=message):
            method(x[:, :3], y)


def test_an_error_leaves_the_model_as_it_was(kind, rng):
    x, y = oracle.blobs(rng)
    model = GaussianClassifier(kind).fit(x, y)
    state, expected = dict(model.__dict__), model.predict_proba(x)
    bad = x.copy()
    bad[-1, -1] = np.inf
    for method in (model.fit, model.partial_fit, model.forget):
        with pytest.raises(ValueError, match="infinity"):
            method(bad, y)
    model.set_params(priors=[1.0])
    for method in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match="priors have shape"):
            method(x, y)
    model.set_params(priors=None)
    assert all(model.__dict__[name] is value for name, value in state.items())
    assert np.array_equal(model.predict_proba(x), expected)


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies_predict_the_same_bits_and_learn_on_their_own(duplicate, kind, dtype, rng):
    x, y = oracle.blobs(rng, dtype)
    model = GaussianClassifier(kind, store_covariance=True).fit(x, y)
    expected = model.predict_proba(x)
    twin = duplicate(model)
    assert np.array_equal(twin.predict_proba(x), expected)
    assert twin.get_params() == model.get_params() and repr(twin) == repr(model)
    twin.partial_fit(x[:7] + 1, y[:7])
    assert np.array_equal(model.predict_proba(x), expected)
    assert not np.array_equal(twin.predict_proba(x), expected)


def test_covariance_is_kept_on_demand(kind, rng):
    x, y = oracle.blobs(rng)
    model = GaussianClassifier(kind, store_covariance=True).fit(x, y)
    shapes = {"full": (3, 3, 3), "shared": (3, 3), "diag": (3, 3)}
    assert model.covariance_.shape == shapes[kind]
    assert not hasattr(model.set_params(store_covariance=False).fit(x, y), "covariance_")


def test_samples_have_the_moments_of_the_model(kind, dtype, rng):
    x, y = oracle.blobs(rng, dtype, n=90)
    model = GaussianClassifier(kind, priors=[0.5, 0.2, 0.3], store_covariance=True)
    model.fit(x, np.array(["a", "b", "c"])[y])
    n = 20_000
    drawn, labels = model.sample(n, random_state=3)
    assert drawn.shape == (n, 3) and drawn.dtype == dtype and labels.dtype == model.classes_.dtype
    for k, name in enumerate(model.classes_):
        rows = drawn[labels == name].astype(float)
        assert abs(len(rows) / n - model.priors_[k]) < 5 * 0.5 / np.sqrt(n)  # 5 deviations
        cov = model.covariance_ if kind == "shared" else model.covariance_[k]
        variance = cov if kind == "diag" else np.diagonal(cov)
        error = (rows.mean(axis=0) - model.means_[k]) / np.sqrt(variance)
        assert np.abs(error).max() < 5 / np.sqrt(len(rows))
        empirical = np.cov(rows.T, bias=True) - (np.diag(cov) if kind == "diag" else cov)
        scale = np.sqrt(np.outer(variance, variance))
        assert np.abs(empirical / scale).max() < 5 * np.sqrt(2 / len(rows))
    again, _ = model.sample(n, random_state=np.random.default_rng(3))
    assert np.array_equal(again, drawn)
    legacy = [model.sample(5, random_state=np.random.RandomState(0))[0] for _ in range(2)]
    assert np.array_equal(*legacy)


@pytest.mark.parametrize("n", [0, -1])
def test_no_samples(n, rng):
    model = GaussianClassifier().fit(*oracle.blobs(rng))
    with pytest.raises(ValueError, match="n_samples"):
        model.sample(n)
    with pytest.raises(TypeError, match="n_samples"):
        model.sample(1.5)


@pytest.mark.parametrize("c", [2, 4])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_a_shared_covariance_is_a_logistic_regression(c, offset, dtype, rng):
    x, y = oracle.blobs(rng, dtype, c=c, offset=offset)
    model, _, means, covs = fitted("shared", x, y, priors=np.arange(1, c + 1) / (c**2 + c) * 2)
    logistic = model.to_logistic()
    assert logistic.coef_.shape == ((1, 3) if c == 2 else (c, 3))
    assert logistic.coef_.dtype == logistic.intercept_.dtype == dtype
    joint, bound = oracle.log_joint(x, means, covs, model.priors_, len(x), EPS64)
    # The logits are x w + b from the origin, in the dtype of x.
    eps = np.finfo(dtype).eps
    size = np.abs(x).max(axis=1, keepdims=True) * np.abs(logistic.coef_).sum(axis=1).max()
    size = size + np.abs(logistic.intercept_).max()
    _, bound = posterior(joint, bound + 8 * eps * size, eps)["proba"]
    proba = logistic.predict_proba(x)
    assert proba.dtype == dtype
    assert_within(proba, (model.predict_proba(x), 2 * bound))
    assert np.array_equal(logistic.classes_, model.classes_)


def test_other_models_are_no_logistic_regression(rng):
    x, y = oracle.blobs(rng)
    for kind in ("full", "diag"):
        with pytest.raises(ValueError, match=f"covariance is '{kind}'"):
            GaussianClassifier(kind).fit(x, y).to_logistic()
    with pytest.raises(ValueError, match="prior 0"):
        GaussianClassifier("shared", priors=[0, 0.5, 0.5]).fit(x, y).to_logistic()
    with pytest.raises(ValueError, match="not fitted"):
        GaussianClassifier("shared").to_logistic()


@pytest.mark.parametrize("kind, least", [("full", 0.92), ("shared", 0.86), ("diag", 0.7)])
def test_digits_need_no_help(kind, least):
    digits = load_digits16()
    model = GaussianClassifier(kind).fit(digits.x_train, digits.y_train)
    assert model.score(digits.x_test, digits.y_test) >= least


NOT_MET = {
    "check_classifiers_train": "float32 log posteriors are finer than those of rounded posteriors",
    "check_estimators_nan_inf": "NaN in prediction is a missing value",
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("missing", ["error", "marginalize"])
def test_scikit_learn_finds_no_fault(kind, missing):
    pytest.importorskip("sklearn", minversion="1.6")
    from sklearn.utils.estimator_checks import check_estimator

    results = check_estimator(
        GaussianClassifier(kind, missing=missing), expected_failed_checks=NOT_MET, on_fail=None
    )
    failed = [(r["check_name"], r["exception"]) for r in results if r["status"] == "failed"]
    assert not failed and len(results) > 50


@pytest.mark.parametrize("module", [gaussian, _gaussian_prediction])
def test_examples_run(module):
    results = doctest.testmod(module)
    assert results.attempted and not results.failed


def test_every_method_is_documented():
    for name, method in inspect.getmembers(GaussianClassifier, inspect.isfunction):
        if name.startswith("_") or name.endswith("_request"):
            continue
        doc = inspect.getdoc(method)
        assert "\nReturns\n-------\n" in doc or name == "save"
        for parameter in list(inspect.signature(method).parameters)[1:]:
            assert f"\n{parameter} : " in doc or f"\n**{parameter}" in doc
