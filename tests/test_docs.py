"""What the pages of docs/ show works as it stands: Python as doctests, commands in a shell."""

import doctest
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import fastnn

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.rst"))
BLOCK = re.compile(r"^\.\. code-block:: (\w+)\n\n((?: {3}.*\n|\n)+)", re.MULTILINE)

# Commands that are shown and not run: they install, or take minutes.
NOT_RUN = ("pip install ", "python -m bench", "bash .ci/run", "sphinx-build ")

pytestmark = pytest.mark.skipif(
    fastnn.backend() != "compiled", reason="the pages show what the compiled kernels print"
)


def blocks_of(page, language):
    """The code blocks of a language on a page, without their indentation."""
    text = page.read_text(encoding="utf-8")
    return [textwrap.dedent(code).strip() for kind, code in BLOCK.findall(text) if kind == language]


def commands_of(block):
    """The commands of a console block, each with the output that is shown for it."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)
    assert parts[0] == "", f"a console block starts with $: {block}"
    for part in parts[1:]:
        lines = part.split("\n")
        n = 1
        while lines[n - 1].endswith("\\"):
            n += 1
        yield "\n".join(lines[:n]), "\n".join(lines[n:])


def is_shown(expected, printed):
    """Whether a command printed what the page shows, where ... stands for anything."""
    expected, printed = (text.strip() + "\n" for text in (expected, printed))
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(expected, printed, flags)


@pytest.fixture
def shell(tmp_path):
    """Run a command in a folder of its own, where `python` and `fastnn` are those of the test."""
    programs, folder = tmp_path / "bin", tmp_path / "work"
    programs.mkdir()
    folder.mkdir()
    for name, start in (("python", ""), ("fastnn", "-m fastnn ")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {start}"$@"\n')
        program.chmod(0o755)
    source = Path(fastnn.__file__).parents[1]
    env = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(source),
        "MPLCONFIGDIR": str(tmp_path),
        "COLUMNS": "80",
    }

    def run(command):
        return subprocess.run(
            ["bash", "-euc", command],
            capture_output=True,
            text=True,
            cwd=folder,
            env=env,
            timeout=300,
            check=False,
        )

    return run


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    for package in re.findall(r">>> (?:import|from) (\w+)", page.read_text(encoding="utf-8")):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    results = doctest.testfile(str(page), module_relative=False)
    assert not results.failed


@pytest.mark.skipif(os.name == "nt", reason="the commands are for a POSIX shell")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_run(page, shell):
    for block in blocks_of(page, "console"):
        for command, expected in commands_of(block):
            done = shell(command)
            assert done.returncode == 0, f"{command}\n{done.stderr}"
            assert is_shown(expected, done.stdout), f"{command}\nprints\n{done.stdout}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_nothing_is_shown_that_does_not_run(page):
    languages = {kind for kind, _ in BLOCK.findall(page.read_text(encoding="utf-8"))}
    assert languages <= {"console", "sh", "diff", "text"}, "Python is written as a doctest"
    for block in blocks_of(page, "sh"):
        for line in block.split("\n"):
            assert line.startswith(NOT_RUN), f"a block of console would run this: {line}"


def test_the_reference_has_every_public_name():
    text = (DOCS / "api.rst").read_text(encoding="utf-8")
    listed = {
        name.partition(".")[0] for name in re.findall(r"^   ([A-Za-z]\S*)$", text, re.MULTILINE)
    }
    modules = {"kernels"}  # whose functions are listed by themselves
    assert set(fastnn.__all__) - modules <= listed


def test_an_output_that_differs_is_found():
    assert is_shown("a ... c", "a b c\n") and not is_shown("a ... d", "a b c\n")
    assert list(commands_of("$ echo 1\n1\n$ echo \\\n  2")) == [
        ("echo 1", "1\n"),
        ("echo \\\n  2", ""),
    ]
