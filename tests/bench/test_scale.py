"""The measured sweep: what is timed at each point, the record, the report, and one sentence for a mistake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from bench import scale
from bench.planning.method_spec import parse_methods
from bench.runner import scaling
from bench.runner.scaling import Growth, timing
from reports.sweeps.scaling import build_scale_report
from results.scale import Axis, ScalePoint, read_scale
from tests.bench.harness import Ended, call

Command = Callable[..., Ended]
TINY = (
    *("--depths", "1,2", "--batch-sizes", "10,20", "--sides", "8,16", "--images", "20,40"),
    *("--rounds", 3, "--threads", 1, "--methods", "noprop,backprop-plain"),
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, threads_as_before: None) -> None:
    """Everything but what is varied as small as can be."""
    monkeypatch.setattr(scaling, "FIXED", {"T": 1, "batch_size": 10, "side": 8, "images": 20})
    monkeypatch.setattr(scaling, "MATRIX", 32)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    out = ("--out", tmp_path / "out")
    return lambda *arguments: call(scale.main, "bench.scale", (*out, *arguments), monkeypatch, capsys)


def test_every_point_once_and_a_report_of_it(command: Command, tmp_path: Path) -> None:
    ended = command(*TINY, "--html")
    assert ended.code == 0
    (folder,) = (tmp_path / "out").iterdir()
    assert ended.out.splitlines() == [str(folder / "report.md")]
    record = read_scale(folder)
    points = {(point.axis, point.value, point.method) for point in record.points}
    both = ("noprop", "backprop-plain")
    assert points == {
        *(("T", T, "noprop") for T in (1, 2)),  # backprop-plain has no depth
        *(("batch_size", value, method) for value in (10, 20) for method in both),
        *(("side", value, method) for value in (8, 16) for method in both),
        *(("images", value, method) for value in (20, 40) for method in both),
    }
    assert len(points) == len(record.points)
    assert {point.seconds.rounds for point in record.points} == {3}
    assert record.ceiling.seconds.rounds == 3 * len(points)
    report = (folder / "report.md").read_text()
    for file in ("time.png", "share-of-ceiling.png", "activations.png"):
        assert f"(figures/{file})" in report
        assert (folder / "figures" / file).stat().st_size > 5_000
    assert (folder / "report.html").read_text().count('<img src="data:image/svg+xml;base64,') == 3
    drawn = pd.read_csv(folder / "figures" / "time.csv").query("line == 'measured'")
    times = drawn.set_index(["varied", "value", "method"])["seconds"].to_dict()
    measured = {(point.axis, point.value, point.method): point.seconds.median for point in record.points}
    assert times == pytest.approx(measured)


def test_counted_work_and_memory_follow_what_is_varied(command: Command, tmp_path: Path) -> None:
    command(*TINY)
    (folder,) = (tmp_path / "out").iterdir()
    at = {(point.axis, point.value, point.method): point for point in read_scale(folder).points}
    for method in ("noprop", "backprop-plain"):
        small, large = at["batch_size", 10, method], at["batch_size", 20, method]
        assert (small.images, large.images) == (10, 20)
        assert small.flops is not None
        assert large.flops == pytest.approx(2 * small.flops, rel=0.02)
        assert large.activation_bytes > 1.8 * small.activation_bytes
        few, many = at["images", 20, method], at["images", 40, method]
        assert (few.images, many.images) == (20, 40)
        assert few.flops is not None
        assert many.flops == 2 * few.flops == 4 * small.flops
        assert many.activation_bytes == few.activation_bytes == small.activation_bytes
        assert at["side", 16, method].flops > 2 * at["side", 8, method].flops  # type: ignore[operator]
    shallow, deep = at["T", 1, "noprop"], at["T", 2, "noprop"]
    assert shallow.flops is not None
    assert deep.flops == pytest.approx(2 * shallow.flops, rel=0.02)
    assert deep.activation_bytes == shallow.activation_bytes
    assert shallow.execution == "in_turn"


def test_methods_take_turns_with_a_product_before_each(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(scaling._Product, "time", lambda self: calls.append("product") or 0.5)  # type: ignore[func-returns-value]
    monkeypatch.setattr(scaling._Subject, "time", lambda self: calls.append(self.spec.label) or 1.5)  # type: ignore[func-returns-value]
    sweep = Growth(parse_methods("noprop[eta=2.0],backprop-plain", {}), device="cpu", threads=1, rounds=4)
    calls.clear()  # of the warm-up
    points = sweep.points("side", 8)
    assert calls[1::2] == ["noprop[eta=2.0]", "backprop-plain", "backprop-plain", "noprop[eta=2.0]"] * 2
    assert set(calls[::2]) == {"product"}
    assert [point.seconds.median for point in points] == [1.5, 1.5]
    assert sweep.ceiling().flops_per_second == 2 * 32**3 / 0.5


def test_what_is_measured_before_an_error_is_kept(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = Growth.points

    def stopped(self: Growth, axis: Axis, value: int) -> list[ScalePoint]:
        if axis == "side":
            raise KeyboardInterrupt
        return points(self, axis, value)

    monkeypatch.setattr(Growth, "points", stopped)
    assert command(*TINY).code == 130
    (folder,) = (tmp_path / "out").iterdir()
    record = read_scale(folder)
    assert {point.axis for point in record.points} == {"T", "batch_size"}
    assert not record.complete
    assert "stopped before its end" in build_scale_report(folder).read_text()


def test_median_and_quartiles() -> None:
    found = timing([1.0, 5.0, 2.0, 4.0, 3.0])
    assert (found.median, found.iqr, found.rounds) == (3.0, 2.0, 5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--methods", ""), "the list of methods '' is empty"),
        (("--accuracy", "--methods", ""), "the list of methods '' is empty"),
        (("--sides", "4"), "'4' is not a whole number from 8 to 1024"),
        (("--depths", "0"), "'0' is not a whole number from 1 to 1000"),
        (("--batch-sizes", "1"), "'1' is not a whole number from 2 to 65536"),
        (("--images", "a"), "'a' is not a whole number from 20 to 1000000"),
        (("--rounds", "2"), "'2' is not a whole number from 3 to 1000"),
        (("--methods", "no-such"), "'no-such'"),
        (("--methods", "noprop[T=3]"), "--depths"),
        (("--methods", "noprop[eta=1,T=10]"), "--depths"),
        (("--methods", "noprop[execution=low_memory]"), "part after part"),
        (("--methods", "noprop[embedding=prototype,embedding_dim=64]", "--sides", "8,16"), "side = 16"),
        (("--device", "tpu"), "'tpu'"),
    ],
)
def test_one_sentence_and_nothing_written(command: Command, tmp_path: Path, given: tuple[str, ...], said: str) -> None:
    ended = command(*given)
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert not (tmp_path / "out").exists()
