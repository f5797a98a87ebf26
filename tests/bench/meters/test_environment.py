"""The environment of a run: the commit that its code is, and whether it is just that."""

import re
import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

import methods
from bench.meters import environment
from bench.meters.package import package_of
from tests.bench.stubs import Recorder


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
    for name in (
        "DIR",
        "WORK_TREE",
        "INDEX_FILE",
        "COMMON_DIR",
        "OBJECT_DIRECTORY",
    ):  # as in a hook of another repository
        monkeypatch.setenv(f"GIT_{name}", str(tmp_path / "elsewhere"))
    assert environment._commit() == clean
    for name in ("DIR", "WORK_TREE", "INDEX_FILE", "COMMON_DIR", "OBJECT_DIRECTORY"):
        monkeypatch.delenv(f"GIT_{name}")
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


def test_of_a_plug_in_s_method_every_file_of_its_package_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "mine-1.0.dist-info"  # as an editable installation has it: the modules are listed nowhere else
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[noprop_bench.methods]\nmine = mine_rule\n")
    (info / "top_level.txt").write_text("mine_rule\nmine_parts\n")
    (tmp_path / "mine_rule.py").write_text("x = 1\n")
    (tmp_path / "mine_parts").mkdir()
    layer = tmp_path / "mine_parts" / "layer.py"
    layer.write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    rule = type("Rule", (Recorder,), {"__module__": "mine_rule"})
    before = package_of(rule)
    assert before is not None
    assert re.fullmatch(r"mine 1\.0 \(files [0-9a-f]{12}\)", before)
    layer.write_text("x = 2\n")
    after = package_of(rule)
    assert after != before
    assert package_of(rule) == after
    assert package_of(methods.get("backprop")) is None


def test_outside_a_checkout_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_PROJECT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert environment._commit() is None


@pytest.mark.parametrize(("found", "said"), [(None, "pytorch"), (object(), "fused")])
def test_it_says_how_layers_are_computed(found: object, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "functions", lambda dtype: found)
    assert environment.describe_environment.__wrapped__("cpu").layers == said


def test_the_card_that_is_used_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(torch.cuda, "device", lambda name: nullcontext(asked.append(name)))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation: not including_emulation)
    assert environment.has_bfloat16("cuda:1") is True
    assert asked == ["cuda:1"]


def test_bfloat16_is_what_pytorch_itself_goes_by(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in (True, False):
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda answer=answer: answer, raising=False)
        assert environment.has_bfloat16("cpu") is answer

    def unknown() -> bool:
        raise RuntimeError("not built with oneDNN")

    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", unknown, raising=False)
    assert environment.has_bfloat16("cpu") is None
