"""Properties that hold for all arguments, tried on examples that hypothesis draws.

Integers small enough that every sum is exact make some of them exact equalities.
"""

import formulas
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sizes import spread

import fastnn

COMPILED = fastnn.backend() == "compiled"
ACTIVATIONS = ("identity", "sigmoid", "tanh", "relu", "softmax")
LOSSES = (
    "softmax_cross_entropy",
    "sigmoid_cross_entropy",
    "squared_error",
    "poisson_loss",
    "huber_loss",
    "absolute_error",
)

isas = st.sampled_from(fastnn.available_isas())
dtypes = st.sampled_from([np.dtype(np.float32), np.dtype(np.float64)])
widths = st.one_of(st.integers(1, 40), st.sampled_from([63, 64, 65, 128, 255, 256, 257, 300]))
rows = st.integers(1, 40)
seeds = st.integers(0, 2**32 - 1)
activations = st.sampled_from(ACTIVATIONS)


def small_integers(rng, shape, dtype):
    """Whole numbers below 2^6: sums of 300 products of two are below 2^21, hence exact."""
    return rng.integers(-63, 64, shape).astype(dtype)


def equal(a, b):
    """Equal to the bit with the compiled kernels; NumPy's may depend on the shape and layout."""
    if COMPILED:
        return a.tobytes() == b.tobytes()
    scale = np.abs(b).max(initial=0) + 1
    return np.abs(a - b).max(initial=0) <= 512 * np.finfo(b.dtype).eps * scale


@st.composite
def views(draw, rng, shape, dtype):
    """A view of that shape with strides of any sign and size, over random numbers."""
    steps = [draw(st.sampled_from([1, 1, 2, 3, -1, -2])) for _ in shape]
    margins = [draw(st.integers(0, 3)) for _ in shape]
    transposed = draw(st.booleans())
    lengths = [abs(step) * n + margin for step, n, margin in zip(steps, shape, margins)]
    buffer = spread(rng, lengths[::-1] if transposed else lengths, dtype, high=1)
    buffer = buffer.T if transposed else buffer
    for axis, (step, n) in enumerate(zip(steps, shape)):
        window = np.moveaxis(buffer, axis, 0)[: abs(step) * n : abs(step)][:n]
        buffer = np.moveaxis(window[:: 1 if step > 0 else -1], 0, axis)
    assert buffer.shape == tuple(shape)
    return buffer


@st.composite
def layers(draw):
    """A set, and x (n, k), w (k, m), b (m,) in any layout."""
    n, k, m, dtype = draw(rows), draw(widths), draw(widths), draw(dtypes)
    rng = np.random.default_rng(draw(seeds))
    x, w = draw(views(rng, (n, k), dtype)), draw(views(rng, (k, m), dtype))
    return draw(isas), x, w, draw(views(rng, (m,), dtype))


@given(isas, dtypes, rows, widths, widths, seeds)
def test_the_identity_layer_is_linear(isa, dtype, n, k, m, seed):
    rng = np.random.default_rng(seed)
    x, x2 = (small_integers(rng, (n, k), dtype) for _ in range(2))
    w, w2 = (small_integers(rng, (k, m), dtype) for _ in range(2))
    b = small_integers(rng, m, dtype)
    with fastnn.use_isa(isa):
        y = fastnn.dense_forward(x, w)
        assert np.array_equal(y, x.astype(np.int64) @ w.astype(np.int64))
        assert np.array_equal(fastnn.dense_forward(x + x2, w), y + fastnn.dense_forward(x2, w))
        assert np.array_equal(fastnn.dense_forward(x, w + w2), y + fastnn.dense_forward(x, w2))
        assert np.array_equal(fastnn.dense_forward(-2 * x, w), -2 * y)
        assert np.array_equal(fastnn.dense_forward(x, w, b), y + b)


@given(layers())
def test_the_product_of_the_transposes_is_the_transpose(case):
    isa, x, w, _ = case
    with fastnn.use_isa(isa):
        assert equal(fastnn.dense_forward(w.T, x.T), fastnn.dense_forward(x, w).T.copy())


@given(isas, dtypes, rows, widths, widths, seeds)
def test_the_gradient_of_the_identity_layer_is_its_adjoint(isa, dtype, n, k, m, seed):
    rng = np.random.default_rng(seed)
    x, dy = small_integers(rng, (n, k), dtype), small_integers(rng, (n, m), dtype)
    w = small_integers(rng, (k, m), dtype)
    with fastnn.use_isa(isa):
        y = fastnn.dense_forward(x, w)
        dx, dw, db = fastnn.dense_backward(x, w, y, dy)
    x, w, y, dy, dx, dw = (a.astype(np.int64) for a in (x, w, y, dy, dx, dw))
    assert (dx * x).sum() == (dy * y).sum() == (dw * w).sum()
    assert np.array_equal(db, dy.sum(axis=0))


@given(layers(), activations, st.data())
def test_rows_permuted_give_outputs_permuted(case, activation, data):
    isa, x, w, b = case
    order = data.draw(st.permutations(range(len(x))))
    with fastnn.use_isa(isa):
        y = fastnn.dense_forward(x, w, b, activation=activation)
        permuted = fastnn.dense_forward(x[order], w, b, activation=activation)
    assert equal(permuted, y[order])


@given(layers(), activations, st.data())
def test_any_split_of_a_batch_gives_the_same(case, activation, data):
    isa, x, w, b = case
    cuts = sorted(data.draw(st.lists(st.integers(0, len(x)), max_size=6)))
    with fastnn.use_isa(isa):
        y = fastnn.dense_forward(x, w, b, activation=activation)
        parts = [
            fastnn.dense_forward(x[begin:end], w, b, activation=activation)
            for begin, end in zip([0, *cuts], [*cuts, len(x)])
        ]
    assert equal(np.concatenate(parts), y)


@given(layers(), activations)
def test_strides_do_not_matter(case, activation):
    isa, x, w, b = case
    with fastnn.use_isa(isa):
        y = fastnn.dense_forward(x, w, b, activation=activation)
        again = fastnn.dense_forward(x.copy(), w.copy(), b.copy(), activation=activation)
        assert equal(y, again)
        expected, bound = formulas.dense_forward(x, w, b, activation=activation)
        assert (np.abs(y - expected) <= bound).all()
        gradients = fastnn.dense_backward(x, w, y, y.T.copy().T, activation=activation)
        copies = fastnn.dense_backward(x.copy(), w.copy(), y, y, activation=activation)
    assert all(map(equal, gradients, copies))


@given(layers(), activations, st.data())
def test_an_out_of_any_strides_receives_what_is_returned_without(case, activation, data):
    isa, x, w, b = case
    rng = np.random.default_rng(0)
    out = data.draw(views(rng, (x.shape[0], w.shape[1]), x.dtype))
    with fastnn.use_isa(isa):
        y = fastnn.dense_forward(x, w, b, activation=activation)
        assert fastnn.dense_forward(x, w, b, activation=activation, out=out) is out
        assert equal(out.copy(), y)
        for name in ("sigmoid", "softmax"):
            assert getattr(fastnn, name)(y, out=out) is out
            assert equal(out.copy(), getattr(fastnn, name)(y))


@given(layers())
def test_repeated_rows_give_repeated_outputs(case):
    isa, x, w, b = case
    with fastnn.use_isa(isa):
        y = fastnn.dense_forward(np.broadcast_to(x[:1], x.shape), w, b, activation="tanh")
        zero_columns = np.broadcast_to(w[:, :1], w.shape)
        same = fastnn.dense_forward(x, zero_columns)
    assert equal(y, np.repeat(y[:1], len(x), axis=0))
    assert equal(same, np.repeat(same[:, :1], w.shape[1], axis=1))


@given(layers())
def test_rows_of_softmax_sum_to_one(case):
    isa, x, _, _ = case
    with fastnn.use_isa(isa):
        y = fastnn.softmax(x)
    assert (y >= 0).all() and (y <= 1).all()
    bound = (x.shape[1] + 2) * np.finfo(x.dtype).eps
    assert np.abs(formulas.wide(y).sum(axis=1) - 1).max() <= bound


@given(layers(), st.sampled_from(LOSSES), st.data())
def test_a_loss_is_the_mean_of_its_rows(case, name, data):
    isa, z, _, _ = case
    n, c = z.shape
    labels = np.array(data.draw(st.lists(st.integers(0, c - 1), min_size=n, max_size=n)))
    loss_of = getattr(fastnn, name)
    with fastnn.use_isa(isa):
        loss, dz = loss_of(z, labels)
        alone = [loss_of(z[i : i + 1], labels[i : i + 1]) for i in range(n)]
        order = data.draw(st.permutations(range(n)))
        _, permuted = loss_of(z[order], labels[order])
    # Sums in float64; the shares 1 / n round each gradient twice more.
    mean = np.mean([value for value, _ in alone])
    assert abs(loss - mean) <= (n + 2) * np.finfo(np.float64).eps * mean
    assert equal(permuted, dz[order])
    gradients = np.concatenate([g for _, g in alone]).astype(np.float64) / n
    info = np.finfo(z.dtype)
    assert (np.abs(dz - gradients) <= 4 * info.eps * np.abs(gradients) + info.tiny).all()
