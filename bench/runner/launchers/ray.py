"""Cells as tasks of a Ray cluster: a task runs one cell on its node and returns the row.

A lost worker becomes a row that says so. Ray never restarts a task, and ends the tasks of a launching process that is
gone.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from bench.children.protocol import RESULT, Event, Job, RowBuilder, SentEvent
from bench.errors import UserError, describe
from bench.runner.launchers.base import Launcher, import_extra, parse_options
from bench.runner.launchers.node import run_on_node
from methods.core.options import Options
from results.schema import CellResult, LauncherName, name_of

if TYPE_CHECKING:
    from bench.runner.prepare import Run

_ANSWER_SECONDS = 10.0
"""How long a cluster may take to answer."""


@dataclass(frozen=True)
class RayOptions(Options):
    """What `--launcher-set` accepts with Ray."""

    address: str | None = None
    """Of a cluster, or `local` for a new one on this machine; none: the one that Ray finds, or a new one here."""


class RayLauncher(Launcher):
    """Sends each cell to Ray as one task."""

    name: ClassVar[LauncherName] = "ray"

    def __init__(self, run: Run) -> None:
        self._address = parse_options(self.name, RayOptions, run.placement.options).address
        self._cells = run.cells
        self._ray = import_extra("ray", self.name)
        self._lock = threading.Lock()
        self._remote = self._ray.remote(max_retries=0)(run_on_node)
        self._tasks: set[Any] = set()

    def __enter__(self) -> Self:
        on_terminate = signal.getsignal(signal.SIGTERM)
        address = self._address or os.environ.get("RAY_ADDRESS", "")
        try:
            _knock(address)
            self._ray.init(self._address, include_dashboard=False, log_to_driver=False, logging_level=logging.CRITICAL)
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            raise UserError(
                f"cannot reach Ray at {address or 'the address that it finds'} ({describe(error)}): give "
                "--launcher-set address=HOST:PORT, or address=local"
            ) from None
        finally:
            signal.signal(signal.SIGTERM, on_terminate)  # which Ray replaces
        try:
            self._check()
        except UserError:
            self._ray.shutdown()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._ray.shutdown()

    def run(self, job: Job, on_event: Callable[[Event], None]) -> CellResult:
        """Send the cell as a task and wait for its end."""
        row = RowBuilder(job)
        exceptions = self._ray.exceptions
        needs = {"num_cpus": job.cell.config.threads, "num_gpus": int(job.cell.config.device != "cpu")}
        task = self._remote.options(name=name_of(job.cell), **needs).remote(job.model_dump_json())
        with self._lock:
            self._tasks.add(task)
        on_event(SentEvent(where="a task of Ray"))
        try:
            return RESULT.validate_json(self._ray.get(task))
        except exceptions.RayTaskError as error:
            return row.failed("error", "the task of Ray failed before the cell had started", str(error)[-4000:])
        except exceptions.RayError as error:
            return row.failed("killed", f"Ray lost the cell's worker ({type(error).__name__})", str(error)[-4000:])
        finally:
            with self._lock:
                self._tasks.discard(task)

    def cancel_all(self) -> None:
        """Cancel every task that is waited for."""
        with self._lock:
            for task in self._tasks:
                self._ray.cancel(task, force=True)

    def _check(self) -> None:
        """Check that some machine can run each cell, since Ray would otherwise wait for ever.

        Raises:
            UserError: none can.
        """
        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        for on_card, threads in {(cell.config.device != "cpu", cell.config.threads) for cell in self._cells}:
            fitting = [machine for machine in machines if not on_card or machine.get("GPU", 0) >= 1]
            if on_card and not fitting:
                raise UserError(
                    "the cells are to run on cuda, and no machine of the Ray cluster has a card: give --device cpu"
                )
            most = int(max((machine.get("CPU", 0) for machine in fitting), default=0))
            if most < threads:
                raise UserError(
                    f"a cell needs {threads} CPUs (--threads), and no machine of the Ray cluster"
                    f"{' with a card' if on_card else ''} has more than {most}"
                )


def _knock(address: str) -> None:
    """See whether anything answers at `HOST:PORT`, since Ray would try for minutes.

    Raises:
        OSError: nothing does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_SECONDS).close()
