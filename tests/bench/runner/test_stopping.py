"""Stopping the command in the middle of a cell, in every way a command can be stopped.

All commands start together, and each is stopped when its cell of the method `waits` is waiting.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from results.store import CELLS_FILE, read_cells, read_run
from tests.bench.harness import SMALL, Ended, Plugin, finish, is_alive, wait_until

Process = subprocess.Popen[str]

WAYS: dict[str, Callable[[Process], None]] = {
    "Ctrl-C": lambda process: os.killpg(process.pid, signal.SIGINT),  # what a terminal does
    "SIGINT": lambda process: process.send_signal(signal.SIGINT),
    "SIGTERM": lambda process: process.send_signal(signal.SIGTERM),
    "SIGKILL": lambda process: process.send_signal(signal.SIGKILL),
}
CELLS = {
    "Ctrl-C": ("--methods", "steady,moody,waits"),
    "SIGINT": ("--methods", "waits,steady", "--jobs", "2"),
    "SIGTERM": ("--methods", "steady,waits"),
    "SIGKILL": ("--methods", "steady,waits"),
}
"""One of the commands has a failed cell to do again as well, one runs its cells side by side."""


@dataclasses.dataclass(frozen=True)
class Stopped:
    """A command after it was stopped, and how long it, and then all its processes, took to end."""

    ended: Ended
    seconds: float
    seconds_to_last_process: float
    plugin: Plugin
    folder: Path


def stop(way: str, process: Process, plugin: Plugin, out: Path) -> Stopped:
    worker = int((plugin.flags / "waiting").read_text())
    start = time.monotonic()
    WAYS[way](process)
    ended = finish(process, timeout=20)
    seconds = time.monotonic() - start
    wait_until(lambda: not is_alive(worker) and plugin.processes() == [], 10)
    last = time.monotonic() - start
    return Stopped(ended, seconds, last, plugin, next(out.iterdir()))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Stopped]]:
    # Where the tests themselves run with SIGINT ignored, as background jobs of a script do, so would the command.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    plugins = {way: Plugin(tmp_path_factory.mktemp("plugin")) for way in WAYS}
    outs = {way: tmp_path_factory.mktemp("runs") for way in WAYS}
    request = ("--datasets", "halves", "--seeds", "0", *SMALL)
    try:
        processes = {}
        for way, plugin in plugins.items():
            (plugin.flags / "hold").touch()
            (plugin.flags / "moody").touch()
            processes[way] = plugin.start("--out", outs[way], *CELLS[way], *request, new_session=True)
        for way, plugin in plugins.items():
            assert wait_until((plugin.flags / "waiting").exists, 150)
            (run,) = outs[way].iterdir()
            assert wait_until(lambda run=run: bool(read_cells(run)), 60)  # type: ignore[misc]
        yield {way: stop(way, process, plugins[way], outs[way]) for way, process in processes.items()}
    finally:
        signal.signal(signal.SIGINT, before)
        for plugin in plugins.values():
            plugin.clean_up()


@pytest.fixture(params=WAYS)
def one(request: pytest.FixtureRequest, stopped: dict[str, Stopped]) -> Stopped:
    return stopped[request.param]


def test_ends_within_two_seconds(one: Stopped) -> None:
    assert one.seconds < 2


def test_leaves_no_process(one: Stopped) -> None:
    assert one.seconds_to_last_process < 2.5
    assert one.plugin.processes() == []


def test_keeps_the_finished_cell(one: Stopped) -> None:
    row, *_ = read_cells(one.folder)
    assert (row.method, row.status) == ("steady", "ok")
    assert (one.folder / CELLS_FILE).read_bytes().endswith(b"}\n")


@pytest.mark.parametrize(("way", "code"), [("Ctrl-C", 130), ("SIGINT", 130), ("SIGTERM", 143)])
def test_says_how_to_go_on(stopped: dict[str, Stopped], way: str, code: int) -> None:
    one = stopped[way]
    assert one.ended.code == code
    assert one.ended.lines[-1] == (
        f"stopped: 1 of {len(read_run(one.folder).cells)} cells are finished and kept; "
        f"go on with: python -m bench.run --resume {shlex.quote(str(one.folder))}"
    )
    assert "Traceback" not in one.ended.err
    assert one.ended.out == ""


def test_what_it_says_works(stopped: dict[str, Stopped]) -> None:
    """The failed and the unfinished cell are done, each once, and the finished one is left alone."""
    one = stopped["Ctrl-C"]
    file = one.folder / CELLS_FILE
    before = file.read_bytes()
    assert [(row.method, row.status) for row in read_cells(one.folder)] == [("steady", "ok"), ("moody", "error")]
    for flag in ("hold", "moody"):
        (one.plugin.flags / flag).unlink()
    *_, option, folder = shlex.split(one.ended.lines[-1].partition("go on with: ")[2])
    assert one.plugin.run(option, folder).code == 0
    assert file.read_bytes().startswith(before)
    added = file.read_bytes().removeprefix(before).splitlines()
    assert ['"method":"moody"' in str(line) for line in added] == [True, False]
    assert [(row.method, row.status) for row in read_cells(one.folder)] == [
        ("steady", "ok"),
        ("moody", "ok"),
        ("waits", "ok"),
    ]


def test_stopped_while_it_starts(tmp_path: Path) -> None:
    """During the imports, which take seconds: no traceback, nothing written."""
    plugin = Plugin(tmp_path / "plugin")
    process = plugin.start("--out", tmp_path / "out", "--datasets", "halves", "--methods", "steady", new_session=True)
    assert wait_until(lambda: "libtorch" in maps(process.pid), 60)
    start = time.monotonic()
    process.send_signal(signal.SIGTERM)
    ended = finish(process, timeout=20)
    assert time.monotonic() - start < 2
    assert ended.code == 143
    assert "Traceback" not in ended.err
    assert ended.lines[-1] == "stopped before the first cell"
    assert not (tmp_path / "out").exists()
    assert plugin.processes() == []


def maps(pid: int) -> str:
    return " ".join(mapped.path for mapped in psutil.Process(pid).memory_maps())
