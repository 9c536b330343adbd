"""Build of the one extension module. Everything else stands in pyproject.toml.

Switches, as environment variables set to 1:
  FASTNN_PURE      build no extension; the package then needs FASTNN_BACKEND=numpy
  FASTNN_DEBUG     no optimisation, debug symbols, the C core's assertions
  FASTNN_SANITIZE  AddressSanitizer and UndefinedBehaviorSanitizer
  FASTNN_COVERAGE  gcov instrumentation
  FASTNN_WERROR    warnings of the C core are errors
"""

import glob
import os
import sys

from setuptools import Extension, setup


def switch(name):
    return os.environ.get(f"FASTNN_{name}", "") not in ("", "0")


def extension():
    import numpy
    from Cython.Build import cythonize

    flags = ["-std=c11", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden"]
    flags += ["-Wall", "-Wextra"] + ["-Werror"] * switch("WERROR")
    flags += ["-O0", "-g", "-UNDEBUG"] if switch("DEBUG") else ["-O3", "-g0", "-DNDEBUG"]
    link = [] if switch("DEBUG") or sys.platform == "darwin" else ["-Wl,-s"]
    if switch("SANITIZE"):
        flags += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"]
        link = ["-fsanitize=address,undefined"]
    if switch("COVERAGE"):
        flags, link = flags + ["--coverage"], ["--coverage"]
    module = Extension(
        "fastnn._core",
        ["fastnn/_core.pyx", *sorted(glob.glob("csrc/*.c"))],
        depends=[
            *glob.glob("csrc/**/*.h", recursive=True),
            "csrc/kernels.def",
            "fastnn/_models.pxi",
            "fastnn/_network.pxi",
            "fastnn/_sparse.pxi",
        ],
        include_dirs=["csrc", numpy.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
        extra_compile_args=flags,
        extra_link_args=link,
        libraries=["m"],
    )
    return cythonize([module], build_dir="build")


setup(ext_modules=[] if switch("PURE") else extension())
