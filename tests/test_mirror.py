"""The two backends have one interface, and the documentation of it is complete and runs."""

import doctest
import importlib
import inspect
import operator

import numpy as np
import pytest
from processes import run

import fastnn
import fastnn.network
from fastnn import kernels, reference

MODULES = (
    "fastnn.kernels",
    "fastnn._model_kernels",
    "fastnn.network",
    "fastnn.runtime",
    "fastnn.datasets",
)
SECTIONS = ("Parameters", "Returns", "Raises", "Notes", "Examples", "References")
METHODS = ("activations", "loss_and_gradients", "train")

# What estimators ask of a backend beside the kernels.
INTERNAL = (
    "Gaussians",
    "Gaussians.evaluate",
    "add_moments",
    "all_finite",
    "cholesky",
    "cholesky_solve",
    "class_moments",
    "dot",
    "linear_terms",
    "paired_logpdf",
    "sparse_check",
    "sparse_forward",
    "sparse_transpose",
    "triangular_inverse",
)


def test_kernels_and_reference_have_the_same_names():
    assert kernels.__all__ == reference.__all__ == sorted(kernels.__all__)


@pytest.mark.parametrize("name", kernels.__all__)
def test_kernels_and_reference_have_the_same_signatures(name):
    assert inspect.signature(getattr(kernels, name)) == inspect.signature(getattr(reference, name))


def test_engines_have_the_same_methods():
    engine = fastnn.runtime.backend_module.NetworkEngine
    for name in ("forward", "activations", "gradients", "training"):
        assert callable(getattr(engine, name)) and callable(getattr(reference.NetworkEngine, name))


def parameters_of(function):
    """Names and default values, or None of a compiled function that does not tell."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        return None
    return [(p.name, p.default) for p in signature.parameters.values()]


@pytest.mark.parametrize("name", INTERNAL)
def test_backends_have_the_same_internal_functions(name):
    get = operator.attrgetter(name)
    theirs, ours = get(fastnn.runtime.backend_module), get(reference)
    assert callable(theirs) and inspect.getdoc(ours) and name not in reference.__all__
    assert parameters_of(theirs) in (None, parameters_of(ours))


@pytest.mark.parametrize("module", ["fastnn", *MODULES])
def test_all_lists_every_public_name(module):
    module = importlib.import_module(module)
    own = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and (module is fastnn or value.__module__ == module.__name__)
    }
    assert own <= set(module.__all__)
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


def test_every_kernel_is_at_the_top():
    for name in kernels.__all__:
        assert getattr(fastnn, name) is getattr(kernels, name)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted and not results.failed


def sections_of(function):
    """The headings of a docstring in their order."""
    lines = inspect.getdoc(function).splitlines()
    return [line for line, below in zip(lines, lines[1:]) if below == "-" * len(line) and line]


@pytest.mark.parametrize("name", kernels.__all__)
def test_kernels_are_documented(name):
    doc = inspect.getdoc(getattr(kernels, name))
    assert sections_of(getattr(kernels, name)) == list(SECTIONS)
    assert "Numerics:" in doc and "``" in doc
    for parameter in inspect.signature(getattr(kernels, name)).parameters:
        assert f"\n{parameter} : " in doc
    assert inspect.getdoc(getattr(reference, name))


@pytest.mark.parametrize("name", METHODS)
def test_the_network_is_documented(name):
    doc = inspect.getdoc(getattr(fastnn.Network, name))
    found = sections_of(getattr(fastnn.Network, name))
    assert set(found) >= {"Parameters", "Returns", "Raises", "Examples"}
    assert found == [s for s in SECTIONS if s in found]
    for parameter in list(inspect.signature(getattr(fastnn.Network, name)).parameters)[1:]:
        assert parameter in doc


def test_import_is_light():
    code = (
        "import sys, numpy\n"
        "try: import threadpoolctl\n"  # which fastnn would import, with what that needs
        "except ImportError: pass\n"
        "before = set(sys.modules); import fastnn\n"
        "new = {m.split('.')[0] for m in set(sys.modules) - before}\n"
        "heavy = {'scipy', 'sklearn', 'matplotlib', 'argparse', 'logging', 'dataclasses'}\n"
        "assert not new & heavy, new & heavy\n"
        "assert 'numpy.random' not in sys.modules or 'numpy.random' in before"
    )
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_the_digits_are_whole():
    digits = fastnn.datasets.load_digits16()
    for x, y, a_class in [(digits[0], digits[1], 400), (digits[2], digits[3], 100)]:
        assert x.dtype == np.float32 and x.shape == (10 * a_class, 256)
        assert x.min() == 0 and x.max() == 1 and x.flags.c_contiguous
        assert y.dtype == np.int64 and (np.bincount(y) == a_class).all()
