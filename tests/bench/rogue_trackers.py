"""Somebody else's trackers, most of which misbehave; they come with the plug-in of `rogue_methods`.

Never imported by the tests: `harness.Plugin` puts them where the processes under test find them. What they are given is
in the folder ROGUE_FLAGS.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.tracking.registry import register

if TYPE_CHECKING:
    from results.schema import CellResult

FLAGS = Path(os.environ.get("ROGUE_FLAGS", "."))


@register("notes")
class Notes:
    """Notes each cell in a line of the file `notes`, with the processes that train while it does, and says so."""

    package = "json"

    def log(self, run: Path, result: CellResult) -> str | None:
        """Note it."""
        import psutil

        found = [process.info for process in psutil.process_iter(["cmdline", "environ"])]
        ours = [each["cmdline"] for each in found if (each["environ"] or {}).get("ROGUE_FLAGS") == str(FLAGS)]
        training = sum("bench.runner.worker" in command for command in ours)
        rows = (run / "cells.jsonl").read_text().count("\n")
        with (FLAGS / "notes").open("a") as file:
            note = {"cell": result.key, "status": result.status, "epochs": len(result.epochs)}
            file.write(json.dumps(note | {"training": training, "rows": rows}) + "\n")
        print("what a library prints")
        return f"notes are in {run.name}"


@register("refuses")
class Refuses:
    """Raises."""

    package = "json"

    def log(self, run: Path, result: CellResult) -> str | None:
        """Raise, with a message of two lines."""
        with (FLAGS / "asked").open("a") as file:
            file.write("x")
        raise RuntimeError("no such\nluck")


@register("hangs")
class Hangs:
    """Never ends, and ignores what would end it politely."""

    package = "json"

    def log(self, run: Path, result: CellResult) -> str | None:
        """Wait, and raise the flag `hanging`."""
        (FLAGS / "hanging").touch()
        while True:
            time.sleep(1)


@register("quits")
class Quits:
    """Ends its process."""

    package = "json"

    def log(self, run: Path, result: CellResult) -> str | None:
        """Say a last word, and go."""
        sys.stderr.write("a last word\n")
        sys.stderr.flush()
        os._exit(3)


@register("absent")
class Absent:
    """Needs what nobody has."""

    package = "no_such_package_for_tracking"

    def log(self, run: Path, result: CellResult) -> str | None:
        """Never called."""
        raise AssertionError
