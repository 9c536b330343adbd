"""What a hostile file may cost: no waiting for a pipe, no objects out of proportion to its bytes."""

import os
import subprocess
import sys

import pytest

import fastnn
from fastnn import ModelFileError, _model_file

pytest.importorskip("safetensors")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_pipe_without_a_writer_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    code = f"import fastnn; fastnn.load({str(tmp_path / 'pipe')!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert "ModelFileError" in done.stderr and "not a regular file" in done.stderr


@pytest.mark.parametrize("item", [b"[]", b"{}", b"1", b'{"":[]}'])
def test_header_of_countless_values_is_not_read(item, tmp_path, monkeypatch):
    monkeypatch.setattr(_model_file, "_MOST_VALUES", 1000)
    for count, match in ((1001, "more values"), (100, "not one of a fastnn model")):
        text = b'{"a":[' + b",".join([item] * count) + b"]}"
        (tmp_path / "file").write_bytes(len(text).to_bytes(8, "little") + text)
        with pytest.raises(ModelFileError, match=match):
            fastnn.load(tmp_path / "file")


def test_document_of_countless_values_is_not_read(tmp_path, monkeypatch):
    """The header's text may hide them, as escapes."""
    monkeypatch.setattr(_model_file, "_MOST_VALUES", 1000)
    hidden = "".join(f"\\u{ord(c):04x}" for c in "[" + "[]," * 1000 + "[]]")
    text = ('{"__metadata__":{"fastnn":"' + hidden + '"}}').encode()
    (tmp_path / "file").write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(ModelFileError, match="the document has more values"):
        fastnn.load(tmp_path / "file")


def test_values_are_never_more_than_counted():
    for text, values in ((b"[]", 1), (b'{"a":[1,2],"b":{"c":{}}}', 6), (b'{"a":"[,"}', 2)):
        assert _model_file._values_at_most(text) >= values


def test_nothing_is_written_that_would_not_be_read(tmp_path, monkeypatch):
    model = fastnn.Ridge(alpha=list(range(2000)))
    model.save(tmp_path / "model")
    assert fastnn.load(tmp_path / "model").alpha == model.alpha
    monkeypatch.setattr(_model_file, "_MOST_VALUES", 1000)
    with pytest.raises(ValueError, match="than a file may hold"):
        model.save(tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_half_of_a_surrogate_in_the_document_is_refused(tmp_path):
    text = b'{"__metadata__":{"fastnn":"{\\"a\\":\\"\\ud800\\"}"}}'
    (tmp_path / "file").write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(ModelFileError, match="the document is not JSON"):
        fastnn.load(tmp_path / "file")
