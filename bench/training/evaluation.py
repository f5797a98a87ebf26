"""Evaluation of a model in training: for its cell, and for the cells that differ from that in inference alone."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Generator, Tensor

import methods
from bench.training.loop import DeviceData, accuracy, class_accuracies, evaluate, labelled_images
from bench.training.rng import Stream, seed_of
from bench.training.targets import images_to_targets, seconds_to_targets
from methods.core.method import Method
from methods.core.options import Options
from results.answers import pack
from results.schema import BlockRecord, CellConfig, DiagnosticsRecord, EpochRecord, PlannedCell, StepRecord

DIAGNOSED_IMAGES = 2_000
"""Validation images, at most, on which blocks are diagnosed after each epoch."""


@dataclass
class Evaluations:
    """Those of one cell. Each draws from generators of its own, so neither training nor other cells depend on them."""

    cell: PlannedCell
    options: Options
    """Of the method, at inference."""
    epochs: list[EpochRecord] = field(default_factory=list)
    right: list[Tensor] = field(default_factory=list)
    """Which validation and test images are, by the last evaluation; bool, (N,) each."""

    @classmethod
    def of(cls, cell: PlannedCell) -> Evaluations:
        """None so far."""
        return cls(cell, methods.get(cell.method_name).Options.parse(cell.config.options))

    def add(self, method: Method, data: DeviceData, *, trial: bool, **trained: Any) -> None:
        """Evaluate the method after an epoch, of which `trained` has the other fields of `EpochRecord`.

        A trial uses no test image.
        """
        config, seed = self.cell.config, self.cell.seed
        with method.inferring_with(self.options):
            start = time.perf_counter()
            parts = [data.val] if trial else [data.val, data.test]
            noise = seed_of(seed, Stream.EVALUATION)
            self.right = [evaluate(method, data, part, config.batch_size, noise) for part in parts]
            self.epochs.append(
                EpochRecord(
                    val_accuracy=accuracy(self.right[0]),
                    test_accuracy=None if trial else accuracy(self.right[1]),
                    eval_seconds=time.perf_counter() - start,
                    diagnostics=None if trial else _diagnose(method, data, config, seed),
                    **trained,
                )
            )

    def fields(self, labels: Tensor, num_classes: int, images: int) -> dict[str, Any]:
        """Fields of the cell's row after the last epoch: test labels, int64 (N,), and training images of an epoch."""
        val, test = self.right
        by_class = class_accuracies(test, labels, num_classes)
        return {
            "val_accuracy": self.epochs[-1].val_accuracy,
            "test_accuracy": self.epochs[-1].test_accuracy,
            "test_balanced_accuracy": statistics.fmean(by_class),
            "test_class_accuracies": by_class,
            "val_correct": pack(val.numpy()),
            "test_correct": pack(test.numpy()),
            "eval_seconds": sum(epoch.eval_seconds for epoch in self.epochs),
            "seconds_to": seconds_to_targets(self.epochs),
            "images_to": images_to_targets(self.epochs, images),
            "epochs": self.epochs,
        }


def _diagnose(method: Method, data: DeviceData, config: CellConfig, seed: int) -> DiagnosticsRecord | None:
    """What the method can say of its blocks, on validation images."""
    method.eval()
    images = labelled_images(data, data.val, config.batch_size, DIAGNOSED_IMAGES)
    found = method.diagnose(images, Generator(data.val.y.device).manual_seed(seed_of(seed, Stream.DIAGNOSTICS)))
    if found is None:
        return None
    return DiagnosticsRecord(
        images=found.images,
        blocks=[BlockRecord(number=k, **asdict(block)) for k, block in enumerate(found.blocks, start=1)],
        trained_on_own_task=method.trained_on_own_task,
        steps=[StepRecord(time=at, accuracy=accuracy) for at, accuracy in found.steps],
    )
