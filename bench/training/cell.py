"""One cell from start to end, inside its own process: data, warm-up, training with evaluation, probes."""

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Generator

import methods
from bench import datasets, meters
from bench.children.protocol import EpochEvent, Event, Job, PhaseEvent, RowBuilder, StepEvent, WarningEvent
from bench.errors import describe
from bench.meters.package import package_of
from bench.models import ModelCard, model_path, save_model
from bench.training.augment import Augmentation, augmentation
from bench.training.build import MethodBuilder, load_data
from bench.training.checkpoint import hash_training, stop_and_read
from bench.training.crowding import Crowding
from bench.training.evaluation import Evaluations
from bench.training.loop import DeviceData, batch_count, check_loss, draw_order, first_batch, train_epoch
from bench.training.past import Past
from bench.training.probes import (
    probe_activation_bytes,
    probe_activation_bytes_in_turn,
    probe_depths,
    probe_flops,
    probe_prediction,
)
from bench.training.ranks import Ranks, joined
from bench.training.rng import Stream, seed_of
from bench.training.updates import Updates, averaged
from methods.core.method import Method
from results.schema import CellConfig, CellResult, DataRecord, name_of

_WARM_UP_STEPS = 2

Emit = Callable[[Event], None]


def run_cell(job: Job, emit: Emit) -> CellResult:
    """Run the cell and return its row, `status` ok, with those of its variants. Whatever goes wrong is raised.

    Where several processes train the cell, only rank 0's row says more than what this process needed and sent.
    """
    with (
        joined(job.group, torch.device(job.cell.config.device)) as ranks,
        Crowding(job.cell.config.threads) as crowding,
    ):
        crowding.start()
        return _run(job, emit, ranks, crowding)


def _run(job: Job, emit: Emit, ranks: Ranks, crowding: Crowding) -> CellResult:
    """The cell, or this process's part of it.

    The order matters for memory: the baseline is read when the data are in place and what the warm-up left is given
    back, and the probes, which build further models, come after the peak is read.
    """
    row = RowBuilder(job)
    cell, config = job.cell, job.cell.config
    kind = methods.get(cell.method_name)
    package = package_of(kind)
    code = f"{hash_training(kind)} {package}"  # now, since the files may be changed while it trains
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
    past = Past(job, row, method, updates, code, record.fingerprint, inside, ranks, emit) if job.checkpoint else None
    evaluations = [Evaluations.of(each) for each in (cell, *job.variants)]
    images = _train(
        method,
        updates,
        data,
        job,
        emit,
        ranks,
        crowding,
        augmentation(record.augmentation, cell.seed, device),
        past,
        evaluations,
    )
    epochs = evaluations[0].epochs
    train_seconds = sum(epoch.train_seconds for epoch in epochs)
    if job.trial:
        return row.build(
            val_accuracy=epochs[-1].val_accuracy,
            train_seconds=train_seconds,
            credit=methods.get(cell.method_name).credit,
            data=record,
        )
    emit(PhaseEvent(phase="probes"))
    measured = stop_and_read(inside, past.measured if past else {})
    ranks.leave()
    needed: dict[str, Any] = measured | {
        "optimizer_bytes": _optimizer_bytes(method),
        "yielded_seconds": crowding.yielded_seconds,
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
        "method_package": package,
    }
    own: list[dict[str, Any]] = [
        each.fields(data.test.y, record.num_classes, images // config.epochs)
        | {"model_file": _save(method, each, job, record, emit)}
        for each in evaluations
    ]
    del method

    def warn(what: str) -> None:
        emit(WarningEvent(sentence=f"{name_of(cell)}: {what}"))

    probed = job.probed
    if not probed:
        activation_bytes = probe_activation_bytes(builder.make(), data, config)
        probed = {
            **probe_flops(builder.make(), data, config, warn),
            "activation_bytes": activation_bytes,
            "activation_bytes_in_turn": probe_activation_bytes_in_turn(builder, data, of_method["execution"]),
            "activation_bytes_by_T": probe_depths(builder, data, activation_bytes),
        }
    own[0] |= probed
    for variant, fields in zip(job.variants, own[1:], strict=True):
        its = config.model_copy(update={"options": variant.config.options})
        fields |= probe_prediction(replace(builder, config=its).make(), data, config, warn)
    return row.build_all(
        own,
        train_seconds=train_seconds,
        data_seconds=data_seconds,
        images_per_second=images / train_seconds,
        epoch_definition=methods.get(cell.method_name).epoch_definition,
        credit=methods.get(cell.method_name).credit,
        data=record,
        **(past.of_row() if past else {}),
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
    crowding: Crowding,
    augmented: Augmentation | None,
    past: Past | None,
    evaluations: Sequence[Evaluations],
) -> int:
    """Train and, on rank 0, evaluate as often as asked for, which `evaluations` take in.

    Returns:
        The training images seen.
    """
    config, seed = job.cell.config, job.cell.seed
    learner = ranks.share(method)
    order = Generator().manual_seed(seed_of(seed, Stream.ORDER))
    total = config.epochs * min(len(data.train), config.batch_size * batch_count(len(data.train), config.batch_size))
    epochs = evaluations[0].epochs
    seen, pending = 0, 0.0
    done = past.go_on(evaluations) if past else None
    if done is not None:
        seen, pending = done.images, done.pending_seconds
        for _ in range(done.epoch):  # streams of their own, drawn once an epoch
            draw_order(data.train, order)
            if augmented is not None:
                augmented(len(data.train))
    for number in range(1 if done is None else done.epoch + 1, config.epochs + 1):

        def report(images: int, loss: float, rate: float, epoch: int = number, before: int = seen) -> None:
            emit(StepEvent(epoch=epoch, images=before + images, images_total=total, loss=loss, images_per_second=rate))
            if (news := crowding.news()) is not None:
                emit(WarningEvent(sentence=f"{name_of(job.cell)}: {news}"))

        ranks.meet()
        emit(PhaseEvent(phase="training"))
        trained = train_epoch(learner, data, config.batch_size, order, report, augmented)
        emit(PhaseEvent(phase="evaluation"))
        due = number % config.eval_every == 0 or number == config.epochs
        last = number == config.epochs
        with averaged(method, for_good=last) if due else nullcontext():
            trained = ranks.collect(trained, with_parts=due)
            seen += trained.images
            pending += trained.seconds
            if due:
                median, largest = updates.take_norms()
                for each in evaluations if ranks.leads else ():
                    each.add(
                        method,
                        data,
                        trial=job.trial,
                        epoch=number,
                        train_loss=trained.loss,
                        train_seconds=pending,
                        grad_norm_median=median,
                        grad_norm_max=largest,
                    )
                pending = 0.0
        if past and not last:
            past.keep(evaluations, number, seen, trained.seconds, pending)
        if not (due and ranks.leads):
            continue
        report(0, trained.loss, trained.images / trained.seconds, number, seen)
        emit(EpochEvent(epoch=number, loss=trained.loss, val_accuracy=epochs[-1].val_accuracy))
    return seen


def _save(method: Method, evaluated: Evaluations, job: Job, record: DataRecord, emit: Emit) -> str | None:
    """Save the trained model if asked for; where that fails, warn and go on: the measurements are worth more."""
    if job.save_in is None:
        return None
    cell, last, data_dir = evaluated.cell, evaluated.epochs[-1], Path(job.data_dir) if job.data_dir else None
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
        check_loss(learner.train_step(x, y))
    method.eval()
    method.predict(x, Generator(y.device).manual_seed(0))


def _optimizer_bytes(method: Method) -> int:
    """Bytes of the optimisers' state (moments, step counts)."""
    states = (state for optimizer in method.optimizers() for state in optimizer.state.values())
    return sum(value.nbytes for state in states for value in state.values() if isinstance(value, torch.Tensor))
