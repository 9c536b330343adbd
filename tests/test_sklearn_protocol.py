"""Every estimator in scikit-learn's hands: its checks of estimators, its tools, and its settings."""

import doctest
import inspect
import pickle
import warnings

import numpy as np
import pytest

import fastnn
from fastnn import _estimator, _metadata

sklearn = pytest.importorskip("sklearn", minversion="1.9")

from sklearn import calibration, ensemble, model_selection, pipeline, preprocessing
from sklearn.utils.estimator_checks import parametrize_with_checks

# Settings under which each estimator is checked.
SETTINGS = {
    "GaussianClassifier": [
        {"covariance": kind, "missing": "error"} for kind in ("full", "shared", "diag")
    ],
    "GaussianNB": [{}],
    "LinearDiscriminantAnalysis": [{}, {"solver": "eigen", "shrinkage": 0.1}],
    "LogisticRegression": [
        {},
        {"solver": "newton-cholesky"},
        {"solver": "lbfgs"},
        {"class_weight": "balanced", "C": 3.0},
        {"solver": "liblinear"},
        {"l1_ratio": 0.5},
    ],
    # With less regularisation its sigmoids saturate at 1, which one check does not want to see.
    "MLPClassifier": [{}, {"solver": "lbfgs", "alpha": 0.1}],
    "MLPRegressor": [{}, {"solver": "lbfgs"}],
    "QuadraticDiscriminantAnalysis": [{}, {"reg_param": 0.1}],
    "Ridge": [{}, {"alpha": 0.0, "fit_intercept": False}, {"positive": True}, {"solver": "svd"}],
}


def present():
    """The estimators of fastnn by name."""
    return {name: getattr(fastnn, name) for name in SETTINGS}


def not_met(model):
    """The checks that a model need not pass, with reasons; scikit-learn's own need not, either."""
    if type(model) is fastnn.Ridge:
        return {"check_non_transformer_estimators_n_iter": "a direct solution takes no iterations"}
    return {}


MODELS = [cls(**given) for name, cls in present().items() for given in SETTINGS[name]]
every_class = pytest.mark.parametrize("cls", present().values(), ids=lambda cls: cls.__name__)
# Those whose fit takes weights of rows.
WEIGHTED = [c for c in present().values() if c is not fastnn.QuadraticDiscriminantAnalysis]
every_weighted_class = pytest.mark.parametrize("cls", WEIGHTED, ids=lambda cls: cls.__name__)


def test_every_estimator_is_checked():
    public = [getattr(fastnn, name) for name in fastnn.__all__]
    estimators = {c for c in public if inspect.isclass(c) and issubclass(c, _estimator.Estimator)}
    assert estimators == set(present().values())


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of estimators that do not inherit from scikit-learn's
    every_check = parametrize_with_checks(MODELS, expected_failed_checks=not_met, xfail_strict=True)


def is_finer(estimator, check):
    """Whether a log posterior may be exact, in float32, where its posterior rounds to 1."""
    train = check.func.__name__ == "check_classifiers_train"
    in_float32 = check.keywords.get("X_dtype") == "float32"
    return type(estimator) is fastnn.GaussianClassifier and train and in_float32


@every_check
def test_checks_of_scikit_learn(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fits that the checks cut short, among others
        try:
            check(estimator)
        except AssertionError as error:
            if not is_finer(estimator, check) or "atol=1e-09" not in str(error):
                raise
            pytest.xfail("the check compares it with the logarithm of that 1")


# Its tools


def example(cls, n=120, d=4):
    """Rows and targets (labels, for a classifier) that a model can learn."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, d))
    y = x[:, 0] + 0.5 * x[:, 1] + 0.1 * rng.normal(size=n)
    return x, (y if issubclass(cls, _estimator.RegressorMixin) else (y > 0).astype(int))


@pytest.fixture
def routing():
    """Metadata routing, switched on."""
    with sklearn.config_context(enable_metadata_routing=True):
        yield


quiet = pytest.mark.filterwarnings("ignore::fastnn.linear.ConvergenceWarning")


@quiet
@every_class
def test_pipelines_and_searches(cls):
    x, y = example(cls)
    model = pipeline.make_pipeline(preprocessing.StandardScaler(), cls())
    assert model.fit(x, y).score(x, y) > 0.8
    scores = model_selection.cross_val_score(cls(), x, y, cv=3)
    assert scores.shape == (3,) and scores.min() > 0.7
    name, values = {
        "LogisticRegression": ("C", [1e-6, 1.0]),
        "Ridge": ("alpha", [1e6, 1.0]),
        "GaussianNB": ("var_smoothing", [1e6, 1e-9]),
        "GaussianClassifier": ("shrinkage", [0.0, 0.1]),
        "LinearDiscriminantAnalysis": ("tol", [1e-3, 1e-4]),
        "QuadraticDiscriminantAnalysis": ("reg_param", [0.0, 0.1]),
    }.get(cls.__name__, ("max_iter", [1, 200]))
    search = model_selection.GridSearchCV(cls(), {name: values}, cv=3).fit(x, y)
    assert search.best_params_[name] in values and type(search.best_estimator_) is cls
    if cls.__name__ in ("LogisticRegression", "Ridge", "GaussianNB"):
        assert search.best_params_[name] == values[1]


@quiet
@every_class
def test_ensembles(cls):
    x, y = example(cls)
    if issubclass(cls, _estimator.RegressorMixin):
        voting = ensemble.VotingRegressor([("a", cls()), ("b", cls())]).fit(x, y)
        assert voting.score(x, y) > 0.8
        return
    voting = ensemble.VotingClassifier([("a", cls()), ("b", cls())], voting="soft").fit(x, y)
    assert voting.score(x, y) > 0.8
    calibrated = calibration.CalibratedClassifierCV(cls(), cv=3).fit(x, y)
    assert np.abs(calibrated.predict_proba(x).sum(axis=1) - 1).max() <= 4 * np.finfo(float).eps


@every_class
def test_clones_have_the_parameters_alone(cls):
    x, y = example(cls)
    for given in SETTINGS[cls.__name__]:
        model = cls(**given)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(x, y)
        twin = sklearn.base.clone(model)
        assert twin.get_params() == model.get_params() and not hasattr(twin, "n_features_in_")
        assert repr(twin) == repr(model) and repr(cls()) == f"{cls.__name__}()"


# Metadata routing


def requests(cls):
    """The methods set_..._request of a class: name, method and arguments."""
    for name in dir(cls):
        if name.startswith("set_") and name.endswith("_request") and hasattr(cls, name):
            method = name.removeprefix("set_").removesuffix("_request")
            yield name, method, list(inspect.signature(getattr(cls, name)).parameters)[1:]


@every_class
def test_what_can_be_requested_is_what_methods_take(cls):
    found = {method: names for _, method, names in requests(cls)}
    assert ("sample_weight" in found.get("fit", [])) == (cls in WEIGHTED)
    assert found["score"] == ["sample_weight"]
    assert ("partial_fit" in found) == hasattr(cls, "partial_fit")
    for method, names in found.items():
        taken = set(inspect.signature(getattr(cls, method)).parameters) - {"self", "X", "y"}
        assert set(names) == {name for name in taken if not name.endswith("_params")}
    routed = cls().get_metadata_routing()
    for method, names in found.items():
        assert getattr(routed, method).requests == dict.fromkeys(names)
    assert routed.predict.requests == {}


@every_class
def test_examples_of_requests_run(cls):
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
    for name, _, _ in requests(cls):
        (case,) = finder.find(getattr(cls, name), name, module=False, globs={})
        assert runner.run(case) == (0, 2)


def test_examples_of_routing_run():
    results = doctest.testmod(_metadata)
    assert results.attempted and not results.failed


def test_requests_need_routing():
    for cls in WEIGHTED:
        with pytest.raises(RuntimeError, match="only available when metadata routing is enabled"):
            cls().set_fit_request(sample_weight=True)


@pytest.mark.usefixtures("routing")
def test_requests():
    model = fastnn.Ridge()
    assert model.set_fit_request(sample_weight=True) is model
    assert fastnn.Ridge.set_score_request(model, sample_weight="weight") is model
    for same in (model, sklearn.base.clone(model), pickle.loads(pickle.dumps(model))):
        routed = same.get_metadata_routing()
        assert routed.fit.requests == {"sample_weight": True}
        assert routed.score.requests == {"sample_weight": "weight"}
    twin = sklearn.base.clone(model).set_fit_request(sample_weight=False)
    assert model.get_metadata_routing().fit.requests == {"sample_weight": True}
    assert twin.get_metadata_routing().fit.requests == {"sample_weight": False}
    assert fastnn.Ridge().get_metadata_routing().fit.requests == {"sample_weight": None}
    with pytest.raises(TypeError, match=r"Ridge.fit has no arguments \['weight'\]"):
        model.set_fit_request(weight=True)
    with pytest.raises(TypeError, match="positional"):
        model.set_fit_request(True)


@quiet
@every_weighted_class
@pytest.mark.usefixtures("routing")
def test_weights_arrive_through_a_pipeline(cls):
    x, y = example(cls)
    w = np.random.default_rng(5).uniform(0.1, 3, len(x))
    fixed = {"random_state": 0} if "random_state" in cls().get_params() else {}
    direct = cls(**fixed).fit(x, y, sample_weight=w)
    plain = cls(**fixed).fit(x, y)
    assert not np.array_equal(values(direct, x), values(plain, x))
    asking = cls(**fixed).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    model = pipeline.Pipeline([("model", asking)]).fit(x, y, sample_weight=w)
    assert np.array_equal(values(model, x), values(direct, x))
    refusing = cls(**fixed).set_fit_request(sample_weight=False)
    model = pipeline.Pipeline([("model", refusing)])
    with pytest.raises(TypeError, match="sample_weight"):
        model.fit(x, y, sample_weight=w)
    silent = pipeline.Pipeline([("model", cls())])
    with pytest.raises(ValueError, match="sample_weight"):
        silent.fit(x, y, sample_weight=w)
    scores = model_selection.cross_validate(asking, x, y, params={"sample_weight": w}, cv=3)
    assert scores["test_score"].shape == (3,)


def values(model, x):
    """What a model says of rows, as numbers."""
    return model.predict_proba(x) if hasattr(model, "predict_proba") else model.predict(x)


# set_output: of those that transform


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_pipelines_pass_frames_on(container):
    frames = pytest.importorskip(container)
    x, y = example(fastnn.LinearDiscriminantAnalysis)
    scaler, lda = preprocessing.StandardScaler(), fastnn.LinearDiscriminantAnalysis()
    model = pipeline.make_pipeline(scaler, lda).set_output(transform=container)
    given = frames.DataFrame({f"f{j}": x[:, j] for j in range(4)})
    out = model.fit(given, y).transform(given)
    assert isinstance(out, frames.DataFrame)
    assert list(out.columns) == ["lineardiscriminantanalysis0"]
    assert lda.feature_names_in_.tolist() == ["f0", "f1", "f2", "f3"]


# Notebooks


@every_class
def test_html(cls):
    for given in SETTINGS[cls.__name__]:
        model = cls(**given)
        html = model._repr_html_()
        assert f"{cls.__name__} <small>(not fitted)" in html
        for name, value in model.get_params().items():
            row = (
                "given"
                if given.get(name, cls().get_params()[name]) != cls().get_params()[name]
                else "default"
            )
            shown = repr(value).replace("'", "&#x27;")
            assert f'<tr class="{row}"><td>{name}</td><td>{shown}</td></tr>' in html
        bundle = model._repr_mimebundle_(include=None)
        assert bundle == {"text/plain": repr(model), "text/html": html}
    diagram = sklearn.utils.estimator_html_repr(pipeline.make_pipeline(cls()))
    assert cls.__name__ in diagram


def test_html_is_escaped():
    html = fastnn.Ridge(alpha="<b>&'\"")._repr_html_()
    assert "<b>" not in html and "&lt;b&gt;&amp;" in html and "&quot;" in html
    fitted = fastnn.Ridge().fit([[0.0], [1.0]], [1.0, 2.0])
    assert "(fitted)" in fitted._repr_html_()
