"""The race: training steps of each method in short turns with the reference's, A B B A A B B A ...

Both are held ready in processes of their own, new ones in each round, so the two turns of a pair are a fraction of a
second apart, and whatever slows the machine down slows both. With fewer threads than cores both stay on the same cores,
since the cores of a machine that others share are seldom equally fast. `reports.statistics.race` says what follows from
the pairs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.meters.environment import describe_environment
from bench.planning.sharing import share_trainings
from bench.runner.racers import RaceError, Racers
from bench.runner.turns import SECONDS, Pairs, Train, rounds_in, settle
from methods import available
from reports.formats.effects import ratio
from reports.statistics.effect import Effect
from reports.statistics.race import race_effects
from reports.view import REFERENCE, DatasetView, RunView, arrange, choose_reference
from results.race import DatasetRace, RaceRecord, read_race, write_race
from results.schema import CellResult, PlannedCell, RunRecord
from results.sharing import placed
from results.store import read_cells


@dataclass(frozen=True)
class Heat:
    """What is to be timed on one data set."""

    reference: PlannedCell
    rivals: list[PlannedCell]


def race_run(
    run: Path, record: RunRecord, data_dir: Path | None, *, again: bool = False, seconds: float = SECONDS
) -> list[DatasetRace]:
    """Race the methods of a run that finished, and keep each data set's result in the run's folder once it is there.

    Args:
        run: The run's folder.
        record: What it set out to do.
        data_dir: The user's data folder, if any.
        again: Race anew where there is a result already.
        seconds: Time for each method.

    Returns:
        The races of the data sets that were raced now; why others were not is said.

    Raises:
        ResultsError: `race.json` is damaged, or cannot be written.
    """
    view = arrange(record, read_cells(run))
    why = placed(view.cells) or (  # cells side by side have ended by now
        "each cell has several processes" if any(cell.config.parallel for cell in record.cells) else None
    )
    if why is not None:
        _note(f"no race: {why}")
        return []
    raced = []
    race = read_race(run) or RaceRecord(run_id=record.run_id, datasets=[])
    for data in view.datasets:
        heat = _heat(view, data)
        if isinstance(heat, str):
            _note(f"no race on {data.name}: {heat}")
        elif again or not _covers(race.of(data.name), heat):
            kept = [each for each in race.datasets if each.dataset != data.name]
            try:
                raced.append(race_methods(heat, data_dir, seconds))
            except RaceError as error:
                _note(f"no race on {data.name}: {error}")
                continue
            race = race.model_copy(update={"datasets": [*kept, raced[-1]]})
            write_race(run, race)
    return raced


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
    reference, threads = heat.reference, heat.reference.config.threads
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    first_of = _by_steps(heat.rivals)
    timed = {cell.method: cell for cell in heat.rivals if cell.method in first_of.values()}
    pairs = {label: Pairs(label) for label in timed}
    failed: dict[str, str] = {}
    last: Pairs | None = None
    with Racers(threads, data_dir) as racers:
        rounds = rounds_in(seconds)
        for number in range(1, rounds + 1):
            print(f"race: {reference.dataset}: round {number} of {rounds}", file=sys.stderr, flush=True)
            for label in [each for each in timed if each not in failed]:
                was_crowded = racers.crowded()
                try:
                    with _ready(racers, number, timed[label], reference) as (ours, theirs, step_seconds):
                        if last is not None and racers.crowded() and not was_crowded:
                            last.forget_unnoticed(last.quiet[-1].round if last.quiet else 0)
                        last = pairs[label]
                        last.take_round(
                            number, ours, theirs, racers.crowded, step_seconds=step_seconds, seconds=seconds
                        )
                except RaceError as error:
                    if error.cell is reference:
                        raise
                    failed[label] = str(error)
                    print(f"warning: {reference.dataset} {label} is left out of the race: {error}", file=sys.stderr)
    race = DatasetRace(
        dataset=reference.dataset,
        reference=reference.method,
        seed=reference.seed,
        threads=threads,
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
    _say(race)
    return race


@contextmanager
def _ready(
    racers: Racers, number: int, cell: PlannedCell, reference: PlannedCell
) -> Iterator[tuple[Train, Train, tuple[float, float]]]:
    """New processes for a round, the method's and the reference's, and a step of each; what goes first starts first."""
    order = (cell, reference) if number % 2 == 1 else (reference, cell)
    with racers.ready(order[0]) as first:
        its_step = settle(first)
        with racers.ready(order[1]) as second:
            sides = [(first, its_step), (second, settle(second))]
            (ours, our_step), (theirs, their_step) = sides if number % 2 == 1 else sides[::-1]
            yield ours, theirs, (our_step, their_step)


def _by_steps(cells: list[PlannedCell]) -> dict[str, str]:
    """Each method's label, and the first that differs from it at inference alone, which is timed for all of them."""
    known = {cell.method: cell for cell in share_trainings(cell for cell in cells if cell.method_name in available())}
    first_of: dict[tuple[str, str, int], str] = {}
    return {c.method: first_of.setdefault(known.get(c.method, c).training, c.method) for c in cells}


def _say(race: DatasetRace) -> None:
    """What it found of each method."""
    effects = race_effects(race)
    for each in race.methods:
        beside = ", beside other programs" if each.beside_others else ""
        what = _in_words(effects[each.method], race.reference)
        print(f"race: {race.dataset} {each.method}: {what}, {len(each.seconds)} pairs{beside}", file=sys.stderr)
    sys.stderr.flush()


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


def _in_words(effect: Effect, reference: str) -> str:
    """`1.08 times backprop's time per step (1.06 to 1.10)`."""
    times, _, interval = ratio(effect).partition(" ")
    return f"{times} times {reference}'s time per step {interval}".rstrip()


def _note(sentence: str) -> None:
    print(f"note: {sentence}", file=sys.stderr, flush=True)
