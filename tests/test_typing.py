"""tests/typing/public_api.py, which mypy checks in CI, uses everything that is public, and runs."""

import ast
import inspect
import runpy
from pathlib import Path

import pytest

import fastnn

SOURCE = Path(__file__).parent / "typing" / "public_api.py"
CLASSES = [  # but for exceptions and tuples, which others make
    name
    for name in fastnn.__all__
    if inspect.isclass(getattr(fastnn, name))
    and not issubclass(getattr(fastnn, name), (Exception, tuple))
]


def calls_in(source):
    """The keywords that calls of each name (of a function, a class or a method) have in all."""
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, (ast.Attribute, ast.Name)):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            found.setdefault(name, set()).update(k.arg for k in node.keywords)
    return found


def keywords_of(function):
    """The parameters that have a default, but for the first two, which may be given by place."""
    parameters = list(inspect.signature(function).parameters.values())
    return {
        p.name
        for i, p in enumerate(parameters)
        if p.kind is p.KEYWORD_ONLY or (i > 1 and p.default is not p.empty)
    }


def methods_of(cls):
    """The public methods of a class, but for `set_fit_request` and its like, which are made."""
    found = inspect.getmembers(cls, inspect.isroutine)
    return {n: f for n, f in found if not n.startswith("_") and not n.endswith("_request")}


@pytest.fixture(scope="module")
def calls():
    return calls_in(SOURCE.read_text(encoding="utf-8"))


def test_every_public_name_is_used():
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    names = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    names |= {a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
    assert set(fastnn.__all__) <= names


@pytest.mark.parametrize("name", CLASSES)
def test_every_parameter_of_a_class_is_used(name, calls):
    assert keywords_of(getattr(fastnn, name)) <= calls[name]


@pytest.mark.parametrize("name", CLASSES)
def test_every_method_of_a_class_is_used(name, calls):
    for method, function in methods_of(getattr(fastnn, name)).items():
        assert method in calls, f"{name}.{method} is not called in {SOURCE.name}"
        missing = keywords_of(function) - calls[method]
        assert not missing, f"{name}.{method} is never called with {missing}"


def test_what_is_not_used_is_found():
    calls = calls_in("fastnn.Ridge(1.0).fit(X, y)")
    assert not keywords_of(fastnn.Ridge) <= calls["Ridge"]
    assert not keywords_of(fastnn.Ridge.fit) <= calls["fit"]


def test_the_file_runs(capsys):
    runpy.run_path(str(SOURCE), run_name="__main__")
    assert "backend" in capsys.readouterr().out
