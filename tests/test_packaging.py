"""The wheel and the source distribution: what they hold, and that they work where installed."""

import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCRIPTS = "Scripts" if sys.platform == "win32" else "bin"
MEGABYTE = 2**20

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the git checkout"),
]


def run(*command, folder, **environment):
    """Run a command that must succeed, out of reach of the source tree; return what it printed."""
    done = attempt(*command, folder=folder, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def attempt(*command, folder, **environment):
    """Run a command and return what it did."""
    ours = ("PYTHONPATH", "PYTHONHOME", "FASTNN_BACKEND", "FASTNN_ISA", "FASTNN_PURE")
    env = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**env, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )


def new_environment(path, *packages):
    """Make a virtual environment that holds some packages; return the folder of its programs."""
    venv.create(path, with_pip=True)
    programs = path / SCRIPTS
    pip = (programs / "python", "-m", "pip", "--disable-pip-version-check")
    if packages:
        run(*pip, "install", "--quiet", *packages, folder=path)
    return programs


def build(python, source, folder, kind, **environment):
    """Build a "wheel" or "sdist" of a source tree as installers do; return its path."""
    folder.mkdir(exist_ok=True)
    code = f"import setuptools.build_meta as b; b.build_{kind}({str(folder)!r})"
    run(python, "-c", code, folder=source, **environment)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """A folder with a copy of the checkout, as git would give it, and an interpreter to build."""
    folder = tmp_path_factory.mktemp("workshop")
    listed = run("git", "ls-files", "-z", "-co", "--exclude-standard", folder=ROOT)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            target = folder / "source" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    programs = new_environment(folder / "builder", *project["build-system"]["requires"])
    return folder, programs / "python"


@pytest.fixture(scope="module")
def sdist(workshop):
    """The source distribution."""
    folder, python = workshop
    return build(python, folder / "source", folder / "sdist", "sdist")


@pytest.fixture(scope="module")
def wheel(workshop):
    """The wheel of the checkout."""
    folder, python = workshop
    return build(python, folder / "source", folder / "wheel", "wheel", FASTNN_WERROR="1")


@pytest.fixture(scope="module")
def installed(workshop, wheel):
    """The programs of an environment that holds NumPy and the wheel."""
    folder, _ = workshop
    programs = new_environment(folder / "user", "numpy")
    pip = (programs / "python", "-m", "pip", "--disable-pip-version-check")
    run(*pip, "install", "--quiet", "--no-index", "--no-deps", wheel, folder=folder)
    run(*pip, "check", folder=folder)
    return programs


def names_in(wheel):
    """The files of the wheel without its metadata."""
    names = zipfile.ZipFile(wheel).namelist()
    return sorted(name for name in names if ".dist-info/" not in name)


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    assert wheel.stat().st_size <= 2 * MEGABYTE
    names = names_in(wheel)
    expected = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "fastnn").rglob("*")
        if path.suffix in (".py", ".pyi", ".typed", ".npz", ".md")
    }
    compiled = [name for name in names if name.startswith("fastnn/_core.") and "pyi" not in name]
    assert len(compiled) == 1 and compiled[0].endswith((".so", ".pyd"))
    assert set(names) - set(compiled) == expected
    assert {"fastnn/py.typed", "fastnn/datasets/digits16.npz"} <= expected


def test_the_metadata_of_the_wheel(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
    lines = archive.read(name).decode().splitlines()
    needed = [line for line in lines if line.startswith("Requires-Dist:") and "extra" not in line]
    assert needed == ["Requires-Dist: numpy>=2.0"]
    assert "Requires-Python: >=3.11" in lines and "License-Expression: BSD-3-Clause" in lines
    assert any(n.endswith(".dist-info/licenses/LICENSE") for n in archive.namelist())


@pytest.mark.skipif(shutil.which("readelf") is None, reason="this machine has no readelf")
def test_the_compiled_module_is_stripped_and_exports_only_itself(wheel, tmp_path):
    (name,) = (n for n in names_in(wheel) if n.endswith(".so"))
    module = zipfile.ZipFile(wheel).extract(name, tmp_path)
    sections = run("readelf", "-SW", module, folder=tmp_path)
    assert ".text" in sections and ".dynsym" in sections
    assert ".debug" not in sections and ".symtab" not in sections
    symbols = run("readelf", "--dyn-syms", "-W", module, folder=tmp_path).splitlines()
    defined = [line.split()[-1] for line in symbols if " UND " not in line and "GLOBAL" in line]
    assert "PyInit__core" in defined
    others = [s for s in defined if not s.startswith(("PyInit_", "fnn_", "_init", "_fini"))]
    assert others == []


def test_the_wheel_works_in_an_environment_with_numpy_alone(installed, tmp_path):
    python = installed / "python"
    listed = run(python, "-m", "pip", "list", "--format=freeze", folder=tmp_path)
    packages = {line.split("==")[0].split(" @")[0].lower() for line in listed.split()}
    assert {"fastnn", "numpy"} <= packages <= {"fastnn", "numpy", "pip", "setuptools"}
    code = "import fastnn; print(fastnn.backend(), fastnn.__file__)"
    backend, path = run(python, "-W", "error", "-c", code, folder=tmp_path).split(maxsplit=1)
    assert backend == "compiled"
    assert installed.parent.resolve() in pathlib.Path(path.strip()).resolve().parents


@pytest.mark.parametrize("command", [("fastnn",), ("python", "-m", "fastnn")])
def test_the_demo_of_the_wheel_runs_from_any_folder(command, installed, tmp_path):
    program, *rest = command
    printed = run(installed / program, *rest, "demo", "--epochs", 1, folder=tmp_path)
    assert "epoch   1  loss" in printed and "backend compiled" in printed
    assert list(tmp_path.iterdir()) == []


def test_the_sdist_holds_all_sources(workshop, sdist):
    folder, _ = workshop
    members = tarfile.open(sdist).getnames()
    held = {name.partition("/")[2] for name in members}
    source = folder / "source"
    parts = ("csrc", "fastnn", "tests", "bench", "examples")
    expected = {
        str(path.relative_to(source))
        for part in parts
        for path in (source / part).rglob("*")
        if path.is_file() and "build" not in path.parts and path.suffix != ".egg-info"
    }
    top = {"LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "pyproject.toml", "setup.py"}
    assert expected | {n for n in top if (source / n).exists()} <= held
    assert not [name for name in held if name.endswith((".so", ".o", ".pyc"))]
    assert sdist.stat().st_size <= 3 * MEGABYTE


def test_the_sdist_builds_the_same_wheel(workshop, sdist, wheel):
    folder, python = workshop
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (source,) = (folder / "unpacked").iterdir()
    again = build(python, source, folder / "again", "wheel")
    assert again.name == wheel.name
    assert names_in(again) == names_in(wheel)


def test_the_sdist_installs_with_pip(workshop, sdist, tmp_path):
    python = new_environment(tmp_path / "user") / "python"
    pip = (python, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "install", "--quiet", sdist, folder=tmp_path)
    assert run(python, "-c", "import fastnn; print(fastnn.isa())", folder=tmp_path).strip()


def test_an_installation_without_a_compiler(workshop, tmp_path):
    folder, builder = workshop
    source = shutil.copytree(folder / "source", tmp_path / "source")
    shutil.rmtree(source / "build", ignore_errors=True)
    nothing = {"FASTNN_PURE": "1", "CC": "false", "CXX": "false"}
    pure = build(builder, source, tmp_path / "dist", "wheel", **nothing)
    assert pure.name.endswith("-py3-none-any.whl")
    assert not [name for name in names_in(pure) if "_core" in name and not name.endswith(".pyi")]

    programs = new_environment(tmp_path / "user", "numpy")
    pip = (programs / "python", "-m", "pip", "--disable-pip-version-check")
    run(*pip, "install", "--quiet", "--no-index", "--no-deps", pure, folder=tmp_path)
    refused = attempt(programs / "fastnn", "info", folder=tmp_path)
    assert refused.returncode != 0
    assert "ImportError" in refused.stderr and "FASTNN_BACKEND=numpy" in refused.stderr
    options = ("demo", "--epochs", 1)
    printed = run(programs / "fastnn", *options, folder=tmp_path, FASTNN_BACKEND="numpy")
    assert "backend numpy" in printed
