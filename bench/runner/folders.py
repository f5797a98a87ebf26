"""A run's folder: named, found again, and locked."""

import contextlib
import errno
import secrets
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from bench.errors import UserError
from bench.meters.environment import describe_environment
from results.calibration import find_calibration
from results.files import file_stem, is_dir
from results.schema import PlannedCell, RunRecord

LOCK_FILE = ".lock"
SOFT_LOCK_FILE = ".lock-without-locks"
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
"""What file systems without locks answer."""


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


def named_folder(parent: Path, name: str) -> Path:
    """Make the folder of that name, unless it is there.

    Raises:
        UserError: it cannot be made, or the name is none.
    """
    if Path(name).name != name or name in ("", ".", ".."):
        raise UserError(f"{name!r} cannot name a folder; give a name without slashes, such as digits")
    folder = parent / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {error.strerror or error}") from None
    return folder


@contextlib.contextmanager
def run_lock(run: Path, *, is_new: bool = False) -> Iterator[None]:
    """Let one process at a time work on a run's folder. A process that is killed leaves nothing locked.

    Where the file system has no locks (some NFS and Lustre), a file that names its process stands in for one.

    Args:
        run: The folder.
        is_new: Whether to remove the folder if it cannot be locked.

    Raises:
        UserError: another process holds it, or the folder cannot be written to.
    """
    try:
        lock = _locked(run)
    except UserError:
        if is_new:
            shutil.rmtree(run, ignore_errors=True)
        raise
    try:
        yield
    finally:
        lock.release()


def _locked(run: Path) -> BaseFileLock:
    """The run's lock, held.

    Raises:
        UserError: as `run_lock`.
    """
    lock: BaseFileLock = FileLock(run / LOCK_FILE, timeout=0)
    try:
        try:
            with warnings.catch_warnings(action="ignore"):  # newer versions fall back by themselves, and say so
                lock.acquire()
        except (OSError, NotImplementedError) as error:
            if isinstance(error, Timeout) or (isinstance(error, OSError) and error.errno not in _NO_LOCKS):
                raise
            (run / LOCK_FILE).unlink(missing_ok=True)  # the file that could not be locked
            lock = SoftFileLock(run / SOFT_LOCK_FILE, timeout=0)
            lock.acquire()
    except Timeout:
        file = f"; if there is none, remove {lock.lock_file}" if isinstance(lock, SoftFileLock) else ""
        raise UserError(f"another process is working on {run}: wait for its end, or stop it first{file}") from None
    except OSError as error:
        raise UserError(f"cannot write to the run {run}: {error.strerror or error}") from None
    return lock


def without_out(arguments: Sequence[str]) -> list[str]:
    """The arguments without `--out PATH`: the run is the same wherever its folder is."""
    kept: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--out":
            next(words, None)
        elif not word.startswith("--out="):
            kept.append(word)
    return kept
