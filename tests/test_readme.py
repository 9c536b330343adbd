"""What README.md shows works as it stands."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_there_are_two_commands():
    commands = re.findall(r"^pip install .*$", README, flags=re.MULTILINE)
    assert commands[:2] == ["pip install . && fastnn demo", "pip install -e '.[test]' && pytest"]


def test_the_examples_run(capsys, tmp_path, monkeypatch):
    pytest.importorskip("safetensors")
    monkeypatch.chdir(tmp_path)
    example, perceptron, models, saving = re.findall(
        r"```python\n(.*?)```", README, flags=re.DOTALL
    )
    names = {}
    exec(compile(models + saving, "README.md", "exec"), names)
    assert (names["again"].predict(names["X"]) == names["model"].predict(names["X"])).all()
    capsys.readouterr()
    exec(compile(perceptron, "README.md", "exec"), {})
    assert 0.9 < float(capsys.readouterr().out.split(maxsplit=1)[0]) < 1
    exec(compile(example, "README.md", "exec"), {})
    accuracy, shape = capsys.readouterr().out.split(maxsplit=1)
    assert float(accuracy) >= 0.94
    assert shape.strip() == "(256, 128)"
