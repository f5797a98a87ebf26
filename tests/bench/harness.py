"""Starting the real command line in a process of its own, with the plug-in of `rogue_methods` installed for it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from bench.datasets import DATA_VARIABLE

PROJECT = Path(__file__).resolve().parents[2]
PROCESSES = ("--launcher", "slurm", "--launcher-set", "cluster=local")
"""Cells as processes of submitit's local executor."""
TASKS = ("--launcher", "ray", "--launcher-set", "address=local")
"""Cells as tasks of a cluster of Ray's on this machine."""
SMALL = ("--threads", "1", "--batch-size", "16", "--epochs", "1")


@dataclass(frozen=True)
class Ended:
    """What a finished command left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines on standard error."""
        return self.err.splitlines()


def needs(module: str) -> pytest.MarkDecorator:
    """Skip where an extra is not installed."""
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"{module} is not installed")


def call(
    main: Callable[[], None],
    name: str,
    arguments: Iterable[object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Ended:
    """Call a command's `main` in this process, with arguments as the shell would give them."""
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main()
    out, err = capsys.readouterr()
    assert isinstance(stop.value.code, int)
    return Ended(stop.value.code, out, err)


def refused(ended: Ended, *quoted: str) -> None:
    """One line on standard error that quotes all of that; nothing on standard output."""
    assert ended.code == 2
    assert ended.out == ""
    assert len(ended.lines) == 1
    assert ended.err.startswith("error: ")
    for text in quoted:
        assert text in ended.err


class Plugin:
    """The plug-in in a folder, as pip would install it, and the flags by which its methods are steered."""

    def __init__(self, folder: Path, *, stand_ins: bool = True) -> None:
        """With `slow_imports` in place of the modules that they stand in for, or without."""
        self._site = folder / "site"
        self.flags = folder / "flags"
        self.flags.mkdir(parents=True)
        info = self._site / "noprop_rogues-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: noprop-rogues\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            "[noprop_bench.methods]\nrogues = noprop_rogues\nkiller = noprop_killer\n"
            "[noprop_bench.datasets]\nrogues = noprop_rogues\n"
            "[noprop_bench.trackers]\nrogues = noprop_rogue_trackers\n"
        )
        copied = {
            "rogue_methods": "noprop_rogues",
            "rogue_trackers": "noprop_rogue_trackers",
            "killer": "noprop_killer",
        }
        if stand_ins:
            copied["slow_imports"] = "sitecustomize"
        for ours, theirs in copied.items():
            shutil.copy(Path(__file__).with_name(f"{ours}.py"), self._site / f"{theirs}.py")

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which the command finds the plug-in, no card and no data folder."""
        path = os.pathsep.join(filter(None, [str(self._site), os.environ.get("PYTHONPATH")]))
        changed = {"PYTHONPATH": path, "ROGUE_FLAGS": str(self.flags), "CUDA_VISIBLE_DEVICES": ""}
        return {key: value for key, value in os.environ.items() if key != DATA_VARIABLE} | changed

    def start(
        self, *arguments: str | Path, new_session: bool = False, module: str = "bench.run"
    ) -> subprocess.Popen[str]:
        """Start the command, without a race unless asked for; the caller sees to its end."""
        if module == "bench.run" and "--race" not in arguments:
            arguments = (*arguments, "--no-race")
        return self.start_program([sys.executable, "-m", module, *map(str, arguments)], new_session=new_session)

    def start_program(self, command: list[str], *, new_session: bool = False) -> subprocess.Popen[str]:
        """Start any program in the project's folder, with the plug-in installed for it."""
        return subprocess.Popen(
            command,
            cwd=PROJECT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=new_session,
        )

    def run(self, *arguments: str | Path, module: str = "bench.run") -> Ended:
        """Run the command to its end."""
        return finish(self.start(*arguments, module=module))

    def processes(self) -> list[psutil.Process]:
        """Everything alive that was started with this plug-in, orphans too: they are known by their environment."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("ROGUE_FLAGS") == str(self.flags) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return found

    def clean_up(self) -> None:
        """End whatever a failed test left."""
        for process in self.processes():
            process.kill()


def finish(process: subprocess.Popen[str], timeout: float = 200) -> Ended:
    """Wait for the command's end."""
    out, err = process.communicate(timeout=timeout)
    return Ended(process.returncode, out, err)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and only waits to be collected does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition comes true in that time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
