"""One process at a time works on a run's folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from bench.errors import UserError

LOCK_FILE = ".lock"


@contextlib.contextmanager
def run_lock(run: Path) -> Iterator[None]:
    """Hold the run's folder. The system lets go of it however the process ends, so a kill leaves nothing locked.

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
