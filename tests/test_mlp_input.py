"""Bad input of the perceptrons: an exception that says what is wrong, and a model that is untouched."""

import warnings

import numpy as np
import pytest

from fastnn import MLPClassifier, MLPRegressor

X = np.random.default_rng(0).normal(size=(12, 3))
Y = np.arange(12) % 3

BAD_PARAMETERS = [
    ("hidden_layer_sizes", (5, 0), ValueError, r"hidden_layer_sizes must be > 0, got \[5, 0\]"),
    ("hidden_layer_sizes", (5, 2**64), ValueError, "it must be at most"),
    ("batch_size", 10**30, ValueError, "it must be at most"),
    ("hidden_layer_sizes", 2.5, TypeError, "hidden_layer_sizes must be an integer"),
    ("activation", "swish", ValueError, "unknown activation 'swish'"),
    ("activation", ("relu", "tanh"), ValueError, "activation has 2 values for 1 hidden layers"),
    ("activation", 3, TypeError, "activation must be a name"),
    ("solver", "rmsprop", ValueError, "unknown solver"),
    ("alpha", -1.0, ValueError, "alpha is -1.0"),
    ("alpha", "small", TypeError, "alpha must be a number"),
    ("batch_size", 0, ValueError, "batch_size is 0"),
    ("batch_size", "all", ValueError, "unknown batch_size 'all'"),
    ("learning_rate", 0.1, ValueError, "unknown learning_rate"),
    ("learning_rate_init", 0.0, ValueError, "learning_rate_init is 0.0"),
    ("power_t", -0.5, ValueError, "power_t"),
    ("max_iter", 0, ValueError, "max_iter is 0"),
    ("max_iter", 2.0, TypeError, "max_iter must be an integer"),
    ("shuffle", 1, TypeError, "shuffle must be True or False"),
    ("random_state", "seed", TypeError, "random_state must be None"),
    ("random_state", -1, ValueError, "Seed must be between"),
    ("tol", -1.0, ValueError, "tol"),
    ("verbose", "loud", TypeError, "verbose must be an integer"),
    ("warm_start", "weights", ValueError, "warm_start is 'weights'"),
    ("warm_start", 1, TypeError, "warm_start must be True or False"),
    ("momentum", 1.1, ValueError, "momentum"),
    ("nesterovs_momentum", None, TypeError, "nesterovs_momentum"),
    ("early_stopping", "auto", TypeError, "early_stopping"),
    ("validation_fraction", 1.0, ValueError, "validation_fraction"),
    ("beta_1", 1.0, ValueError, "beta_1"),
    ("beta_2", -0.1, ValueError, "beta_2"),
    ("epsilon", 0.0, ValueError, "epsilon"),
    ("n_iter_no_change", 0, ValueError, "n_iter_no_change"),
    ("n_iter_no_change", 1.5, TypeError, "n_iter_no_change"),
    ("max_fun", 0, ValueError, "max_fun"),
    ("dropout", 1.0, ValueError, "dropout is 1.0"),
    ("dropout", (0.1, 0.2), ValueError, "dropout has 2 values for 1 hidden layers"),
    ("callbacks", [3], TypeError, "callbacks must be functions"),
    ("max_time", 0.0, ValueError, "max_time"),
    ("num_threads", 0, ValueError, "num_threads is 0"),
]


@pytest.mark.parametrize("model", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(("name", "value", "error", "message"), BAD_PARAMETERS)
def test_parameters(model, name, value, error, message):
    m = model(hidden_layer_sizes=4).set_params(**{name: value})
    with pytest.raises(error, match=message):
        m.fit(X, Y)
    assert not any(attribute.endswith("_") for attribute in vars(m))


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("loss", "hinge", ValueError, "unknown loss 'hinge'"),
        ("huber_delta", 0.0, ValueError, "huber_delta is 0.0"),
    ],
)
def test_parameters_of_the_regressor(name, value, error, message):
    with pytest.raises(error, match=message):
        MLPRegressor(**{name: value}).fit(X, Y)


@pytest.mark.parametrize("model", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.full((3, 2), np.nan), [0, 1, 2], "X contains NaN"),
        (np.full((3, 2), np.inf), [0, 1, 2], "X contains infinity"),
        (np.ones((3, 2)), [0, 1], "y has"),
        (np.ones((3, 2)), [0, np.nan, 1], "y contains NaN"),
        (np.ones((3, 2)), None, "requires y to be passed"),
        (np.ones(3), [0, 1, 2], "Reshape your data"),
        (np.ones((0, 2)), [], "0 sample"),
        (np.ones((3, 0)), [0, 1, 2], "0 feature"),
        (np.ones((3, 2)) * 1j, [0, 1, 2], "Complex data not supported"),
        ([["a", "b"]] * 3, [0, 1, 2], "X must hold numbers"),
    ],
)
def test_data(model, x, y, message):
    m = model(hidden_layer_sizes=4)
    with pytest.raises(ValueError, match=message):
        m.fit(x, y)
    assert not any(attribute.endswith("_") for attribute in vars(m))


@pytest.mark.parametrize("weights", [np.zeros(12), -np.ones(12), np.full(12, np.nan), np.ones(5)])
def test_weights(weights):
    with pytest.raises(ValueError, match="sample_weight"):
        MLPClassifier(4).fit(X, Y, weights)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"X_val": X}, "X_val is given without y_val"),
        ({"y_val": Y}, "y_val is given without X_val"),
        ({"sample_weight_val": np.ones(12)}, "sample_weight_val is given without"),
        ({"X_val": X, "y_val": Y + 1}, r"y has labels \[3\] that are none of the classes 0, 1, 2"),
        ({"X_val": X[:, :2], "y_val": Y}, "X has 2 features"),
        ({"X_val": X, "y_val": Y[:5]}, "y has 5 labels, but X has 12 rows"),
        ({"X_val": X * np.nan, "y_val": Y}, "X contains NaN"),
        ({"X_val": X, "y_val": Y, "sample_weight_val": np.zeros(12)}, "sample_weight is zero"),
        ({"coefs_init": [np.full((3, 4), np.inf), np.ones((4, 3))]}, "must hold finite numbers"),
        ({"intercepts_init": [np.ones(4)]}, "intercepts_init has arrays of shapes"),
    ],
)
def test_validation_rows_and_starts(given, message):
    m = MLPClassifier(4)
    with pytest.raises(ValueError, match=message):
        m.fit(X, Y, **given)
    assert not hasattr(m, "classes_") and not hasattr(m, "coefs_")


def test_several_labels():
    several = np.array([[0, 1], [1, 1], [2, 0]])
    with pytest.raises(ValueError, match="Unknown label type: multiclass-multioutput"):
        MLPClassifier().fit(X[:3], several)
    m = MLPClassifier(4, max_iter=1, class_weight="balanced")
    with pytest.raises(ValueError, match="class_weight is for one label a row"):
        m.fit(X[:3], several > 0)


def test_dropout_needs_minibatches():
    with pytest.raises(ValueError, match="dropout is for steps on minibatches"):
        MLPClassifier(4, solver="lbfgs", dropout=0.1).fit(X, Y)


def test_counts_are_not_negative():
    with pytest.raises(ValueError, match="needs y >= 0"):
        MLPRegressor("poisson").fit(X, Y - 1.0)


def test_partial_fit():
    m = MLPClassifier(4)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        m.partial_fit(X, Y)
    m.partial_fit(X, Y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="classes"):
        m.partial_fit(X, Y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"labels \[7\]"):
        m.partial_fit(X, np.full(12, 7))
    with pytest.raises(ValueError, match="2 features"):
        m.partial_fit(X[:, :2], Y)
    with pytest.raises(ValueError, match="needs all rows"):
        m.set_params(class_weight="balanced").partial_fit(X, Y)
    with pytest.raises(ValueError, match="does not support early_stopping=True"):
        m.set_params(class_weight=None, early_stopping=True).partial_fit(X, Y)
    assert not hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")


def test_a_warm_start_needs_the_same_layers_and_classes():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        m = MLPClassifier(4, max_iter=1, warm_start=True, random_state=0).fit(X, Y)
    with pytest.raises(ValueError, match="has the same classes"):
        m.fit(X, Y % 2)
    with pytest.raises(ValueError, match="it cannot go on as"):
        m.set_params(hidden_layer_sizes=5).fit(X, Y)


@pytest.mark.parametrize(
    "changed",
    [{"loss": "huber"}, {"loss": "poisson"}, {"huber_delta": 0.5}, {"activation": "tanh"}],
)
def test_a_partial_fit_goes_on_with_the_same_loss_and_layers(changed):
    m = MLPRegressor("absolute", 4, random_state=0).partial_fit(X, Y)
    with pytest.raises(ValueError, match="it cannot go on"):
        m.set_params(**changed).partial_fit(X, Y)


def test_bad_rows_leave_the_optimiser_as_it_was():
    m, twin = (MLPClassifier(4, random_state=0).partial_fit(X, Y, classes=[0, 1, 2]) for _ in "ab")
    for x, y in ((X * np.nan, Y), (X, Y + 5), (X[:, :2], Y), (X, Y[:3])):
        with pytest.raises(ValueError, match="."):
            m.partial_fit(x, y)
    m.partial_fit(X, Y)
    twin.partial_fit(X, Y)
    for a, b in zip(m.coefs_, twin.coefs_):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
def test_answers(method):
    m = MLPClassifier(4, max_iter=1)
    with pytest.raises(ValueError, match="not fitted"):
        getattr(m, method)(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        m.fit(X, Y)
    with pytest.raises(ValueError, match="X contains infinity"):
        getattr(m, method)(np.full((1, 3), -np.inf))
    with pytest.raises(ValueError, match="expecting 3 features"):
        getattr(m, method)(X[:, :2])


def test_rows_for_early_stopping():
    with pytest.raises(ValueError, match="The validation set is too small"):
        MLPRegressor(early_stopping=True).fit(X[:2], [0.0, 1.0])
    with pytest.raises(ValueError, match=r"have only 1 member.* members are: \['b'\]"):
        MLPClassifier(early_stopping=True).fit(X[:4], ["a", "a", "a", "b"])
