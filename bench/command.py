"""What every command of this package has in common: how a mistake of the user's ends."""

from __future__ import annotations

import sys

import click

from bench.errors import UserError
from results.store import ResultsError


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
    except (UserError, ResultsError) as error:
        sentence = str(error)
    print(f"error: {' '.join(sentence.split())}", file=sys.stderr)
    return 2
