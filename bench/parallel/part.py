"""The row of a rank other than 0: what its own process needed and sent, for rank 0's command to put with its own."""

from __future__ import annotations

from bench.job import Job
from bench.meters.gpu import GpuMemory
from bench.parallel.ranks import Ranks
from bench.worker import row_of
from results.schema import CellResult


def part_row(job: Job, peak: int, baseline: int, gpu: GpuMemory, optimizer_bytes: int, ranks: Ranks) -> CellResult:
    """A row, status ok, without accuracies and times; all sizes are in bytes."""
    return row_of(
        job,
        status="ok",
        wall_seconds=0.0,
        peak_rss_bytes=peak,
        baseline_rss_bytes=baseline,
        rss_rise_bytes=max(0, peak - baseline),
        optimizer_bytes=optimizer_bytes,
        gpu_peak_allocated_bytes=gpu.allocated_bytes,
        gpu_peak_reserved_bytes=gpu.reserved_bytes,
        gpu_process_bytes=gpu.process_bytes,
        world_size=ranks.size,
        bytes_exchanged_training=ranks.bytes_in_training,
        bytes_exchanged_evaluation=ranks.bytes_for_evaluation,
    )
