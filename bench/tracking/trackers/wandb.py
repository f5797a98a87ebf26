"""Weights & Biases: one W&B run per cell, grouped by run; offline without an account or a connection."""

from __future__ import annotations

import os
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError

from bench.tracking.registry import register

if TYPE_CHECKING:
    import wandb

    from results.schema import CellResult

PROJECT = "noprop-bench"
_REACH_SECONDS = 5.0
_INIT_SECONDS = 30.0


@register("wandb")
class WeightsAndBiases:
    """W&B's own variables apply: `WANDB_MODE`, `WANDB_PROJECT`, `WANDB_ENTITY`, `WANDB_DIR`, ..."""

    package = "wandb"

    def log(self, run: Path, result: CellResult) -> str | None:
        """See `Tracker.log`."""
        if "WANDB_MODE" in os.environ:
            return self._log(run, result, os.environ["WANDB_MODE"], "WANDB_MODE says so")
        if why := _why_offline():
            return self._log(run, result, "offline", why)
        import wandb

        try:
            return self._log(run, result, "online", "")
        except wandb.Error as error:
            wandb.teardown()
            return self._log(run, result, "offline", _words(error))

    def _log(self, run: Path, result: CellResult, mode: str, why: str) -> str | None:
        import wandb

        from bench.tracking.content import ending, history, settings, title

        made = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            group=result.run_id,
            name=title(result),
            dir=os.environ.get("WANDB_DIR", run),
            config=settings(result),
            mode=mode,  # type: ignore[arg-type]  # the user's own word; W&B refuses one that it does not know
            settings=wandb.Settings(
                init_timeout=_INIT_SECONDS,
                silent=True,
                console="off",
                # These would be about this process, which has trained nothing.
                x_disable_stats=True,
                disable_git=True,
                disable_code=True,
            ),
        )
        for epoch, values in history(result).items():
            made.log(values, step=epoch)
        made.summary.update(ending(result) | {"status": result.status, "error": result.error})
        said = _where(made, mode, why)
        made.finish(exit_code=0 if result.status == "ok" else 1)
        wandb.teardown()
        return said


def _why_offline() -> str | None:
    """Why nothing can be sent; None where it can."""
    import wandb

    try:
        # It cannot ask for a key, since there is no terminal.
        if not wandb.login(verify=False):
            return "not logged in"
    except wandb.Error as error:
        return _words(error)
    server = wandb.setup().settings.base_url
    try:
        with urllib.request.urlopen(server, timeout=_REACH_SECONDS):  # noqa: S310 - the user's own setting
            return None
    except HTTPError:  # it has answered
        return None
    except OSError as error:
        return f"{server} cannot be reached: {getattr(error, 'reason', error)}"


def _words(error: Exception) -> str:
    """Its message on one line; a server's answer may be a whole page."""
    return " ".join(str(error).split())[:200]


def _where(made: wandb.Run, mode: str, why: str) -> str | None:
    """What the user is told."""
    if mode == "online":
        return f"to see it in Weights & Biases: {made.project_url}"
    if mode != "offline":
        return None
    folder = Path(made.dir).parent.parent
    return (
        f"Weights & Biases works offline ({why}): its files are in {folder}, and with an account "
        f"'wandb sync {folder}/offline-run-*' sends them"
    )
