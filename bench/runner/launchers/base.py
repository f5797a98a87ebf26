"""What an engine has to do for a run: run one cell somewhere and come back with its row, or end all that it runs."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from bench.errors import UserError
from bench.protocol import Event, Job
from bench.runner.launchers.placement import Placement
from methods.core.errors import MethodError
from methods.core.options import Options
from results.schema import CellResult, LauncherName, PlannedCell

_Options = TypeVar("_Options", bound=Options)


class Launcher(ABC):
    """An engine that runs cells on machines of its choice."""

    name: ClassVar[LauncherName]

    @abstractmethod
    def run(self, job: Job, run: Path, on_event: Callable[[Event], None]) -> CellResult:
        """Run one cell; called from several threads at once.

        Args:
            job: The cell.
            run: The run's folder.
            on_event: Told where the cell was sent.

        Returns:
            The cell's row; where its worker was lost or the engine refused it, a row that says so.
        """

    @abstractmethod
    def kept(self, job: Job) -> None:
        """Told when a cell's row is on disk, until when its result must stay where a resumed run would find it.

        Args:
            job: As in `run`.
        """

    @abstractmethod
    def end_all(self) -> None:
        """End all cells that other threads are waiting for; each then gets a row that says so. May be called again."""


@contextmanager
def opened(where: Placement, cells: Sequence[PlannedCell], timeout_seconds: float | None) -> Iterator[Launcher | None]:
    """The launcher for these cells, checked and connected; None where they are run by this process itself.

    Raises:
        UserError: it is not installed or not there, or does not accept its options or what the cells need.
    """
    if where.launcher == "slurm" and cells:
        from bench.runner.launchers.slurm import SlurmLauncher

        yield SlurmLauncher(where.options, timeout_seconds)
    elif where.launcher == "ray" and cells:
        from bench.runner.launchers.ray import RayLauncher

        with RayLauncher(where.options, cells) as launcher:
            yield launcher
    else:
        yield None


def parse_options(launcher: str, cls: type[_Options], given: Mapping[str, str]) -> _Options:
    """The options of a launcher.

    Raises:
        UserError: an unknown name, or a value that is not accepted.
    """
    try:
        return cls.parse(given)
    except MethodError as error:
        raise UserError(f"--launcher {launcher}: {error}") from None


def import_extra(module: str, extra: str) -> Any:
    """Import what an optional extra of this project installs.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UserError(
            f"--launcher {extra} needs {module}, which is not installed: pip install 'noprop-bench[{extra}]'"
        ) from None
