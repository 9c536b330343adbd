"""Linear models as scikit-learn's users expect them, and their documentation."""

import doctest
import importlib
import inspect
import warnings
from itertools import pairwise

import pytest

from fastnn import LogisticRegression, Ridge, linear

MODELS = (
    LogisticRegression(),
    LogisticRegression(solver="newton-cholesky"),
    LogisticRegression(solver="lbfgs"),
    LogisticRegression(class_weight="balanced", C=3.0),
    Ridge(),
    Ridge(alpha=0.0, fit_intercept=False),
)
SECTIONS = ("Parameters", "Returns", "Raises", "Warns", "Notes", "Examples", "References")


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_scikit_learn_takes_it_for_its_own(model):
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the checks that are skipped
        results = checks.check_estimator(model, on_fail=None)
    failed = [(r["check_name"], r["exception"]) for r in results if r["status"] == "failed"]
    assert not failed
    assert sum(r["status"] == "passed" for r in results) > 50


@pytest.mark.parametrize("name", ["linear", "_linear_prediction"])
def test_examples_run(name):
    results = doctest.testmod(importlib.import_module(f"fastnn.{name}"))
    assert results.attempted and not results.failed


def public_methods(cls):
    """Name and function of each public method that is not of every estimator."""
    for name, function in inspect.getmembers(cls, inspect.isfunction):
        if not name.startswith("_") and "_estimator" not in function.__module__:
            yield name, function


@pytest.mark.parametrize("cls", [LogisticRegression, Ridge])
def test_everything_public_is_documented(cls):
    assert set(linear.__all__) == {"ConvergenceWarning", "LogisticRegression", "Ridge"}
    for parameter in inspect.signature(cls).parameters:
        assert f"\n{parameter} : " in inspect.getdoc(cls)
    assert "Numerics:" in inspect.getdoc(cls)
    for name, function in public_methods(cls):
        doc = inspect.getdoc(function)
        lines = doc.splitlines()
        found = [line for line, below in pairwise(lines) if below == "-" * len(line) and line]
        assert found == [s for s in SECTIONS if s in found], name
        assert {"Returns", "Raises", "Examples"} <= set(found), name
        for parameter in list(inspect.signature(function).parameters)[1:]:
            assert f"\n{parameter} : " in doc, name
