"""The race: training steps of each method in short turns with the reference's, A B B A A B B A ...

Both are held ready in processes of their own, new ones in each round, so the two turns of a pair are a fraction of a
second apart, and whatever slows the machine down slows both. With fewer threads than cores both stay on the same cores,
since the cores of a machine that others share are seldom equally fast. `reports.statistics.race` says what follows from
the pairs.
"""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.children.processes import compute_variables, how_ended, kill_orphans, owned, send_line, start_child
from bench.meters.environment import describe_environment
from bench.planning.sharing import share_trainings
from bench.runner.turns import ROUNDS, SECONDS, Pairs, Train, settle
from bench.training.racer import RaceTask, Turn, TurnTime
from methods import available
from reports.statistics.effect import Effect
from reports.statistics.race import race_effect
from reports.view import REFERENCE, DatasetView, RunView, arrange, choose_reference
from results.race import DatasetRace, RaceRecord, read_race, write_race
from results.schema import CellResult, PlannedCell, RunRecord
from results.sharing import placed
from results.store import read_cells


class RaceError(RuntimeError):
    """A method cannot be timed; the message is one line."""


@dataclass(frozen=True)
class Heat:
    """What is to be timed on one data set."""

    reference: PlannedCell
    rivals: list[PlannedCell]


def race_run(
    run: Path, record: RunRecord, data_dir: Path | None, *, again: bool = False, seconds: float = SECONDS
) -> RaceRecord | None:
    """Race the methods of a run that finished, and keep each data set's result in the run's folder once it is there.

    Args:
        run: The run's folder.
        record: What it set out to do.
        data_dir: The user's data folder, if any.
        again: Race anew where there is a result already.
        seconds: Time for each method.

    Returns:
        The race; None, and why is said, if there can be none.

    Raises:
        ResultsError: `race.json` is damaged, or cannot be written.
    """
    view = arrange(record, read_cells(run))
    why = placed(view.cells) or (  # cells side by side have ended by now
        "each cell has several processes" if any(cell.config.parallel for cell in record.cells) else None
    )
    if why is not None:
        _note(f"no race: {why}")
        return None
    race = read_race(run) or RaceRecord(run_id=record.run_id, datasets=[])
    for data in view.datasets:
        heat = _heat(view, data)
        if isinstance(heat, str):
            _note(f"no race on {data.name}: {heat}")
        elif again or not _covers(race.of(data.name), heat):
            kept = [each for each in race.datasets if each.dataset != data.name]
            try:
                race = race.model_copy(update={"datasets": [*kept, race_methods(heat, data_dir, seconds)]})
            except RaceError as error:
                _note(f"no race on {data.name}: {error}")
                continue
            write_race(run, race)
    return race


def heat_of(cells: list[PlannedCell]) -> Heat | None:
    """The cells of one data set and seed, the reference apart; None without one."""
    reference = choose_reference({cell.method: cell.method_name for cell in cells})
    if reference is None:
        return None
    by_label = {cell.method: cell for cell in cells}
    return Heat(by_label.pop(reference), [*by_label.values()])


def race_methods(heat: Heat, data_dir: Path | None, seconds: float = SECONDS) -> DatasetRace:
    """Time every method of a data set; those that fail are left out, with a warning.

    Methods that share a training take the same steps: the first of them is timed for all.

    Raises:
        RaceError: the reference fails.
    """
    reference = heat.reference
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    first_of = _by_steps(heat.rivals)
    pairs = {label: Pairs(label) for label in first_of.values()}
    failed: dict[str, str] = {}
    crowded: dict[int, bool] = {}
    for number in range(1, ROUNDS + 1):
        with _ready(reference, data_dir, crowded) as theirs:
            per_step = settle(theirs)
            for cell in heat.rivals:
                if cell.method not in pairs or cell.method in failed:
                    continue
                try:
                    with _ready(cell, data_dir, crowded) as ours:
                        pairs[cell.method].take_round(
                            ours,
                            theirs,
                            lambda: any(crowded.values()),
                            reference_step=per_step,
                            seconds=seconds,
                            is_last=number == ROUNDS,
                            share=number / ROUNDS,
                        )
                except RaceError as error:
                    failed[cell.method] = str(error)
                    print(f"warning: {cell.dataset} {cell.method} is left out of the race: {error}", file=sys.stderr)
                else:
                    _say(pairs[cell.method], cell.dataset, reference.method, number)
    return DatasetRace(
        dataset=reference.dataset,
        reference=reference.method,
        seed=reference.seed,
        threads=reference.config.threads,
        device=reference.config.device,
        batch_size=reference.config.batch_size,
        started_at=started_at,
        environment=describe_environment(reference.config.device),
        methods=[
            pairs[first].race().model_copy(update={"method": label})
            for label, first in first_of.items()
            if first not in failed
        ],
        failed={label: failed[first] for label, first in first_of.items() if first in failed},
    )


def _by_steps(cells: list[PlannedCell]) -> dict[str, str]:
    """Each method's label, and the first that differs from it at inference alone, which is timed for all of them."""
    known = {cell.method: cell for cell in share_trainings(cell for cell in cells if cell.method_name in available())}
    first_of: dict[tuple[str, str, int], str] = {}
    return {c.method: first_of.setdefault(known.get(c.method, c).training, c.method) for c in cells}


def _say(pairs: Pairs, dataset: str, reference: str, number: int) -> None:
    """How far the race is, and after the last round what it found."""
    if number < ROUNDS:
        print(f"race: {dataset} {pairs.method}: round {number} of {ROUNDS}", file=sys.stderr, flush=True)
        return
    race = pairs.race()
    beside = ", beside other programs" if race.beside_others else ""
    what = _in_words(race_effect(race, 1), reference)
    print(f"race: {dataset} {race.method}: {what}, {len(race.seconds)} pairs{beside}", file=sys.stderr, flush=True)


def _heat(view: RunView, data: DatasetView) -> Heat | str:
    """What is to be timed of a data set of a run, all at the reference's first seed; or why nothing is."""
    planned = view.planned_reference(data.name)
    if data.reference is None and planned is None:
        return f"{REFERENCE}, with which the others are compared, was not in this run; add it with --methods"
    if data.reference is None:
        return f"no cell of {planned} has finished, with which the others are compared"
    if not data.rivals:
        return f"no other method than {data.reference} has finished"
    reference = _planned(data.finished[data.reference][0])
    rivals = (_planned(data.finished[label][0]) for label in data.rivals)
    return Heat(reference, [cell.model_copy(update={"seed": reference.seed}) for cell in rivals])


def _planned(cell: CellResult) -> PlannedCell:
    return PlannedCell(**{name: getattr(cell, name) for name in PlannedCell.model_fields})


def _covers(race: DatasetRace | None, heat: Heat) -> bool:
    """Whether all of that was timed, or tried, before."""
    if race is None or race.reference != heat.reference.method:
        return False
    return {cell.method for cell in heat.rivals} <= {each.method for each in race.methods} | race.failed.keys()


@contextmanager
def _ready(cell: PlannedCell, data_dir: Path | None, crowded: dict[int, bool]) -> Iterator[Train]:
    """Start a process for a cell's method. Its turns raise `RaceError` if it fails.

    `crowded` is what each process has seen. When one of them is crowded, the threads of all yield.
    """
    process = start_child("bench.training.racer", subprocess.DEVNULL, compute_variables(cell.config.threads))

    def ask(line: str) -> None:
        with suppress(BrokenPipeError):  # its end says more
            send_line(process, line)

    def train(steps: int) -> float:
        assert process.stdout is not None
        ask(Turn(steps=steps, yielding=any(crowded.values())).model_dump_json())
        line = process.stdout.readline()
        if not line.endswith("\n"):
            raise RaceError(f"the process of {cell.method} {how_ended(process.wait())}")
        time = TurnTime.model_validate_json(line)
        if time.error is not None:
            raise RaceError(f"{cell.method} raised {time.error}")
        crowded[process.pid] = time.crowded
        return time.seconds / steps

    with owned(process):
        kill_orphans(process)
        ask(RaceTask(cell=cell, data_dir=str(data_dir) if data_dir else None).model_dump_json())
        try:
            yield train
        finally:
            crowded.pop(process.pid, None)


def _in_words(effect: Effect, reference: str) -> str:
    """`1.08 times backprop's time per step (1.06 to 1.10)`."""
    text = f"{math.exp(effect.value):.3g} times {reference}'s time per step"
    if effect.alone is None:
        return text
    return f"{text} ({math.exp(effect.alone.low):.3g} to {math.exp(effect.alone.high):.3g})"


def _note(sentence: str) -> None:
    print(f"note: {sentence}", file=sys.stderr, flush=True)
