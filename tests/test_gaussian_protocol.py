"""Gaussian models under scikit-learn's names: its protocol, its parameters, documentation."""

import doctest
import importlib
import inspect
import pickle
import warnings

import gaussian_oracle as oracle
import numpy as np
import pytest

from fastnn import (
    GaussianClassifier,
    GaussianNB,
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)

FINER = "float32 log posteriors are finer than those of rounded posteriors"
REFUSED = "the data of this check have singular covariances, which the model refuses"
CASES = (
    (LinearDiscriminantAnalysis(), {}),
    (LinearDiscriminantAnalysis("eigen", shrinkage=0.1), {}),
    (
        QuadraticDiscriminantAnalysis(),
        {
            "check_classifiers_train": FINER,
            "check_sample_weights_shape": REFUSED,
            "check_sample_weights_not_overwritten": REFUSED,
            "check_sample_weight_equivalence_on_dense_data": REFUSED,
        },
    ),
    (QuadraticDiscriminantAnalysis(reg_param=0.1), {}),
    (GaussianNB(), {"check_classifiers_train": FINER}),
    (GaussianNB(missing="marginalize"), {"check_classifiers_train": FINER}),
)
PEERS = {
    LinearDiscriminantAnalysis: "discriminant_analysis",
    QuadraticDiscriminantAnalysis: "discriminant_analysis",
    GaussianNB: "naive_bayes",
}
MODULES = ("discriminant", "naive_bayes", "gaussian", "_transform_output")
every_model = pytest.mark.parametrize("model_type", PEERS)


@pytest.mark.parametrize("model, not_met", CASES, ids=lambda case: repr(case)[:60])
def test_scikit_learn_takes_it_for_its_own(model, not_met):
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of checks that are skipped, and of singular covariances
        results = checks.check_estimator(model, expected_failed_checks=not_met, on_fail=None)
    failed = [(r["check_name"], r["exception"]) for r in results if r["status"] == "failed"]
    assert not failed
    met = not_met.keys() - {r["check_name"] for r in results if r["status"] == "xfail"}
    assert all(not_met[name] == FINER for name in met)  # rounding decides whether that shows
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
        if name.startswith("_"):
            continue
        doc = inspect.getdoc(method)
        assert "\nReturns\n-------\n" in doc
        for parameter in list(inspect.signature(method).parameters)[1:]:
            assert f"\n{parameter} : " in doc or f"\n**{parameter}" in doc
