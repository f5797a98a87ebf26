"""Flags that several commands have, alike in name, in what they accept and in what their help says.

A switch that a file may turn on (`--config`) has a flag that turns it off again.
"""

from __future__ import annotations

from pathlib import Path

import click

from bench.commandline.params import Folder, Whole
from bench.planning.presets import PRESETS

preset = click.option("--preset", type=click.STRING, default="quick", help=f"How much work: {', '.join(PRESETS)}.")
epochs = click.option("--epochs", type=Whole(1), help="Passes over the data.  [default: the preset's for the data set]")
batch_size = click.option("--batch-size", type=Whole(2), help="Images a batch.  [default: the preset's, 128]")
train_size = click.option("--train-size", type=Whole(1), help="Train on a fixed class-balanced subset.  [default: all]")
device = click.option("--device", default="auto", help="auto, cpu, cuda or cuda:N.")
augment = click.option(
    "--augment",
    type=click.Choice(["none", "standard"]),
    default="none",
    help="standard: training images shifted and, where classes allow it, mirrored at random, alike for all methods.",
)
amp = click.option("--amp/--no-amp", help="Mixed precision (bfloat16) for every method.")
data_dir = click.option("--data-dir", type=Folder(path_type=Path), help="Folder with data files; or set NOPROP_DATA.")
