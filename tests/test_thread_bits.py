"""The same bits for any number of threads, of everything that is divided among them."""

import re
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from exact_data import labels, network, numbers, parameters
from processes import output_of
from test_same_bits import same

import fastnn

pytestmark = pytest.mark.skipif(
    fastnn.backend() != "compiled", reason="only the compiled kernels have threads and promise bits"
)

COUNTS = (2, 3, 7, 16)  # of threads, compared with 1; more than most machines have processors
TESTS = Path(__file__).parent
PART_WORK = 1e6  # floating-point operations, of which a thread gets no fewer: csrc/internal.h
SIZES = (60, 120, 50, 10)
FLOPS = 2 * (60 * 120 + 120 * 50 + 50 * 10)  # for one row
SOLVERS = ("sgd", "momentum", "nesterov", "adam", "lbfgs")


@contextmanager
def threads(count):
    """Compute with so many threads inside a `with` block."""
    before = fastnn.get_num_threads()
    fastnn.set_num_threads(count)
    try:
        yield
    finally:
        fastnn.set_num_threads(before)


def assert_same_for_all_counts(compute):
    """Assert that what compute() returns, arrays and floats, does not depend on the threads."""
    with threads(1):
        right = list(compute())
    for count in COUNTS:
        with threads(count):
            results = list(compute())
        assert len(results) == len(right) > 0
        for i, (a, b) in enumerate(zip(results, right, strict=True)):
            assert same(a, b), f"result {i} with {count} threads"


def flat(gradients):
    """All arrays of pairs."""
    return [a for pair in gradients for a in pair]


def rows_and_labels(dtype, n=600, k=60):
    """x (n, k), labels of ten classes, and weights, some of which are 0."""
    w = np.abs(numbers(n, 12, dtype)) * (np.arange(n) % 5 != 2)
    return numbers((n, k), 1, dtype), labels(n, 10, 2), w


# Workloads: each returns results that must not depend on the number of threads, and is so much work
# that every number in COUNTS divides it differently.


def outputs_of_many_rows(dtype):
    net = network(dtype, SIZES)
    x, _, _ = rows_and_labels(dtype)
    yield from (net(x), net(x[:, ::-1]), net(x[:300]), *net.activations(x))


def outputs_of_few_rows(dtype):
    """Layers so wide that their columns are divided; the last one is narrow."""
    for output in ("softmax", "identity"):
        net = network(dtype, (300, 1100, 500, 10), output=output)
        x = numbers((40, 300), 3, dtype)
        yield net(x[0])
        yield from (net(x[:n]) for n in (1, 2, 3, 17, 40))
        out = np.empty((3, 20), dtype)[:, ::2]
        yield net(x[:3], out=out)


def outputs_of_one_layer(dtype):
    net = network(dtype, (400, 1300), activation=())
    x = numbers((60, 400), 3, dtype)
    yield from (net(x[0]), net(x[:2]), net(x))


def gradients(dtype):
    net = network(dtype, SIZES)
    x, y, w = rows_and_labels(dtype)
    for options in ({}, {"alpha": 0.125, "sample_weight": w}):
        loss, pairs = net.loss_and_gradients(x, y, **options)
        yield from (loss, *flat(pairs))


def training(dtype):
    """All solvers; batches of more rows than a block of 256, and of fewer."""
    x, y, w = rows_and_labels(dtype)
    for solver in SOLVERS:
        for batch_size in (100, 300, 600) if solver != "lbfgs" else (600,):
            net = network(dtype, SIZES)
            losses = net.train(
                *(x, y),
                epochs=1 if solver != "lbfgs" else 3,
                batch_size=batch_size,
                solver=solver,
                learning_rate=0.01,
                alpha=0.001,
                sample_weight=w,
                rng=3,
            )
            yield from (*losses, *parameters(net), net(x))


def layers(dtype):
    for n, k, m in [(400, 150, 130), (40, 300, 2048), (9, 600, 700)]:
        x, w, b = numbers((n, k), 4, dtype), numbers((k, m), 5, dtype, 0.125), numbers(m, 6, dtype)
        for activation in ("identity", "tanh", "softmax"):
            yield fastnn.dense_forward(x, w, b, activation=activation)
        yield fastnn.dense_forward(x, np.asfortranarray(w), b)
        yield fastnn.dense_forward(np.asfortranarray(x), w[:, ::-1])


def layers_backward(dtype):
    for n, k, m in [(700, 150, 130), (300, 20, 400), (260, 500, 30)]:
        x, w = numbers((n, k), 4, dtype), numbers((k, m), 5, dtype, 0.125)
        y, dy = numbers((n, m), 7, dtype), numbers((n, m), 8, dtype)
        for activation in ("identity", "sigmoid", "softmax"):
            yield from fastnn.dense_backward(x, w, y, dy, activation=activation)
        yield from fastnn.dense_backward(
            np.asfortranarray(x), np.asfortranarray(w), y, np.asfortranarray(dy)
        )


def gaussian(covariance):
    """A workload: fit, with and without weights, and every prediction."""

    def compute(dtype):
        n, d = 9000 if covariance == "diag" else 3000, 30
        x, y = numbers((n, d), 9, dtype), labels(n, 10, 10)
        x[:, 0] += y.astype(dtype) / 8
        w = np.abs(numbers(n, 11, dtype)) + dtype.type(0.125)
        for weights in (None, w):
            model = fastnn.GaussianClassifier(covariance).fit(x, y, weights)
            yield from (model.means_, model.predict(x), model.predict_proba(x))
            yield from (model.predict_log_proba(x), model.joint_log_likelihood(x))
            yield model.score_samples(x)
        yield from fastnn.gaussian_moments(x, y, 10, sample_weight=w, covariance=covariance)[:3]

    return compute


def linear_losses(dtype):
    x, y, w = rows_and_labels(dtype, 2000)
    theta = numbers((60, 10), 13, dtype, 0.25)
    for loss in ("softmax_cross_entropy", "sigmoid_cross_entropy", "squared_error"):
        targets = numbers((2000, 10), 14, dtype)
        for hessian in (False, True):
            yield from fastnn.linear_loss(
                *(x, y if loss == "softmax_cross_entropy" else targets, theta, theta[0]),
                loss=loss,
                alpha=0.125,
                sample_weight=w,
                hessian=hessian,
            )


def linear_models(dtype):
    x, y, w = rows_and_labels(dtype, 2000)
    x[:, 0] += y.astype(dtype) / 8
    for solver in ("lbfgs", "newton-cholesky"):
        for weights in (None, w):
            model = fastnn.LogisticRegression(solver=solver, tol=1e-2).fit(x, y, weights)
            yield from (model.coef_, model.intercept_, model.predict_proba(x), model.predict(x))
    for targets in (x[:, 0] * 2, numbers((2000, 3), 15, dtype)):
        model = fastnn.Ridge().fit(x, targets, w)
        yield from (model.coef_, model.intercept_, model.predict(x))


WORKLOADS = {
    f.__name__: f
    for f in (
        outputs_of_many_rows,
        outputs_of_few_rows,
        outputs_of_one_layer,
        gradients,
        training,
        layers,
        layers_backward,
        linear_losses,
        linear_models,
    )
} | {f"gaussian {c}": gaussian(c) for c in ("full", "shared", "diag")}


@pytest.mark.parametrize("what", WORKLOADS)
def test_the_number_of_threads_does_not_matter(isa, what, dtype):
    assert_same_for_all_counts(lambda: WORKLOADS[what](dtype))


@pytest.mark.parametrize("count", [1, *COUNTS])
def test_nor_does_it_as_an_argument(count, dtype):
    x, y, w = rows_and_labels(dtype)

    def compute(**options):
        net = network(dtype, SIZES)
        loss, pairs = net.loss_and_gradients(x, y, sample_weight=w, **options)
        losses = net.train(x, y, epochs=1, batch_size=300, rng=0, **options)
        return [
            *(loss, *flat(pairs), *losses, *parameters(net), net(x, **options)),
            *(net(x[0], **options), *net.activations(x, **options)),
        ]

    with threads(1):
        assert all(map(same, compute(num_threads=count), compute()))


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
@pytest.mark.parametrize("what", WORKLOADS)
def test_the_workloads_are_divided(what):
    """In a fresh process each of them starts as many threads as it may use: it compares something."""
    code = """
        import os, sys
        sys.path.insert(0, sys.argv[1])
        import numpy as np, fastnn
        from test_thread_bits import COUNTS, WORKLOADS
        def tasks():
            return len(os.listdir("/proc/self/task"))
        before = tasks()
        for count in COUNTS:
            fastnn.set_num_threads(count)
            for _ in WORKLOADS[sys.argv[2]](np.dtype("float32")):
                pass
            print(1 + tasks() - before)
    """
    options = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "FASTNN_NUM_THREADS": None}
    counted = output_of(code, TESTS, what, timeout=120, **options).split()
    started = list(map(int, counted))
    assert started[:2] == [2, 3], started
    assert started[2] > 3, started


def test_the_work_of_a_part_is_what_it_was():
    header = TESTS.parent / "csrc" / "internal.h"
    if not header.exists():
        pytest.skip("there are no C sources beside the tests")
    found = re.search(r"#define FNN_PART_WORK (\S+)", header.read_text())
    assert float(found[1]) == PART_WORK
    assert 256 * FLOPS > 7 * PART_WORK
