"""How much a method differs from itself on one machine, from an A/A run.

RUN/calibration.json      `CalibrationRecord`, written when a run whose purpose is calibration ends
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from results.schema import CalibrationRecord, CellResult, Environment, RunRecord
from results.store import ResultsError, read_record, write_record

CALIBRATION_FILE = "calibration.json"
FIELDS = (
    "train_seconds",
    "eval_seconds",
    "images_per_second",
    "peak_rss_bytes",
    "rss_rise_bytes",
    "gpu_peak_allocated_bytes",
    "gpu_peak_reserved_bytes",
    "cpu_joules",
    "gpu_joules",
)
"""Fields of a cell that vary from one run of the same work to the next."""


def calibrate(record: RunRecord, rows: Iterable[CellResult]) -> CalibrationRecord:
    """The spread between the two cells of each pair (same seed, same work) of an A/A run.

    Raises:
        ResultsError: fewer than two pairs finished, or cells ran on different machines or versions.
    """
    run = record.run_id
    pairs = pairs_of(record, rows)
    if len(pairs) < 2:
        raise ResultsError(
            f"{len(pairs)} of the pairs of {run} finished, and a calibration needs 2: go on with --resume"
        )
    first = pairs[0][0]
    cells = [cell for pair in pairs for cell in pair]
    if len({(cell.environment, cell.config.threads, cell.config.device) for cell in cells}) > 1:
        raise ResultsError(f"the cells of {run} did not all run on one machine with the same code and versions")
    spread = {}
    for field in FIELDS:
        values = [(getattr(one, field), getattr(other, field)) for one, other in pairs]
        ratios = [math.log(other / one) for one, other in values if one and other]
        if len(ratios) == len(pairs):
            spread[field] = math.sqrt(math.fsum(ratio**2 for ratio in ratios) / len(ratios))
    seconds = [cell.train_seconds or 0.0 for cell in cells]
    return CalibrationRecord(
        run_id=run,
        created_at=record.created_at,
        dataset=first.dataset,
        method=first.method,
        pairs=len(pairs),
        seconds=math.fsum(seconds) / len(seconds),
        threads=first.config.threads,
        device=first.config.device,
        environment=first.environment,
        spread=spread,
    )


def pairs_of(record: RunRecord, rows: Iterable[CellResult]) -> list[tuple[CellResult, CellResult]]:
    """The finished pairs of an A/A run, by seed: the cell under the first name and that under the second."""
    first, second = dict.fromkeys(cell.method for cell in record.cells)  # the first pair is in this order
    done = {(cell.method, cell.seed): cell for cell in rows if cell.status == "ok"}
    seeds = sorted({cell.seed for cell in record.cells})
    return [
        (done[first, seed], done[second, seed]) for seed in seeds if (first, seed) in done and (second, seed) in done
    ]


def write_calibration(folder: Path, calibration: CalibrationRecord) -> None:
    """Write it to the run's folder, replacing an earlier one.

    Raises:
        ResultsError: it cannot be written.
    """
    write_record(folder / CALIBRATION_FILE, calibration)


def find_calibration(
    runs: Path, environment: Environment, threads: int, device: str
) -> tuple[CalibrationRecord | None, Sequence[Path]]:
    """The latest calibration in the folder of runs for this machine, threads and device, if any.

    Files that cannot be read are skipped, and returned too.
    """
    found: list[CalibrationRecord] = []
    unreadable: list[Path] = []
    for path in sorted(runs.glob(f"*/{CALIBRATION_FILE}")):
        try:
            calibration = read_record(path, CalibrationRecord, "is not a valid calibration")
        except ResultsError:
            unreadable.append(path)
            continue
        if calibration.is_of(environment, threads, device):
            found.append(calibration)
    return max(found, key=lambda each: each.created_at, default=None), unreadable
