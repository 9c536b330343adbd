"""Every public name, method and parameter, used once: `mypy --strict` checks it, a test runs it."""

import importlib.util
import tempfile
from pathlib import Path
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import fastnn
from fastnn import datasets, kernels, runtime
from fastnn.datasets import Digits
from fastnn.linear import ConvergenceWarning

Array = NDArray[Any]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = np.arange(40) % 2
T = X[:, 0] + 0.1 * X[:, 1]
W = np.ones(40)


def use_kernels() -> None:
    x, w, b = np.ones((2, 3)), np.ones((3, 4)), np.zeros(4)
    z, labels, weight = np.zeros((2, 4)), np.array([0, 1]), np.ones(2)
    assert_type(fastnn.sigmoid(x, out=np.empty((2, 3))), Array)
    assert_type(fastnn.softmax(x, out=np.empty((2, 3))), Array)
    y = fastnn.dense_forward(x, w, b, activation="tanh", out=np.empty((2, 4)))
    assert_type(y, Array)
    into = (np.empty((2, 3)), None, None)
    back = fastnn.dense_backward(x, w, y, z, activation="tanh", needs=("dx", "dw"), out=into)
    assert_type(back, tuple[Array | None, Array | None, Array | None])
    of_classes = fastnn.softmax_cross_entropy, fastnn.sigmoid_cross_entropy
    of_numbers = fastnn.squared_error, fastnn.poisson_loss, fastnn.absolute_error
    assert_type(fastnn.huber_loss(z, labels, delta=2.0), tuple[float, Array])
    for loss in (*of_classes, *of_numbers):
        found = loss(z, labels, sample_weight=weight, out=np.empty((2, 4)))
        assert_type(found, tuple[float, Array])
    assert_type(fastnn.logsumexp(z, out=np.empty(2)), Array)
    assert_type(fastnn.log_softmax(z, out=np.empty((2, 4))), Array)
    assert kernels.sigmoid is fastnn.sigmoid


def use_model_kernels() -> None:
    moments = fastnn.gaussian_moments(X, Y, 2, covariance="full", sample_weight=W)
    assert_type(moments.weights, Array)
    assert_type(moments.means, Array)
    covariance = moments.scatter / moments.weights[:, np.newaxis, np.newaxis]
    factors = fastnn.cholesky_factors(covariance, out=np.empty((2, 3, 3)))
    assert_type(factors, Array)
    log_density = fastnn.gaussian_logpdf(
        X, moments.means, factors, covariance="full", paired=False, out=np.empty((40, 2))
    )
    assert_type(log_density, Array)
    w, b = np.zeros((3, 1)), np.zeros(1)
    first = fastnn.linear_loss(X, Y, w, b, loss="sigmoid_cross_entropy", alpha=0.1, sample_weight=W)
    assert_type(first, tuple[float, Array, Array | None])
    second = fastnn.linear_loss(X, Y, w, b, loss="squared_error", hessian=True)
    assert_type(second, tuple[float, Array, Array | None, Array])


def use_network() -> None:
    def stops(epoch: int, loss: float) -> bool:
        return epoch > 1

    net = fastnn.Network((3, 4, 2), activation="tanh", output="softmax", dtype="float64", rng=0)
    assert_type(net(X, out=np.empty((40, 2)), num_threads=1), Array)
    assert_type(net.activations(X, num_threads=1), list[Array])
    loss, gradients = net.loss_and_gradients(X, Y, alpha=0.1, sample_weight=W, num_threads=1)
    assert_type(loss, float)
    assert_type(gradients, list[tuple[Array, Array]])
    losses = net.train(
        X,
        Y,
        epochs=3,
        batch_size=10,
        solver="momentum",
        learning_rate=0.01,
        momentum=0.8,
        alpha=0.1,
        dropout=0.1,
        shuffle=True,
        tol=1e-3,
        rng=1,
        sample_weight=W,
        callback=stops,
        num_threads=1,
    )
    assert_type(losses, list[float])
    assert_type(net.sizes, tuple[int, ...])
    assert_type(net.activation, tuple[str, ...])
    assert_type(net.output, str)
    assert_type(net.dtype, np.dtype[Any])
    assert_type(net.n_parameters, int)
    net.weights, net.biases = list(net.weights), list(net.biases)
    line = fastnn.Network((3, 1), output="identity", loss="huber", huber_delta=0.5)
    assert_type(line.loss, str)
    assert_type(line.huber_delta, float)


def use_gaussian_classifier() -> None:
    model = fastnn.GaussianClassifier(
        "full",
        priors=[0.5, 0.5],
        shrinkage="auto",
        store_covariance=True,
        missing="marginalize",
        num_threads=1,
    )
    assert_type(model.fit(X, Y, sample_weight=W), fastnn.GaussianClassifier)
    model.partial_fit(X, Y, classes=[0, 1], sample_weight=W)
    assert_type(model.merge(fastnn.GaussianClassifier().fit(X, Y)), fastnn.GaussianClassifier)
    assert_type(model.forget(X[:4], Y[:4], sample_weight=W[:4]), fastnn.GaussianClassifier)
    assert_type(model.predict(X), Array)
    assert_type(model.predict_proba(X), Array)
    assert_type(model.predict_log_proba(X), Array)
    assert_type(model.joint_log_likelihood(X), Array)
    assert_type(model.decision_function(X), Array)
    assert_type(model.score_samples(X), Array)
    assert_type(model.score(X, Y, sample_weight=W), float)
    assert_type(model.sample(n_samples=2, random_state=0), tuple[Array, Array])
    for learned in (model.classes_, model.means_, model.priors_, model.class_count_):
        assert_type(learned, Array)
    assert_type(model.covariance_, Array)
    assert_type(model.shrinkage_, Array | float)
    assert_type(model.n_features_in_, int)
    shared = fastnn.GaussianClassifier("shared").fit(X, Y)
    assert_type(shared.to_logistic(), fastnn.LogisticRegression)


class MeanCovariance:
    """A covariance estimator as discriminant analyses take it."""

    def fit(self, X: Array) -> "MeanCovariance":
        self.covariance_ = np.cov(X.T, bias=True)
        return self


def use_linear_discriminant_analysis() -> None:
    model = fastnn.LinearDiscriminantAnalysis(
        "eigen",
        0.1,
        priors=[0.5, 0.5],
        n_components=1,
        store_covariance=True,
        tol=1e-4,
        covariance_estimator=None,
        num_threads=1,
    )
    assert_type(model.fit(X, Y, sample_weight=W), fastnn.LinearDiscriminantAnalysis)
    model.set_params(shrinkage=None, covariance_estimator=MeanCovariance()).fit(X, Y)
    model = fastnn.LinearDiscriminantAnalysis("lsqr", shrinkage="auto").fit(X, Y)
    model = fastnn.LinearDiscriminantAnalysis().fit(X, Y)
    assert_type(model.set_output(transform="default"), fastnn.LinearDiscriminantAnalysis)
    model.transform(X)
    model.fit_transform(X, y=Y)
    assert_type(model.get_feature_names_out(input_features=None), Array)
    assert_type(model.predict(X), Array)
    assert_type(model.score(X, Y, sample_weight=W), float)
    for learned in (model.means_, model.priors_, model.scalings_, model.xbar_, model.coef_):
        assert_type(learned, Array)
    assert_type(model.explained_variance_ratio_, Array)


def use_quadratic_discriminant_analysis() -> None:
    model = fastnn.QuadraticDiscriminantAnalysis(
        solver="svd",
        shrinkage=None,
        priors=None,
        reg_param=0.1,
        store_covariance=True,
        tol=1e-4,
        covariance_estimator=None,
        num_threads=1,
    )
    assert_type(model.fit(X, Y), fastnn.QuadraticDiscriminantAnalysis)
    assert_type(model.decision_function(X), Array)
    assert_type(model.rotations_, list[Array])
    assert_type(model.scalings_, list[Array])


def use_naive_bayes() -> None:
    model = fastnn.GaussianNB(priors=None, var_smoothing=1e-9, missing="error", num_threads=1)
    assert_type(model.fit(X, Y, sample_weight=W), fastnn.GaussianNB)
    assert_type(model.predict_joint_log_proba(X), Array)
    for learned in (model.theta_, model.var_, model.class_prior_):
        assert_type(learned, Array)
    assert_type(model.epsilon_, float)


def use_logistic_regression() -> None:
    model = fastnn.LogisticRegression(
        penalty="deprecated",
        C=float("inf"),
        l1_ratio=0.0,
        dual=False,
        tol=1e-6,
        fit_intercept=True,
        intercept_scaling=1,
        class_weight={0: 1.0, 1: 2.0},
        random_state=0,
        solver="auto",
        max_iter=100,
        verbose=0,
        warm_start=False,
        n_jobs=None,
        num_threads=1,
    )
    labels = np.where(T + RNG.normal(size=40) > 0, "yes", "no")
    model.set_params(class_weight="balanced")
    assert_type(model.fit(X, labels, sample_weight=W), fastnn.LogisticRegression)
    model.fit(X, labels, coef_init=model.coef_, intercept_init=model.intercept_)
    assert_type(model.densify(), fastnn.LogisticRegression)
    if importlib.util.find_spec("scipy") is not None:
        assert_type(model.sparsify(), fastnn.LogisticRegression)
        model.densify()
    assert_type(model.predict(X), Array)
    assert_type(model.predict_proba(X), Array)
    assert_type(model.predict_log_proba(X), Array)
    assert_type(model.decision_function(X), Array)
    assert_type(model.score(X, labels, sample_weight=W), float)
    assert_type(model.standard_errors().coef, Array)
    assert_type(model.confidence_intervals(level=0.9).intercept, Array)
    for learned in (model.classes_, model.coef_, model.intercept_, model.n_iter_):
        assert_type(learned, Array)
    assert_type(model.get_params(deep=True), dict[str, Any])
    assert issubclass(ConvergenceWarning, UserWarning)


def use_ridge() -> None:
    model = fastnn.Ridge(
        1.0,
        fit_intercept=True,
        copy_X=True,
        max_iter=None,
        tol=1e-4,
        solver="auto",
        positive=True,
        random_state=0,
        num_threads=1,
    )
    assert_type(model.fit(X, T, sample_weight=W), fastnn.Ridge)
    assert_type(model.predict(X), Array)
    assert_type(model.score(X, T, sample_weight=W), float)
    assert_type(model.coef_, Array)
    assert_type(model.solver_, str)
    assert_type(fastnn.Ridge([1.0, 2.0]).fit(X, np.stack([T, T], axis=1)), fastnn.Ridge)


def watch(progress: fastnn.Progress) -> bool:
    """A callback of a fit."""
    assert_type(progress.epoch, int)
    assert_type(progress.loss, float)
    assert_type(progress.score, float | None)
    assert_type(progress.seconds, float)
    return progress.epoch > 1


def use_mlp_classifier() -> None:
    model = fastnn.MLPClassifier(
        (8, 4),
        activation=("relu", "tanh"),
        solver="adam",
        alpha=1e-4,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=1e-3,
        power_t=0.5,
        max_iter=5,
        shuffle=True,
        random_state=0,
        tol=1e-4,
        verbose=False,
        warm_start="optimizer",
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        class_weight={0: 1.0, 1: 2.0},
        dropout=0.0,
        callbacks=[watch],
        max_time=60.0,
        num_threads=1,
    )
    starts = [np.zeros((3, 8)), np.zeros((8, 4)), np.zeros((4, 1))]
    biases = [np.zeros(8), np.zeros(4), np.zeros(1)]
    fitted = model.fit(
        X,
        Y,
        sample_weight=W,
        X_val=X,
        y_val=Y,
        sample_weight_val=W,
        coefs_init=starts,
        intercepts_init=biases,
    )
    assert_type(fitted, fastnn.MLPClassifier)
    fitted = model.partial_fit(
        X, Y, sample_weight=W, classes=[0, 1], X_val=X, y_val=Y, sample_weight_val=W
    )
    assert_type(fitted, fastnn.MLPClassifier)
    assert_type(model.predict(X), Array)
    assert_type(model.predict_proba(X), Array)
    assert_type(model.predict_log_proba(X), Array)
    assert_type(model.score(X, Y, sample_weight=W), float)
    assert_type(model.classes_, Array)
    assert_type(model.coefs_, list[Array])
    assert_type(model.intercepts_, list[Array])
    assert_type(model.n_iter_, int)


def use_mlp_regressor() -> None:
    model = fastnn.MLPRegressor(
        "huber",
        8,
        activation="tanh",
        huber_delta=0.5,
        solver="lbfgs",
        alpha=1e-4,
        batch_size=10,
        learning_rate="constant",
        learning_rate_init=1e-3,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=0,
        tol=1e-1,
        verbose=0,
        warm_start=True,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        dropout=0.0,
        callbacks=watch,
        max_time=None,
        num_threads=None,
    )
    assert_type(model.fit(X, T, sample_weight=W), fastnn.MLPRegressor)
    assert_type(model.predict(X), Array)
    assert_type(model.score(X, T, sample_weight=W), float)
    model.set_params(solver="sgd").partial_fit(X, T)


def use_routing() -> None:
    try:
        import sklearn  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return
    with sklearn.config_context(enable_metadata_routing=True):
        ridge = fastnn.Ridge().set_fit_request(sample_weight=True)
        assert_type(ridge, fastnn.Ridge)
        assert_type(ridge.set_score_request(sample_weight="weight"), fastnn.Ridge)
        classifier = fastnn.LogisticRegression()
        classifier.set_fit_request(coef_init=False, intercept_init=False)
        ridge.get_metadata_routing()
        model = fastnn.GaussianClassifier()
        model = model.set_partial_fit_request(classes=True, sample_weight=False)
        assert_type(model, fastnn.GaussianClassifier)


def use_files() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        fastnn.Ridge(1.0).save(path)
        assert isinstance(fastnn.load(path), fastnn.Ridge)
        fastnn.Network((3, 2)).save(str(path))
        network: fastnn.Network = fastnn.load(path)
        assert_type(network.sizes, tuple[int, ...])
        path.write_bytes(b"")
        try:
            fastnn.load(path)
        except fastnn.ModelFileError as error:
            assert isinstance(error, ValueError)


def use_runtime() -> None:
    assert_type(fastnn.backend(), str)
    assert_type(fastnn.available_isas(), tuple[str, ...])
    with fastnn.use_isa(name=fastnn.isa()):
        fastnn.show_config()
    fastnn.set_num_threads(num_threads=fastnn.get_num_threads())
    with runtime.threads_of_call(num_threads=1):
        assert_type(runtime.measure_peak(dtype="float64", seconds=1e-4), float)
    assert_type(datasets.load_digits16(), Digits)
    assert_type(fastnn.__version__, str)


def main() -> None:
    use_kernels()
    use_model_kernels()
    use_network()
    use_gaussian_classifier()
    use_linear_discriminant_analysis()
    use_quadratic_discriminant_analysis()
    use_naive_bayes()
    use_logistic_regression()
    use_ridge()
    use_mlp_classifier()
    use_mlp_regressor()
    use_routing()
    use_files()
    use_runtime()


if __name__ == "__main__":
    main()
