"""One row at a time: the same bits as in a batch, wherever x and out lie."""

import numpy as np
import pytest
from exact_data import network, numbers
from sizes import LAYOUTS, laid_out
from test_same_bits import same

import fastnn

pytestmark = pytest.mark.skipif(
    fastnn.backend() != "compiled", reason="only the compiled kernels promise bits"
)

HIDDEN = ("identity", "sigmoid", "tanh", "relu")
OUTPUTS = ("softmax", "sigmoid", "identity")
HELD = pytest.mark.parametrize("held", [False, True], ids=["packed", "held"])


def rows_of(net, n=5):
    """x (n, k) for a network."""
    return numbers((n, net.sizes[0]), 5, net.dtype, 2)


def held_arrays(net, held):
    """Arrays of the parameters to keep alive, or none."""
    return net.weights if held else ()


@HELD
@pytest.mark.parametrize("output", OUTPUTS)
def test_every_width(isa, held, output, dtype):
    for width in range(1, 71):
        for sizes in [(width, 3), (3, width), (71 - width, width, 2)]:
            net = network(dtype, sizes, ("tanh",) * (len(sizes) - 2), output)
            kept = held_arrays(net, held)
            x = rows_of(net)
            whole = net(x)
            for row, y in zip(x, whole, strict=True):
                assert same(net(row), y), sizes
                assert same(net(row[np.newaxis]), y[np.newaxis]), sizes
            del kept


@HELD
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_every_activation(isa, held, hidden, output, dtype):
    for sizes in [(7, 19, 4), (16, 32, 33, 10), (5, 64, 1), (3, 1, 1, 2)]:
        net = network(dtype, sizes, (hidden,) * (len(sizes) - 2), output)
        kept = held_arrays(net, held)
        x = rows_of(net)
        x[1] *= 64  # where functions saturate
        x[2] = 0
        assert all(map(same, map(net, x), net(x)))
        assert all(same(net.activations(r)[-1], y) for r, y in zip(x, net(x), strict=True))
        del kept


@HELD
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_every_layout(isa, held, output, layout, dtype):
    for sizes in [(20, 33, 10), (1, 5, 1), (70, 2, 17), (40, 300, 600, 3)]:
        net = network(dtype, sizes, ("sigmoid",) * (len(sizes) - 2), output)
        kept = held_arrays(net, held)
        x = rows_of(net)
        for row, y in zip(x, net(x), strict=True):
            placed = laid_out(row, layout)
            assert same(net(placed), y)
            for out_layout in LAYOUTS:
                out = laid_out(np.full_like(y, -777), out_layout)
                if out.flags.aligned:
                    assert net(placed, out=out) is out
                    assert same(out, y), (sizes, layout, out_layout)
        del kept


@HELD
def test_out_beside_and_over_x(isa, held, dtype):
    """`out` may not be x; beside it, and between its elements, it may."""
    net = network(dtype, (6, 9, 6), ("tanh",), "softmax")
    kept = held_arrays(net, held)
    x = rows_of(net)
    for row, y in zip(x, net(x), strict=True):
        buffer = np.zeros(18, dtype)
        for start, step in [(0, 1), (0, 2), (1, 2), (5, 2), (2, 1)]:
            buffer[:] = 0
            view = buffer[start : start + 6 * step : step][:6]
            view[:] = row
            for out_start in range(13):
                out = buffer[out_start : out_start + 6]
                shared = np.shares_memory(out, view)
                before = buffer.copy()
                if shared:
                    with pytest.raises(ValueError, match="memory"):
                        net(view, out=out)
                    assert same(buffer, before)
                else:
                    assert same(net(view, out=out), y)
                    assert same(view, row)
        interleaved = np.zeros(12, dtype)
        interleaved[::2] = row
        net(interleaved[::2], out=interleaved[1::2])
        assert same(interleaved[::2], row) and same(interleaved[1::2], y)
    del kept


def test_broadcast_x(isa, dtype):
    net = network(dtype, (6, 9, 4), ("tanh",), "softmax")
    x = np.broadcast_to(dtype.type(0.5), 6)
    assert same(net(x), net(np.full((3, 6), 0.5, dtype))[2])


def test_nan_of_one_row(isa, dtype):
    net = network(dtype, (6, 9, 4), ("tanh",), "softmax")
    x = rows_of(net)
    right = net(x)
    bad = x[0].copy()
    bad[3] = np.nan
    assert np.isnan(net(bad)).all()
    assert same(net(x[0]), right[0])


def test_rows_that_are_work_for_threads(isa, dtype):
    """A row of a network too wide for the quick path, beside one of a network that just is not."""
    for width in (300, 500, 700, 1030):
        net = network(dtype, (300, width, 10), ("relu",))
        x = rows_of(net)
        for threads in (1, 2, 7):
            assert all(same(net(r, num_threads=threads), y) for r, y in zip(x, net(x), strict=True))
