"""Watch a cell and its machine from another process while it trains, with the meters that `bench.meters` lists."""

import threading
import time
from contextlib import suppress
from typing import Any, Self

import psutil
import torch

from bench import meters
from bench.children.protocol import Phase
from bench.meters.base import Meter
from results.schema import CellResult, MachineRecord

_MIN_SECONDS = 1.0
"""Of training, for counters that move in ticks (`Meter.coarse`)."""


class Monitor:
    """Follows one cell's process; `enter` is to be called with each phase that the cell reports.

    Each epoch's training is a stretch of the meters: they cover the same work as the clock of training.
    """

    def __init__(self, pid: int, device: str) -> None:
        self._meters = [kind(pid, torch.device(device)) for kind in meters.OUTSIDE]
        self._due = dict.fromkeys(self._meters, 0.0)
        self._training = False
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_sampling, daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def enter(self, phase: Phase) -> None:
        """The cell's next phase has begun."""
        if phase == "probes":
            self._over.set()
        with self._lock, suppress(psutil.Error):  # the cell's process may be gone
            if phase == "training":
                for meter in self._meters:
                    meter.start()
                self._training = True
                if self._thread.ident is None:
                    self._thread.start()
            elif self._training:
                for meter in self._meters:
                    self._sample_if_due(meter)
                    meter.stop()
                self._training = False

    def found(self) -> dict[str, Any]:
        """The fields of `CellResult` that come from here; empty if the cell never said that it trains."""
        with self._lock:
            found = {name: value for meter in self._meters for name, value in meter.fields().items()}
        if not found["seconds"]:
            return {}
        if found["seconds"] < _MIN_SECONDS:
            found |= {name: None for meter in self._meters for name in meter.coarse}
        machine = {name: found.pop(name) for name in found.keys() & MachineRecord.model_fields.keys()}
        if unknown := found.keys() - CellResult.model_fields.keys():
            raise LookupError(f"a meter gives {', '.join(sorted(unknown))}, which results/ has no field for")
        return {"machine": MachineRecord.model_validate(machine), **found}

    def _keep_sampling(self) -> None:
        interval = 0.0
        while not self._over.wait(interval):
            with self._lock, suppress(psutil.Error):
                for meter in self._meters:
                    self._sample_if_due(meter)
            interval = min(meter.interval for meter in self._meters)

    def _sample_if_due(self, meter: Meter) -> None:
        now = time.monotonic()
        if now >= self._due[meter] and (self._training or meter.always):
            self._due[meter] = now + meter.interval
            meter.sample()
