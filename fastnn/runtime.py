"""The backend, the instruction set and the threads: what computes, and how to choose it.

The backend is chosen once, when fastnn is imported, by the environment variable FASTNN_BACKEND:
"compiled" (the default) or "numpy". The compiled backend picks the best instruction set of the
machine; the environment variable FASTNN_ISA or `use_isa` override it. It computes with as many
threads as the process may use processors; FASTNN_NUM_THREADS, OMP_NUM_THREADS or `set_num_threads`
override that, and threadpoolctl, where it is installed, limits it. No result depends on it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from . import _check_network

__all__ = [
    "available_isas",
    "backend",
    "get_num_threads",
    "isa",
    "measure_peak",
    "set_num_threads",
    "show_config",
    "threads_of_call",
    "use_isa",
]

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
if TYPE_CHECKING:  # both backends have the types of the compiled one's stub
    from . import _core

    backend_module = _core
else:
    backend_module = _load_backend(_backend)


def _register_with_threadpoolctl() -> None:
    """Let threadpoolctl, and so joblib, see and limit the threads."""
    try:
        import threadpoolctl  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return
    if not hasattr(threadpoolctl, "register"):  # before 3.2
        return

    class FastnnController(threadpoolctl.LibController):  # type: ignore[misc]
        user_api = "fastnn"
        internal_api = "fastnn"
        filename_prefixes = ("_core",)
        check_symbols = ("fnn_get_num_threads",)

        def get_num_threads(self) -> int:
            return backend_module.get_num_threads()

        def set_num_threads(self, num_threads: int) -> None:
            backend_module.set_num_threads(max(1, num_threads))

        def get_version(self) -> str:
            from . import __version__

            return __version__

        def set_additional_attributes(self) -> None:
            self.isa = backend_module.isa()

    threadpoolctl.register(FastnnController)


def _check_environment() -> None:
    """Refuse a FASTNN_NUM_THREADS that is no number of threads."""
    text = os.environ.get("FASTNN_NUM_THREADS")
    if text and not (text.isdecimal() and int(text) > 0):
        raise ValueError(f"FASTNN_NUM_THREADS={text!r}: it must be an integer of at least 1")


_check_environment()
if _backend == "compiled":
    _register_with_threadpoolctl()


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


def get_num_threads() -> int:
    """Return the most threads that a call computes with, its own included."""
    return backend_module.get_num_threads()


def set_num_threads(num_threads: int) -> None:
    """Compute with at most this many threads from now on, in the whole process.

    More than there are processors are allowed. A call uses fewer where the work is not worth more,
    and only its own where another call has the others. Results do not depend on the number.

    Parameters
    ----------
    num_threads : int
        At least 1.

    Raises
    ------
    TypeError, ValueError
        If it is no integer, or less than 1.

    Examples
    --------
    >>> import fastnn
    >>> before = fastnn.get_num_threads()
    >>> fastnn.set_num_threads(1)
    >>> fastnn.get_num_threads()
    1
    >>> fastnn.set_num_threads(before)
    """
    backend_module.set_num_threads(_check_network.threads(num_threads))


@contextmanager
def threads_of_call(num_threads: int | None) -> Iterator[None]:
    """Let what this thread calls inside a `with` block use so many threads; None: as set."""
    if num_threads is None:
        yield
        return
    before = backend_module.use_threads(_check_network.threads(num_threads))
    try:
        yield
    finally:
        backend_module.use_threads(before)


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
        "threads": get_num_threads(),
    }
    for name, value in rows.items():
        print(f"{name + ':':<16}{value}")
