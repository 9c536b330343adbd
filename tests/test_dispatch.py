"""Which code computes: the backend, the instruction set, and how both are chosen."""

import os
import pathlib
import platform

import numpy as np
import pytest
from processes import output_of, run

import fastnn
from fastnn import runtime

COMPILED = fastnn.backend() == "compiled"
compiled = pytest.mark.skipif(not COMPILED, reason="the NumPy backend has no instruction sets")
PRINT = "import fastnn; print(fastnn.backend(), fastnn.isa(), *fastnn.available_isas())"
KNOWN = ("avx512", "avx2", "neon", "scalar")
MISSING = [name for name in KNOWN if name not in fastnn.available_isas()]
NEEDED_FLAGS = {
    "avx512": {"avx2", "fma", "avx512f", "avx512dq", "avx512bw", "avx512vl"},
    "avx2": {"avx2", "fma"},
    "neon": {"asimd"},
    "scalar": set(),
}

CPUINFO = pathlib.Path("/proc/cpuinfo")


def cpu_flags():
    """What the kernel of the operating system says that the processor can do."""
    for line in CPUINFO.read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return set(value.split())
    return set()


def arrays():
    """x and w whose product rounds differently with and without FMA."""
    rng = np.random.default_rng(1)
    return rng.normal(size=(20, 100)), rng.normal(size=(100, 30))


# The backend


@compiled
def test_the_compiled_module_computes():
    assert runtime.backend_module.__name__ == "fastnn._core"
    assert runtime.backend_module.__file__.endswith((".so", ".pyd"))
    assert type(fastnn.Network((2, 2))._engine).__module__ == "fastnn._core"


@compiled
def test_each_set_computes_by_itself():
    results = {}
    for name in fastnn.available_isas():
        with fastnn.use_isa(name):
            results[name] = fastnn.dense_forward(*arrays())
            assert runtime.backend_module.fma_burst("float32", 1) > 0
    fused = [y for name, y in results.items() if name != "scalar"]
    assert all(np.array_equal(y, fused[0]) for y in fused)
    assert all((y != results["scalar"]).any() for y in fused)


def test_the_environment_chooses_the_numpy_backend():
    printed = output_of(PRINT, FASTNN_BACKEND="numpy", FASTNN_ISA=None)
    assert printed == "numpy numpy numpy\n"


@compiled
@pytest.mark.parametrize("value", [None, "", "compiled"])
def test_the_compiled_backend_is_the_default(value):
    printed = output_of(PRINT, FASTNN_BACKEND=value, FASTNN_ISA=None).split()
    assert printed == ["compiled", fastnn.available_isas()[0], *fastnn.available_isas()]


@pytest.mark.parametrize("value", ["cuda", "Numpy", "numpy "])
def test_an_unknown_backend_is_refused(value):
    done = run("import fastnn", FASTNN_BACKEND=value)
    assert done.returncode != 0
    assert f"ImportError: FASTNN_BACKEND={value!r}" in done.stderr
    assert "valid names: compiled, numpy" in done.stderr


@pytest.mark.parametrize("value", ["", "compiled"])
def test_a_missing_compiled_module_is_an_error_that_helps(value):
    code = "import sys; sys.modules['fastnn._core'] = None; import fastnn"
    done = run(code, FASTNN_BACKEND=value)
    assert done.returncode != 0
    assert "ImportError: fastnn's compiled module cannot be imported" in done.stderr
    assert "pip install ." in done.stderr and "FASTNN_BACKEND=numpy" in done.stderr
    assert run(code, FASTNN_BACKEND="numpy").returncode == 0


def test_the_numpy_backend_trains_without_the_compiled_module():
    code = """
        import sys; sys.modules["fastnn._core"] = None
        import numpy as np, fastnn
        x, y, x_test, y_test = fastnn.datasets.load_digits16()
        net = fastnn.Network((256, 30, 10), rng=0)
        losses = net.train(x, y, epochs=3, learning_rate=0.01, rng=0)
        print(losses[-1] < losses[0], (net(x_test).argmax(axis=1) == y_test).mean() > 0.8)
    """
    assert output_of(code, FASTNN_BACKEND="numpy") == "True True\n"


# The instruction set


@compiled
@pytest.mark.parametrize("name", [n for n in KNOWN if n in fastnn.available_isas()])
def test_the_environment_chooses_a_set(name):
    code = PRINT + "; print(fastnn.dense_forward([[2.0]], [[3.0]], activation='relu'))"
    first, second = output_of(code, FASTNN_ISA=name, FASTNN_BACKEND=None).splitlines()
    assert first.split() == ["compiled", name, *fastnn.available_isas()]
    assert second == "[[6.]]"


@compiled
@pytest.mark.parametrize("name", ["sse9", "AVX2", "avx", *MISSING])
def test_a_set_that_is_not_there_is_refused_at_the_import(name):
    done = run("import fastnn", FASTNN_ISA=name, FASTNN_BACKEND=None)
    assert done.returncode != 0
    valid = ", ".join(fastnn.available_isas())
    assert f"FASTNN_ISA={name!r}: this machine has {valid}" in done.stderr


@compiled
@pytest.mark.skipif(not CPUINFO.exists(), reason="this system has no /proc/cpuinfo")
def test_the_available_sets_are_those_of_the_processor():
    flags = cpu_flags()
    arm = platform.machine() in ("aarch64", "arm64")
    expected = [name for name in KNOWN if NEEDED_FLAGS[name] <= flags and (name != "neon" or arm)]
    assert list(fastnn.available_isas()) == expected
    assert fastnn.available_isas()[-1] == "scalar"


@compiled
def test_the_set_in_use_is_the_best_or_the_one_asked_for():
    assert fastnn.isa() == (os.environ.get("FASTNN_ISA") or fastnn.available_isas()[0])


def test_use_isa_nests_and_restores():
    before = fastnn.isa()
    first, last = fastnn.available_isas()[0], fastnn.available_isas()[-1]
    with fastnn.use_isa(last):
        assert fastnn.isa() == last
        with fastnn.use_isa(first):
            assert fastnn.isa() == first
            with fastnn.use_isa(last):
                assert fastnn.isa() == last
            assert fastnn.isa() == first
        assert fastnn.isa() == last
    assert fastnn.isa() == before


def test_use_isa_restores_after_an_exception():
    before = fastnn.isa()
    for name in fastnn.available_isas():
        with pytest.raises(KeyError), fastnn.use_isa(name):
            raise KeyError
        assert fastnn.isa() == before


@pytest.mark.parametrize("name", ["sse9", "", "AVX2", None, 2])
def test_unknown_sets_are_refused(name):
    before = fastnn.isa()
    with pytest.raises(ValueError, match="unknown instruction set") as error, fastnn.use_isa(name):
        pass
    assert repr(name) in str(error.value)
    assert all(repr(valid) in str(error.value) for valid in fastnn.available_isas())
    assert fastnn.isa() == before


@compiled
@pytest.mark.parametrize("name", MISSING)
def test_sets_that_this_machine_lacks_are_refused(name):
    before = fastnn.isa()
    with pytest.raises(RuntimeError, match=f"this machine has no {name}; it has"):
        with fastnn.use_isa(name):
            pass
    assert fastnn.isa() == before


@pytest.mark.parametrize("name", fastnn.available_isas())
def test_show_config_names_what_computes(name, capsys):
    with fastnn.use_isa(name):
        fastnn.show_config()
    printed = capsys.readouterr().out
    rows = dict(line.split(":", 1) for line in printed.splitlines())
    rows = {key: value.strip() for key, value in rows.items()}
    assert rows["fastnn"] == fastnn.__version__ and rows["NumPy"] == np.__version__
    assert rows["backend"] == fastnn.backend() and rows["ISA"] == name
    assert rows["available ISAs"] == ", ".join(fastnn.available_isas())
