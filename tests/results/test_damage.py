"""Files that something else wrote into: each is read or refused in one sentence, and none is changed."""

from __future__ import annotations

import json
import os
import random
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from results.schema import CellResult
from results.store import (
    CELLS_FILE,
    MAX_LINE_BYTES,
    RUN_FILE,
    LineError,
    ResultsError,
    decode,
    encode,
    read_cells,
    read_run,
)
from tests.factories import make_cell
from tests.results.conftest import contents

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def test_every_changed_byte_is_noticed() -> None:
    line = bytearray(encode(make_cell()))
    chance = random.Random(0)
    for position in chance.sample(range(len(line) - 1), 300):
        changed = line.copy()
        changed[position] ^= 1 << chance.randrange(7)
        with pytest.raises(LineError):
            decode(bytes(changed))


def test_rows_of_another_run_are_refused(run: Path) -> None:
    record = read_run(run)
    assert read_cells(run, record) == [make_cell()]
    other = record.model_copy(update={"run_id": "another"})
    with pytest.raises(ResultsError, match=f"rows of the run {record.run_id}, and .* is that of another"):
        read_cells(run, other)


@pytest.mark.parametrize("version", [1, 2])
def test_lines_of_earlier_versions_have_no_checksum_and_are_read(run: Path, version: int) -> None:
    older = make_cell("noprop", schema_version=version)
    with (run / CELLS_FILE).open("a") as file:
        file.write(older.model_dump_json() + "\n")
    assert read_cells(run) == [make_cell(), older]


@settings(
    derandomize=True, max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damaged_files_are_read_or_refused_in_one_sentence(run: Path, data: st.DataObject) -> None:
    """Lines in another order, cut, joined, doubled, of other versions, or another program's, in any mixture."""
    whole = [encode(make_cell(seed=seed)) for seed in range(3)]
    piece = st.one_of(
        st.sampled_from(whole),
        st.builds(lambda line, cut: line[:cut], st.sampled_from(whole), st.integers(0, len(whole[0]))),
        st.builds(lambda line, cut: line[cut:], st.sampled_from(whole), st.integers(0, len(whole[0]))),
        st.builds(
            lambda version: make_cell(schema_version=version).model_dump_json().encode() + b"\n", st.integers(1, 2)
        ),
        st.builds(lambda value: json.dumps(value).encode() + b"\n", JSON),
        st.binary(max_size=40),
    )
    (run / CELLS_FILE).write_bytes(b"".join(data.draw(st.lists(piece, max_size=6))))
    before = contents(run)
    refused = ""
    cells: list[CellResult] = []
    try:
        cells = read_cells(run)
    except ResultsError as refusal:
        refused = str(refusal)
    assert "\n" not in refused
    assert len(refused) < 1000
    assert len({cell.key for cell in cells}) == len(cells)
    assert contents(run) == before


@settings(
    derandomize=True, max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.one_of(st.binary(max_size=200), JSON.map(lambda value: json.dumps(value).encode())))
def test_foreign_run_files_are_refused_in_one_sentence(run: Path, content: bytes) -> None:
    (run / RUN_FILE).write_bytes(content)
    with pytest.raises(ResultsError) as refusal:
        read_run(run)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", [CELLS_FILE, RUN_FILE])
def test_an_enormous_line_is_refused_without_reading_it(run: Path, name: str) -> None:
    """A gigabyte, and never more than a fraction of it in memory."""
    with (run / name).open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.truncate(file.tell() + 2**30)  # a hole: it takes no room on the disk
    tracemalloc.start()
    try:
        with pytest.raises(ResultsError, match="64 MiB") as refusal:
            read_cells(run) if name == CELLS_FILE else read_run(run)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "\n" not in str(refusal.value)
    assert peak < 4 * MAX_LINE_BYTES
