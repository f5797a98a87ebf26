"""Cells whose memory is known beforehand, measured as any other cell is."""

from __future__ import annotations

from pathlib import Path

import pytest

from results.store import read_cells
from tests.bench.harness import SMALL, Plugin

MIB = 2**20


def test_known_allocations_are_what_is_measured(plugin: Plugin, tmp_path: Path) -> None:
    ended = plugin.run(
        *("--methods", "allocates,holds,steady", "--datasets", "halves", "--seeds", "0"), "--out", tmp_path, *SMALL
    )
    assert ended.code == 0, ended.err
    (run,) = tmp_path.iterdir()
    rows = {row.method: row for row in read_cells(run)}
    assert rows["holds"].activation_bytes == 5 * MIB
    assert rows["steady"].activation_bytes == 0
    if rows["allocates"].rss_source != "high-water mark, reset":
        pytest.skip("the kernel does not let a process reset its high-water mark here")
    assert rows["allocates"].rss_rise_bytes == pytest.approx(300 * MIB, rel=0.05)
