"""What every command of this package has in common: how a mistake of the user's ends."""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

import click

from bench.errors import UserError


def run_command(command: click.Command, name: str) -> int:
    """Run a command and turn every expected mistake into one sentence and exit code 2.

    Args:
        command: returns an exit code, or None for 0.
        name: how it was called, for its help.

    Returns:
        The exit code.

    Raises:
        click.Abort, KeyboardInterrupt: it was stopped.
    """
    try:
        return command.main(prog_name=name, standalone_mode=False) or 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        sentence = error.format_message()
    except UserError as error:
        sentence = str(error)
    except Exception as error:
        from results.store import ResultsError  # pydantic comes with it, which `--help` need not wait for

        if not isinstance(error, ResultsError):
            raise
        sentence = str(error)
    print(f"error: {' '.join(sentence.split())}", file=sys.stderr)
    return 2


def run_to_exit(command: click.Command, name: str, *, said_when_stopped: str | None = None) -> NoReturn:
    """Run a command and leave with its exit code.

    Args:
        command: as in `run_command`.
        name: as in `run_command`.
        said_when_stopped: what to say when it is stopped; nothing where there is nothing to say.
    """
    try:
        code = run_command(command, name)
    except (click.Abort, KeyboardInterrupt) as stop:
        if said_when_stopped is not None:
            print(said_when_stopped, file=sys.stderr)
        code = stop_code(stop.__cause__ if isinstance(stop, click.Abort) else stop)
    sys.exit(code)


def run_cells_to_exit(command: click.Command, name: str) -> NoReturn:
    """The same for a command that runs cells: SIGTERM ends it as Ctrl-C does, and it says that nothing was begun."""
    signal.signal(signal.SIGTERM, _terminate)
    run_to_exit(command, name, said_when_stopped="stopped before the first cell")


class Terminated(KeyboardInterrupt):
    """SIGTERM: stop as for Ctrl-C."""

    code = 143


def stop_code(stop: BaseException | None) -> int:
    """What the shell expects after the signal that stopped us."""
    return stop.code if isinstance(stop, Terminated) else 130


def _terminate(number: int, frame: object) -> NoReturn:
    raise Terminated
