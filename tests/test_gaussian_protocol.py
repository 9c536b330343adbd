"""Gaussian models under scikit-learn's names: its protocol, its parameters, documentation."""

import doctest
import importlib
import inspect
import pickle
import warnings
from contextlib import nullcontext

import gaussian_oracle as oracle
import numpy as np
import pytest

from fastnn import (
    GaussianClassifier,
    GaussianNB,
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
    _limited,
)

MODELS = (
    LinearDiscriminantAnalysis(),
    LinearDiscriminantAnalysis("eigen", shrinkage=0.1),
    QuadraticDiscriminantAnalysis(),
    QuadraticDiscriminantAnalysis(reg_param=0.1),
    GaussianNB(),
    GaussianNB(missing="marginalize"),
)
PEERS = {
    LinearDiscriminantAnalysis: "discriminant_analysis",
    QuadraticDiscriminantAnalysis: "discriminant_analysis",
    GaussianNB: "naive_bayes",
}
MODULES = ("discriminant", "quadratic_discriminant", "naive_bayes", "gaussian", "_transform_output")
every_model = pytest.mark.parametrize("model_type", PEERS)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_scikit_learn_takes_it_for_its_own(model):
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of checks that are skipped, and of singular covariances
        results = checks.check_estimator(model, on_fail=None)
    assert not [(r["check_name"], r["exception"]) for r in results if r["status"] == "failed"]
    assert sum(r["status"] == "passed" for r in results) > 50


@every_model
def test_parameters_are_those_of_scikit_learn(model_type):
    pytest.importorskip("sklearn", minversion="1.9")
    module = importlib.import_module(f"sklearn.{PEERS[model_type]}")
    theirs = getattr(module, model_type.__name__)
    mine, peer = inspect.signature(model_type).parameters, inspect.signature(theirs).parameters
    assert list(peer) == list(mine)[: len(peer)]
    for name, parameter in peer.items():
        assert (mine[name].kind, mine[name].default) == (parameter.kind, parameter.default)
    public = {n for n, _ in inspect.getmembers(theirs, inspect.isfunction) if n[0] != "_"}
    requests = {n for n in public if n.endswith("_request")} | {"get_metadata_routing"}
    assert public - requests <= set(dir(model_type))
    for name in public - requests:
        ours = inspect.signature(getattr(model_type, name)).parameters
        called = list(inspect.signature(getattr(theirs, name)).parameters)
        assert called == list(ours)[: len(called)] or "params" in called


@every_model
def test_copies_answer_alike(model_type, dtype, rng):
    x, y = oracle.blobs(rng, dtype)
    model = model_type().fit(x, y)
    copied = pickle.loads(pickle.dumps(model))
    assert np.array_equal(copied.predict_proba(x), model.predict_proba(x))
    assert repr(copied) == f"{model_type.__name__}()"


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    results = doctest.testmod(importlib.import_module(f"fastnn.{name}"))
    assert not results.failed and (results.attempted or name.startswith("_"))


@pytest.mark.parametrize("model_type", [*PEERS, GaussianClassifier])
def test_every_method_is_documented(model_type):
    for name, method in inspect.getmembers(model_type, inspect.isfunction):
        if name.startswith("_") or name.endswith("_request"):
            continue
        doc = inspect.getdoc(method)
        returns = inspect.signature(method).return_annotation != "None"
        assert ("\nReturns\n-------\n" in doc) == returns
        for parameter in list(inspect.signature(method).parameters)[1:]:
            assert f"\n{parameter} : " in doc or f"\n**{parameter}" in doc


@pytest.fixture(params=[*PEERS, GaussianClassifier], ids=lambda t: t.__name__)
def any_type(request):
    """Each Gaussian model, those of scikit-learn's names and the general one."""
    return request.param


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_are_rows_with_names(any_type, library, rng):
    frames = pytest.importorskip(library)
    x, y = oracle.blobs(rng)
    frame = frames.DataFrame(dict(zip("abc", x.T, strict=True)))
    model = any_type().fit(frame, y)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"] and model.n_features_in_ == 3
    plain = any_type().fit(x, y)
    assert np.array_equal(model.predict_proba(frame), plain.predict_proba(x))
    assert not hasattr(plain, "feature_names_in_")
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["b", "a", "c"]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(x)
    with pytest.warns(UserWarning, match="was fitted without feature names"):
        plain.predict_proba(frame)
    assert not hasattr(model.fit(x, y), "feature_names_in_")


def test_names_last_through_learning_and_unlearning(rng):
    pandas = pytest.importorskip("pandas")
    x, y = oracle.blobs(rng)
    frame = pandas.DataFrame(x, columns=list("abc"))
    model = GaussianClassifier("shared").partial_fit(frame[:100], y[:100])
    model.partial_fit(frame[100:], y[100:]).forget(frame[200:], y[200:])
    other = GaussianClassifier("shared").fit(frame[200:], y[200:])
    assert model.merge(other).feature_names_in_.tolist() == ["a", "b", "c"]
    assert model.to_logistic().feature_names_in_.tolist() == ["a", "b", "c"]
    before = model.means_
    with pytest.raises(ValueError, match="feature names"):
        model.partial_fit(frame.rename(columns={"a": "z"}), y)
    with pytest.raises(ValueError, match="different names"):
        model.merge(GaussianClassifier("shared").fit(frame.rename(columns={"a": "z"}), y))
    assert model.means_ is before


def test_tensors_are_rows(any_type, rng):
    class Tensor:
        """What hands its memory over by DLPack, and by nothing else."""

        def __init__(self, a):
            self.a, self.shape, self.ndim = a, a.shape, a.ndim

        def __dlpack__(self, **kwargs):
            return self.a.__dlpack__(**kwargs)

        def __dlpack_device__(self):
            return self.a.__dlpack_device__()

    x, y = oracle.blobs(rng, "float32")
    model = any_type().fit(Tensor(x), y)
    assert np.array_equal(model.predict_proba(Tensor(x)), any_type().fit(x, y).predict_proba(x))


def test_threads_are_limited_and_change_no_bit(any_type, rng, monkeypatch):
    x, y = oracle.blobs(rng, n=3000, d=12)
    model = any_type(num_threads=1).fit(x, y)
    assert np.array_equal(model.predict_proba(x), any_type().fit(x, y).predict_proba(x))
    with pytest.raises(ValueError, match="num_threads is 0"):
        any_type(num_threads=0).fit(x, y)
    limits = []
    monkeypatch.setattr(_limited, "threads_of_call", lambda n: limits.append(n) or nullcontext())
    model.fit(x, y).predict_proba(x[:1])
    assert limits == [1, 1]
