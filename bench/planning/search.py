"""A search for a method's hyperparameters on a data set: its Optuna study, trial by trial, and the winner.

Fair by construction: every method has the same number of trials, the same kind of sampler with the same seeds, the same
data, epochs and training seed, and its own defaults as the first trial. Only validation accuracy counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from bench.errors import UserError
from bench.planning.method_spec import MethodSpec
from bench.planning.resume import differing_fields
from bench.planning.tuned import SEARCHED
from methods.core.options import Range
from results.conditions import TuningRecord, Winner
from results.past_names import todays
from results.past_options import with_past_options
from results.schema import CellConfig, CellResult, PlannedCell

COMMON = {"lr": Range(1e-4, 1e-2, log=True), "weight_decay": Range(1e-6, 1e-1, log=True)}
"""Searched for every method (`SEARCHED`): at least a factor of 10 below and above the presets' values."""
_DIGITS = 4
"""Of the values tried."""
_CONDITIONS, _ERROR, _SECONDS, _COMMIT = "conditions", "error", "train_seconds", "commit"
"""Attributes of a study and its trials."""


def open_searches(path: Path, cells: Sequence[PlannedCell], spaces: Mapping[str, Mapping[str, Range]]) -> list[Search]:
    """A search for each cell, in a file that has every trial the moment it ends.

    Args:
        path: Optuna's journal; made if it does not exist.
        cells: Each method on each data set, at its defaults, as every trial trains it.
        spaces: The hyperparameters searched, by label of the method.

    Raises:
        UserError: the file cannot be used, or has a study under other conditions.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        storage = JournalStorage(JournalFileBackend(str(path)))
        begun = optuna.get_all_study_names(storage)
        names = {cell.key: _study_name(cell, begun) for cell in cells}
        # Those that are there first: one that is refused leaves no trace of the others.
        ordered = sorted(cells, key=lambda cell: names[cell.key] not in begun)
        searches = {cell.key: Search(path, storage, names[cell.key], cell, spaces[cell.method]) for cell in ordered}
    except (OSError, ValueError) as error:
        raise UserError(f"cannot use the study {path}: {' '.join(str(error).split())}") from None
    return [searches[cell.key] for cell in cells]


def _study_name(cell: PlannedCell, begun: Iterable[str]) -> str:
    """The name of the cell's study: `digits noprop`, or, in one that was begun before, the method's name of then."""
    start = f"{cell.dataset} "
    there = [name for name in begun if name.startswith(start) and todays(name.removeprefix(start)) == cell.method]
    return start + cell.method if start + cell.method in there or not there else there[0]


def space_of(spec: MethodSpec) -> dict[str, Range]:
    """The hyperparameters searched for a method: those of all, and its own except options that the user has set."""
    own = {name: found for name, found in spec.cls.search_space.items() if name not in spec.given}
    return COMMON | own


class Search:
    """The study of one method on one data set."""

    def __init__(
        self, path: Path, storage: BaseStorage, name: str, cell: PlannedCell, space: Mapping[str, Range]
    ) -> None:
        """Begin, or go on with what the storage has; arguments as in `open_searches`.

        Raises:
            UserError: the storage has it under other conditions.
        """
        self.cell, self._path, self._space = cell, path, space
        self._study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
        self._trial: Trial
        self._check_conditions()
        for left in self._in_state(TrialState.RUNNING):  # by a search that was stopped
            self._study.tell(left.number, state=TrialState.FAIL)

    @property
    def ended(self) -> list[FrozenTrial]:
        """Trials that count, in order: those that were stopped midway do not."""
        return [
            trial
            for trial in self._study.get_trials(deepcopy=False)
            if trial.state is TrialState.COMPLETE or (trial.state is TrialState.FAIL and _ERROR in trial.user_attrs)
        ]

    def start_trial(self) -> PlannedCell:
        """Ask for the next trial; the cell that it trains.

        Proposals depend on the seed, the trial's number and the results of those before it, so a search that was
        stopped goes on as it would have gone.
        """
        number = len(self.ended)
        seed = int(np.random.SeedSequence((self.cell.seed, number)).generate_state(1)[0])
        self._study.sampler = optuna.samplers.TPESampler(seed=seed)
        if number == 0 and not self._in_state(TrialState.WAITING):
            self._study.enqueue_trial(self._defaults())
        self._trial = self._study.ask(
            {name: FloatDistribution(found.low, found.high, log=found.log) for name, found in self._space.items()}
        )
        tried = self._rounded(self._trial.params)
        shown = ", ".join(f"{name}={value:g}" for name, value in tried.items())
        what = f"trial {number + 1}: {shown}" if number else "defaults"
        return self.cell.model_copy(
            update={"method": f"{self.cell.method} ({what})", "config": self._config_with(tried)}
        )

    def end_trial(self, result: CellResult) -> None:
        """Keep the result of the trial started last; a failed one uses up the budget like any other."""
        trial = self._trial
        if result.status == "ok":
            trial.set_user_attr(_SECONDS, result.train_seconds)
            trial.set_user_attr(_COMMIT, result.environment.commit)
            self._study.tell(trial, result.val_accuracy)
        else:
            trial.set_user_attr(_ERROR, result.error)
            self._study.tell(trial, state=TrialState.FAIL)

    def winner(self, trials: int) -> Winner | None:
        """The best of the first `trials` trials, the earliest in a tie, which the defaults so win; None: all failed."""
        counted = self.ended[:trials]
        accuracies = {number: trial.value for number, trial in enumerate(counted) if trial.value is not None}
        if not accuracies:
            return None
        best = max(accuracies, key=lambda number: accuracies[number])  # the first of several
        config = self._config_with(self._rounded(counted[best].params))
        ended = counted[-1].datetime_complete  # local time
        assert ended is not None
        return Winner(
            lr=config.lr,
            weight_decay=config.weight_decay,
            options={name: config.options[name] for name in self._space if name not in SEARCHED},
            tuning=TuningRecord(
                study=str(self._path),
                found_at=ended.astimezone(UTC).isoformat(timespec="seconds"),
                commit=counted[best].user_attrs[_COMMIT],
                sampler=type(self._study.sampler).__name__,
                trials=len(counted),
                failed=len(counted) - len(accuracies),
                space=self._space_in_words(),
                seed=self.cell.seed,
                trial=best,
                val_accuracy=accuracies[best],
                default_val_accuracy=accuracies.get(0),
                **{name: value for name, value in config if name in TuningRecord.model_fields},
            ),
        )

    def _in_state(self, state: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=(state,))

    def _defaults(self) -> dict[str, float]:
        config = self.cell.config
        return {name: getattr(config, name) if name in SEARCHED else config.options[name] for name in self._space}

    def _rounded(self, params: Mapping[str, float]) -> dict[str, float]:
        """Optuna's proposals as numbers that a person can copy; defaults stay as they are."""
        defaults = self._defaults()
        return {
            name: value if value == defaults[name] else float(f"{value:.{_DIGITS}g}") for name, value in params.items()
        }

    def _config_with(self, params: Mapping[str, Any]) -> CellConfig:
        options = {name: value for name, value in params.items() if name not in SEARCHED}
        common = {name: value for name, value in params.items() if name in SEARCHED}
        config = self.cell.config
        return config.model_copy(update=common | {"options": config.options | options})

    def _space_in_words(self) -> dict[str, str]:
        return {name: str(found) for name, found in self._space.items()}

    def _check_conditions(self) -> None:
        config = self.cell.config
        now = {"space": self._space_in_words(), "seed": self.cell.seed}
        before = self._study.user_attrs.get(_CONDITIONS)
        if before is None:
            self._study.set_user_attr(_CONDITIONS, now | {"config": config.model_dump(mode="json")})
            return
        begun = with_past_options({"method_name": self.cell.method_name, "config": before["config"]})
        differing = differing_fields(CellConfig.model_validate(begun["config"]), config)
        differing += [name for name in now if before[name] != now[name]]
        if differing:
            raise UserError(
                f"the study of {self.cell.method} on {self.cell.dataset} was begun under other conditions (differing: "
                f"{', '.join(differing)}): give the same, or another --name"
            )
