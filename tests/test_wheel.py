"""The package as others install it: `python -m build`, a fresh environment, and a folder that is not the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import methods
from tests.bench.harness import PROJECT

PACKAGES = ("bench", "methods", "reports", "results")
FILES = ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff")
NEITHER = ("tests/", "results/reference/", "results/runs/")
WITH_PAPER = PROJECT / "results" / "reference" / "mnist-standard"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, since a build leaves folders beside the code; with a run, as a checkout in use has."""
    folder = tmp_path_factory.mktemp("source")
    for name in FILES:
        shutil.copy(PROJECT / name, folder)
    for name in (*PACKAGES, "tests"):
        skipped = shutil.ignore_patterns("__pycache__", "runs", "tuned", "reference")
        shutil.copytree(PROJECT / name, folder / name, ignore=skipped)
    for name in ("runs", "reference"):
        shutil.copytree(WITH_PAPER, folder / "results" / name / "mnist")
        (folder / "results" / name / "mnist" / "stray.py").touch()
    return folder


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, and the wheel built from it; without network."""
    folder = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source, cwd=source)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel, where the dependencies are those of this interpreter."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    (wheel,) = built.glob("*.whl")
    python = folder / "bin" / "python"
    call(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=built)
    (site,) = folder.glob("lib/python*/site-packages")
    # Found after the wheel; .pth files in these folders, such as that of an editable install, are not followed.
    dependencies = [path for path in sys.path if path.endswith("-packages")]
    (site / "dependencies.pth").write_text("\n".join(dependencies))
    return folder


def call(*command: str | Path, cwd: Path) -> str:
    """What a command prints, away from the checkout and from what the environment says of it."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    ended = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def expected(source: Path) -> set[str]:
    """Every module and every file that the code reads, as paths in the package."""
    folders = [source / package for package in PACKAGES]
    code = {path for folder in folders for path in folder.rglob("*.py")}
    data = {path for kind in ("*.toml", "*.jinja", "web/*") for path in (source / "reports").rglob(kind)}
    data |= {*(source / "methods").rglob("*.c")}
    paths = {path.relative_to(source).as_posix() for path in code | data}
    return {path for path in paths if not path.startswith(NEITHER)}


def test_the_wheel_has_all_code_and_data_and_nothing_else(source: Path, built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    metadata = {name for name in names if ".dist-info/" in name}
    assert names - metadata == expected(source)
    assert {Path(name).name for name in metadata} >= {"METADATA", "LICENSE", "entry_points.txt"}


def test_the_source_distribution_has_what_the_wheel_is_built_from(source: Path, built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= expected(source) | set(FILES)
    assert not [name for name in names if name.startswith(NEITHER)]


def test_the_command_lists_methods_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    printed = call(installed / "bin" / "noprop-bench", "--list", cwd=tmp_path)
    listed = {line.split()[0] for line in printed.splitlines() if line.startswith("  ")}
    assert listed >= set(methods.available())
    where = f"import {', '.join(PACKAGES)}; print(*(m.__file__ for m in ({', '.join(PACKAGES)})), sep='\\n')"
    files = call(installed / "bin" / "python", "-c", where, cwd=tmp_path).splitlines()
    assert len(files) == len(PACKAGES)
    assert all(Path(file).is_relative_to(installed) for file in files)


def test_the_installed_package_reads_its_data_in_a_report(installed: Path, tmp_path: Path) -> None:
    run = shutil.copytree(WITH_PAPER, tmp_path / "run", ignore=shutil.ignore_patterns("report.*", "figures"))
    call(installed / "bin" / "python", "-m", "reports.build", run, "--html", "--latex", cwd=tmp_path)
    assert "99.47" in (run / "details.md").read_text()  # the paper's figure, from reports/published
    assert "<style>" in (run / "report.html").read_text()  # from reports/web
    assert (run / "tables.tex").is_file()
