"""A pytest plugin: while test modules are imported, fastnn's estimators stand in for their peers.

For a process of its own, started by test_peer_suites.py as `pytest -p stand_in <file of scikit-learn>`
with STAND_IN_RESULTS, where to write, for each test, how it ended and whether it used one of
fastnn's estimators at all: only such a test says something about fastnn.
"""

import functools
import importlib
import json
import os
import sys

import pytest

import fastnn

HOMES = {
    "MLPClassifier": "sklearn.neural_network",
    "MLPRegressor": "sklearn.neural_network",
    "LogisticRegression": "sklearn.linear_model",
    "Ridge": "sklearn.linear_model",
    "LinearDiscriminantAnalysis": "sklearn.discriminant_analysis",
    "QuadraticDiscriminantAnalysis": "sklearn.discriminant_analysis",
    "GaussianNB": "sklearn.naive_bayes",
}

used = set()
stand_ins = []
replaced = []
results = {}


def watched(name, method):
    """A method of an estimator that notes its use."""

    @functools.wraps(method)
    def noting(*args, **kwargs):
        used.add(name)
        return method(*args, **kwargs)

    return noting


def pytest_configure(config):
    """Put the estimators where `from sklearn... import ...` finds them.

    The test module is imported as it is before, so that modules of scikit-learn that it is the
    first to need have the estimators of their own.
    """
    module = os.environ["STAND_IN_MODULE"]
    importlib.import_module(module)
    del sys.modules[module]
    for name, home in HOMES.items():
        estimator = getattr(fastnn, name, None)
        if estimator is None:
            continue
        stand_ins.append(estimator)
        # __init__ stays as it is: estimators and scikit-learn read their parameters off it.
        estimator.__new__ = watched(name, lambda cls, *args, **kwargs: object.__new__(cls))
        estimator.fit = watched(name, estimator.fit)  # of one that was made with the parameters
        peer = getattr(importlib.import_module(home), name)
        for place in {home, peer.__module__}:
            replaced.append((sys.modules[place], name, peer))
            setattr(sys.modules[place], name, estimator)


def pytest_collection_finish(session):
    """Give scikit-learn its own estimators back."""
    for module, name, peer in replaced:
        setattr(module, name, peer)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Forget what the test before has used, and see which estimators this one names."""
    used.clear()
    function = getattr(item, "function", None)
    for name in getattr(getattr(function, "__code__", None), "co_names", ()):
        named = function.__globals__.get(name)
        used.update(s.__name__ for s in stand_ins if s is named)
    return (yield)


def pytest_runtest_logreport(report):
    """Keep the worst outcome of setup, call and teardown."""
    name = report.nodeid.partition("::")[2]
    result = results.setdefault(name, {"outcome": "passed", "message": "", "used": []})
    result["used"] = sorted(used)
    result["seconds"] = result.get("seconds", 0) + report.duration
    if report.outcome != "passed":
        crash = getattr(report.longrepr, "reprcrash", None)
        result["outcome"] = "xfailed" if hasattr(report, "wasxfail") else report.outcome
        result["message"] = crash.message if crash else str(report.longrepr)


def pytest_sessionfinish():
    """Write the results."""
    with open(os.environ["STAND_IN_RESULTS"], "w") as file:
        json.dump(results, file)
