"""A copy of the project that a test may add to, as somebody who extends it would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from markdown_it import MarkdownIt

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = ("bench", "methods", "results", "reports")
NO_SOURCES = shutil.ignore_patterns("reference", "runs", "data", "microbench", "profiles", "scale", "__pycache__")


def copy_project(folder: Path) -> Path:
    """Copy the four packages into a folder; `run_in` runs commands of theirs there."""
    for package in PACKAGES:
        shutil.copytree(PROJECT / package, folder / package, ignore=NO_SOURCES)
    return folder


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text that is in the file exactly once."""
    text = path.read_text()
    assert text.count(old) == 1, (path, old)
    path.write_text(text.replace(old, new))


def python_blocks(document: Path) -> list[str]:
    """The blocks of Python in a README."""
    tokens = MarkdownIt("commonmark").parse(document.read_text(encoding="utf-8"))
    return [token.content for token in tokens if token.type == "fence" and token.info == "python"]


def run_in(folder: Path, module: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `python -m MODULE` on the copy, with no card and no data folder; it must end well."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "CUDA_VISIBLE_DEVICES": "", "NOPROP_DATA": ""},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done
