"""Cells as tasks of a Ray cluster: a task runs one cell on its node and returns the row.

The launching process is the only one that writes the run's rows. A worker that is lost becomes a row that says so; Ray
itself starts no task twice, and ends the tasks of a launching process that is gone.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from bench.errors import UserError
from bench.protocol import Event, Job, SentEvent
from bench.runner.launchers.base import Launcher, import_extra, parse_options
from bench.runner.launchers.node import run_on_node
from bench.runner.worker import describe, failed
from methods.core.options import Options
from results.schema import CellResult, LauncherName, PlannedCell, name_of

_ANSWER_SECONDS = 10.0
"""How long a cluster may take to answer."""


@dataclass(frozen=True)
class RayOptions(Options):
    """What `--launcher-set` accepts with Ray."""

    address: str | None = None
    """Of a cluster, or `local` for a new one on this machine; none: the one that Ray finds, or else a new one here."""


class RayLauncher(Launcher):
    """Sends cells to Ray, one task a cell; to be used as a context manager."""

    name: ClassVar[LauncherName] = "ray"

    def __init__(self, options: Mapping[str, str], cells: Sequence[PlannedCell]) -> None:
        self._address = parse_options(self.name, RayOptions, options).address
        self._cells = cells
        self._ray = import_extra("ray", self.name)
        self._lock = threading.Lock()
        self._remote = self._ray.remote(max_retries=0)(run_on_node)
        self._sent: set[Any] = set()

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

    def run(self, job: Job, run: Path, on_event: Callable[[Event], None]) -> CellResult:
        """Send the cell as a task and wait for its end."""
        start = time.perf_counter()
        exceptions = self._ray.exceptions
        cell = job.cell
        needed = {"num_cpus": cell.config.threads, "num_gpus": int(cell.config.device != "cpu")}
        sent = self._remote.options(name=name_of(cell), **needed).remote(job.model_dump_json())
        with self._lock:
            self._sent.add(sent)
        on_event(SentEvent(where="a task of Ray"))
        try:
            return CellResult.model_validate_json(self._ray.get(sent))
        except exceptions.RayTaskError as error:
            status, why = "error", "the task of Ray failed before the cell had started"
            trace = str(error)
        except exceptions.RayError as error:
            status, why = "killed", f"Ray lost the cell's worker ({type(error).__name__})"
            trace = str(error)
        finally:
            with self._lock:
                self._sent.discard(sent)
        return failed(job, status, why, time.perf_counter() - start, trace[-4000:])

    def kept(self, job: Job) -> None:
        """A task leaves nothing but its row."""

    def end_all(self) -> None:
        """Cancel every task that is waited for."""
        with self._lock:
            for sent in self._sent:
                self._ray.cancel(sent, force=True)

    def _check(self) -> None:
        """Check that some machine can run each cell, since Ray would wait for one for ever.

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
    """See whether anything answers at `HOST:PORT`: Ray itself would try for minutes.

    Raises:
        OSError: nothing does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_SECONDS).close()
