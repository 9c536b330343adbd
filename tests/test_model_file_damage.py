"""Files that are damaged or malicious: each is a ModelFileError that says what is wrong, or a model."""

import json
import os
import pickle
import tracemalloc

import numpy as np
import pytest
from model_zoo import NAMES, fitted

import fastnn
from fastnn import ModelFileError

pytest.importorskip("safetensors")


def content_of(model, tmp_path):
    model.save(tmp_path / "whole")
    return (tmp_path / "whole").read_bytes()


def load(content, tmp_path):
    path = tmp_path / "damaged"
    path.write_bytes(content)
    return fastnn.load(path)


def taken_apart(content):
    """The header but for its document, the document, and the arrays' bytes."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    document = json.loads(header.pop("__metadata__")["fastnn"])
    return header, document, content[8 + length :]


def put_together(header, document, data):
    """A file of these parts; `document` may be text."""
    text = document if isinstance(document, str) else json.dumps(document)
    encoded = json.dumps({"__metadata__": {"fastnn": text}, **header}).encode()
    return len(encoded).to_bytes(8, "little") + encoded + data


def with_array(content, name, array):
    """The file with another array of that name."""
    header, document, data = taken_apart(content)
    arrays = {
        key: data[slice(*entry["data_offsets"])] for key, entry in header.items() if key != name
    }
    codes = {"float32": "F32", "float64": "F64", "int64": "I64", "uint32": "U32", "bool": "BOOL"}
    header[name] = {"dtype": codes[array.dtype.name], "shape": list(array.shape)}
    arrays[name] = array.tobytes()
    end = 0
    for key, entry in header.items():
        entry["data_offsets"] = [end, end + len(arrays[key])]
        end += len(arrays[key])
    return put_together(header, document, b"".join(arrays[key] for key in header))


@pytest.fixture
def ridge(tmp_path):
    return content_of(fastnn.Ridge().fit(np.eye(3), np.arange(3.0)), tmp_path)


@pytest.fixture
def network(tmp_path):
    return content_of(fastnn.Network((3, 4, 2), dtype="float64", rng=0), tmp_path)


@pytest.fixture
def logistic(tmp_path):
    return content_of(fitted()["logistic"], tmp_path)


@pytest.fixture
def gaussian(tmp_path):
    return content_of(fitted()["gaussian-full"], tmp_path)


def refused(content, tmp_path, match):
    with pytest.raises(ModelFileError, match=match) as caught:
        load(content, tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "damaged"))  # which file it is
    assert len(str(caught.value)) < 500


def changed(content, tmp_path, match, change):
    """Assert that a file is refused whose header and document `change` has changed."""
    header, document, data = taken_apart(content)
    load(put_together(header, document, data), tmp_path)  # so it is the change that matters
    data = change(header, document) or data
    refused(put_together(header, document, data), tmp_path, match)


# Accidents


@pytest.mark.parametrize("name", ["ridge", "network"])
def test_file_that_is_cut_off_anywhere(name, tmp_path):
    content = content_of(fitted()[name], tmp_path)
    for length in range(len(content)):
        with pytest.raises(ModelFileError):
            load(content[:length], tmp_path)


@pytest.mark.parametrize("more", [b"\0", b" ", b"x" * 4096])
def test_file_that_goes_on(more, ridge, tmp_path):
    refused(ridge + more, tmp_path, "the arrays take")


@pytest.mark.parametrize("name", NAMES)
def test_flipped_bits_raise_nothing_else(name, tmp_path):
    """A flip that is not seen has changed a value, and leaves a model that answers."""
    model = fitted()[name]
    content = content_of(model, tmp_path)
    rng = np.random.default_rng(NAMES.index(name))
    x = np.zeros((2, 3))
    seen = 0
    with np.errstate(all="ignore"):
        for _ in range(120):
            damaged = bytearray(content)
            for _ in range(rng.integers(1, 4)):
                damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
            try:
                copy = load(damaged, tmp_path)
            except ModelFileError:
                seen += 1
                continue
            assert type(copy) is type(model)
            repr(copy)
            copy(x) if name == "network" else _predicts(copy, x)
    assert seen > 20


def _predicts(model, x):
    """Predictions of weights that a flip has made huge, or of another parameter, may say so."""
    try:
        model.predict(x)
    except (TypeError, ValueError, NotImplementedError):
        pass


@pytest.mark.parametrize("name", NAMES)
def test_every_byte_of_the_header_may_be_any_other(name, tmp_path):
    content = content_of(fitted()[name], tmp_path)
    length = int.from_bytes(content[:8], "little")
    rng = np.random.default_rng(1)
    for place in rng.permutation(8 + length)[:200]:
        damaged = bytearray(content)
        damaged[place] = rng.integers(256)
        try:
            load(damaged, tmp_path)
        except ModelFileError:
            pass


def _places(value, path=()):
    """Where the values of a document are, at every depth."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inside in list(items):
        yield (*path, key)
        if isinstance(inside, (dict, list)):
            yield from _places(inside, (*path, key))


_STRANGE = [None, True, 0, -1, 1.5, 2**70, 1e300, "", "x", [], {}, [[]], [1, 2, 3], {"a": 1}]
_STRANGE += [{"float": "nan"}, {"tuple": [1]}, {"dict": [["a", 1]]}, {"objects": [1, "a"]}]
_STRANGE += [{"array": "coef_"}, {"text": "coef_"}, {"dates": "coef_", "dtype": "<M8[0s]"}]


@pytest.mark.parametrize("name", NAMES)
def test_any_value_of_the_document_may_be_any_other(name, tmp_path):
    """Changes that no flip of bits makes, as the JSON stays whole."""
    header, whole, data = taken_apart(content_of(fitted()[name], tmp_path))
    rng = np.random.default_rng(NAMES.index(name))
    places = list(_places(whole))
    seen = 0
    with np.errstate(all="ignore"):
        for _ in range(150):
            document = json.loads(json.dumps(whole))
            path = places[rng.integers(len(places))]
            at = document
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = _STRANGE[rng.integers(len(_STRANGE))]
            try:
                load(put_together(header, document, data), tmp_path)
            except ModelFileError:
                seen += 1
    assert seen > 50


def test_pickle_is_not_executed(tmp_path):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(ModelFileError, match="not a model file"):
            load(pickle.dumps(Attack(), protocol), tmp_path)
    refused(pickle.dumps(fastnn.Ridge()), tmp_path, "a pickle")
    assert not (tmp_path / "executed").exists()


def test_files_of_other_kinds(tmp_path):
    import safetensors.numpy

    refused(b"", tmp_path, "not a model file")
    refused(b"PK\3\4" + bytes(100), tmp_path, "not a model file")
    other = safetensors.numpy.save({"coef_": np.zeros(3)}, metadata={"format": "np"})
    refused(other, tmp_path, "not one of a fastnn model")
    refused(safetensors.numpy.save({"coef_": np.zeros(3)}), tmp_path, "not one of a fastnn model")
    with pytest.raises((IsADirectoryError, PermissionError)):
        fastnn.load(tmp_path)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="there is no such device")
def test_device_is_not_read():
    with pytest.raises(ModelFileError, match="not a regular file"):
        fastnn.load("/dev/zero")


# The header


@pytest.mark.parametrize("length", [0, 1, 10**6, 2**31, 2**63, 2**64 - 1])
def test_header_of_an_impossible_length(length, ridge, tmp_path):
    refused(length.to_bytes(8, "little") + ridge[8:], tmp_path, "not a model file, or cut off")


def test_header_longer_than_any(ridge, tmp_path):
    """A sparse file: it takes no room, and must take no memory."""
    path = tmp_path / "sparse"
    with open(path, "wb") as file:
        file.write((200_000_000).to_bytes(8, "little"))
        file.truncate(300_000_000)
    with pytest.raises(ModelFileError, match="no header of 200000000"):
        fastnn.load(path)


@pytest.mark.parametrize("text", [b"[]", b"1", b"{", b'{"a": NaN}', b"\xff\xff", b"[" * 50_000])
def test_header_that_is_no_object(text, tmp_path):
    refused(len(text).to_bytes(8, "little") + text, tmp_path, "header|nested too deeply")


def test_header_with_a_name_twice(ridge, tmp_path):
    header, document, data = taken_apart(ridge)
    whole = put_together(header, document, data)
    length = int.from_bytes(whole[:8], "little")
    text = whole[8 : 8 + length]
    entry = json.dumps({"coef_": header["coef_"]})[1:-1].encode()
    text = text[:-1] + b", " + entry + b"}"
    refused(len(text).to_bytes(8, "little") + text + data, tmp_path, "header has a name twice")


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        ({"shape": [10**18, 10**18]}, "but 24 bytes"),
        ({"shape": [2**64]}, "has the shape"),
        ({"shape": [-3]}, "has the shape"),
        ({"shape": [3.0]}, "has the shape"),
        ({"shape": [True]}, "has the shape"),
        ({"shape": [3] + [1] * 8}, "has the shape"),
        ({"shape": 3}, "has the shape"),
        ({"shape": [4]}, "but 24 bytes"),
        ({"dtype": "F128"}, "has the dtype"),
        ({"dtype": ["F64"]}, "has the dtype"),
        ({"dtype": "F32"}, "but 24 bytes"),
        ({"data_offsets": [0, 2**62]}, "bytes"),
        ({"data_offsets": [8, 32]}, "does not begin"),
        ({"data_offsets": [24, 0]}, "bytes"),
        ({"data_offsets": [0, 24, 24]}, "is at"),
        ({"data_offsets": "ab"}, "is at"),
        ({"more": 1}, "entry of the array"),
    ],
)
def test_entry_of_an_array(entry, match, ridge, tmp_path):
    changed(ridge, tmp_path, match, lambda header, _: header["coef_"].update(entry))


def test_arrays_that_overlap(network, tmp_path):
    def share(header, _):
        header["biases.1"]["data_offsets"] = header["biases.0"]["data_offsets"]
        header["biases.1"]["shape"] = header["biases.0"]["shape"]

    changed(network, tmp_path, "does not begin where", share)


def test_arrays_that_are_missing_renamed_or_too_many(ridge, network, tmp_path):
    def rename(header, _):
        header["coef"] = header.pop("coef_")

    changed(ridge, tmp_path, "there is no such array", rename)
    refused(with_array(ridge, "extra", np.ones(2)), tmp_path, "'extra' belongs to nothing")

    def swap(header, _):
        header["weights.0"], header["weights.1"] = header["weights.1"], header["weights.0"]

    changed(network, tmp_path, r"weights\[0\] must be of shape \(3, 4\)", swap)


# The document


def test_document_that_is_none(ridge, tmp_path):
    header, _, data = taken_apart(ridge)
    for text in ("", "[]", "{", '{"format": Infinity}', '{"format": 1, "format": 1}', "[" * 10**5):
        refused(put_together(header, text, data), tmp_path, "document|nested too deeply")


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("format", 2, "newer than the 1 that this version of fastnn reads"),
        ("format", 0, "not a version"),
        ("format", "1", "not a version"),
        ("format", True, "not a version"),
        ("class", "os.system", "none of"),
        ("class", "Estimator", "none of"),
        ("class", "__builtins__", "none of"),
        ("class", ["Ridge"], "none of"),
        ("class", "fastnn.Ridge", "none of"),
        ("class", "Network", "Network"),
        ("class", "GaussianNB", "Ridge|GaussianNB"),
        ("parameters", [], "entries"),
        ("parameters", {"dict": [["alpha", 1.0], ["beta", 2.0]]}, "no parameter 'beta'"),
        ("parameters", {"dict": [["alpha", 1.0], ["alpha", 2.0]]}, "twice"),
        ("parameters", {"dict": [[["alpha"], 1.0]]}, "a name in a dict"),
        ("parameters", {"dict": [["alpha"]]}, "no pair"),
        ("parameters", {"dict": [[1, 1.0]]}, "no parameter 1"),
        ("parameters", {"dict": [["alpha", {"object": "os.system"}]]}, "'object' is not known"),
        ("parameters", {"dict": [["alpha", {"float": "1e5"}]]}, "no such float"),
        ("parameters", {"dict": [["alpha", {}]]}, "not known"),
        ("parameters", {"dict": [["alpha", {"array": "coef_"}]]}, "not its own"),
        ("parameters", {"dict": [["alpha", {"array": ["coef_"]}]]}, "not its own"),
        ("learned", [], "entries"),
        ("learned", None, "entries"),
        ("learned", {"dict": []}, "belongs to nothing"),
        ("more", 1, "entries"),
    ],
)
def test_entry_of_the_document(key, value, match, ridge, tmp_path):
    changed(ridge, tmp_path, match, lambda _, document: document.update({key: value}))


def learned(document):
    return dict(document["learned"]["dict"])


def set_learned(name, value):
    def change(_, document):
        pairs = document["learned"]["dict"]
        for pair in pairs:
            if pair[0] == name:
                pair[1] = value
                return
        pairs.append([name, value])

    return change


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("n_features_in_", 4, "must be of shape"),
        ("n_features_in_", 10**12, "must be of shape"),
        ("n_features_in_", 10**30, "at least 1"),
        ("n_features_in_", -1, "at least 1"),
        ("n_features_in_", True, "an integer"),
        ("n_features_in_", 3.0, "an integer"),
        ("n_features_in_", 1e400, "not JSON|beyond float64"),
        ("feature_names_in_", {"objects": ["a", "b"]}, "3 names"),
        ("feature_names_in_", {"objects": ["a", "b", 3]}, "strings"),
        ("feature_names_in_", ["a", "b", "c"], "names"),
        ("__class__", "os", "of known names"),
        ("predict", None, "of known names"),
    ],
)
def test_learned_value(name, value, match, ridge, tmp_path):
    header, document, data = taken_apart(ridge)
    set_learned(name, value)(header, document)
    refused(put_together(header, document, data), tmp_path, match)


def test_learned_value_that_is_missing(ridge, tmp_path):
    def forget(header, document):
        document["learned"]["dict"] = [p for p in document["learned"]["dict"] if p[0] != "coef_"]

    header, document, data = taken_apart(ridge)
    forget(header, document)
    refused(put_together(header, document, data), tmp_path, "belongs to nothing")


@pytest.mark.parametrize(
    ("name", "array", "match"),
    [
        ("coef_", np.ones(4), r"of shape \(3,\)"),
        ("coef_", np.ones((3, 1)), "of shape"),
        ("coef_", np.ones((1, 1, 3)), "an array"),
        ("coef_", np.ones(3, np.int64), "float32 or float64"),
        ("coef_", np.array([1.0, np.nan, 0.0]), "not finite"),
        ("coef_", np.array([1.0, np.inf, 0.0], np.float32), "not finite"),
        ("coef_", np.ones(0), "of shape"),
        ("intercept_", np.ones(2), "of shape"),
    ],
)
def test_array_of_ridge(name, array, match, ridge, tmp_path):
    refused(with_array(ridge, name, array), tmp_path, match)


@pytest.mark.parametrize(
    ("name", "array", "match"),
    [
        ("coef_", np.ones((2, 3)), "of shape"),
        ("coef_", np.ones((3, 2)), "of shape"),
        ("intercept_", np.ones(1), "of shape"),
        ("n_iter_", np.ones(1), "int64 or int32"),
        ("classes_", np.array([[97], [97], [98]], np.uint32), "distinct labels in order"),
        ("classes_", np.array([[98], [97], [99]], np.uint32), "distinct labels in order"),
        ("classes_", np.array([[97], [98]], np.uint32), "of shape"),
        ("classes_", np.array([[97], [98], [2**31]], np.uint32), "no code point"),
        ("classes_", np.ones((3, 0), np.uint32), "written otherwise"),
        ("classes_", np.arange(3, dtype=np.uint32), "written otherwise"),
        ("classes_", np.arange(3.0)[:, None], "written otherwise"),
    ],
)
def test_array_of_logistic_regression(name, array, match, logistic, tmp_path):
    refused(with_array(logistic, name, array), tmp_path, match)


@pytest.mark.parametrize(
    ("classes", "match"),
    [
        ({"objects": ["a", 1, "c"]}, "no labels"),
        ({"objects": [None, None, None]}, "no labels"),
        ({"objects": [["a"], ["b"], ["c"]]}, "no labels"),
        ({"objects": [1, {"float": "nan"}, 2]}, "distinct labels in order"),
        ({"objects": []}, "at least one"),
        ({"objects": "abc"}, "a list"),
        ({"dates": "classes_", "dtype": "O"}, "no such dtype"),
        ({"dates": "classes_", "dtype": "<M8[ns]"}, "written as int64"),
        ({"bytes": "classes_"}, "written otherwise"),
        ({"pickle": "classes_"}, "'pickle' is not known"),
    ],
)
def test_classes_of_logistic_regression(classes, match, logistic, tmp_path):
    header, document, data = taken_apart(logistic)
    set_learned("classes_", classes)(header, document)
    if "objects" in classes:  # the array of the texts is not there then
        begin, end = header.pop("classes_")["data_offsets"]
        data = data[:begin] + data[end:]
        for entry in header.values():
            if entry["data_offsets"][0] >= end:
                entry["data_offsets"] = [o - end + begin for o in entry["data_offsets"]]
    refused(put_together(header, document, data), tmp_path, match)


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("sizes", [3, 4, 3], "must be of shape"),
        ("sizes", [3, 4], "has 2 entries, expected 1"),
        ("sizes", [3], "expected 0|entries"),
        ("sizes", [], "entries"),
        ("sizes", [3, 0, 2], "at least 1"),
        ("sizes", [10**9, 10**9, 2], "must be of shape"),
        ("sizes", "342", "an integer|a list"),
        ("sizes", 3, "Network"),
        ("activation", ["gelu"], "activation"),
        ("activation", [], "activation"),
        ("activation", [["tanh"]], "a string"),
        ("output", "sigmoid ", "output"),
        ("output", "pickle", "output"),
        ("dtype", "object", "one of 'float32', 'float64'"),
        ("dtype", "float32", "of float32"),
        ("dtype", None, "a string"),
        ("weights", [], "has 0 entries, expected 2"),
        ("__reduce__", [], "of known names"),
    ],
)
def test_value_of_a_network(name, value, match, network, tmp_path):
    header, document, data = taken_apart(network)
    set_learned(name, value)(header, document)
    if name == "weights":
        data = b"".join(data[slice(*header[b]["data_offsets"])] for b in ("biases.0", "biases.1"))
        header = {"biases.0": header["biases.0"], "biases.1": header["biases.1"]}
        header["biases.0"]["data_offsets"], header["biases.1"]["data_offsets"] = [0, 32], [32, 48]
    refused(put_together(header, document, data), tmp_path, match)


@pytest.mark.parametrize(
    ("name", "array", "match"),
    [
        ("means_", np.ones((3, 2)), "of shape"),
        ("priors_", np.ones(3, np.float32), "of float64"),
        ("_densities.factors", np.zeros((3, 3, 3)), "must be positive"),
        ("_densities.factors", -np.stack([np.eye(3)] * 3), "must be positive"),
        ("_densities.factors", np.ones((3, 3)), "an array"),
        ("_densities.priors", np.array([0.5, 0.5, 0.5]), "with the sum 1"),
        ("_densities.priors", np.array([1.5, 0.5, -1.0]), "with the sum 1"),
        ("_densities.means", np.full((3, 3), np.nan), "not finite"),
        ("_statistics.scatter", np.ones((3, 3)), "an array"),
        ("_statistics.weights", np.ones(2), "of shape"),
    ],
)
def test_array_of_a_gaussian_classifier(name, array, match, gaussian, tmp_path):
    refused(with_array(gaussian, name, array), tmp_path, match)


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("_kind", "cubic", "one of"),
        ("_kind", "diag", "_statistics|must|shape|array"),
        ("_kind", ["full"], "a string"),
        ("_dtype", "object", "one of"),
        ("_grows", 1, "True or False"),
        ("_densities", None, "named values|belongs"),
    ],
)
def test_value_of_a_gaussian_classifier(name, value, match, gaussian, tmp_path):
    header, document, data = taken_apart(gaussian)
    set_learned(name, value)(header, document)
    refused(put_together(header, document, data), tmp_path, match)


def test_bools_must_be_bools(tmp_path):
    x = np.arange(4.0)[:, np.newaxis]
    content = content_of(fastnn.LogisticRegression().fit(x, x[:, 0] > 1), tmp_path)
    header, document, data = taken_apart(content)
    begin = header["classes_"]["data_offsets"][1] - 1
    data = data[:begin] + b"\x02" + data[begin + 1 :]
    refused(put_together(header, document, data), tmp_path, "neither 0 nor 1")


def test_variance_of_zero_that_is_another_one(tmp_path):
    model = fastnn.GaussianNB(var_smoothing=0).fit([[0.0], [0.0], [1.0]], [0, 0, 1])
    header, document, data = taken_apart(content_of(model, tmp_path))
    for value in (None, [0, 1], [9, 9]):
        set_learned("_flat", value)(header, document)
        refused(put_together(header, document, data), tmp_path, "other variances of 0")


def test_values_nested_deeply(ridge, tmp_path):
    value = 1.0
    for _ in range(40):
        value = [value]
    changed(
        ridge,
        tmp_path,
        "nested too deeply",
        lambda _, document: document.update(parameters={"dict": [["alpha", value]]}),
    )


def test_memory_is_bounded_by_the_file(network, gaussian, tmp_path):
    """Whatever sizes a file claims to have."""
    for content, name, value in (
        (network, "sizes", [10**6, 10**6, 2]),
        (gaussian, "n_features_in_", 10**6),
    ):
        header, document, data = taken_apart(content)
        set_learned(name, value)(header, document)
        file = put_together(header, document, data)
        tracemalloc.start()
        try:
            refused(file, tmp_path, "must be (of shape|3)")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 1_000_000


# Perceptrons


def _changes_of(name):
    """Values of a perceptron's file that are wrong, each with what is said of it."""
    state = {"steps": 1, "states": [], "learning_rate": 0.001}
    made_of = ["adam", 0.001, 0.9, 0.0001, 200, 0.9, 0.999, 1e-8, []]
    return {
        "n_features_in_": [(4, "is not for 4 features")],
        "n_outputs_": [(2, "and 2 outputs"), (0, "at least 1")],
        "n_iter_": [(-1, "at least 0"), (1.0, "an integer")],
        "loss_": [("0", "a float"), (1, "a float")],
        "loss_curve_": [(1.0, "a list"), ([None], "a float")],
        "converged_": [(1, "True or False")],
        "_multilabel": [(True, "not for 3 classes"), (None, "True or False")],
        "_network": [(None, "belongs to nothing"), ({"dict": []}, "Network|belongs to nothing")],
        "callbacks": [([], "of known names")],
        "_optimizer_made_of": [
            (made_of[:-1], "has 8 entries, expected 9"),
            (["newton", *made_of[1:]], "one of"),
            ([*made_of[:4], 0, *made_of[5:]], "at least 1"),
        ],
        "_optimizer_state": [
            (
                {"dict": list(map(list, ({**state, "learning_rate": -1.0}).items()))},
                "positive|noth",
            ),
            ({"dict": list(map(list, state.items()))}, "belongs to nothing|states"),
        ],
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        *("n_features_in_", "n_outputs_", "n_iter_", "loss_", "loss_curve_", "converged_"),
        *("_multilabel", "_network", "callbacks", "_optimizer_made_of", "_optimizer_state"),
    ],
)
def test_value_of_a_perceptron(name, tmp_path):
    content = content_of(fitted()["mlp"], tmp_path)
    for value, match in _changes_of(name):
        header, document, data = taken_apart(content)
        set_learned(name, value)(header, document)
        refused(put_together(header, document, data), tmp_path, match)


@pytest.mark.parametrize(
    ("name", "array", "match"),
    [
        ("_network.weights.0", np.ones((3, 5)), "of shape"),
        ("_network.biases.1", np.full(3, np.nan), "not finite"),
        ("_network.weights.1", np.ones((4, 3), np.float32), "of float64"),
        ("_optimizer_state.states.0.0", np.ones((4, 3)), "of shape"),
        ("_optimizer_state.states.1.3", np.ones(4), "of shape"),
        ("_optimizer_state.states.0.1", np.ones(4, np.float32), "of float64"),
    ],
)
def test_array_of_a_perceptron(name, array, match, tmp_path):
    refused(with_array(content_of(fitted()["mlp"], tmp_path), name, array), tmp_path, match)


def test_perceptron_whose_optimizer_lacks_a_state(tmp_path):
    """Adam has two averages; what is missing must not be found out by the next training."""
    header, document, data = taken_apart(content_of(fitted()["mlp"], tmp_path))
    set_learned("_optimizer_made_of", ["sgd", *[0.1] * 3, 200, *[0.1] * 3, []])(header, document)
    refused(put_together(header, document, data), tmp_path, "has 2 states, but sgd has 0")
