"""What an engine does for a run: run one cell somewhere and return its row, or cancel all that it runs."""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, TypeVar

from bench.children.protocol import Event, Job
from bench.errors import UserError
from methods.core.errors import MethodError
from methods.core.options import Options
from results.schema import CellResult, LauncherName

_Options = TypeVar("_Options", bound=Options)


class Launcher(ABC):
    """An engine that runs a run's cells: made for a `Run` whose folder need not exist yet, and entered around it.

    Raises:
        UserError: on either: it is not installed or not there, or refuses its options or what the cells need.
    """

    name: ClassVar[LauncherName]
    """What rows say."""
    is_remote: ClassVar[bool] = True
    """Whether cells may run on other machines."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:  # noqa: B027 - not every engine has something to let go of
        """Let go of the engine."""

    @abstractmethod
    def run(self, job: Job, on_event: Callable[[Event], None]) -> CellResult:
        """Run one cell and wait for its end; called from several threads at once.

        Args:
            job: The cell.
            on_event: Told where the cell was sent.

        Returns:
            The cell's row, also where its worker was lost or the engine refused it.
        """

    def recorded(self, job: Job) -> None:  # noqa: B027 - nor leaves something behind
        """The cell's row is on disk; until now its result had to stay where a resumed run would find it."""

    @abstractmethod
    def cancel_all(self) -> None:
        """Cancel all cells that other threads wait for; each then returns a row. May be called again."""


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
            f"--launcher {extra} needs {module}, which is not installed: python -m pip install 'noprop-bench[{extra}]'"
        ) from None
