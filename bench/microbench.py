"""`python -m bench.microbench`: time every method's calls in isolation, without a run.

`tests/benchmarks` does the timing under pytest-benchmark, which stores each session in `results/microbench/`. This
command finds the previous session to compare with, and the run whose report will show the new one.

Exit codes: 0 success; 1 a benchmark failed or was slower than `--benchmark-compare-fail` allows, and the run is
unchanged; 2 something given cannot be used; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from bench.commandline.exit_codes import exits
from bench.commandline.flags import output, where
from bench.commandline.help import Command, group
from bench.commandline.params import Whole

SUITE = Path(__file__).resolve().parent.parent / "tests" / "benchmarks"
STORAGE = Path("results/microbench")
_NOT_ACCEPTED = (4, 5)
"""pytest's exit codes for arguments that it cannot use or that select no test."""


@click.command(cls=Command, context_settings={"ignore_unknown_options": True})
@where("--threads", type=Whole(1), show_default="the run's, or all cores", help="CPU threads.")
@group("How to compare")(
    "--benchmark-compare-fail",
    "limits",
    multiple=True,
    metavar="LIMIT",
    help="Fail if a benchmark is slower than before by more than mean:10% or median:0.002 (s).",
)
@output("--run", type=click.Path(path_type=Path), help="Add the timings to this run and its report.")
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
def cli(run: Path | None, threads: int | None, limits: Sequence[str], pytest_arguments: Sequence[str]) -> int:
    """Time each method's training step, prediction, evaluation and epoch.

    Epochs are compared with those of a plain trainer, and each session with the previous one. Other arguments go to
    pytest, such as -k noprop.
    """
    from bench.errors import UserError
    from bench.meters.environment import available_cores, describe_environment
    from bench.runner.folders import run_lock
    from reports.build import build_report
    from results.microbenchmarks import MICROBENCH_FILE, read_microbenchmarks
    from results.store import replace_file

    _check(limits)
    _check_paths(pytest_arguments)
    cores = available_cores()
    threads = threads or (cores if run is None else min(cores, _threads(run)))
    commit = describe_environment("cpu").commit or "unknown"
    arguments = [f"--microbench-threads={threads}", f"--benchmark-save={commit}"]
    previous = _newest()
    if previous is not None:
        read_microbenchmarks(previous)  # pytest-benchmark would skip a damaged file and compare with nothing
        arguments += [f"--benchmark-compare={previous.resolve()}", "--benchmark-group-by=fullname"]
        arguments += [f"--benchmark-compare-fail={limit}" for limit in limits]
    elif limits:
        print(f"note: {STORAGE} holds no previous session to compare with", file=sys.stderr)
    with run_lock(run) if run else contextlib.nullcontext():
        code = _pytest([*arguments, *pytest_arguments])
        if code in _NOT_ACCEPTED:
            raise UserError(f"pytest cannot use {shlex.join(pytest_arguments)!r}, or it selects no benchmark")
        if code:
            print(f"failed: {f'{run} is unchanged' if run else 'see above'}", file=sys.stderr)
            return 1
        session = _newest()
        if session is None or session == previous:
            raise UserError(f"pytest saved nothing in {STORAGE}: do not change how it saves")
        if previous is not None and not any(each.startswith("--benchmark-compare") for each in pytest_arguments):
            _say_what_is_new(session, previous)
        if run is not None:
            read_microbenchmarks(session)
            replace_file(run / MICROBENCH_FILE, session.read_bytes())
            print(build_report(run))
    return 0


def _check(limits: Sequence[str]) -> None:
    """Refuse limits that pytest-benchmark would not take, and a place without the benchmarks or pytest-benchmark.

    Raises:
        UserError: as said.
    """
    from bench.errors import UserError

    if not SUITE.is_dir():
        raise UserError(f"there is no folder {SUITE}: microbenchmarks need a checkout of the project")
    try:
        from pytest_benchmark.utils import parse_compare_fail
    except ImportError:
        raise UserError("pytest-benchmark is not installed: make setup installs it") from None
    for limit in limits:
        try:
            parse_compare_fail(limit)  # type: ignore[no-untyped-call]
        except argparse.ArgumentTypeError:
            raise UserError(
                f"--benchmark-compare-fail {limit!r} is not accepted: give min, max, mean, median, stddev or iqr, a "
                "colon, and whole per cent or seconds, such as mean:10% or median:0.002"
            ) from None


def _check_paths(pytest_arguments: Sequence[str]) -> None:
    """Refuse a path that is not there, which pytest would warn of in lines of its own.

    Raises:
        UserError: as said.
    """
    from bench.errors import UserError

    for before, argument in itertools.pairwise(("", *pytest_arguments)):
        path = argument.partition("::")[0]
        if not before.startswith("-") and not argument.startswith("-") and not os.path.exists(path):  # noqa: PTH110
            raise UserError(f"there is no {path!r}: give a path or an option of pytest's, such as -k noprop")


def _threads(run: Path) -> int:
    """The threads of the run's cells, the most if they differ."""
    from results.store import ResultsError, read_cells, read_run

    planned = read_run(run).cells
    if not any(cell.status == "ok" for cell in read_cells(run)):
        raise ResultsError(f"no cell of {run} has finished, so it has no report to show timings in")
    return max(cell.config.threads for cell in planned)


def _newest() -> Path | None:
    """The last session's file, of any Python version; None if there is none."""
    return max(STORAGE.glob("*/[0-9]*_*.json"), key=lambda path: path.stat().st_mtime_ns, default=None)


def _pytest(arguments: Sequence[str]) -> int:
    """Run the suite in a fresh process, without a time limit; returns pytest's exit code."""
    command = [sys.executable, "-m", "pytest", str(SUITE), "--timeout=0", "--benchmark-enable", "--benchmark-only"]
    command += [f"--benchmark-storage={STORAGE}", "--benchmark-sort=name", "--benchmark-columns=median,iqr,mean,rounds"]
    return subprocess.run([*command, *arguments], check=False).returncode


def _say_what_is_new(session: Path, previous: Path) -> None:
    """Name the benchmarks that the previous session lacks: nothing was compared for them."""
    from results.microbenchmarks import read_microbenchmarks

    now, then = read_microbenchmarks(session), read_microbenchmarks(previous)
    assert now is not None
    assert then is not None
    known = {benchmark.name for benchmark in then.benchmarks}  # which pytest-benchmark goes by
    if new := [benchmark.name for benchmark in now.benchmarks if benchmark.name not in known]:
        print(f"note: compared with nothing, because {previous} lacks them: {', '.join(new)}", file=sys.stderr)


main = exits(cli, "python -m bench.microbench")

if __name__ == "__main__":
    main()
