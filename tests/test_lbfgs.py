"""L-BFGS: on functions with known minima, and as a solver of Network."""

import _thread
import threading
from itertools import pairwise

import numpy as np
import pytest

from fastnn import Network, _lbfgs
from fastnn._lbfgs import minimize

EPS = np.finfo(np.float64).eps


class Counted:
    """A function that counts its evaluations and keeps where they were."""

    def __init__(self, function):
        self.function, self.places = function, []

    def __call__(self, theta):
        self.places.append(theta.copy())
        return self.function(theta)


def rosenbrock(theta):
    """100 sum (theta_{i+1} - theta_i^2)^2 + sum (1 - theta_i)^2, with its minimum 0 at 1."""
    a, b = theta[1:] - theta[:-1] ** 2, 1 - theta[:-1]
    gradient = np.zeros_like(theta)
    gradient[1:] += 200 * a
    gradient[:-1] -= 400 * a * theta[:-1] + 2 * b
    return float(100 * (a * a).sum() + (b * b).sum()), gradient


def quadratic(d, condition, rng):
    """theta -> 1 + (theta - 1)' A (theta - 1) / 2 with the eigenvalues 1, ..., condition; and A."""
    q = np.linalg.qr(rng.normal(size=(d, d)))[0]
    a = (q * np.geomspace(1, condition, d)) @ q.T
    a = (a + a.T) / 2

    def function(theta):
        r = a @ (theta - 1)
        return 1 + 0.5 * float((theta - 1) @ r), r

    return function, a


def distance_bound(gradient, curvature):
    """How far a strongly convex function's minimum is at most: |g| over the least curvature."""
    return np.linalg.norm(gradient) / curvature


@pytest.mark.parametrize("d", [2, 3, 10, 50])
def test_rosenbrock(d):
    fun = Counted(rosenbrock)
    start = np.where(np.arange(d) % 2, 1.0, -1.2)
    result = minimize(fun, start, tol=1e-9, max_iter=1000)
    assert result.converged and np.abs(result.gradient).max() <= 1e-9
    a = np.eye(d)  # the Hessian at the minimum, by columns
    for j in range(d):
        step = np.zeros(d)
        step[j] = 1e-6
        a[j] = (rosenbrock(1 + step)[1] - rosenbrock(1 - step)[1]) / 2e-6
    curvature = np.linalg.eigvalsh((a + a.T) / 2)[0]
    assert np.linalg.norm(result.theta - 1) <= 2 * distance_bound(result.gradient, curvature)
    # Step 1 is nearly always taken: there are few evaluations beside one for each iteration.
    assert len(fun.places) <= 1.3 * result.n_iter + 10
    assert np.array_equal(start, np.where(np.arange(d) % 2, 1.0, -1.2))


@pytest.mark.parametrize("d", [1, 2, 5, 12])
def test_a_quadratic_takes_as_many_exact_steps_as_variables(d, rng, monkeypatch):
    monkeypatch.setattr(_lbfgs, "_CURVATURE", 1e-8)
    function, _ = quadratic(d, 50.0, rng)
    result = minimize(function, np.zeros(d), tol=1e-8, max_iter=100, memory=d)
    assert result.converged and result.n_iter <= d


def test_the_true_inverse_hessian_needs_one_step(rng):
    function, a = quadratic(9, 1e6, rng)
    inverse = np.linalg.inv(a)
    fun = Counted(function)
    result = minimize(fun, np.zeros(9), tol=1e-6, max_iter=10, precondition=lambda v: inverse @ v)
    # The rounding of an inverse is some d eps cond; times the first gradient that is below tol.
    assert 9 * EPS * 1e6 * np.abs(function(np.zeros(9))[1]).max() < 1e-2
    assert result.converged and result.n_iter <= 2 and len(fun.places) == result.n_iter + 1


@pytest.mark.parametrize(("condition", "memory"), [(1e4, 10), (1e8, 40)])
def test_ill_conditioned(condition, memory, rng):
    function, _ = quadratic(20, condition, rng)
    result = minimize(function, np.zeros(20), tol=1e-6, max_iter=1000, memory=memory)
    assert result.converged
    # The least eigenvalue is 1, but for the rounding of the others.
    curvature = 1 - 20 * EPS * condition
    assert np.linalg.norm(result.theta - 1) <= distance_bound(result.gradient, curvature)


def test_iterations_never_raise_the_value_beyond_rounding(rng):
    function, _ = quadratic(30, 1e4, rng)
    values = []
    minimize(
        function, np.zeros(30), tol=1e-8, max_iter=500, callback=lambda i, t, v: values.append(v)
    )
    assert len(values) > 10
    assert all(b <= a * (1 + 64 * EPS) for a, b in pairwise(values))


def test_iterations_satisfy_the_wolfe_conditions():
    steps = []
    start = np.array([-1.2, 1.0])
    minimize(rosenbrock, start, tol=1e-6, max_iter=99, callback=lambda i, t, v: steps.append(t))
    for old, new in zip([start, *steps], steps):
        (value, gradient), (new_value, new_gradient) = rosenbrock(old), rosenbrock(new)
        along = (new - old) @ gradient
        assert along < 0
        assert new_value <= value + 1e-4 * along + 64 * EPS * value
        assert abs((new - old) @ new_gradient) <= -0.9 * along * (1 + 1e-12)


def test_a_minimum_at_the_start_takes_no_step():
    fun = Counted(rosenbrock)
    result = minimize(fun, np.ones(4), tol=0.0, max_iter=10)
    assert result.converged and result.n_iter == 0 and len(fun.places) == 1


def test_a_tolerance_beyond_rounding_ends(rng):
    function, _ = quadratic(8, 100.0, rng)
    fun = Counted(function)
    result = minimize(fun, np.zeros(8), tol=0.0, max_iter=10_000)
    assert result.converged and "rounding" in result.message or not result.gradient.any()
    # A gradient a r of d terms is within d eps |a| |r| of the true one; r is within some eps.
    assert np.abs(result.gradient).max() <= 1e-8
    assert len(fun.places) < 300


def test_max_iter_and_callback_end_it(rng):
    function, _ = quadratic(8, 1e4, rng)
    result = minimize(function, np.zeros(8), tol=0.0, max_iter=3)
    assert (result.n_iter, result.converged) == (3, False)
    seen = []

    def stop(iteration, theta, value):
        seen.append((iteration, value))
        return iteration == 1

    result = minimize(function, np.zeros(8), tol=0.0, max_iter=9, callback=stop)
    assert (result.n_iter, result.converged) == (2, False)
    assert [i for i, _ in seen] == [0, 1] and seen[-1][1] == result.value
    assert minimize(function, np.zeros(8), tol=0.0, max_iter=0).n_iter == 0


@pytest.mark.parametrize("edge", [np.inf, np.nan])
def test_a_step_out_of_the_domain_is_shortened(edge):
    def barrier(theta):  # -log(1 - theta) - theta/2 + .., defined for theta < 1
        if theta[0] >= 1:
            return edge, np.full(1, edge)
        return float(-np.log(1 - theta[0]) - 100 * theta[0]), 1 / (1 - theta) - 100

    result = minimize(barrier, np.zeros(1), tol=1e-9, max_iter=100, precondition=np.array)
    assert result.converged
    # The curvature at the minimum 0.99 is 1e4.
    assert abs(result.theta[0] - 0.99) <= 2 * np.abs(result.gradient).max() / 1e4 + EPS


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_start_that_is_not_finite_is_told(bad):
    for function in (lambda t: (bad, t), lambda t: (0.0, np.full(2, bad))):
        result = minimize(function, np.ones(2), tol=1e-9, max_iter=9)
        assert not result.converged and result.n_iter == 0 and "not finite" in result.message


def test_a_wrong_gradient_ends():
    fun = Counted(lambda theta: (rosenbrock(theta)[0], -rosenbrock(theta)[1]))
    start = np.array([-1.2, 1.0])
    result = minimize(fun, start, tol=1e-9, max_iter=99)
    assert result.n_iter == 0 and np.array_equal(result.theta, start) and len(fun.places) < 50


# Network


XOR = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])


def network_data(dtype, rng, n=60):
    """x (n, 4) and labels of three classes, and a network for them."""
    x = rng.normal(size=(n, 4)).astype(dtype)
    y = (x @ rng.normal(size=(4, 3)) + rng.gumbel(size=(n, 3))).argmax(axis=1)
    return x, y, Network((4, 5, 3), activation="tanh", dtype=dtype, rng=1)


def parameters(net):
    """Copies of all weights and biases."""
    return [p.copy() for p in (*net.weights, *net.biases)]


def same(net, expected):
    """Tell whether a network has these parameters to the bit."""
    return all(np.array_equal(p, q) for p, q in zip(parameters(net), expected, strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_lbfgs_learns_xor_better_than_adam(seed, dtype):
    x, y = XOR[0].astype(dtype), XOR[1]
    nets = [Network((2, 8, 2), activation="tanh", dtype=dtype, rng=seed) for _ in range(2)]
    adam = nets[0].train(x, y, epochs=200, learning_rate=0.05)
    lbfgs = nets[1].train(x, y, epochs=200, solver="lbfgs")
    assert lbfgs[-1] < adam[-1] and len(lbfgs) <= len(adam)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("output", ["softmax", "sigmoid", "identity"])
def test_it_ends_where_the_gradient_is_within_tol(output, weighted, rng):
    x, y, _ = network_data(np.dtype(np.float64), rng)
    net = Network((4, 5, 3), activation="tanh", output=output, dtype="float64", rng=1)
    options = {"alpha": 0.01, "sample_weight": rng.uniform(0, 2, len(x)) if weighted else None}
    losses = net.train(x, y, epochs=2000, solver="lbfgs", tol=1e-7, **options)
    loss, gradients = net.loss_and_gradients(x, y, **options)
    assert len(losses) < 2000 and losses[-1] == loss
    assert max(np.abs(g).max() for pair in gradients for g in pair) <= 1e-7
    assert all(b <= a * (1 + 64 * EPS) for a, b in pairwise(losses))


def test_float32_ends_where_rounding_hides_the_rest(rng):
    x, y, net = network_data(np.dtype(np.float32), rng)
    losses = net.train(x, y, epochs=5000, solver="lbfgs", tol=0.0, alpha=0.01)
    assert len(losses) < 5000
    _, gradients = net.loss_and_gradients(x, y, alpha=0.01)
    # A gradient's rounding: sums of 60 rows through two layers, of values of order 3.
    bound = 3 * (60 + 16) * np.finfo(np.float32).eps
    assert max(np.abs(g).max() for pair in gradients for g in pair) <= bound


def test_rows_in_several_calls_give_the_same_fit(dtype, rng, monkeypatch):
    x, y, net = network_data(dtype, rng, n=1000)
    twin = Network((4, 5, 3), activation="tanh", dtype=dtype, rng=1)
    weight = np.where(np.arange(1000) < 300, 0, rng.uniform(0, 2, 1000)).astype(dtype)
    options = {"epochs": 5, "solver": "lbfgs", "alpha": 0.1, "sample_weight": weight}
    losses = net.train(x, y, **options)
    monkeypatch.setattr("fastnn._full_batch._FLOPS_OF_A_CALL", 1.0)  # at least 256 rows each
    pieces = twin.train(x, y, **options)
    # Sums of 1000 terms, whose rounding five steps carry on.
    assert np.abs(np.subtract(losses, pieces)).max() <= 32 * 1000 * np.finfo(dtype).eps
    assert losses != pieces or dtype == np.float64


def test_the_callback_sees_the_network_of_its_loss(dtype, rng):
    x, y, net = network_data(dtype, rng)
    seen = []

    def stop(epoch, loss):
        assert net.loss_and_gradients(x, y)[0] == loss
        seen.append((epoch, loss))
        return epoch == 4

    losses = net.train(x, y, epochs=99, solver="lbfgs", callback=stop)
    assert seen == list(enumerate(losses)) and len(losses) == 5
    assert net.loss_and_gradients(x, y)[0] == losses[-1]


def test_no_epochs_change_nothing(dtype, rng):
    x, y, net = network_data(dtype, rng)
    before = parameters(net)
    assert net.train(np.full_like(x, np.nan), y, epochs=0, solver="lbfgs") == []
    assert same(net, before)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_data_that_are_not_finite_leave_the_network(bad, dtype, rng):
    x, y, net = network_data(dtype, rng)
    x[3, 2] = bad
    before = parameters(net)
    with pytest.raises(FloatingPointError, match="epoch 0: .*not finite"):
        net.train(x, y, epochs=9, solver="lbfgs")
    assert same(net, before)
    x[3, 2] = 0
    assert len(net.train(x, y, epochs=1, solver="lbfgs")) == 1


def test_an_exception_leaves_the_last_whole_step(dtype, rng):
    x, y, net = network_data(dtype, rng)
    kept = []

    def fail(epoch, loss):
        kept.append(parameters(net))
        if epoch == 3:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        net.train(x, y, epochs=99, solver="lbfgs", callback=fail)
    assert len(kept) == 4 and same(net, kept[-1])


def test_an_interrupt_leaves_the_last_whole_step(dtype, rng):
    x, y, _ = network_data(dtype, rng, n=2000)
    net = Network((4, 100, 100, 3), dtype=dtype, rng=0)
    kept = [parameters(net)]
    timer = threading.Timer(0.2, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        while True:  # a fit may end before the timer does
            net.train(
                x,
                y,
                epochs=10**9,
                solver="lbfgs",
                tol=0.0,
                callback=lambda epoch, loss: kept.append(parameters(net)),
            )
    timer.join()
    # The interrupt may come after a step and before the callback has kept it.
    assert same(net, kept[-1]) or len(kept) > 1 and not same(net, kept[-2])
    assert all(np.isfinite(p).all() for p in parameters(net))


def test_only_one_training_at_a_time(dtype, rng):
    x, y, net = network_data(dtype, rng)

    def again(epoch, loss):
        net.train(x, y, epochs=1)

    with pytest.raises(RuntimeError, match="cannot train: this network is being trained"):
        net.train(x, y, epochs=2, solver="lbfgs", callback=again)


@pytest.mark.parametrize(
    ("tol", "error"), [(-1.0, ValueError), (np.nan, ValueError), (None, TypeError)]
)
def test_bad_tol(tol, error, dtype, rng):
    x, y, net = network_data(dtype, rng)
    with pytest.raises(error, match="tol"):
        net.train(x, y, epochs=1, solver="lbfgs", tol=tol)
