"""exp, sigmoid, tanh and log1p of the compiled kernels: errors, special values, monotonicity."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import ulp

import fastnn

pytestmark = pytest.mark.skipif(
    fastnn.backend() != "compiled", reason="the NumPy backend computes these with NumPy"
)

# Largest error in units in the last place, rounded up, and the argument that attains it: float32
# over all 2^32 arguments (`pytest -m slow tests/test_vmath.py -s` prints these), float64 over 10^8
# of them. The sets with FMA agree to the bit; the scalar set rounds each product.
ERRORS = {
    ("exp", "float32", "fma"): (1.0539, "-0x1.0ef292p+4"),
    ("exp", "float32", "scalar"): (1.0349, "-0x1.f30cbep+3"),
    ("sigmoid", "float32", "fma"): (2.4019, "-0x1.0a111ap+2"),
    ("sigmoid", "float32", "scalar"): (2.4019, "-0x1.0a111ap+2"),
    ("tanh", "float32", "fma"): (2.4984, "0x1.205368p+2"),
    ("tanh", "float32", "scalar"): (2.4984, "0x1.205368p+2"),
    ("log1p", "float32", "fma"): (1.3928, "0x1.b1d8cap-2"),
    ("log1p", "float32", "scalar"): (1.3928, "0x1.b1d8cap-2"),
    ("exp", "float64", "fma"): (1.03, "-0x1.1da58f97697e8p+2"),
    ("exp", "float64", "scalar"): (1.00, "-0x1.1f2bc949ea37p+2"),
    ("sigmoid", "float64", "fma"): (2.43, "-0x1.8f3789501855p+2"),
    ("sigmoid", "float64", "scalar"): (2.38, "-0x1.098068ba513ap+2"),
    ("tanh", "float64", "fma"): (2.70, "-0x1.c40b323251328p-3"),
    ("tanh", "float64", "scalar"): (2.56, "0x1.b85be0d2e926p-3"),
    ("log1p", "float64", "fma"): (1.41, "0x1.a85ff71217dcbp-2"),
    ("log1p", "float64", "scalar"): (1.39, "0x1.b7f5c1bc8c705p-2"),
}
ROUNDED_TO = {"float32": 1e-4, "float64": 1e-2}  # long double is not the same on all machines
FUNCTIONS = tuple(ulp.ORACLE)
CHUNK = 2**20  # arguments at a time; what is made of them stays in the caches


def compute(name, x):
    """The function of `x` by the set in use."""
    return fastnn.runtime.backend_module.elementwise(name, x)


def stated(name, isa, dtype):
    """The stated error, and the argument that attains it."""
    error, witness = ERRORS[name, dtype.name, "scalar" if isa == "scalar" else "fma"]
    return error, dtype.type(float.fromhex(witness))


def test_the_sigmoid_of_float32_is_within_its_contract():
    assert all(e[0] <= 2.5 for key, e in ERRORS.items() if key[:2] == ("sigmoid", "float32"))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_error_of_samples(isa, name, dtype, rng):
    x = ulp.sample(dtype, 2**18, rng)
    error, at = ulp.worst(name, x, compute(name, x))
    assert error <= stated(name, isa, dtype)[0], float(at).hex()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_witness_attains_the_stated_error(isa, name, dtype):
    error, witness = stated(name, isa, dtype)
    x = np.full(3, witness)
    grain = ROUNDED_TO[dtype.name]
    assert error - grain <= ulp.worst(name, x, compute(name, x))[0] <= error


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_errors_reject_a_wrong_result(name, dtype, rng):
    x = np.concatenate([rng.uniform(-0.9, 3, 1000), [0.0, np.inf, np.nan]]).astype(dtype)
    value = ulp.exact(name, x)
    right = value.astype(dtype)
    assert ulp.errors(right, value).max() <= 0.5
    for i, wrong in [(5, np.nan), (5, np.inf), (-2, 7), (-1, 0), (-3, 2), (5, -right[5])]:
        spoilt = right.copy()
        spoilt[i] = wrong
        assert ulp.errors(spoilt, value).max() > 100
    for _ in range(3):
        right[:1000] = np.nextafter(right[:1000], dtype.type(np.inf))
    assert 2 < ulp.errors(right, value)[:1000].min() <= 3.5


def specials(dtype):
    """Zeros, infinities, NaN, subnormal and largest numbers, of both signs."""
    info = np.finfo(dtype)
    tiny = info.smallest_subnormal
    positive = [0, tiny, 3 * tiny, info.smallest_normal, info.eps / 4, 1, info.max, np.inf, np.nan]
    x = np.array(positive, dtype)
    return np.concatenate([x, -x])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_specials(isa, name, dtype):
    x = specials(dtype)
    for length in (1, 3, len(x)):  # whole vectors and parts of them
        for start in range(len(x) - length + 1):
            part = x[start : start + length]
            with np.errstate(all="raise"):
                y = compute(name, part)
            error, at = ulp.worst(name, part, y)
            assert error <= stated(name, isa, dtype)[0], at
            assert (np.isnan(y) == np.isnan(ulp.exact(name, part))).all()
    assert not np.isnan(compute(name, x[~np.isnan(x) & (x > -1)])).any()


@pytest.mark.parametrize("name", ["tanh", "log1p"])
def test_odd_functions_near_zero_keep_zeros_signs_and_subnormals(isa, name, dtype):
    x = specials(dtype)
    x = x[np.abs(x) <= np.finfo(dtype).smallest_normal]
    y = compute(name, x)
    assert np.array_equal(np.signbit(y), np.signbit(x))
    assert np.array_equal(y, x)


def test_nan_of_any_payload_and_sign_stays(isa, dtype):
    kind = np.uint32 if dtype.itemsize == 4 else np.uint64
    quiet = np.array([np.nan], dtype).view(kind)[0]
    sign = kind(1) << kind(8 * dtype.itemsize - 1)
    x = np.array([quiet, quiet | kind(1), quiet | sign, quiet | sign | kind(12345)]).view(dtype)
    for name in FUNCTIONS:
        assert np.isnan(compute(name, np.tile(x, 9))).all()


def test_log1p_at_its_pole(isa, dtype):
    below = np.nextafter(dtype.type(-1), dtype.type(-2))
    y = compute("log1p", np.array([-1, below, -np.inf, -2], dtype))
    assert y[0] == -np.inf and np.isnan(y[1:]).all()


def test_the_range_of_exp(isa, dtype):
    top = np.log(np.finfo(dtype).max.astype(ulp.WIDER[dtype])).astype(dtype)
    while np.exp(top.astype(ulp.WIDER[dtype])) > np.finfo(dtype).max:
        top = np.nextafter(top, dtype.type(0))
    y = compute("exp", np.array([top, top * dtype.type(1.001), -np.inf, np.inf], dtype))
    assert np.isfinite(y[0]) and y[1] == np.inf and y[2] == 0 and y[3] == np.inf


def test_sigmoid_underflows_gradually(isa, dtype):
    info = np.finfo(dtype)
    lowest = np.log(info.smallest_subnormal.astype(ulp.WIDER[dtype]))
    x = np.linspace(float(lowest) - 2, float(np.log(info.smallest_normal)) + 1, 10001).astype(dtype)
    y = compute("sigmoid", x)
    assert (np.diff(y) >= 0).all() and y[0] == 0 and y[-1] > info.smallest_normal
    subnormal = (y > 0) & (y < info.smallest_normal)
    assert subnormal.sum() > 1000 and info.smallest_subnormal in y
    # Subnormal results are rounded once: they are within one unit, which is the least number.
    assert ulp.errors(y, ulp.exact("sigmoid", x))[subnormal].max() <= 1


def test_sigmoid_of_both_signs_sums_to_one(isa, dtype, rng):
    x = np.abs(ulp.sample(dtype, 2**16, rng))
    x = x[np.isfinite(x)]
    wide = [compute("sigmoid", s * x).astype(ulp.WIDER[dtype]) for s in (1, -1)]
    assert np.abs(wide[0] + wide[1] - 1).max() <= np.finfo(dtype).eps


@pytest.mark.parametrize("name", FUNCTIONS)
def test_monotone_within_a_unit(isa, name, dtype, rng):
    kind = np.int32 if dtype.itemsize == 4 else np.int64
    starts = ulp.sample(dtype, 2**8, rng)
    starts = starts[np.isfinite(starts) & ((name != "log1p") | (starts > -0.99))]
    limits = np.array([np.finfo(dtype).max, -np.finfo(dtype).max], dtype).view(kind)
    runs = starts.view(kind)[:, np.newaxis] + np.arange(256, dtype=kind)  # neighbours, in order
    runs = runs[(runs[:, 0] < 0) == (runs[:, -1] < 0)]
    runs = runs[runs[:, -1] <= np.where(runs[:, 0] < 0, limits[1], limits[0])].view(dtype)
    assert len(runs) > 300
    x = np.sort(runs, axis=1)
    y = compute(name, x)
    lowest = np.maximum.accumulate(y, axis=1)[:, :-1]  # what the next value should not go below
    with np.errstate(invalid="ignore"):
        drop = lowest.astype(ulp.WIDER[dtype]) - y[:, 1:]
    drop[lowest == y[:, 1:]] = 0
    assert (drop <= ulp.unit(np.abs(lowest).astype(ulp.WIDER[dtype]), dtype)).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_error_of_all_float32(isa, name):
    dtype = np.dtype(np.float32)

    def chunk(start):
        x = ulp.bit_patterns(dtype, start, start + CHUNK)
        return ulp.worst(name, x, compute(name, x))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        error, at = max(pool.map(chunk, range(0, 2**32, CHUNK)))
    print(f"\n{name} {isa}: {error:.6f} at {float(at).hex()} = {at!r}")
    bound, witness = stated(name, isa, dtype)
    assert bound - ROUNDED_TO[dtype.name] <= error <= bound and abs(at) == abs(witness)


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_sets_with_fma_agree_on_all_float32(name):
    sets = [isa for isa in fastnn.available_isas() if isa != "scalar"]
    if len(sets) < 2:
        pytest.skip(f"this machine has only {sets}")
    for start in range(0, 2**32, CHUNK):
        x = ulp.bit_patterns(np.dtype(np.float32), start, start + CHUNK)
        results = []
        for isa in sets:
            with fastnn.use_isa(isa):
                results.append(compute(name, x))
        first, *others = results
        for other in others:
            same = first.view(np.uint32) == other.view(np.uint32)
            assert (same | (np.isnan(first) & np.isnan(other))).all()
