"""The documentation of linear models."""

import doctest
import importlib
import inspect
from itertools import pairwise

import pytest

from fastnn import LogisticRegression, Ridge, linear

SECTIONS = ("Parameters", "Returns", "Raises", "Warns", "Notes", "Examples", "References")


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
        returns = inspect.signature(function).return_annotation != "None"
        assert {"Raises", "Examples"} <= set(found), name
        assert ("Returns" in found) == returns, name
        for parameter in list(inspect.signature(function).parameters)[1:]:
            assert f"\n{parameter} : " in doc, name
