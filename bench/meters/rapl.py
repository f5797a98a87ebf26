"""Energy of the CPU packages by RAPL, as Linux shows it under /sys/class/powercap (Intel, and AMD from Zen on)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from bench.meters.base import Meter


class RaplEnergy(Meter):
    """Energy of all CPU packages during training, whoever used it; None where one cannot be read (often only by root).

    The counters start again from 0 after some minutes to hours (`max_energy_range_uj`), so sampling must be more often.
    """

    coarse = ("cpu_joules",)
    root: ClassVar[Path] = Path("/sys/class/powercap")

    def start(self) -> None:
        self._last = self._read()

    def sample(self) -> None:
        before, self._last = self._last, self._read()
        used = None
        if before and len(before) == len(self._last):
            pairs = zip(before, self._last, strict=True)
            used = sum(now - then + (span if now < then else 0) for (then, _), (now, span) in pairs)
        self.note(microjoules=used)

    def stop(self) -> None:
        self.sample()

    def fields(self) -> dict[str, Any]:
        microjoules = self.total("microjoules")
        return {"cpu_joules": None if microjoules is None else microjoules / 1e6}

    def _read(self) -> list[tuple[int, int]]:
        """Each package's counter and the value after which it starts again; empty where one cannot be read.

        Only packages count: the domains of their cores and memory controllers are included in them.
        """
        try:
            return [
                (int((domain / "energy_uj").read_text()), int((domain / "max_energy_range_uj").read_text()))
                for domain in sorted(self.root.glob("intel-rapl:*"))
                if (domain / "name").read_text().startswith("package")
            ]
        except (OSError, ValueError):
            return []
