"""One cell from start to end, inside its own process: data, warm-up, training with evaluation, probes."""

import os
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

import methods
from bench import datasets, meters
from bench.errors import describe
from bench.models import ModelCard, model_path, save_model
from bench.protocol import EpochEvent, Event, Job, PhaseEvent, RowBuilder, StepEvent, WarningEvent
from bench.training.augment import Augmentation, augmentation
from bench.training.build import MethodBuilder, load_data
from bench.training.checkpoint import stop_and_read
from bench.training.loop import (
    DeviceData,
    accuracy,
    batch_count,
    class_accuracies,
    draw_order,
    evaluate,
    first_batch,
    labelled_images,
    train_epoch,
)
from bench.training.past import Past
from bench.training.probes import probe_activation_bytes, probe_depths, probe_flops
from bench.training.ranks import Ranks, joined
from bench.training.rng import Stream, seed_of
from bench.training.targets import images_to_targets, seconds_to_targets
from bench.training.updates import Updates, averaged
from methods.core.method import Method
from results.answers import pack
from results.schema import (
    BlockRecord,
    CellConfig,
    CellResult,
    DataRecord,
    DiagnosticsRecord,
    EpochRecord,
    StepRecord,
    name_of,
)

DIAGNOSED_IMAGES = 2_000
"""Validation images, at most, on which blocks are diagnosed after each epoch."""
_WARM_UP_STEPS = 2

Emit = Callable[[Event], None]


def run_cell(job: Job, emit: Emit) -> CellResult:
    """Run the cell and return its row, `status` ok. Whatever goes wrong is raised.

    Where several processes train the cell, only rank 0's row says more than what this process needed and sent.
    """
    with joined(job.group, torch.device(job.cell.config.device)) as ranks:
        return _run(job, emit, ranks)


def _run(job: Job, emit: Emit, ranks: Ranks) -> CellResult:
    """The cell, or this process's part of it.

    The order matters for memory: the baseline is read when the data are in place and what the warm-up left is given
    back, and the probes, which build further models, come after the peak is read.
    """
    row = RowBuilder(job)
    cell, config = job.cell, job.cell.config
    device = torch.device(config.device)
    torch.set_num_threads(config.threads)

    data, record = load_data(cell, Path(job.data_dir) if job.data_dir else None)
    data_seconds = row.seconds
    builder = MethodBuilder.on(data, record, cell.method_name, config, cell.seed)

    warm_up(builder.make(), data, config, ranks)
    inside = [kind(os.getpid(), device) for kind in meters.INSIDE]
    for meter in inside:
        meter.start()

    updates = builder.updates()
    method = builder.make(updates)
    past = Past(job, row, method, record.fingerprint, inside, emit) if job.checkpoint and ranks.size == 1 else None
    epochs, images, right = _train(
        method, updates, data, job, emit, ranks, augmentation(record.augmentation, cell.seed, device), past
    )
    train_seconds = sum(epoch.train_seconds for epoch in epochs)
    if job.trial:
        return row.build(val_accuracy=epochs[-1].val_accuracy, train_seconds=train_seconds, data=record)
    emit(PhaseEvent(phase="probes"))
    measured = stop_and_read(inside, past.measured if past else {})
    ranks.leave()
    needed: dict[str, Any] = measured | {
        "optimizer_bytes": _optimizer_bytes(method),
        "world_size": ranks.size,
        "bytes_exchanged_training": ranks.bytes_in_training,
        "bytes_exchanged_evaluation": ranks.bytes_for_evaluation,
    }
    if not ranks.leads:
        return row.build(**needed)
    of_method: dict[str, Any] = {
        "parameters": method.parameter_count,
        "stack_parameters": method.stack_parameter_count,
        "parameter_bytes": sum(p.nbytes for p in method.parameters()),
        "execution": method.execution,
        "model_file": _save(method, job, record, epochs[-1], emit) if job.save_in else None,
    }
    del method
    probed = job.probed or {
        **probe_flops(
            builder.make(), data, config, lambda what: emit(WarningEvent(sentence=f"{name_of(cell)}: {what}"))
        ),
        "activation_bytes": probe_activation_bytes(builder.make(), data, config),
        "activation_bytes_by_T": probe_depths(builder, data),
    }
    by_class = class_accuracies(right[1], data.test.y, record.num_classes)
    return row.build(
        val_accuracy=epochs[-1].val_accuracy,
        test_accuracy=epochs[-1].test_accuracy,
        test_balanced_accuracy=statistics.fmean(by_class),
        test_class_accuracies=by_class,
        val_correct=pack(right[0].numpy()),
        test_correct=pack(right[1].numpy()),
        train_seconds=train_seconds,
        eval_seconds=sum(epoch.eval_seconds for epoch in epochs),
        data_seconds=data_seconds,
        images_per_second=images / train_seconds,
        seconds_to=seconds_to_targets(epochs),
        images_to=images_to_targets(epochs, images // config.epochs),
        epoch_definition=methods.get(cell.method_name).epoch_definition,
        credit=methods.get(cell.method_name).credit,
        epochs=epochs,
        data=record,
        **(past.of_row() if past else {}),
        **probed,
        **of_method,
        **needed,
    )


def _train(
    method: Method,
    updates: Updates,
    data: DeviceData,
    job: Job,
    emit: Emit,
    ranks: Ranks,
    augmented: Augmentation | None,
    past: Past | None,
) -> tuple[list[EpochRecord], int, list[Tensor]]:
    """Train and, on rank 0, evaluate as often as asked for.

    Returns:
        The epochs evaluated, the training images seen, and which validation and test images were right at the end.
    """
    config, seed = job.cell.config, job.cell.seed
    learner = ranks.share(method)
    order = Generator().manual_seed(seed_of(seed, Stream.ORDER))
    noise = seed_of(seed, Stream.EVALUATION)
    total = config.epochs * min(len(data.train), config.batch_size * batch_count(len(data.train), config.batch_size))
    epochs: list[EpochRecord] = []
    right: list[Tensor] = []
    seen, seconds = 0, 0.0
    done = past.go_on() if past else None
    if done is not None:
        epochs, seen = done.epochs, done.images
        for _ in range(done.epoch):  # streams of their own, drawn once an epoch
            draw_order(data.train, order)
            if augmented is not None:
                augmented(len(data.train))
    for number in range(1 if done is None else done.epoch + 1, config.epochs + 1):

        def report(images: int, loss: float, rate: float, epoch: int = number, before: int = seen) -> None:
            emit(StepEvent(epoch=epoch, images=before + images, images_total=total, loss=loss, images_per_second=rate))

        ranks.meet()
        emit(PhaseEvent(phase="training"))
        trained = train_epoch(learner, data, config.batch_size, order, report, augmented)
        emit(PhaseEvent(phase="evaluation"))
        due = number % config.eval_every == 0 or number == config.epochs
        last = number == config.epochs
        with averaged(method, for_good=last) if due else nullcontext():
            trained = ranks.collect(trained, with_parts=due)
            seen += trained.images
            seconds += trained.seconds
            if not (due and ranks.leads):
                continue
            start = time.perf_counter()
            parts = [data.val] if job.trial else [data.val, data.test]
            right = [evaluate(method, data, part, config.batch_size, noise) for part in parts]
            eval_seconds = time.perf_counter() - start
            median, largest = updates.take_norms()
            epochs.append(
                EpochRecord(
                    epoch=number,
                    train_loss=trained.loss,
                    val_accuracy=accuracy(right[0]),
                    test_accuracy=None if job.trial else accuracy(right[1]),
                    train_seconds=seconds,
                    eval_seconds=eval_seconds,
                    grad_norm_median=median,
                    grad_norm_max=largest,
                    diagnostics=None if job.trial else _diagnose(method, data, config, seed),
                )
            )
        seconds = 0.0
        if past and not last:
            past.keep(epochs, seen)
        report(0, trained.loss, trained.images / trained.seconds, number, seen)
        emit(EpochEvent(epoch=number, loss=trained.loss, val_accuracy=epochs[-1].val_accuracy))
    return epochs, seen, right


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


def _save(method: Method, job: Job, record: DataRecord, last: EpochRecord, emit: Emit) -> str | None:
    """Save the trained model; where that fails, warn and go on, since the measurements are worth more."""
    assert job.save_in is not None
    cell, data_dir = job.cell, Path(job.data_dir) if job.data_dir else None
    path = model_path(cell.dataset, cell.method, cell.seed)
    try:
        card = ModelCard.model_validate(
            {
                "method_name": cell.method_name,
                "options": cell.config.options,
                "shape": asdict(method.shape),
                "class_names": datasets.get(datasets.placed(cell.dataset, data_dir)).class_names,
                "mean": record.mean,
                "std": record.std,
                "dataset": cell.dataset,
                "seed": cell.seed,
                "epochs": cell.config.epochs,
                "val_accuracy": last.val_accuracy,
                "test_accuracy": last.test_accuracy,
                "commit": job.environment.commit,
            }
        )
        save_model(Path(job.save_in) / path, method, card)
    except Exception as error:  # a full disk, a state that is no tensors: training must not be lost for it
        emit(WarningEvent(sentence=f"the model of {name_of(cell)} is not kept: {describe(error)}"))
        return None
    return path.as_posix()


def warm_up(method: Method, data: DeviceData, config: CellConfig, ranks: Ranks) -> None:
    """Train a throw-away copy for a few steps, and predict: libraries set themselves up outside the clock."""
    learner = ranks.share(method)
    learner.train()
    for _ in range(_WARM_UP_STEPS):
        x, y = first_batch(data, config.batch_size)
        learner.train_step(x, y)
    method.eval()
    method.predict(x, Generator(y.device).manual_seed(0))


def _optimizer_bytes(method: Method) -> int:
    """Bytes of the optimisers' state (moments, step counts)."""
    states = (state for optimizer in method.optimizers() for state in optimizer.state.values())
    return sum(value.nbytes for state in states for value in state.values() if isinstance(value, torch.Tensor))
