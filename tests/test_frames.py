"""Frames and tensors as X: values without copies, names of columns that are remembered."""

import warnings

import numpy as np
import pytest

from fastnn import GaussianClassifier, LogisticRegression, Ridge, _estimator

MODELS = [Ridge, LogisticRegression, GaussianClassifier]
every_model = pytest.mark.parametrize("cls", MODELS, ids=lambda cls: cls.__name__)
every_library = pytest.mark.parametrize("library", ["pandas", "polars"])
NAMES = ["a", "b", "c"]


class Table:
    """Has names of columns, and is an array; nothing else of a frame."""

    def __init__(self, values, columns):
        self.values, self.columns = values, columns

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


class Arrow(Table):
    """Calls the names of its columns as Arrow's tables do."""

    def __init__(self, values, columns):
        super().__init__(values, [object() for _ in columns])
        self.column_names = columns


def rows(rng, dtype=np.float64):
    """X (20, 3) and labels."""
    x = rng.normal(size=(20, 3)).astype(dtype)
    return x, (x[:, 0] > 0).astype(int)


# Names


@every_library
def test_names_of_frames(library):
    frames = pytest.importorskip(library)
    names = _estimator.feature_names(frames.DataFrame({"b": [1.0], "a": [2.0]}))
    assert names.dtype == object and names.tolist() == ["b", "a"]


def test_names_of_other_tables():
    for kind in (Table, Arrow):
        assert _estimator.feature_names(kind([[1.0, 2.0]], ["x", "y"])).tolist() == ["x", "y"]
    for x in ([[1.0]], np.ones((1, 1)), Table([[1.0]], [0]), Table([[1.0]], []), 3, None):
        assert _estimator.feature_names(x) is None
    with pytest.raises(TypeError, match=r"only supported if all .* has \['int', 'str'\] as feat"):
        _estimator.feature_names(Table([[1.0, 2.0]], ["x", 3]))


@every_model
def test_names_are_learned_and_unlearned(cls, rng):
    x, y = rows(rng)
    model = cls().fit(Table(x, NAMES), y)
    assert model.n_features_in_ == 3 and model.feature_names_in_.tolist() == NAMES
    assert not hasattr(model.fit(x, y), "feature_names_in_")
    assert not hasattr(model.fit(Table(x, [0, 1, 2]), y), "feature_names_in_")


@every_model
def test_a_fit_that_fails_leaves_the_names(cls, rng):
    x, y = rows(rng)
    model = cls().fit(Table(x, NAMES), y)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(Table(x * np.nan, ["d", "e", "f"]), y)
    assert model.feature_names_in_.tolist() == NAMES


def test_partial_fit_compares_names(rng):
    x, y = rows(rng)
    model = GaussianClassifier().partial_fit(Table(x, NAMES), y)
    model.partial_fit(Table(x, NAMES), y)
    with pytest.raises(ValueError, match="in the same order as they were in fit"):
        model.partial_fit(Table(x, ["b", "a", "c"]), y)
    with pytest.warns(UserWarning, match="X does not have valid feature names, but GaussianCl"):
        model.partial_fit(x, y)
    assert model.feature_names_in_.tolist() == NAMES and model.class_count_.sum() == 60


@every_model
def test_names_are_compared(cls, rng):
    x, y = rows(rng)
    named, plain = cls().fit(Table(x, NAMES), y), cls().fit(x, y)
    expected = plain.predict(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(named.predict(Table(x, NAMES)), expected)
        assert np.array_equal(plain.predict(Table(x, [0, 1, 2])), expected)
    message = f"X does not have valid feature names, but {cls.__name__} was fitted with"
    for nameless in (x, x.tolist(), Table(x, [0, 1, 2])):
        with pytest.warns(UserWarning, match=message):
            assert np.array_equal(named.predict(nameless), expected)
    message = f"X has feature names, but {cls.__name__} was fitted without feature names"
    with pytest.warns(UserWarning, match=message):
        assert np.array_equal(plain.predict(Table(x, NAMES)), expected)


def message_for(model, names):
    """What is said about a table with those names."""
    with pytest.raises(ValueError, match="should match those that were passed") as caught:
        model.predict(Table(np.ones((2, len(names))), names))
    return str(caught.value)


def test_other_names_are_listed(rng):
    x, y = rows(rng)
    model = Ridge().fit(Table(x, NAMES), y)
    first = "The feature names should match those that were passed during fit.\n"
    unseen = "Feature names unseen at fit time:\n"
    missing = "Feature names seen at fit time, yet now missing:\n"
    order = "Feature names must be in the same order as they were in fit.\n"
    assert message_for(model, ["c", "b", "a"]) == first + order
    assert message_for(model, ["a", "b"]) == first + missing + "- c\n"
    assert message_for(model, ["a", "b", "c", "d"]) == first + unseen + "- d\n"
    assert (
        message_for(model, ["z", "b", "y"])
        == first + unseen + "- y\n- z\n" + missing + "- a\n- c\n"
    )
    many = [f"n{i}" for i in range(6)]
    listed = "".join(f"- n{i}\n" for i in range(5)) + "- ...\n"
    assert message_for(model, NAMES + many) == first + unseen + listed


# Values


@every_library
@every_model
def test_frames_are_their_values(library, cls, dtype, rng):
    frames = pytest.importorskip(library)
    x, y = rows(rng, dtype)
    frame = frames.DataFrame({name: x[:, j] for j, name in enumerate(NAMES)})
    assert np.array_equal(frame, x)
    x = np.asarray(frame)  # in the same order: what NumPy computes depends on that
    model, peer = cls().fit(frame, frames.Series(y)), cls().fit(x, y)
    answer = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    assert np.array_equal(getattr(model, answer)(frame), getattr(peer, answer)(x))
    assert getattr(model, answer)(frame).dtype == dtype
    assert model.feature_names_in_.tolist() == NAMES


def test_frames_of_pandas_are_not_copied(dtype):
    pandas = pytest.importorskip("pandas")
    x = np.ones((4, 3), dtype)
    assert np.shares_memory(_estimator.data(pandas.DataFrame(x, columns=NAMES, copy=False)), x)


def test_integers_bools_and_gaps_of_frames():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": [True, False], "c": np.float32([0.5, 1.5])})
    expected = [[1.0, 1.0, 0.5], [2.0, 0.0, 1.5]]
    assert np.array_equal(_estimator.data(frame), expected)
    frame = frame.astype({"a": "Int64", "b": "boolean", "c": "Float32"})
    assert np.array_equal(_estimator.data(frame), expected)
    frame.loc[1, "a"] = pandas.NA
    with pytest.raises(ValueError, match=r"X contains NaN, first at X\[1, 0\]"):
        _estimator.data(frame)
    values = _estimator.data(frame, missing=True)
    assert values.dtype == np.float64 and np.isnan(values[1, 0])
    with pytest.raises(ValueError, match="holds what is not a number"):
        _estimator.data(pandas.DataFrame({"a": [1.0], "b": ["x"]}))


def test_gaps_of_polars_are_nan():
    polars = pytest.importorskip("polars")
    values = _estimator.data(polars.DataFrame({"a": [1, None], "b": [1.5, 2.5]}), missing=True)
    assert np.array_equal(values, [[1.0, 1.5], [np.nan, 2.5]], equal_nan=True)


# Tensors


class Tensor:
    """Offers its memory by DLPack, as tensors do, and has another way to become an array."""

    def __init__(self, values, error=None):
        self.held, self.error, self.converted = values, error, 0

    def __dlpack__(self, **options):
        if self.error is not None:
            raise self.error
        return self.held.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.held.__dlpack_device__()

    def __array__(self, dtype=None, copy=None):
        self.converted += 1
        if self.error is not None and self.held is None:
            raise TypeError("it lies on another device; move it first")
        return np.array(self.held, dtype)


def test_tensors_are_read_where_they_lie(dtype):
    values = np.arange(6, dtype=dtype).reshape(2, 3)
    for held in (values, values[:, ::2], values.T):
        tensor = Tensor(held)
        x = _estimator.data(tensor)
        assert np.shares_memory(x, values) and np.array_equal(x, held) and x.dtype == dtype
        assert tensor.converted == 0


@pytest.mark.parametrize("error", [BufferError, RuntimeError, TypeError, ValueError])
def test_tensors_that_dlpack_does_not_export(error):
    tensor = Tensor(np.ones((2, 3), np.float16), error("not so"))
    assert np.array_equal(_estimator.data(tensor), np.ones((2, 3))) and tensor.converted == 1
    with pytest.raises(TypeError, match="it lies on another device"):
        _estimator.data(Tensor(None, error("not so")))


@every_model
def test_models_learn_from_tensors(cls, rng):
    x, y = rows(rng)
    model = cls().fit(Tensor(x), y)
    assert np.array_equal(model.predict(Tensor(x)), cls().fit(x, y).predict(x))
    assert not hasattr(model, "feature_names_in_")


# What the quick path takes


def test_odd_arrays_do_not_slip_through(dtype, rng):
    x, y = rows(rng, dtype)
    model = Ridge().fit(x, y)
    expected = model.predict(x)
    packed = np.zeros(len(x), [("skipped", "u1"), ("row", dtype, 3)])
    packed["row"] = x
    frozen = x.copy()
    frozen.setflags(write=False)
    swapped = x.astype(x.dtype.newbyteorder())
    for given in (packed["row"], frozen, swapped, np.asfortranarray(x), x[::-1][::-1], x.tolist()):
        answer = model.predict(given)
        assert np.abs(answer - expected).max() <= 8 * np.finfo(dtype).eps * np.abs(expected).max()
    with pytest.raises(ValueError, match=r"X has 2 features, but Ridge is expecting 3 features"):
        model.predict(x[:, :2])
    with pytest.raises(ValueError, match=r"X has 0 sample\(s\)"):
        model.predict(x[:0])
    with pytest.raises(ValueError, match="Reshape your data"):
        model.predict(x[0])
    with pytest.raises(ValueError, match="not 3"):
        model.predict(x[np.newaxis])
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match=r"first at X\[1, 2\]"):
            model.predict([[0.0, 0, 0], [0, 0, bad]])
