"""Fixtures of the tests: a test asks for what it needs, nothing is applied by itself."""

import numpy as np
import pytest


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """Each dtype of the kernels."""
    return np.dtype(request.param)


@pytest.fixture
def rng():
    """A fresh generator with a fixed seed, so that a failure repeats."""
    return np.random.default_rng(20240607)
