"""Flags that several commands share, each in its group of the help.

A switch that a file may turn on (`--config`) has a flag that turns it off again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import click

from bench.commandline.help import group
from bench.commandline.params import DatasetList, FiniteFloat, Whole
from bench.planning.presets import CORE, PRESETS
from results.ending import Folder

ASSIGNMENT = "NAME=VALUE"
"""Metavar of a flag whose values are assignments, which a file may give as a table."""
SEED = Whole(0, 2**32 - 1)
"""What every library's generator takes."""
TEN_YEARS = 315_360_000
"""In seconds; beyond some centuries no clock of the system's can wait."""

compare = group("What to compare")
what = group("What to run")
train = group("How to train")
data = group("Data")
where = group("Where to run")
output = group("Output")


def merged(assignments: Collection[str], later: Collection[str]) -> tuple[str, ...]:
    """Assignments and later ones, which win over those of the same name."""
    names = {item.partition("=")[0].strip() for item in later}
    return (*(item for item in assignments if item.partition("=")[0].strip() not in names), *later)


def besides_file(context: click.Context, param: click.Parameter, items: tuple[str, ...]) -> tuple[str, ...]:
    """The assignments of the command line, and those of `--config` that it does not replace."""
    return merged((context.default_map or {}).get(param.name, ()), items)


methods = compare(
    "--methods",
    default=CORE,
    metavar="NAME,...",
    help="Comma-separated list, or all; options in brackets: noprop[T=20,sampler=mean].",
)
datasets = compare(
    "--datasets",
    type=DatasetList(),
    default="digits",
    metavar="NAME,...",
    help="Comma-separated list; also npz:PATH and folder:PATH. bench.run --list names all.",
)
method_options = compare(
    "--set",
    "settings",
    multiple=True,
    metavar=ASSIGNMENT,
    callback=besides_file,
    help="Set an option of every method that accepts it: T=20. Repeatable.",
)
one_dataset = what("--dataset", default="digits", help="One data set.")

epochs = train("--epochs", type=Whole(1), show_default="the preset's for the data set", help="Training epochs.")
batch_size = train("--batch-size", type=Whole(2), show_default="the preset's, 128", help="Batch size.")
amp = train("--amp/--no-amp", help="Mixed precision (bfloat16) for every method.")

train_size = data("--train-size", type=Whole(1), show_default="all", help="Training images to use, balanced by class.")
augment = data(
    "--augment",
    type=click.Choice(["none", "standard"]),
    default="none",
    help="standard: random shifts, and flips if the data set allows them, for every method.",
)
duplicates = data("--duplicates/--no-duplicates", help="Accept data with many test images among the training images.")
data_dir = data("--data-dir", type=Folder(), help="Folder with data files; the variable NOPROP_DATA works too.")

device = where("--device", default="auto", metavar="NAME", help="auto, cpu, cuda or cuda:N.")
threads = where("--threads", type=Whole(1, 1024), show_default="all cores", help="CPU threads.")
timeout = where(
    "--timeout",
    type=FiniteFloat(0, TEN_YEARS, min_open=True),
    metavar="SECONDS",
    show_default="none",
    help="Time limit per cell.",
)


def one_method(default: str) -> Callable[[Any], Any]:
    """`--method`."""
    return what("--method", default=default, help="One method, such as noprop[T=20].")


def preset(default: str = "quick") -> Callable[[Any], Any]:
    """`--preset`."""
    return train(
        "--preset",
        type=click.Choice(list(PRESETS)),
        metavar="NAME",
        default=default,
        help=f"Seeds, epochs and hyperparameters, unless given: {', '.join(PRESETS)}.",
    )


def out(default: Path, help: str) -> Callable[[Any], Any]:  # noqa: A002
    """`--out`."""
    return output("--out", type=Folder(), default=default, help=help)
