"""The backend and the instruction set: which code computes, and how to choose it.

The backend is chosen once, when fastnn is imported, by the environment variable FASTNN_BACKEND:
"compiled" (the default) or "numpy". The compiled backend picks the best instruction set of the
machine; the environment variable FASTNN_ISA or `use_isa` override it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from types import ModuleType

import numpy as np

__all__ = ["available_isas", "backend", "isa", "measure_peak", "show_config", "use_isa"]

_BACKENDS = ("compiled", "numpy")

_HOW_TO_BUILD = """fastnn's compiled module cannot be imported: {error}
- To build it, run `pip install .` in the checkout; this needs a C compiler.
- If it is installed, leave the source folder: run from there, Python finds its fastnn first.
- To compute with NumPy instead, slower, set the environment variable FASTNN_BACKEND=numpy."""


def _load_backend(name: str) -> ModuleType:
    if name == "numpy":
        from . import reference

        return reference
    if name != "compiled":
        valid = ", ".join(_BACKENDS)
        raise ImportError(f"FASTNN_BACKEND={name!r} is no backend of fastnn; valid names: {valid}")
    try:
        from . import _core
    except ImportError as error:
        raise ImportError(_HOW_TO_BUILD.format(error=error)) from error
    return _core


_backend = os.environ.get("FASTNN_BACKEND") or "compiled"
backend_module = _load_backend(_backend)


def backend() -> str:
    """Return the name of the backend in use: "compiled" or "numpy"."""
    return _backend


def available_isas() -> tuple[str, ...]:
    """Return the names of the instruction sets that this machine can use, the best one first."""
    return backend_module.available_isas()


def isa() -> str:
    """Return the name of the instruction set in use."""
    return backend_module.isa()


@contextmanager
def use_isa(name: str) -> Iterator[None]:
    """Compute with the named instruction set inside a `with` block.

    The choice holds for the whole process, other threads included, until the block ends.

    Parameters
    ----------
    name : str
        One of `available_isas()`.

    Raises
    ------
    ValueError
        If there is no instruction set of that name.
    RuntimeError
        If this machine lacks it.

    Examples
    --------
    >>> import fastnn
    >>> with fastnn.use_isa(fastnn.available_isas()[-1]):
    ...     fastnn.sigmoid([0.0])
    array([0.5])
    """
    before = backend_module.isa()
    backend_module.set_isa(name)
    try:
        yield
    finally:
        backend_module.set_isa(before)


def measure_peak(dtype: str = "float32", seconds: float = 0.002) -> float:
    """Return the floating-point operations a second of one core, by FMAs in registers.

    That is the most that the instruction set in use can do; 0.0 under the NumPy backend.
    """
    burst = getattr(backend_module, "fma_burst", None)
    if burst is None:
        return 0.0
    iterations, best = 30_000, 0.0  # some 0.1 ms: the call itself no longer counts
    end = perf_counter() + seconds
    while perf_counter() < end:
        begin = perf_counter()
        flops = burst(dtype, iterations)
        best = max(best, flops / (perf_counter() - begin))
    return best


def _cpu_count() -> int | None:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def show_config() -> None:
    """Print the version, the backend, the instruction sets and the machine."""
    import platform

    from . import __version__

    rows = {
        "fastnn": __version__,
        "backend": backend(),
        "ISA": isa(),
        "available ISAs": ", ".join(available_isas()),
        "NumPy": np.__version__,
        "Python": sys.version.split()[0],
        "platform": platform.platform(),
        "CPUs": _cpu_count(),
    }
    for name, value in rows.items():
        print(f"{name + ':':<16}{value}")
