"""Bad arrays and the edges of good ones, for the kernels of Gaussian and linear models."""

import model_formulas
import numpy as np
import pytest
from test_boundary import LAYOUTS, WRONG_DTYPES, bad_outs
from test_gaussian_kernels import check_factors

import fastnn
import fastnn.reference

N, D, C = 5, 4, 3
LABELS = [0, 2, 1, 1, 0]

# A function and the options that it is called with, by the name of the case.
CASES = {
    "logsumexp": ("logsumexp", {}),
    "log_softmax": ("log_softmax", {}),
    "cholesky_factors": ("cholesky_factors", {}),
    **{
        f"gaussian_logpdf {covariance} {'paired' if paired else ''}": (
            "gaussian_logpdf",
            {"covariance": covariance, "paired": paired},
        )
        for covariance in ("full", "shared", "diag")
        for paired in (False, True)
    },
    "gaussian_moments": ("gaussian_moments", {"labels": LABELS, "n_classes": C}),
    **{
        f"linear_loss {loss}": ("linear_loss", {"loss": loss, "hessian": True})
        for loss in ("softmax_cross_entropy", "sigmoid_cross_entropy", "squared_error")
    },
}
WITH_OUT = [case for case in CASES if case.split()[0] not in ("gaussian_moments", "linear_loss")]
OVERLAPPING = [case for case in WITH_OUT if case != "log_softmax"]
DENSITIES = [case for case in CASES if case.startswith("gaussian_logpdf")]
LINEAR = [case for case in CASES if case.startswith("linear_loss")]


def shapes(case):
    """The shapes of a case's arrays, by name."""
    name, options = CASES[case]
    c = N if options.get("paired") else C
    factors = {"full": (c, D, D), "shared": (D, D), "diag": (c, D)}
    return {
        "logsumexp": {"x": (N, D)},
        "log_softmax": {"x": (N, D)},
        "cholesky_factors": {"cov": (C, D, D)},
        "gaussian_logpdf": {
            "x": (N, D),
            "means": (c, D),
            "factors": factors.get(options.get("covariance")),
        },
        "gaussian_moments": {"x": (N, D), "sample_weight": (N,)},
        "linear_loss": {
            "x": (N, D),
            "y": (N, C),
            "w": (D, C),
            "b": (C,),
            "sample_weight": (N,),
        },
    }[name]


def arguments(case, dtype, rng):
    """Valid arrays of a case, by name."""
    arrays = {a: rng.uniform(0.25, 2, shape) for a, shape in shapes(case).items()}
    if "cov" in arrays:
        arrays["cov"] = arrays["cov"] @ arrays["cov"].swapaxes(1, 2) + 0.5 * np.eye(D)
    return {name: a.astype(dtype) for name, a in arrays.items()}


def call(case, arrays, module=fastnn, **options):
    """Call the function of a case."""
    name, own = CASES[case]
    return getattr(module, name)(**arrays, **own, **options)


def results(case, arrays, module=fastnn):
    """The array results of a case, as a list."""
    result = call(case, arrays, module)
    if case in LINEAR:
        return list(result[1:])
    return list(result) if isinstance(result, tuple) else [result]


def exact(case, arrays):
    """Values and bounds of the array results."""
    name, own = CASES[case]
    if name == "gaussian_moments":
        options = {"sample_weight": arrays["sample_weight"]}
        return model_formulas.gaussian_moments(arrays["x"], np.array(LABELS), C, **options)
    if name == "linear_loss":
        return model_formulas.linear_loss(**arrays, loss=own["loss"])[1:]
    return [getattr(model_formulas, name)(*arrays.values(), **own)]


def assert_exact(case, arrays, computed):
    """Assert that the array results are within their bounds."""
    if case == "cholesky_factors":
        check_factors(arrays["cov"], *computed)
        return
    for value, (expected, bound) in zip(computed, exact(case, arrays), strict=True):
        assert value.shape == expected.shape
        assert (np.abs(value - expected) <= bound).all()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", CASES)
def test_layouts_give_the_result_and_keep_the_input(case, layout, dtype, rng):
    if layout == "list" and dtype == np.float32:
        pytest.skip("a list of Python floats is float64")
    arrays = arguments(case, dtype, rng)
    laid = {a: LAYOUTS[layout](value) for a, value in arrays.items()}
    assert_exact(case, arrays, results(case, laid))
    for a, value in arrays.items():
        assert np.array_equal(laid[a], value)


@pytest.mark.parametrize("case", CASES)
def test_the_reference_is_the_formula(case, dtype, rng):
    arrays = arguments(case, dtype, rng)
    computed = results(case, arrays, fastnn.reference)
    assert_exact(case, arrays, computed)
    kinds = [a.dtype for a in results(case, arrays)]
    assert [a.dtype for a in computed] == kinds
    if case in WITH_OUT:
        out = np.full_like(computed[0], np.nan)
        assert call(case, arrays, fastnn.reference, out=out) is out
        assert np.array_equal(out, computed[0])


def test_the_oracle_rejects_a_wrong_result(dtype, rng):
    for case in CASES:
        arrays = arguments(case, dtype, rng)
        wrong = [r * (1 + 4096 * np.finfo(dtype).eps) for r in results(case, arrays)]
        with pytest.raises(AssertionError):
            assert_exact(case, arrays, wrong)


@pytest.mark.parametrize("layout", ["fortran", "sliced", "reversed"])
@pytest.mark.parametrize("case", WITH_OUT)
def test_out_is_written_and_returned(case, layout, dtype, rng):
    arrays = arguments(case, dtype, rng)
    (expected,) = results(case, arrays)
    out = LAYOUTS[layout](np.full_like(expected, np.nan))
    assert call(case, arrays, out=out) is out
    assert_exact(case, arrays, [out])


@pytest.mark.parametrize("bad", WRONG_DTYPES, ids=str)
@pytest.mark.parametrize("case", CASES)
def test_other_dtypes_are_refused(case, bad, dtype, rng):
    arrays = arguments(case, dtype, rng)
    for a, value in arrays.items():
        with pytest.raises(TypeError, match=rf"\b{a}\b.*{np.dtype(bad)}"):
            call(case, arrays | {a: value.astype(bad)})


@pytest.mark.parametrize("case", [case for case in CASES if len(shapes(case)) > 1])
def test_mixed_dtypes_are_refused(case, dtype, rng):
    other = {"float32": "float64", "float64": "float32"}[dtype.name]
    arrays = arguments(case, dtype, rng)
    for a, value in arrays.items():
        with pytest.raises(TypeError, match="float32.*float64|float64.*float32"):
            call(case, arrays | {a: value.astype(other)})


@pytest.mark.parametrize("case", CASES)
def test_wrong_ranks_are_refused(case, dtype, rng):
    arrays = arguments(case, dtype, rng)
    for a, value in arrays.items():
        for bad in (value[np.newaxis], value.reshape(-1)[0], value[..., np.newaxis]):
            with pytest.raises(ValueError, match=rf"\b{a}\b"):
                call(case, arrays | {a: bad})


@pytest.mark.parametrize("case", CASES)
def test_masked_arrays_and_ragged_lists_are_refused(case, dtype, rng):
    arrays = arguments(case, dtype, rng)
    for a, value in arrays.items():
        with pytest.raises(TypeError, match=f"{a} is a masked array"):
            call(case, arrays | {a: np.ma.masked_array(value)})
        with pytest.raises(ValueError, match=f"{a} is not an array"):
            call(case, arrays | {a: [[1.0, 2.0], [3.0]]})


@pytest.mark.parametrize(
    ("case", "a", "shape", "message"),
    [
        (
            "gaussian_logpdf full ",
            "means",
            (C, D + 1),
            r"means has shape \(3, 5\), expected \(3, 4",
        ),
        ("gaussian_logpdf full ", "factors", (C + 1, D, D), r"expected \(3, 4, 4\) for 3 full"),
        ("gaussian_logpdf full ", "factors", (C, D, D + 1), r"factors has shape \(3, 4, 5\)"),
        ("gaussian_logpdf full ", "factors", (D, D), "factors must have 3 dimensions"),
        ("gaussian_logpdf shared ", "factors", (C, D), r"expected \(4, 4\) for 3 shared"),
        ("gaussian_logpdf diag ", "factors", (D, D), r"expected \(3, 4\) for 3 diag"),
        ("gaussian_logpdf full paired", "means", (C, D), r"expected \(5, 4\) to pair"),
        ("gaussian_logpdf diag paired", "factors", (C, D), r"expected \(5, 4\) for 5 diag"),
        ("gaussian_logpdf full ", "x", (N, 0), r"x \(5, 0\) has no columns"),
        ("gaussian_logpdf full ", "means", (0, D), r"means \(0, 4\) has no rows"),
        ("cholesky_factors", "cov", (C, D, D + 1), r"cov has shape \(3, 4, 5\)"),
        ("cholesky_factors", "cov", (D, 1), r"cov has shape \(4, 1\), expected \(1, 1\)"),
        ("cholesky_factors", "cov", (C, 0, 0), r"cov \(3, 0, 0\) has no columns"),
        ("gaussian_moments", "x", (N, 0), r"x \(5, 0\) has no columns"),
        ("gaussian_moments", "x", (N + 1, D), r"labels has shape \(5,\), expected 6 labels"),
        ("gaussian_moments", "sample_weight", (N + 1,), r"sample_weight has shape \(6,\)"),
        ("logsumexp", "x", (N, 0), r"x \(5, 0\) has no columns"),
        ("log_softmax", "x", (N, 0), r"x \(5, 0\) has no columns"),
        *[
            (case, *bad)
            for case in LINEAR
            for bad in [
                ("w", (D + 1, C), "w must have 4 rows"),
                ("b", (C + 1,), r"b has shape \(4,\), expected \(3,\)"),
                ("y", (N + 1, C), r"y has shape \(6, 3\), expected targets \(5, 3\)"),
                ("y", (N, 1), r"y has shape \(5, 1\), expected targets"),
                ("sample_weight", (1,), r"sample_weight has shape \(1,\), expected \(5,\)"),
                ("x", (0, D), r"x \(0, 4\) has no rows to take the mean over"),
                ("w", (D, 0), r"w \(4, 0\) has no columns"),
            ]
        ],
    ],
)
def test_shapes_that_do_not_match_are_refused(case, a, shape, message, dtype, rng):
    with pytest.raises(ValueError, match=message):
        call(case, arguments(case, dtype, rng) | {a: np.ones(shape, dtype)})


@pytest.mark.parametrize("case", WITH_OUT)
def test_a_bad_out_is_refused_and_left_alone(case, dtype, rng):
    arrays = arguments(case, dtype, rng)
    (good,) = results(case, arrays)
    for what, out, error, message in bad_outs(good):
        before = np.array(out)
        with pytest.raises(error, match=message):
            call(case, arrays, out=out)
        assert np.array_equal(np.array(out), before), what


@pytest.mark.parametrize("case", WITH_OUT)
def test_an_out_over_an_input_is_refused(case, dtype, rng):
    arrays = arguments(case, dtype, rng)
    (good,) = results(case, arrays)
    for a, value in arrays.items():
        buffer = np.zeros(max(good.size, value.size) + 1, dtype)
        inside = buffer[: value.size].reshape(value.shape)
        inside[...] = value
        out = buffer[1 : good.size + 1].reshape(good.shape)
        with pytest.raises(ValueError, match=f"shares memory with {a}"):
            call(case, arrays | {a: inside}, out=out)
        assert np.array_equal(inside, value)


def test_an_out_that_is_the_input(dtype, rng):
    x = rng.uniform(-1, 1, (N, D)).astype(dtype)
    expected = model_formulas.log_softmax(x)
    assert fastnn.log_softmax(x, out=x) is x
    assert (np.abs(x - expected[0]) <= expected[1]).all()
    cov = np.eye(D, dtype=dtype)
    with pytest.raises(ValueError, match="shares memory with cov"):
        fastnn.cholesky_factors(cov, out=cov)


@pytest.mark.parametrize("case", OVERLAPPING)
def test_an_out_beside_an_input_in_one_buffer_is_accepted(case, dtype, rng):
    arrays = arguments(case, dtype, rng)
    name, value = next(iter(arrays.items()))
    (good,) = results(case, arrays)
    buffer = np.zeros((*value.shape[:-1], 2 * D), dtype)
    inside, beside = buffer[..., ::2], buffer[..., 1::2]
    inside[...] = value
    out = beside[..., 0] if good.ndim < value.ndim else beside[..., : good.shape[-1]]
    assert call(case, arrays | {name: inside}, out=out) is out
    assert_exact(case, arrays, [out])
    assert np.array_equal(inside, value)
