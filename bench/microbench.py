"""`python -m bench.microbench`: time every method's calls in isolation, without a run.

`tests/benchmarks` does the timing under pytest-benchmark, which stores each session in `results/microbench/`. This
command finds the previous session to compare with, and the run whose report will show the new one.

Exit codes: 0 success; 1 a benchmark failed or was slower than `--benchmark-compare-fail` allows, and the run is
unchanged; 2 something given cannot be used; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from bench.commandline.exit_codes import exits
from bench.commandline.flags import output, where
from bench.commandline.help import Command, group

SUITE = Path(__file__).resolve().parent.parent / "tests" / "benchmarks"
STORAGE = Path("results/microbench")
_NOT_ACCEPTED = (4, 5)
"""Exit codes with which pytest says that it cannot use its arguments, or that they select nothing."""


@click.command(cls=Command, context_settings={"ignore_unknown_options": True})
@where("--threads", type=click.IntRange(1), show_default="the run's, or all cores", help="CPU threads.")
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
    from bench.runner.lock import run_lock
    from results.microbenchmarks import read_microbenchmarks

    _check(limits)
    cores = available_cores()
    usual = cores if run is None else min(cores, _threads(run))
    former = _newest()
    arguments = [
        f"--microbench-threads={threads or usual}",
        f"--benchmark-save={describe_environment('cpu').commit or 'unknown'}",
    ]
    if former is not None:
        read_microbenchmarks(former)  # pytest-benchmark would pass over a damaged one, and compare with nothing
        arguments += [f"--benchmark-compare={former.resolve()}", "--benchmark-group-by=fullname"]
        arguments += [f"--benchmark-compare-fail={limit}" for limit in limits]
    elif limits:
        print(f"note: {STORAGE} holds no former session, so this one is compared with nothing", file=sys.stderr)
    with run_lock(run) if run else contextlib.nullcontext():
        code = _pytest([*arguments, *pytest_arguments])
        if code in _NOT_ACCEPTED:
            raise UserError(f"pytest cannot use {shlex.join(pytest_arguments)!r}, or no benchmark is selected by it")
        if code:
            print(f"failed: {f'{run} is as it was' if run else 'what went wrong is said above'}", file=sys.stderr)
            return 1
        session = _newest()
        if session is None or session == former:
            raise UserError(f"pytest saved nothing in {STORAGE}: leave its options for saving as they are")
        if former is not None and not any(argument.startswith("--benchmark-compare") for argument in pytest_arguments):
            _say_what_is_new(session, former)
        if run is not None:
            print(_put(session, run))
    return 0


def _check(limits: Sequence[str]) -> None:
    """Whether there is something to run, and pytest-benchmark takes the limits.

    Raises:
        UserError: it does not, or this is not a checkout with what it takes to test it.
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
                "colon, and whole percent or seconds, such as mean:10% or median:0.002"
            ) from None


def _threads(run: Path) -> int:
    """The number of threads of the run's cells, the largest where they have several.

    Raises:
        ResultsError: it is not a run, or no cell of it has finished, so that it can have no report.
    """
    from results.store import ResultsError, read_cells, read_run

    planned = read_run(run).cells
    if not any(cell.status == "ok" for cell in read_cells(run)):
        raise ResultsError(f"no cell of {run} has finished, so it has no report that could show timings")
    return max(cell.config.threads for cell in planned)


def _newest() -> Path | None:
    """The last session's file, whatever Python made it; None where there is none."""
    return max(STORAGE.glob("*/[0-9]*_*.json"), key=lambda path: path.stat().st_mtime_ns, default=None)


def _pytest(arguments: Sequence[str]) -> int:
    """Run the suite in a process of its own, in which nothing has been set up yet; pytest's exit code."""
    # Without a limit: a slow machine is no fault.
    command = [sys.executable, "-m", "pytest", str(SUITE), "--timeout=0", "--benchmark-enable", "--benchmark-only"]
    command += [f"--benchmark-storage={STORAGE}", "--benchmark-sort=name", "--benchmark-columns=median,iqr,mean,rounds"]
    return subprocess.run([*command, *arguments], check=False).returncode


def _say_what_is_new(session: Path, former: Path) -> None:
    """Name what the former session did not time: nothing was compared for it."""
    from results.microbenchmarks import read_microbenchmarks

    now, then = read_microbenchmarks(session), read_microbenchmarks(former)
    assert now is not None
    assert then is not None
    known = {benchmark.key for benchmark in then.benchmarks}
    if new := [benchmark.name for benchmark in now.benchmarks if benchmark.key not in known]:
        print(f"note: compared with nothing, since {former} has no such benchmark: {', '.join(new)}", file=sys.stderr)


def _put(session: Path, run: Path) -> Path:
    """Give the run the session's file and build its report again; the report's path.

    Raises:
        ResultsError: the file is not what it should be, the run's folder cannot be written to, or the report cannot be
            built.
    """
    from reports.build import build_report
    from results.microbenchmarks import MICROBENCH_FILE, read_microbenchmarks
    from results.store import replace_file

    read_microbenchmarks(session)
    replace_file(run / MICROBENCH_FILE, session.read_bytes())
    return build_report(run)


main = exits(cli, "python -m bench.microbench")

if __name__ == "__main__":
    main()
