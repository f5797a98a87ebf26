"""Methods that other packages bring: found, named properly, and harmless where they are broken."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import methods
from methods.core import registry, torch_settings

GOOD = """
import methods
from methods.backprop_plain import BackpropPlain
@methods.register('theirs')
class Theirs(BackpropPlain):
    summary = 'somebody else\\'s'
"""
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Lays out what `pip install` would leave of modules with an entry point each; they are found at the next look."""
    monkeypatch.setattr(registry, "_methods", dict(methods.available()))
    monkeypatch.setattr(registry, "_aliases", dict(registry._aliases))

    def lay_out(**modules: str) -> None:
        info = tmp_path / "theirs-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
        for name, code in modules.items():
            (tmp_path / f"their_{name}.py").write_text(code)
            monkeypatch.delitem(sys.modules, f"their_{name}", raising=False)
        points = "".join(f"{name} = their_{name}\n" for name in modules)
        (info / "entry_points.txt").write_text(f"[noprop_bench.methods]\n{points}")
        monkeypatch.syspath_prepend(str(tmp_path))
        registry._discover.cache_clear()

    return lay_out


@pytest.mark.filterwarnings("error")
def test_plug_ins_are_found_and_a_broken_one_is_told_in_a_sentence(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install(
        broken="raise RuntimeError('no\\n\\x1b[31mlicence')",
        good=f"print('hello'){GOOD}",
        leaving="raise SystemExit(3)",
    )
    assert "theirs" in methods.available()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "note: the method plug-in 'broken' (their_broken) was left out: RuntimeError: no \\x1b[31mlicence",
        "hello",
        "note: the method plug-in 'leaving' (their_leaving) was left out: SystemExit: 3",
    ]
    with pytest.raises(methods.MethodError, match=r"unknown method 'broken'.*; the method plug-in 'broken' .*licence"):
        methods.get("broken")


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (f"{GOOD}\n    summary = None", "the method 'theirs' needs a summary, which is one line of text"),
        (GOOD.replace("'theirs'", "3"), "3 cannot name a method: use letters"),
        (f"{GOOD}\nmethods.register('fn')(lambda: None)", "registered as 'fn' is no class derived from Method"),
    ],
)
def test_nothing_of_what_is_no_method_is_there(
    install: Install, capsys: pytest.CaptureFixture[str], code: str, why: str
) -> None:
    before = methods.available()
    install(odd=code)
    assert methods.available() == before
    (line,) = capsys.readouterr().err.splitlines()
    assert "'odd' (their_odd) was left out: ValueError: " in line
    assert why in line


@pytest.mark.parametrize("name", ["all", "core", "tuned", "", "a,b", "a\nb", "<b>x</b>", "-x", "1x", "é"])
def test_names_that_nobody_can_type_are_refused(name: str) -> None:
    cls = type("Other", (methods.get("backprop"),), {})
    with pytest.raises(ValueError, match="cannot name a method"):
        methods.register(name)(cls)
    with pytest.raises(ValueError, match="cannot name a method"):
        methods.register("fine", aliases=[name])(cls)
    assert not {name, "fine"} & set(methods.available())


def test_what_an_import_changes_in_pytorch_is_changed_back(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    before = torch_settings.read()
    threads = torch.get_num_threads()
    changes = (
        f"torch.set_default_dtype(torch.float64), torch.set_num_threads({threads + 1}), torch.set_grad_enabled(False)",
        "torch.use_deterministic_algorithms(True), torch.set_float32_matmul_precision('medium')",
    )
    install(rude=f"import torch\n{', '.join(changes)}\n{GOOD}")
    assert "theirs" in methods.available()
    assert torch_settings.read() == before
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "note: the method plug-in 'rude' (their_rude) changes PyTorch's default dtype (torch.float32 to "
        f"torch.float64), number of threads ({threads} to {threads + 1}), gradient mode (True to False), "
        "deterministic algorithms (False to True), float32 matmul precision (highest to medium) when it is imported, "
        "which is changed back"
    )
