"""A search for a method's hyperparameters on a data set: Optuna's study of it, trial by trial, and the winner.

Fair by construction: every method has the same number of trials, the same kind of sampler with the same seeds, the same
data, epochs and seed of training, and its own defaults as the first trial. Validation accuracy is all that is looked
at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from results.schema import CellConfig, CellResult, PlannedCell

COMMON = {"lr": Range(1e-4, 1e-2, log=True), "weight_decay": Range(1e-6, 1e-1, log=True)}
"""Searched for every method (`SEARCHED`): a factor of 10 and more to both sides of the presets' values."""
_DIGITS = 4
"""Of what is tried."""
_CONDITIONS, _ERROR, _SECONDS, _COMMIT = "conditions", "error", "train_seconds", "commit"
"""Names of what a study and its trials are told to remember."""


def open_searches(path: Path, cells: Sequence[PlannedCell], spaces: Mapping[str, Mapping[str, Range]]) -> list[Search]:
    """A search for each cell, in a file that has every trial the moment it ends.

    Args:
        path: Optuna's journal; made if it is not there.
        cells: Each method on each data set, at its defaults, as every trial trains it.
        spaces: What is varied, by label of the method.

    Raises:
        UserError: the file cannot be used, or has a study under other conditions.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        storage = JournalStorage(JournalFileBackend(str(path)))
        begun = set(optuna.get_all_study_names(storage))
        # Those that are there first: one that is refused leaves no trace of the others.
        ordered = sorted(cells, key=lambda cell: _study_name(cell) not in begun)
        opened = {cell.key: Search(path, storage, cell, spaces[cell.method]) for cell in ordered}
    except (OSError, ValueError) as error:
        raise UserError(f"cannot use the study {path}: {' '.join(str(error).split())}") from None
    return [opened[cell.key] for cell in cells]


def _ended_at(trial: FrozenTrial) -> str:
    """UTC, ISO 8601; Optuna's times are local ones."""
    assert trial.datetime_complete is not None
    return trial.datetime_complete.astimezone(UTC).isoformat(timespec="seconds")


def _study_name(cell: PlannedCell) -> str:
    return f"{cell.dataset} {cell.method}"


def space_of(spec: MethodSpec) -> dict[str, Range]:
    """What is searched for a method: the same for all, and its own, but for options that the user has chosen."""
    own = {name: found for name, found in spec.cls.search_space.items() if name not in spec.given}
    return COMMON | own


class Search:
    """The study of one method on one data set."""

    def __init__(self, path: Path, storage: BaseStorage, cell: PlannedCell, space: Mapping[str, Range]) -> None:
        """Begin, or go on with what the storage has.

        Args:
            path: the file that the study is in.
            storage: Optuna's view of that.
            cell: the method at its defaults, as each trial trains it.
            space: what is varied.

        Raises:
            UserError: the storage has it under other conditions.
        """
        self.cell, self._path, self._space = cell, path, space
        self._study = optuna.create_study(
            storage=storage, study_name=_study_name(cell), direction="maximize", load_if_exists=True
        )
        self._check_conditions()
        for left in self._in_state(TrialState.RUNNING):  # by a search that was stopped
            self._study.tell(left.number, state=TrialState.FAIL)

    @property
    def ended(self) -> list[FrozenTrial]:
        """Trials that count, in order: those that were stopped on their way do not."""
        return [
            trial
            for trial in self._study.get_trials(deepcopy=False)
            if trial.state is TrialState.COMPLETE or (trial.state is TrialState.FAIL and _ERROR in trial.user_attrs)
        ]

    def next(self) -> tuple[Trial, PlannedCell]:
        """The next trial, and the cell that it trains.

        What is proposed hangs on the seed, the trial's place and what came of those before it, so that a search that
        was stopped goes on as it would have gone.
        """
        place = len(self.ended)
        seed = int(np.random.SeedSequence((self.cell.seed, place)).generate_state(1)[0])
        self._study.sampler = optuna.samplers.TPESampler(seed=seed)
        if place == 0 and not self._in_state(TrialState.WAITING):
            self._study.enqueue_trial(self._defaults())
        trial = self._study.ask(
            {name: FloatDistribution(found.low, found.high, log=found.log) for name, found in self._space.items()}
        )
        tried = self._rounded(trial.params)
        shown = ", ".join(f"{name}={value:g}" for name, value in tried.items())
        what = f"trial {place + 1}: {shown}" if place else "defaults"
        return trial, self.cell.model_copy(
            update={"method": f"{self.cell.method} ({what})", "config": self._config_with(tried)}
        )

    def end(self, trial: Trial, result: CellResult) -> None:
        """Keep what came of a trial; one that failed is one of the method's trials all the same."""
        if result.status == "ok":
            trial.set_user_attr(_SECONDS, result.train_seconds)
            trial.set_user_attr(_COMMIT, result.environment.commit)
            self._study.tell(trial, result.val_accuracy)
        else:
            trial.set_user_attr(_ERROR, result.error)
            self._study.tell(trial, state=TrialState.FAIL)

    def winner(self, trials: int) -> Winner | None:
        """The best of the first `trials` trials, the earliest of equal ones; so the defaults win a tie.

        Args:
            trials: The budget; there are at least as many.

        Returns:
            None where every trial failed.
        """
        counted = self.ended[:trials]
        accuracies = {place: trial.value for place, trial in enumerate(counted) if trial.value is not None}
        if not accuracies:
            return None
        best = max(accuracies, key=lambda place: accuracies[place])  # the first of several
        config = self._config_with(self._rounded(counted[best].params))
        return Winner(
            lr=config.lr,
            weight_decay=config.weight_decay,
            options={name: config.options[name] for name in self._space if name not in SEARCHED},
            tuning=TuningRecord(
                study=str(self._path),
                found_at=_ended_at(counted[-1]),
                commit=counted[best].user_attrs[_COMMIT],
                sampler=type(self._study.sampler).__name__,
                trials=len(counted),
                failed=len(counted) - len(accuracies),
                space=self._space_in_words(),
                seed=self.cell.seed,
                epochs=config.epochs,
                batch_size=config.batch_size,
                train_size=config.train_size,
                optimizer=config.optimizer,
                amp=config.amp,
                augment=config.augment,
                trial=best,
                val_accuracy=accuracies[best],
                default_val_accuracy=accuracies.get(0),
            ),
        )

    def _in_state(self, state: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=(state,))

    def _defaults(self) -> dict[str, float]:
        config = self.cell.config
        return {name: getattr(config, name) if name in SEARCHED else config.options[name] for name in self._space}

    def _rounded(self, params: Mapping[str, float]) -> dict[str, float]:
        """What is trained with for what Optuna proposes: numbers that a person can copy. Defaults are as they are."""
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
        differing = differing_fields(CellConfig.model_validate(before["config"]), config)
        differing += [name for name in now if before[name] != now[name]]
        if differing:
            raise UserError(
                f"the study of {self.cell.method} on {self.cell.dataset} was begun under other conditions (differing: "
                f"{', '.join(differing)}): give the same, or another --name"
            )
