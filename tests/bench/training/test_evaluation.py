"""One training for cells that differ at inference alone: each row is that of a cell trained by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.children.protocol import Job, rows_of
from bench.models import load_model
from results.schema import PlannedCell
from tests.bench.training.test_checkpoint import KilledError, job_of, numbers, run

LABELS = {
    "noprop": ["noprop[T=2]", "noprop[T=2,sampler=mean]", "noprop[T=2,sampler=replace,samples=3]"],
    "noprop-ct": ["noprop-ct[steps=5]", "noprop-ct[steps=3,samples=2]", "noprop-ct[solver=euler,readout=sample]"],
}
PROBED = {"activation_bytes": 1, "train_flops_per_image": 2.0, "predict_flops_per_image": 3.0}
"""Counted before, so that cells take less time here."""


def cells_of(labels: list[str]) -> list[PlannedCell]:
    """Cells that share a training, the first one's."""
    # A larger rate lets some processors end with one class for all images, and all variants alike.
    config: dict[str, Any] = {"epochs": 2, "batch_size": 20, "lr": 0.003, "augment": "standard"}
    cells = [job_of(label, None, **config).cell for label in labels]
    return [
        cell.model_copy(update={"method": label, "trained_with": labels[0]})
        for cell, label in zip(cells, labels, strict=True)
    ]


def shared_job(labels: list[str], checkpoint: Path | None = None) -> Job:
    cell, *variants = cells_of(labels)
    return job_of(labels[0], checkpoint).model_copy(update={"cell": cell, "variants": variants, "probed": PROBED})


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_inference_variants_equal_separately_trained_cells_to_the_bit(labels: list[str]) -> None:
    job = shared_job(labels)
    rows = rows_of(job, run(job)[0])
    assert [row.method for row in rows] == labels
    assert {row.trained_with for row in rows} == {labels[0]}
    assert len({row.train_seconds for row in rows}) == 1
    for cell, row in zip([job.cell, *job.variants], rows, strict=True):
        apart, _ = run(job.model_copy(update={"cell": cell, "variants": []}))
        assert numbers(row) == numbers(apart)
        assert row.config == cell.config
    first, second, third = rows
    assert first.epochs[-1].diagnostics != second.epochs[-1].diagnostics != third.epochs[-1].diagnostics
    assert first.activation_bytes == second.activation_bytes == PROBED["activation_bytes"]
    assert first.predict_flops_per_image != second.predict_flops_per_image != third.predict_flops_per_image


def test_an_interrupted_training_goes_on_for_all_its_variants(tmp_path: Path) -> None:
    labels = LABELS["noprop"]
    job = shared_job(labels)
    whole = rows_of(job, run(job)[0])
    job = shared_job(labels, tmp_path / "cell")
    with pytest.raises(KilledError):
        run(job, die_at=4)  # in the second epoch
    resumed, _ = run(job)
    assert resumed.earlier_machines
    assert [numbers(row) for row in rows_of(job, resumed)] == [numbers(row) for row in whole]


def test_each_variant_s_model_is_kept_with_its_options(tmp_path: Path) -> None:
    job = shared_job(LABELS["noprop"]).model_copy(update={"save_in": str(tmp_path)})
    rows = rows_of(job, run(job)[0])
    for row in rows:
        card = load_model(tmp_path / str(row.model_file)).card
        assert card.options == row.config.options
        assert card.test_accuracy == row.test_accuracy
    assert len({row.model_file for row in rows}) == 3
