"""linear_loss against the formulas and against finite differences."""

import itertools

import model_formulas
import numpy as np
import pytest
from formulas import assert_within
from sizes import LAYOUTS, laid_out, spread
from test_gradients import assert_gradient

import fastnn

LOSSES = ("softmax_cross_entropy", "sigmoid_cross_entropy", "squared_error")
KINDS = ("labels", "targets")
SIZES_N = (1, 2, 3, 15, 16, 17, 31, 33, 127, 128, 129, 255, 256, 257, 511, 513)
SIZES_D = (1, 2, 3, 7, 8, 9, 13, 14, 15, 16, 17, 31, 32, 33)
SIZES_C = (1, 2, 3, 10, 17)


def linear_case(rng, n, d, c, dtype, loss, kind, weighted=True, intercept=True):
    """The arguments of linear_loss by name, with logits of a few units."""
    x, w = spread(rng, (n, d), dtype, -6, 2), spread(rng, (d, c), dtype, -4, 1)
    n_values = c if loss == "softmax_cross_entropy" else max(c, 2)
    if kind == "labels":
        y = rng.integers(0, n_values, n)
    else:
        y = rng.uniform(-0.25, 1.25, (n, c)).astype(dtype)
    weights = np.abs(spread(rng, n, dtype, -6, 3)) * (rng.random(n) < 0.8)
    weights[0] = 1
    return {
        "x": x,
        "y": y,
        "w": w / dtype.type(np.sqrt(d)),
        "b": spread(rng, c, dtype, -4, 1) if intercept else None,
        "sample_weight": weights.astype(dtype) if weighted else None,
    }


def check(arguments, loss, alpha, hessian=True, exact=None):
    """Assert the bounds of all results, their types, and that no input changed."""
    before = {name: np.copy(a) for name, a in arguments.items() if a is not None}
    exact = exact or model_formulas.linear_loss(**arguments, loss=loss, alpha=alpha)
    results = fastnn.linear_loss(**arguments, loss=loss, alpha=alpha, hessian=hessian)
    assert len(results) == (4 if hessian else 3) and type(results[0]) is float
    assert abs(results[0] - exact[0][0]) <= exact[0][1]
    for value, expected in zip(results[1:], exact[1:]):
        if expected is None:
            assert value is None
            continue
        assert value.dtype == arguments["x"].dtype and value.flags.c_contiguous
        assert_within(value, expected)
    if hessian:
        assert np.array_equal(results[3], results[3].swapaxes(-2, -1))
    assert all(np.array_equal(arguments[name], a) for name, a in before.items())


def sizes(loss, rng):
    """(n, d, c) with every d, in which n and c take turns; the Hessians of softmax are large."""
    turn = itertools.count(rng.integers(100))
    for d in SIZES_D:
        for c in SIZES_C if d <= 17 or loss != "softmax_cross_entropy" else SIZES_C[:3]:
            yield SIZES_N[7 * next(turn) % len(SIZES_N)], d, c


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", LOSSES)
def test_all_sizes(isa, loss, kind, intercept, dtype, rng):
    for n, d, c in sizes(loss, rng):
        weighted, alpha = rng.random() < 0.5, rng.choice([0.0, 0.25])
        arguments = linear_case(rng, n, d, c, dtype, loss, kind, weighted, intercept)
        for name in ("x", "y", "w", "b", "sample_weight"):
            if arguments[name] is not None:
                arguments[name] = laid_out(arguments[name], rng.choice(list(LAYOUTS)))
        check(arguments, loss, alpha, hessian=rng.random() < 0.7)


@pytest.mark.parametrize("loss", LOSSES)
def test_large_sizes(isa, loss, dtype, rng):
    for n, d, c in [(300, 64, 2), (130, 65, 2), (257, 100, 1), (60, 257, 1), (700, 5, 17)]:
        arguments = linear_case(rng, n, d, c, dtype, loss, "labels")
        check(arguments, loss, 0.5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", LOSSES)
def test_all_layouts(isa, loss, kind, dtype, rng):
    arguments = linear_case(rng, 270, 5, 3, dtype, loss, kind)
    exact = model_formulas.linear_loss(**arguments, loss=loss, alpha=0.5)
    for layout, other in itertools.product(LAYOUTS, LAYOUTS):
        placed = {
            name: laid_out(a, layout if name in ("x", "sample_weight") else other)
            for name, a in arguments.items()
        }
        check(placed, loss, 0.5, exact=exact)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_results_do_not_depend_on_the_hessian(isa, loss, dtype, rng):
    arguments = linear_case(rng, 300, 9, 3, dtype, loss, "labels")
    three = fastnn.linear_loss(**arguments, loss=loss)
    four = fastnn.linear_loss(**arguments, loss=loss, hessian=True)
    assert three[0] == four[0]
    assert all(np.array_equal(a, b) for a, b in zip(three[1:], four[1:3], strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", LOSSES)
def test_it_is_the_loss_of_the_layer(isa, loss, kind, dtype, rng):
    arguments = linear_case(rng, 40, 7, 3, dtype, loss, kind)
    x, w, b = (arguments[name] for name in ("x", "w", "b"))
    options = {"sample_weight": arguments["sample_weight"]}
    z = fastnn.dense_forward(x, w, b)
    value, dz = getattr(fastnn, loss)(z, arguments["y"], **options)
    _, dw, db = fastnn.dense_backward(x, w, z, dz, needs=("dw", "db"))
    exact = model_formulas.linear_loss(**arguments, loss=loss)
    own = fastnn.linear_loss(**arguments, loss=loss)
    for a, b, (_, bound) in zip((value, dw, db), own, exact[:3], strict=True):
        assert (np.abs(a - b) <= 2 * bound).all()


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "sigmoid_cross_entropy"])
@pytest.mark.parametrize("distance", [1.0, 40.0, 1e4])
def test_confident_logits(isa, loss, distance, dtype):
    x = np.array([[distance], [-distance], [0.5]], dtype)
    w = np.array([[1.0, -1.0]], dtype)
    for y in ([0, 1, 0], [1, 0, 1]):
        arguments = {"x": x, "y": np.array(y), "w": w, "b": np.zeros(2, dtype)}
        check(arguments, loss, 0.0)


# Finite differences, in float64

DOUBLE = np.dtype(np.float64)


def difference_case(rng, loss, kind, c, intercept):
    """A small problem whose parameters can be moved, and its options."""
    arguments = linear_case(rng, 6, 3, c, DOUBLE, loss, kind, True, intercept)
    return arguments, {"loss": loss, "alpha": 0.3}


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_gradient_is_that_of_the_loss(isa, loss, c, kind, intercept, rng):
    arguments, options = difference_case(rng, loss, kind, c, intercept)
    _, dw, db = fastnn.linear_loss(**arguments, **options)

    def f():
        return fastnn.linear_loss(**arguments, **options)[0]

    assert_gradient(dw, f, arguments["w"])
    if intercept:
        assert_gradient(db, f, arguments["b"])


def whole_hessian(hessian, loss, c):
    """The Hessian by all parameters, class by class, from what linear_loss returns."""
    if loss == "softmax_cross_entropy":
        return hessian
    width = hessian.shape[-1]
    whole = np.zeros((c, width, c, width))
    for k in range(c):
        whole[k, :, k] = hessian if loss == "squared_error" else hessian[k]
    return whole.reshape(c * width, c * width)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_hessian_is_that_of_the_gradient(isa, loss, c, kind, intercept, rng):
    arguments, options = difference_case(rng, loss, kind, c, intercept)
    *_, hessian = fastnn.linear_loss(**arguments, **options, hessian=True)
    whole, width = whole_hessian(hessian, loss, c), 3 + intercept
    whole = whole.reshape(c, width, c, width)
    for k, j in itertools.product(range(c), range(width)):

        def f(k=k, j=j):
            _, dw, db = fastnn.linear_loss(**arguments, **options)
            return float(dw[j, k] if j < 3 else db[k])

        assert_gradient(whole[k, j, :, :3].T, f, arguments["w"])
        if intercept:
            assert_gradient(whole[k, j, :, 3], f, arguments["b"])


# What the bounds must not let pass


def wrong_results(arguments, loss, alpha):
    """Wrong results by the mistake made."""

    def of(alpha=alpha, **changed):
        exact = model_formulas.linear_loss(**(arguments | changed), loss=loss, alpha=alpha)
        return [value for value, _ in exact]

    x, w, weights = arguments["x"], arguments["w"], arguments["sample_weight"]
    right = of()
    yield "weights ignored", of(sample_weight=None)
    yield "no penalty", of(alpha=0.0)
    yield "the penalty doubled", of(alpha=2 * alpha)
    yield "targets of the next row", of(y=np.roll(arguments["y"], 1, axis=0))
    yield "classes exchanged", of(w=np.roll(w, 1, axis=1))
    yield "no intercept", of(b=0 * arguments["b"])
    yield "sum, not mean", [a * float(weights.sum()) for a in right]
    lower = np.float16 if x.dtype == np.float32 else np.float32
    yield "data rounded", of(x=x.astype(lower).astype(x.dtype))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", LOSSES)
def test_the_bounds_reject(loss, kind, dtype, rng):
    arguments = linear_case(rng, 9, 4, 3, dtype, loss, kind)
    (value, bound), *gradients, _ = model_formulas.linear_loss(**arguments, loss=loss, alpha=0.5)
    for gradient in gradients:
        assert_within(gradient[0].astype(dtype), gradient)
    for wrong, (other, *others) in wrong_results(arguments, loss, 0.5):
        assert abs(other - value) > bound, wrong
        beyond = [np.abs(v - e) > b for v, (e, b) in zip(others, gradients)]
        assert any(b.any() for b in beyond), wrong


@pytest.mark.parametrize("loss", LOSSES)
def test_the_bound_of_the_hessian_rejects(loss, dtype, rng):
    arguments = linear_case(rng, 9, 4, 3, dtype, loss, "labels")
    *_, (hessian, bound) = model_formulas.linear_loss(**arguments, loss=loss, alpha=0.5)
    assert_within(hessian.astype(dtype), (hessian, bound))
    unweighted = arguments | {"sample_weight": None}
    intercept = np.arange(hessian.shape[-1]) % 5 == 4
    mistakes = {
        "weights ignored": model_formulas.linear_loss(**unweighted, loss=loss, alpha=0.5)[3][0],
        "no penalty": model_formulas.linear_loss(**arguments, loss=loss)[3][0],
        "a penalty of the intercept": hessian + 0.5 * np.diag(intercept),
        "ordered feature by feature": np.roll(hessian, 1, axis=(-2, -1)),
        "one unit in the fourth digit": hessian * (1 + 1e-4),
        "sign": -hessian,
    }
    for wrong, value in mistakes.items():
        assert (np.abs(value - hessian) > bound).any(), wrong


@pytest.mark.parametrize("loss", LOSSES)
def test_the_bounds_are_sharp(loss, dtype, rng):
    arguments = linear_case(rng, 40, 7, 3, dtype, loss, "labels")
    (value, bound), *rest = model_formulas.linear_loss(**arguments, loss=loss, alpha=0.5)
    grain = 1000 * np.finfo(dtype).eps
    assert bound < grain * value
    for value, bound in rest:
        assert bound.max() < grain * np.abs(value).max()
