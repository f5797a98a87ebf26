"""A session of microbenchmarks is read as it is, or refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from results.microbenchmarks import read_microbenchmarks
from results.store import ResultsError
from tests.microbench_factory import BOUND, COMMIT, LOOP, REFERENCE, make_benchmark, make_session, write_session

Session = dict[str, Any]


def test_a_session_comes_back(tmp_path: Path) -> None:
    session = read_microbenchmarks(write_session(tmp_path / "microbench.json"))
    assert session is not None
    assert [benchmark.key for benchmark in session.benchmarks] == [
        *(
            (kind, method, (1, 28, 28), False)
            for kind in ("step", "predict", "evaluate")
            for method in ("noprop", "backprop")
        ),
        ("loop", "backprop-plain", (1, 28, 28), False),
    ]
    step, loop = session.benchmarks[0], session.benchmarks[-1].extra_info.loop
    assert (step.stats.q1, step.stats.median, step.stats.q3) == pytest.approx((0.16, 0.2, 0.32))
    assert step.stats.rounds == 7
    assert step.extra_info.images_per_second == 640
    assert loop is not None
    assert loop.model_dump() == LOOP
    assert (session.commit, session.machine_info.threads) == (COMMIT, 2)


def test_ratios_come_back_and_a_session_without_them_is_as_good(tmp_path: Path) -> None:
    """Sessions from before there were any have no such field."""
    ratios = of(make_benchmark("epoch", "noprop"), make_benchmark("epoch", "backprop"), make_benchmark("block"))
    session = read_microbenchmarks(write_session(tmp_path / "microbench.json", ratios))
    assert session is not None
    measured = [benchmark.extra_info for benchmark in session.benchmarks]
    assert [each.reference and each.reference.model_dump() for each in measured] == [REFERENCE, REFERENCE, None]
    assert measured[2].bound is not None
    assert measured[2].bound.model_dump() == BOUND
    old = make_session()
    assert not any({"reference", "bound"} & set(each["extra_info"]) for each in old["benchmarks"])
    assert read_microbenchmarks(write_session(tmp_path / "old.json", old)) is not None


def test_no_file_is_no_session(tmp_path: Path) -> None:
    assert read_microbenchmarks(tmp_path / "microbench.json") is None


def test_what_pytest_benchmark_may_add_is_no_matter(tmp_path: Path) -> None:
    session = make_session() | {"new": 1}
    session["benchmarks"][0]["stats"]["new"] = 1
    assert read_microbenchmarks(write_session(tmp_path / "microbench.json", session)) is not None


def of(*benchmarks: Session) -> Session:
    return make_session(benchmarks)


def foreign() -> Session:
    """As pytest-benchmark writes it for anybody."""
    session = make_session()
    session["machine_info"] = {"node": "somewhere", "processor": "x86_64"}
    session["benchmarks"] = [each | {"extra_info": {}} for each in session["benchmarks"]]
    return session


REFUSED: dict[str, tuple[Callable[[], Session], str]] = {
    "of another project": (foreign, "machine_info.environment: Field required"),
    "newer": (lambda: of(make_benchmark(schema_version=7)), "benchmarks.0.extra_info.schema_version"),
    "unknown field": (lambda: of(make_benchmark(colour="red")), "benchmarks.0.extra_info.colour"),
    "nothing timed": (lambda: of(), "benchmarks: List should have at least 1 item"),
    "no time": (lambda: of(make_benchmark(median=0.0)), "benchmarks.0.stats.median"),
    "infinite": (lambda: of(make_benchmark(q3=float("inf"))), "benchmarks.0.stats.q3"),
    "quartiles": (lambda: of(make_benchmark(q1=3.0)), "the quartiles are not in order"),
    "twice": (lambda: of(make_benchmark(), make_benchmark()), "something was timed twice"),
    "other threads": (lambda: of(make_benchmark(), make_benchmark("predict", threads=3)), "the same threads"),
    "other commit": (lambda: of(make_benchmark(), make_benchmark("predict", commit="b" * 12)), "commit"),
    "loop without ratio": (lambda: of(make_benchmark("loop", loop=None)), "loop must be given"),
    "ratio without loop": (lambda: of(make_benchmark("step", loop=LOOP)), "loop must be given"),
    "epoch without ratio": (lambda: of(make_benchmark("epoch", reference=None)), "reference must be given"),
    "block without ratio": (lambda: of(make_benchmark("block", bound=None)), "bound must be given"),
    "bound without block": (lambda: of(make_benchmark("epoch", bound=BOUND)), "bound must be given"),
    "ratio of nothing": (lambda: of(make_benchmark("block", bound=BOUND | {"flops": 0})), "extra_info.bound.flops"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_session_of_ours_is_one_sentence(name: str, tmp_path: Path) -> None:
    make, said = REFUSED[name]
    refused(write_session(tmp_path / "microbench.json", make()), said)


@pytest.mark.parametrize("keep", [0, 40, 2000])
def test_a_file_cut_short_is_one_sentence(keep: int, tmp_path: Path) -> None:
    path = tmp_path / "microbench.json"
    path.write_text(json.dumps(make_session())[:keep])
    refused(path, "Invalid JSON")


def test_bytes_that_are_no_text_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "microbench.json").write_bytes(b"\xff\xfe")
    refused(tmp_path / "microbench.json", "Invalid JSON")


def test_a_folder_in_its_place_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="cannot read"):
        read_microbenchmarks(tmp_path)


def refused(path: Path, said: str) -> None:
    with pytest.raises(ResultsError) as refusal:
        read_microbenchmarks(path)
    sentence = str(refusal.value)
    assert str(path) in sentence
    assert said in sentence
    assert "\n" not in sentence
