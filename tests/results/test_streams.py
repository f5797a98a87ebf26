"""Commands whose streams are closed, full or in another locale, or whose terminal goes away."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.harness import PROJECT

COMMAND = """
import os, signal, sys, time
import click
from bench.commandline.exit_codes import exits

@click.command()
def cli():
    print("0.95\\u20131.09")
    print("told", file=sys.stderr)
    with open("results", "w") as file:
        try:
            os.write(2, b"from a library")
        except OSError:
            pass
    with open("done", "w") as file:
        file.write(os.environ.get("STOP", ""))
    if "STOP" in os.environ:
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(5)

exits(cli, "command", runs_cells=True)()
"""


def start(redirection: str, cwd: Path, command: str = COMMAND, **env: str) -> subprocess.CompletedProcess[bytes]:
    (cwd / "command.py").write_text(command)
    return subprocess.run(
        ["sh", "-c", f'exec "$0" command.py {redirection}', sys.executable],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(PROJECT)} | env,
        capture_output=True,
    )


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}


@pytest.mark.parametrize(
    ("redirection", "env", "out"),
    [
        ("", {"PYTHONIOENCODING": "utf-8"}, "0.95\u20131.09\n".encode()),
        ("", ASCII, b"0.95?1.09\n"),
        ("<&- 2>&-", ASCII, b"0.95?1.09\n"),
        ("2>/dev/full", ASCII, b"0.95?1.09\n"),
        ("<&- >&- 2>&-", {}, b""),
    ],
)
def test_a_command_does_its_work_whatever_its_streams_are(
    redirection: str, env: dict[str, str], out: bytes, tmp_path: Path
) -> None:
    ended = start(redirection, tmp_path, **env)
    assert (ended.returncode, ended.stdout) == (0, out)
    assert (tmp_path / "done").exists()
    assert (tmp_path / "results").read_bytes() == b"", "it was given no stream's number"


def test_a_full_disk_under_standard_output_is_one_sentence(tmp_path: Path) -> None:
    ended = start(">/dev/full", tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.endswith(b"error: cannot write to standard output: No space left on device\n")
    assert (tmp_path / "done").exists()


@pytest.mark.parametrize("flush", ["", "sys.stdout.flush()"])
def test_a_reader_that_has_gone_ends_a_command_quietly(flush: str, tmp_path: Path) -> None:
    (tmp_path / "command.py").write_text(COMMAND.replace('print("told", file=sys.stderr)', flush or "pass"))
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(
        [sys.executable, "command.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        stdout=write,
        stderr=subprocess.PIPE,
    )
    os.close(write)
    assert (ended.returncode, ended.stderr.replace(b"from a library", b"")) == (128 + signal.SIGPIPE, b"")


def test_a_library_that_cannot_be_loaded_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('libtorch.so: no memory', name='_C')")
    ended = start("", tmp_path, COMMAND.replace("def cli():", "def cli():\n    import torch"))
    assert (ended.returncode, ended.stderr) == (2, b"error: torch cannot be loaded: libtorch.so: no memory\n")


@pytest.mark.parametrize("threads", ["abc", "0", "1.5", "-1", ""])
def test_a_number_of_threads_that_openmp_would_not_take_is_one_sentence(threads: str, tmp_path: Path) -> None:
    ended = start("", tmp_path, OMP_NUM_THREADS=threads)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: the variable OMP_NUM_THREADS is {threads!r}: give".encode())
    assert ended.stderr.count(b"\n") == 1


@pytest.mark.parametrize("wrong", ["from bench import nothing", "import bench.nothing"])
def test_a_mistake_of_ours_is_no_library(wrong: str, tmp_path: Path) -> None:
    ended = start("", tmp_path, COMMAND.replace("def cli():", f"def cli():\n    {wrong}"))
    assert ended.returncode == 1
    assert b"Traceback" in ended.stderr


@pytest.mark.parametrize(("prefix", "code"), [("", 129), ("trap '' HUP;", 0)])
def test_a_terminal_that_goes_away_stops_a_command_unless_it_was_told_to_go_on(
    prefix: str, code: int, tmp_path: Path
) -> None:
    (tmp_path / "command.py").write_text(COMMAND.replace("sleep(5)", "sleep(0.2)"))
    ended = subprocess.run(
        ["sh", "-c", f'{prefix} exec "$0" command.py 2>/dev/full', sys.executable],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT), "STOP": "1"},
        capture_output=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # the tests may have been told to go on
    )
    assert ended.returncode == code
