"""Fixtures of the tests: a test asks for what it needs, nothing is applied by itself."""

import hypothesis
import numpy as np
import pytest
from cli_case import cli, cli_data, cli_rows, cli_train  # noqa: F401  fixtures of the command line

import fastnn

ISAS = ("numpy",) if fastnn.backend() == "numpy" else ("avx512", "avx2", "neon", "scalar")

# The same examples in every run, and no timing: a test fails on all machines or on none.
hypothesis.settings.register_profile(
    "fastnn", derandomize=True, deadline=None, max_examples=50, database=None
)
hypothesis.settings.load_profile("fastnn")


@pytest.fixture(params=ISAS)
def isa(request):
    """Each instruction set by name, in use for the test; skipped where the machine lacks it."""
    name = request.param
    if name not in fastnn.available_isas():
        pytest.skip(f"this machine has no {name}")
    with fastnn.use_isa(name):
        yield name


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """Each dtype of the kernels."""
    return np.dtype(request.param)


@pytest.fixture
def rng():
    """A fresh generator with a fixed seed, so that a failure repeats."""
    return np.random.default_rng(20240607)
