"""Energy of the CPU packages by RAPL, as Linux shows it under /sys/class/powercap (Intel, and AMD from Zen on)."""

from __future__ import annotations

from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


class RaplEnergy:
    """Adds up what the packages' counters say from `update` to `update`.

    The counters start again from 0 after some minutes to hours (`max_energy_range_uj`), so `update` has to be called
    more often than that. Most systems let only root read them.
    """

    def __init__(self, root: Path = POWERCAP) -> None:
        self._domains = [domain for domain in sorted(root.glob("intel-rapl:*")) if _is_package(domain)]
        self._last = self._read()

    def update(self) -> float | None:
        """Joules of all packages since the last call (at first, since this was made); None where not readable."""
        before, self._last = self._last, self._read()
        if not before or not self._last:
            return None
        microjoules = 0
        for (then, _), (now, span) in zip(before, self._last, strict=True):
            microjoules += now - then if now >= then else now - then + span
        return microjoules / 1e6

    def _read(self) -> list[tuple[int, int]]:
        """Each package's counter and the value after which it starts again; empty where one cannot be read."""
        try:
            return [
                (_number(domain / "energy_uj"), _number(domain / "max_energy_range_uj")) for domain in self._domains
            ]
        except (OSError, ValueError):
            return []


def _is_package(domain: Path) -> bool:
    """Packages alone: their cores and memory controllers, which have domains of their own, are in them already."""
    try:
        return (domain / "name").read_text().startswith("package")
    except OSError:
        return False


def _number(file: Path) -> int:
    return int(file.read_text())
