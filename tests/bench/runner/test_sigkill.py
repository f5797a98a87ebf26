"""The harness killed at random moments of a sweep, again and again, and resumed: no cell lost, doubled or changed."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from results.store import CELLS_FILE, RUN_FILE, read_cells, read_run
from tests.bench.harness import SMALL, Plugin, finish, wait_until

KILLS = 20
SEEDS = 6
SWEEP = ("--methods", "steady,moody", "--datasets", "halves", "--seeds", ",".join(map(str, range(SEEDS))))


@pytest.mark.timeout(900)
def test_every_cell_is_there_once_and_unchanged_after_twenty_kills(plugin: Plugin, tmp_path: Path) -> None:
    chance = random.Random(20)
    process = plugin.start("--out", tmp_path, *SWEEP, *SMALL, "--jobs", "2")
    assert wait_until(lambda: any(tmp_path.glob(f"*/{RUN_FILE}")), 60)
    (run,) = tmp_path.iterdir()
    kept = b""
    for _ in range(KILLS):
        # From before the first worker has started to after the second cell of most: any moment of a harness's life.
        time.sleep(chance.uniform(0.0, 3.0))
        process.send_signal(signal.SIGKILL)
        finish(process)
        assert wait_until(lambda: not plugin.processes(), 5), "a worker outlived the harness"
        now = (run / CELLS_FILE).read_bytes() if (run / CELLS_FILE).exists() else b""
        assert now.startswith(kept), "what was finished has been changed"
        kept = now
        read_cells(run)  # no half line, ever
        process = plugin.start("--resume", run)
    ended = finish(process, timeout=400)
    assert ended.code == 0, ended.err
    rows = (run / CELLS_FILE).read_bytes()
    assert rows.startswith(kept)
    cells = read_cells(run)
    assert sorted(cell.key for cell in cells) == sorted(cell.key for cell in read_run(run).cells)
    assert len(rows.splitlines()) == len(cells) == 2 * SEEDS
    assert {cell.status for cell in cells} == {"ok"}
