"""LogisticRegression: its solution, by its own gradient and beside scikit-learn's."""

import logistic_oracle as oracle
import numpy as np
import pytest

import fastnn
from fastnn import LogisticRegression, Network, _logistic
from fastnn.linear import ConvergenceWarning

SOLVERS = _logistic.SOLVERS
TOL = 1e-10
# Of a computed gradient: the sums of a few hundred rows, whose terms are of order 1.
ROUNDING = 1000 * np.finfo(np.float64).eps


def assert_solves(model, objective, tol=TOL):
    """Assert that no entry of the gradient is beyond tol; return how far the minimum may be."""
    theta = oracle.parameters(model)
    assert np.abs(objective.gradient(theta)[:, objective.free]).max() <= tol + ROUNDING
    return objective.distance(theta)


def count_passes(monkeypatch, n):
    """Return a list of the evaluations on all n rows: True where one had a Hessian."""
    passes, backend = [], fastnn.runtime.backend_module
    terms = backend.linear_terms

    def counting(loss, x, y, theta, alpha, sample_weight, hessian):
        if len(x) == n:
            passes.append(hessian)
        return terms(loss, x, y, theta, alpha, sample_weight, hessian)

    monkeypatch.setattr(backend, "linear_terms", counting)
    return passes


@pytest.fixture(params=[2, 3, 5], ids="{} classes".format)
def c(request):
    """Number of classes."""
    return request.param


CASES = {
    "plain": {},
    "strong penalty": {"C": 0.01},
    "weak penalty": {"C": 100.0},
    "no intercept": {"fit_intercept": False},
    "weights": {"weighted": True},
    "balanced": {"class_weight": "balanced"},
    "class weights": {"class_weight": {0: 3.0, 1: 0.5}},
    "all weights": {"weighted": True, "class_weight": "balanced", "C": 3.0},
    "no penalty": {"C": np.inf},
}


def problem(case, c, rng, n=200, d=4):
    """x, labels, sample weights, options of the models, and the objective."""
    options = dict(CASES[case])
    x, labels = oracle.data(n, d, c, rng)
    w = np.where(np.arange(n) % 7 == 1, 0, rng.uniform(0.2, 2, n))
    w = w if options.pop("weighted", False) else None
    total = np.ones(n) if w is None else w
    by_class = options.get("class_weight", {})
    if by_class == "balanced":
        by_class = dict(enumerate(total.sum() / (c * np.bincount(labels, total))))
    total = total * np.array([by_class.get(k, 1.0) for k in range(c)])[labels]
    about = {k: options[k] for k in ("C", "fit_intercept") if k in options}
    return x, labels, w, options, oracle.Objective(x, labels, c, w=total, **about)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("case", CASES)
def test_the_gradient_is_zero(case, solver, c, rng):
    x, labels, w, options, objective = problem(case, c, rng)
    model = LogisticRegression(solver=solver, tol=TOL, max_iter=1000, **options)
    assert model.fit(x, labels, sample_weight=w) is model
    assert assert_solves(model, objective) < 1e-6
    columns = 1 if c == 2 else c
    assert model.coef_.shape == (columns, 4) and model.intercept_.shape == (columns,)
    assert np.array_equal(model.classes_, range(c)) and model.n_features_in_ == 4
    assert model.n_iter_.shape == (1,) and 1 <= model.n_iter_[0] < 1000
    if c > 2:
        assert np.abs(model.coef_.sum(axis=0)).max() <= c * ROUNDING
    if not options.get("fit_intercept", True):
        assert not model.intercept_.any()


@pytest.mark.parametrize("case", CASES)
def test_the_coefficients_are_those_of_scikit_learn(case, c, rng):
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, labels, w, options, objective = problem(case, c, rng)
    theirs = linear_model.LogisticRegression(
        tol=TOL, max_iter=1000, solver="newton-cholesky", **options
    )
    theirs.fit(x, labels, sample_weight=w)
    for solver in SOLVERS:
        ours = LogisticRegression(solver=solver, tol=TOL, max_iter=1000, **options)
        ours.fit(x, labels, sample_weight=w)
        bounds = [objective.distance(oracle.parameters(m)) for m in (ours, theirs)]
        assert sum(bounds) < 1e-6
        apart = np.linalg.norm(oracle.parameters(ours) - oracle.parameters(theirs))
        assert apart <= sum(bounds) + ROUNDING * np.abs(ours.coef_).max()


def test_the_oracle_rejects_another_solution(c, rng):
    x, labels, _, _, objective = problem("plain", c, rng)
    model = LogisticRegression(tol=TOL).fit(x, labels)
    distance = objective.distance(oracle.parameters(model))
    model.coef_[0, 1] += 1e-7
    with pytest.raises(AssertionError):
        assert_solves(model, objective)
    assert objective.distance(oracle.parameters(model)) > max(distance, 0.5e-7)
    step = 1e-6 * rng.normal(size=oracle.parameters(model).shape)
    theta = oracle.parameters(model) + rng.normal(size=step.shape)
    change = objective.value(theta + step) - objective.value(theta - step)
    # The third derivatives are of order 1, so central differences are good to |step|^2.
    expected = 2 * (objective.gradient(theta) * step).sum()
    assert abs(change - expected) <= 100 * np.abs(step).max() ** 2 * abs(expected) + 1e-17


@pytest.mark.parametrize("solver", SOLVERS)
def test_float32_is_as_good_as_its_rounding(solver, c, rng):
    x, labels = oracle.data(300, 4, c, rng)
    narrow = x.astype(np.float32)
    objective = oracle.Objective(narrow.astype(np.float64), labels, c)
    model = LogisticRegression(solver=solver, tol=0.0).fit(narrow, labels)
    assert model.coef_.dtype == model.intercept_.dtype == np.float32
    eps = np.finfo(np.float32).eps
    # Logits of 5 terms and sums of at most 256 rows in float32.
    size = np.abs(narrow).max() * (1 + np.abs(narrow).max() * np.abs(model.coef_).sum())
    assert np.abs(objective.gradient(oracle.parameters(model))).max() <= 300 * eps * size
    for method in ("decision_function", "predict_proba", "predict_log_proba"):
        assert getattr(model, method)(narrow).dtype == np.float32
        assert getattr(model, method)(x).dtype == np.float64


# Many rows


@pytest.mark.parametrize(
    ("n", "d", "classes", "most"), [(20000, 8, 2, 6), (20000, 4, 3, 7), (20000, 40, 2, 8)]
)
def test_many_rows_are_read_few_times(n, d, classes, most, rng, monkeypatch):
    x, labels = oracle.data(n, d, classes, rng)
    objective = oracle.Objective(x, labels, classes)
    passes = count_passes(monkeypatch, n)
    model = LogisticRegression(tol=1e-6).fit(x, labels)
    assert len(passes) <= most and not any(passes)  # the Hessian is that of a sample
    assert_solves(model, objective, 1e-6)
    passes.clear()
    model = LogisticRegression(tol=1e-6, solver="newton-cholesky").fit(x, labels)
    assert len(passes) <= 4 and passes[0]
    assert_solves(model, objective, 1e-6)


def test_the_last_step_of_newton_takes_no_hessian(rng, monkeypatch):
    x, labels = oracle.data(500, 6, 2, rng)
    passes = count_passes(monkeypatch, 500)
    LogisticRegression(tol=TOL, solver="newton-cholesky").fit(x, labels)
    assert len(passes) <= 8 and passes[0] and not passes[-1]


def hostile_rows(what, n, rng):
    """x and labels whose every-kth rows, for any k up to 16, are unlike the others."""
    x, labels = oracle.data(n, 4, 2, rng)
    odd = np.zeros(n, bool)
    for stride in range(2, 17):
        odd[::stride] = True
    if what == "one class":
        labels[odd] = 0
    elif what == "wrong labels":
        labels[odd] = 1 - labels[odd]
    elif what == "separable":
        labels[odd] = x[odd, 0] > 0
    elif what == "no feature":
        x[odd, 2] = 0
    return x, labels


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("C", [1.0, np.inf])
@pytest.mark.parametrize("what", ["one class", "wrong labels", "separable", "no feature"])
def test_a_misleading_sample_is_outlived(what, C, solver, rng):
    x, labels = hostile_rows(what, 5000, rng)
    objective = oracle.Objective(x, labels, 2, C=C)
    model = LogisticRegression(C=C, solver=solver, tol=1e-9).fit(x, labels)
    assert_solves(model, objective, 1e-9)


def test_newton_is_not_taken_for_many_parameters(rng, monkeypatch):
    x, labels = oracle.data(100, 300, 5, rng)
    passes = count_passes(monkeypatch, 100)
    model = LogisticRegression(tol=1e-7).fit(x, labels)
    assert passes and not any(passes)
    assert_solves(model, oracle.Objective(x, labels, 5), 1e-7)


# Difficult features


@pytest.mark.parametrize("solver", SOLVERS)
def test_an_offset_costs_nothing_but_the_bits_of_the_data(solver, dtype, rng):
    x, labels = oracle.data(300, 3, 2, rng)
    shift = np.array([1e5, -3e4, 0])
    x = (x + shift).astype(dtype)  # as the model sees them
    model = LogisticRegression(solver=solver, tol=1e-6).fit(x, labels)
    centred = LogisticRegression(solver=solver, tol=1e-6)
    centred.fit(x.astype(np.float64) - shift, labels)
    objective = oracle.Objective(x.astype(np.float64) - shift, labels, 2)
    bound = 2 * objective.distance(oracle.parameters(centred)) + 300 * np.finfo(dtype).eps
    assert np.linalg.norm(model.coef_ - centred.coef_) <= bound < 1e-3
    back = model.intercept_ + (model.coef_.astype(np.float64) * shift).sum()
    rounding = np.finfo(dtype).eps * np.abs(shift).max() * np.abs(model.coef_).sum()
    assert abs(back - centred.intercept_)[0] <= bound * np.abs(shift).max() + rounding


@pytest.mark.parametrize("C", [1.0, np.inf])
@pytest.mark.parametrize("solver", SOLVERS)
def test_constant_features_change_nothing(solver, C, c, rng):
    x, labels = oracle.data(200, 3, c, rng)
    plain = LogisticRegression(C=C, solver=solver, tol=TOL).fit(x, labels)
    more = np.column_stack([x, np.full(200, 0.1), np.zeros(200), np.full(200, 1e9)])
    model = LogisticRegression(C=C, solver=solver, tol=TOL).fit(more, labels)
    assert not model.coef_[:, 3:].any()
    objective = oracle.Objective(x, labels, c, C=C)
    theta = np.column_stack([model.coef_[:, :3], model.intercept_])
    bounds = [objective.distance(t) for t in (theta, oracle.parameters(plain))]
    assert np.linalg.norm(theta - oracle.parameters(plain)) <= sum(bounds) + ROUNDING


@pytest.mark.parametrize("solver", SOLVERS)
def test_equal_features_share_a_coefficient(solver, c, rng):
    x, labels = oracle.data(200, 3, c, rng)
    model = LogisticRegression(C=np.inf, solver=solver, tol=1e-8).fit(x[:, [0, 1, 2, 0]], labels)
    plain = LogisticRegression(C=np.inf, solver=solver, tol=1e-8).fit(x, labels)
    joint = model.coef_[:, :3] + model.coef_[:, 3:] * [1, 0, 0]
    objective = oracle.Objective(x, labels, c, C=np.inf)
    theta = np.column_stack([joint, model.intercept_])
    apart = np.linalg.norm(theta - oracle.parameters(plain))
    bounds = [objective.distance(t) for t in (theta, oracle.parameters(plain))]
    assert apart <= sum(bounds) + ROUNDING < 1e-4
    assert np.abs(model.coef_[:, 0] - model.coef_[:, 3]).max() < 1e-4


# Beside other models


def test_a_network_without_hidden_layer_has_the_same_coefficients(c, rng):
    x, labels = oracle.data(200, 4, c, rng)
    C = 0.5
    model = LogisticRegression(C=C, tol=TOL).fit(x, labels)
    outputs = {"softmax": c} if c > 2 else {"sigmoid": 1}
    objective = oracle.Objective(x, labels, c, C=C)
    for output, m in outputs.items():
        net = Network((4, m), output=output, dtype="float64", rng=0)
        net.train(x, labels, epochs=1000, solver="lbfgs", tol=TOL, alpha=1 / (C * 200))
        theta = np.column_stack([net.weights[0].T, net.biases[0]])
        theta -= theta.mean(axis=0) if c > 2 else 0
        bounds = [objective.distance(t) for t in (theta, oracle.parameters(model))]
        assert np.linalg.norm(theta - oracle.parameters(model)) <= sum(bounds) < 1e-6
        close = np.abs(net(x)[:, -1] - model.predict_proba(x)[:, -1]).max()
        assert close <= sum(bounds) * np.sqrt((x * x).sum(axis=1) + 1).max() + ROUNDING


def test_two_classes_are_half_of_softmax(rng):
    """sigmoid(z) = softmax(0, z): without a penalty both forms have the same solution."""
    x, labels = oracle.data(200, 4, 2, rng)
    model = LogisticRegression(C=np.inf, tol=TOL).fit(x, labels)
    net = Network((4, 2), dtype="float64", rng=0)
    net.train(x, labels, epochs=1000, solver="lbfgs", tol=1e-9)
    difference = net.weights[0][:, 1] - net.weights[0][:, 0]
    objective = oracle.Objective(x, labels, 2, C=np.inf)
    theta = np.append(difference, net.biases[0][1] - net.biases[0][0])[np.newaxis]
    bounds = [objective.distance(t) for t in (theta, oracle.parameters(model))]
    assert np.linalg.norm(theta - oracle.parameters(model)) <= sum(bounds) < 1e-5


def test_digits():
    digits = fastnn.datasets.load_digits16()
    model = LogisticRegression(C=0.1, max_iter=300).fit(digits.x_train, digits.y_train)
    assert model.score(digits.x_test, digits.y_test) >= 0.90
    assert model.coef_.dtype == np.float32 and model.coef_.shape == (10, 256)


# Classes that a plane separates


@pytest.mark.parametrize("tol", [1e-4, 1e-12])
@pytest.mark.parametrize("solver", SOLVERS)
def test_separable_classes_are_told(solver, tol, c, dtype, rng):
    x = rng.normal(size=(90, 3)).astype(dtype)
    labels = np.digitize(x[:, 0], np.linspace(-0.7, 0.7, c - 1))
    model = LogisticRegression(C=np.inf, solver=solver, tol=tol)
    with pytest.warns(ConvergenceWarning, match="separable: no finite maximum-likelihood"):
        model.fit(x, labels)
    assert np.isfinite(model.coef_).all() and np.isfinite(model.intercept_).all()
    assert model.score(x, labels) == 1
    LogisticRegression(C=1e3, solver=solver, max_iter=1000).fit(x, labels)


@pytest.mark.parametrize("solver", SOLVERS)
def test_classes_that_are_separable_in_part_are_told(solver, rng):
    level = np.arange(200) < 40
    x = np.column_stack([rng.normal(size=200), level])
    labels = np.where(level, 1, x[:, 0] + rng.logistic(size=200) > 0)
    with pytest.warns(ConvergenceWarning, match="separable along some direction"):
        LogisticRegression(C=np.inf, solver=solver).fit(x, labels)


def test_rows_without_weight_do_not_count_as_wrong(rng):
    x = rng.normal(size=(60, 2))
    labels = (x[:, 0] > 0).astype(int)
    labels[:5] = 1 - labels[:5]
    weight = np.where(np.arange(60) < 5, 0.0, 1.0)
    with pytest.warns(ConvergenceWarning, match="separable"):
        LogisticRegression(C=np.inf).fit(x, labels, sample_weight=weight)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("max_iter", [0, 1, 2])
def test_too_few_iterations_are_told(solver, max_iter, c, rng):
    x, labels = oracle.data(100, 4, c, rng)
    model = LogisticRegression(solver=solver, max_iter=max_iter, tol=1e-8)
    with pytest.warns(ConvergenceWarning, match=f"not converged after {max_iter} iterations"):
        model.fit(x, labels)
    assert model.n_iter_[0] == max_iter and np.isfinite(model.coef_).all()
