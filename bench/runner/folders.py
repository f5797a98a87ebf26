"""A run's folder: named, found again, and locked."""

import contextlib
import secrets
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench.errors import UserError
from bench.meters.environment import describe_environment
from results.calibration import find_calibration
from results.files import file_stem, is_dir
from results.schema import PlannedCell, RunRecord

LOCK_FILE = ".lock"


def new_run(out: Path, cells: list[PlannedCell], command: str, **how: Any) -> RunRecord:
    """What a new run sets out to do; its folder is `out / run_id`, named by time, data sets and preset.

    Args:
        out: Parent folder for runs.
        cells: What is to be done.
        command: The command line that does it.
        how: Further fields of `RunRecord`.
    """
    now = datetime.now(UTC)
    config = cells[0].config
    calibration = None
    if how.get("launcher", "local") == "local":  # elsewhere it would be of another machine
        here = describe_environment(config.device)
        calibration, unreadable = find_calibration(out, here, config.threads, config.device)
        for path in unreadable:
            print(f"note: {path} cannot be read, so it is passed over", file=sys.stderr)
    names = "+".join(dict.fromkeys(file_stem(cell.dataset) for cell in cells))
    return RunRecord(
        # The last part keeps two runs of the same second apart.
        run_id=f"{now:%Y%m%d-%H%M%S}-{names}-{config.preset}-{secrets.token_hex(2)}",
        created_at=now.isoformat(timespec="seconds"),
        command=command,
        cells=cells,
        calibration=calibration,
        **how,
    )


def find_run(name: str, out: Path) -> Path:
    """The folder of a run, given as a path or by its name inside `out`.

    Raises:
        UserError: there is no such folder.
    """
    for folder in (Path(name), out / name) if name.strip() else ():
        if is_dir(folder):
            return folder
    raise UserError(f"there is no run {name!r}, neither as a folder nor in {out}")


@contextlib.contextmanager
def run_lock(run: Path) -> Iterator[None]:
    """Let one process at a time work on a run's folder. A process that is killed leaves nothing locked.

    Raises:
        UserError: another process holds it, or the folder cannot be written to.
    """
    lock = FileLock(run / LOCK_FILE, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(f"another process is working on {run}: wait for its end, or stop it first") from None
    except OSError as error:
        raise UserError(f"cannot write to the run {run}: {error.strerror or error}") from None
    try:
        yield
    finally:
        lock.release()
