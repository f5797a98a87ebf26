"""TensorBoard: event files in RUN/tensorboard, one folder per cell."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from bench.tracking.registry import register

if TYPE_CHECKING:
    from results.schema import CellResult

FOLDER = "tensorboard"


@register("tensorboard")
class TensorBoard:
    """Scalars by epoch, and settings with final measures for the tab HPARAMS."""

    package = "tensorboard"

    def log(self, run: Path, result: CellResult) -> str:
        """See `Tracker.log`."""
        from torch.utils.tensorboard import SummaryWriter

        from bench.models import model_path
        from bench.tracking.content import ending, history, settings

        folder = run / FOLDER / model_path(result.dataset, result.method, result.seed).stem
        writer = SummaryWriter(folder)
        try:
            for epoch, values in history(result).items():
                for name, value in values.items():
                    writer.add_scalar(name, value, epoch)
            plain = {name: "none" if value is None else value for name, value in settings(result).items()}
            final = {f"final/{name}": value for name, value in ending(result).items()}
            writer.add_hparams(plain | {"status": result.status}, final, run_name=".")
            if result.error is not None:
                writer.add_text("error", result.error)
        finally:
            writer.close()
        return f"to see it in TensorBoard: tensorboard --logdir {shlex.quote(str(run / FOLDER))}"
