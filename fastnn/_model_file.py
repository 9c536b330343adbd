"""Models in files: `save` and `load`, in the format of safetensors.

A file is 8 bytes, the length of a header; the header, JSON that names dtype, shape and place of
each array; the arrays. In the header's metadata, under the key "fastnn", is a document, JSON too:

    {"format": 1, "version": "0.1.0", "class": "Ridge", "parameters": {...}, "learned": {...}}

with a model's attributes as `_plain` writes them. What there must be is declared by each class (see
`_fields`). Loading reads the file once and judges all of it before a model exists.
"""

from __future__ import annotations

import errno
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from . import _fields, _plain
from ._fields import ModelFileError

__all__ = ["ModelFileError", "load", "save"]

Array = NDArray[Any]

FORMAT = 1  # of the document; raised when older versions could no longer read it
_KEY = "fastnn"
_MOST_HEADER = 100_000_000  # bytes; safetensors reads no longer ones
_MOST_VALUES = 4_000_000  # in JSON: names of features, losses of epochs; each is an object
_PICKLE = b"\x80"  # what all but the oldest begin with
_DTYPES = ("?", "i1", "u1", "i2", "u2", "f2", "i4", "u4", "f4", "i8", "u8", "f8")
_NAMES = ("BOOL", "I8", "U8", "I16", "U16", "F16", "I32", "U32", "F32", "I64", "U64", "F64")
_ITEM = {name: np.dtype(dtype).itemsize for name, dtype in zip(_NAMES, _DTYPES)}


def _classes() -> dict[str, Any]:
    """Return the classes that a file may name."""
    from . import _model_classes

    return {cls.__name__: cls for cls in _model_classes.CLASSES}


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            "model files need the package safetensors: pip install safetensors"
        ) from error
    return safetensors.numpy


# Saving


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a model to a file, which is replaced as a whole or not at all."""
    import json

    from . import __version__

    cls = type(model)
    if _classes().get(cls.__name__) is not cls:
        raise TypeError(f"{cls.__module__}.{cls.__qualname__} is not a class of fastnn's own")
    writer = _safetensors()
    state = model._saved()
    fields = cls._fields(state)
    learned = _fields.trees(fields, state)
    _fields.values(fields, learned, cls.__name__)  # nothing is written that cannot be read
    arrays: dict[str, Array] = {}
    document = {
        "format": FORMAT,
        "version": __version__,
        "class": cls.__name__,
        "parameters": _plain.written(model._saved_parameters(), "parameters", arrays),
        "learned": _plain.written(learned, "", arrays),
    }
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    # The writer takes the memory of an array as it lies there, whatever its strides.
    dense = {name: np.array(a, order="C") for name, a in arrays.items()}
    content = writer.save(dense, metadata={_KEY: text})
    length = int.from_bytes(content[:8], "little")
    if length > _MOST_HEADER or _values_at_most(content[8 : 8 + length]) > _MOST_VALUES:
        raise ValueError(f"{cls.__name__} has more names, labels or arrays than a file may hold")
    _write(path, content)


def _write(path: str | os.PathLike[str], content: bytes) -> None:
    target = os.path.realpath(os.fsdecode(path))
    folder = os.path.dirname(target)
    if os.path.exists(target) and not os.path.isfile(target):  # a device would be gone for all
        code = errno.EISDIR if os.path.isdir(target) else errno.EINVAL
        raise OSError(code, "not a regular file, and so not replaced", target)
    with _temporary(folder) as (descriptor, name):
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)
    _sync_folder(folder)


@contextmanager
def _temporary(folder: str) -> Iterator[tuple[int, str]]:
    """Make a file with the permissions of any new one; remove it if the block fails."""
    name = os.path.join(folder, f".fastnn-{os.urandom(8).hex()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(name, flags, 0o666)
    try:
        yield descriptor, name
    except BaseException:
        os.unlink(name)
        raise


def _sync_folder(folder: str) -> None:
    """Make the new name last, where folders can be synced."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some file systems cannot; the file itself is safe
    finally:
        os.close(descriptor)


# Loading


def load(path: str | os.PathLike[str]) -> Any:
    """Return the model in a file that `save` has written.

    Parameters
    ----------
    path : str or PathLike

    Returns
    -------
    model
        Of the class that was saved; its predictions have the same bits.

    Raises
    ------
    ModelFileError
        If the file is not such a model, is damaged, or was written by a newer version of fastnn in
        a format that this one does not know. It is a ValueError, and says what is wrong.
    ImportError
        If the package safetensors is not installed.
    OSError
        If the file cannot be read.

    Notes
    -----
    A file holds arrays and JSON, no code: loading unpickles nothing and imports nothing by a name in
    the file. All of it is checked before a model is made: names, dtypes and shapes of arrays against
    each other and against the size of the file, and that what was learned is finite. Memory is a small
    multiple of the size of the file, whatever it says of itself. That a value is another one than was
    saved cannot be seen.

    Examples
    --------
    >>> import os, tempfile, fastnn
    >>> model = fastnn.GaussianNB().fit([[0.0], [2.0], [5.0], [9.0]], ["low", "low", "high", "high"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "bayes.safetensors")
    ...     model.save(path)
    ...     copy = fastnn.load(path)
    >>> copy
    GaussianNB()
    >>> copy.partial_fit([[1.0]], ["low"]).predict([[1.0], [8.0]])
    array(['low', 'high'], dtype='<U4')
    """
    reader = _safetensors()
    content = _read(path)
    try:
        document, specs = _judged(content)
        arrays = _arrays(reader, content, specs)
        return _model(document, arrays)
    except ModelFileError as error:
        raise ModelFileError(f"{os.fsdecode(path)}: {error}") from None
    except RecursionError:
        raise ModelFileError(f"{os.fsdecode(path)}: values are nested too deeply") from None


def _without_waiting(path: str, flags: int) -> int:
    """Open a pipe at once too, of which there may be no writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _read(path: str | os.PathLike[str]) -> bytes:
    """Return the content of the file, if its length and its header's length go together."""
    with open(path, "rb", opener=_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ModelFileError(f"{os.fsdecode(path)}: not a regular file")
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or not 2 <= length <= min(status.st_size - 8, _MOST_HEADER):
            pickled = " (a pickle? fastnn.load executes none)" if start[:1] == _PICKLE else ""
            raise ModelFileError(
                f"{os.fsdecode(path)}: not a model file, or cut off: in {status.st_size} bytes there "
                f"is no header of {length}{pickled}"
            )
        return start + file.read(status.st_size - 8)


def _values_at_most(text: bytes) -> int:
    """Return a bound on the values in a JSON text, from the characters that come before them."""
    return sum(map(text.count, (b"[", b"{", b",", b":")))


def _json(text: bytes, what: str) -> dict[str, Any]:
    """Return an object in which no name is twice, and no number is beyond JSON's."""
    import json

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ModelFileError(f"{what} has a name twice")
        return found

    def refuse(name: str) -> Any:
        raise ModelFileError(f"{what} has {name}, which is not JSON")

    if _values_at_most(text) > _MOST_VALUES:  # "[]," takes 3 bytes here, but 64 as an object
        raise ModelFileError(f"{what} has more values than that of a model may have")
    try:
        value = json.loads(text.decode(), object_pairs_hook=unique, parse_constant=refuse)
    except ModelFileError:
        raise
    except ValueError as error:
        raise ModelFileError(f"{what} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ModelFileError(f"{what} is not a JSON object")
    return value


def _judged(content: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the document and the header's entries, which fill the file without gap or overlap."""
    length = int.from_bytes(content[:8], "little")
    header = _json(content[8 : 8 + length], "the header")
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or list(metadata) != [_KEY]:
        raise ModelFileError("a safetensors file, but not one of a fastnn model")
    if not isinstance(metadata[_KEY], str):
        raise ModelFileError("the document is not text")
    end = 0
    for name, begin, stop in sorted(map(_place, header.items()), key=lambda place: place[1:]):
        if begin != end:
            raise ModelFileError(f"the array {name!r} does not begin where the one before it ends")
        end = stop
    if end != len(content) - 8 - length:
        raise ModelFileError(
            f"the arrays take {end} bytes, but the file has {len(content) - 8 - length} for them"
        )
    return _json(metadata[_KEY].encode("utf-8", "surrogatepass"), "the document"), header


def _is_natural(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < 2**63


def _place(item: tuple[str, Any]) -> tuple[str, int, int]:
    """Return name, begin and end of an array whose entry in the header is consistent."""
    name, entry = item
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ModelFileError(f"the header's entry of the array {name!r} is not as it should be")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _ITEM:
        raise ModelFileError(f"the array {name!r} has the dtype {dtype!r}")
    if not isinstance(shape, list) or len(shape) > 8 or not all(map(_is_natural, shape)):
        raise ModelFileError(f"the array {name!r} has the shape {shape!r}")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_natural, offsets)):
        raise ModelFileError(f"the array {name!r} is at {offsets!r}")
    begin, end = offsets
    if end - begin != math.prod(shape) * _ITEM[dtype]:
        raise ModelFileError(
            f"the array {name!r} has shape {tuple(shape)} and dtype {dtype}, but {end - begin} bytes"
        )
    return name, begin, end


def _arrays(reader: Any, content: bytes, specs: dict[str, Any]) -> dict[str, Array]:
    """Return the arrays, with memory of their own: safetensors does not align them."""
    from safetensors import SafetensorError

    try:
        found = reader.load(content)
    except SafetensorError as error:
        raise ModelFileError(f"safetensors cannot read it: {error}") from None
    if found.keys() != specs.keys():
        raise ModelFileError("safetensors finds other arrays than the header names")
    for name, a in found.items():
        if a.dtype == bool and a.size and a.view(np.uint8).max() > 1:
            raise ModelFileError(f"the array {name!r} has bools that are neither 0 nor 1")
    return {name: a.copy() for name, a in found.items()}


def _model(document: dict[str, Any], arrays: dict[str, Array]) -> Any:
    """Return the model that a document and its arrays describe."""
    version = document.get("format")
    if type(version) is not int or version < 1:
        raise ModelFileError(f"the format {version!r} is not a version of it")
    if version > FORMAT:
        raise ModelFileError(
            f"its format is {version}, newer than the {FORMAT} that this version of fastnn reads; it "
            f"was written by version {document.get('version')!r}"
        )
    if set(document) != {"format", "version", "class", "parameters", "learned"}:
        raise ModelFileError("the document has not the entries that it should have")
    name = document["class"]
    classes = _classes()
    if not isinstance(name, str) or name not in classes:
        raise ModelFileError(f"the class {name!r} is none of {', '.join(classes)}")
    try:
        unread = dict(arrays)
        parameters = _plain.read(document["parameters"], "parameters", unread)
        tree = _plain.read(document["learned"], "", unread)
        if not isinstance(parameters, dict) or not isinstance(tree, dict):
            raise ModelFileError("the document has not the entries that it should have")
        if unread:
            raise ModelFileError(f"the array {next(iter(unread))!r} belongs to nothing")
        learned = _fields.values(classes[name]._fields(tree), tree, name)
        return classes[name]._restored(parameters, learned)
    except ModelFileError:
        raise
    except (TypeError, ValueError, ArithmeticError) as error:
        raise ModelFileError(f"{name}: {error}") from None
