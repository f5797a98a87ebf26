"""The environment of a run: the commit that its code is, and whether it is just that."""

import subprocess
from pathlib import Path

import pytest

from bench.meters import environment


def test_a_new_file_of_code_makes_the_commit_dirty_and_a_new_result_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.invalid")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "code.py").write_text("x = 1\n")
    git("init")
    git("add", ".")
    git("commit", "-m", "start")
    monkeypatch.setattr(environment, "_PROJECT", tmp_path)
    clean = environment._commit()
    assert clean is not None
    assert len(clean) == 12
    (tmp_path / "rows.jsonl").write_text("{}\n")
    assert environment._commit() == clean
    (tmp_path / "method.py").write_text("x = 2\n")
    assert environment._commit() == f"{clean}-dirty"
    git("add", "method.py")
    assert environment._commit() == f"{clean}-dirty"


def test_the_commit_of_a_repository_that_has_this_package_in_its_venv_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / ".venv" / "site-packages"
    (place / "methods").mkdir(parents=True)
    (place / "methods" / "mine.py").write_text("x = 1\n")
    for arguments in (
        ["init"],
        ["-c", "user.name=a", "-c", "user.email=a@b.invalid", "commit", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True, capture_output=True)
    monkeypatch.setattr(environment, "_PROJECT", place)
    assert environment._commit() is None
    before = environment._package()
    (place / "methods" / "mine.py").write_text("x = 2\n")
    assert environment._package() != before
    environment.describe_environment.cache_clear()
    assert environment.describe_environment("cpu").package == environment._package()
    environment.describe_environment.cache_clear()


def test_outside_a_checkout_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_PROJECT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert environment._commit() is None
