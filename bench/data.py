"""`python -m bench.data DATASET`: download a data set if needed, verify it, and show what is in it.

Exit codes: 0 success; 1 the files do not match the published checksums; 2 something given cannot be used, or the data
set is unavailable or damaged; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.commandline import flags
from bench.commandline.exit_codes import exits
from bench.commandline.flags import output
from bench.commandline.help import Command

if TYPE_CHECKING:
    from bench.datasets import Dataset, Splits

DEFAULT_OUT = Path("results/data")


@click.command(cls=Command)
@click.argument("dataset")
@flags.data_dir
@output(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    show_default=f"{DEFAULT_OUT}/DATASET.png",
    help="PNG file for a picture of samples.",
)
def cli(dataset: str, data_dir: Path | None, out: Path | None) -> int:
    """Show what is in DATASET: its splits, image shape and class balance, and a picture of samples.

    DATASET is a name (see bench.run --list), npz:PATH or folder:PATH. A missing data set is downloaded to the user's
    cache folder and kept only if its checksums are right. Splits, mean and SD are those used for training.
    """
    from bench import datasets
    from bench.errors import UserError
    from bench.planning.plan import SPLIT_SEED
    from reports.figures.samples import draw_samples
    from results.data_warnings import data_warnings
    from results.files import file_stem, make_folder

    found = datasets.get(dataset)
    path = out or DEFAULT_OUT / f"{file_stem(found.name)}.png"
    if path.suffix.lower() != ".png":
        raise UserError(f"{path} is not accepted: the name of the picture must end in .png")
    loaded = found.load(datasets.data_root(data_dir))
    splits = datasets.make_splits(
        loaded, num_classes=found.num_classes, train_size=None, split_seed=SPLIT_SEED, allow_duplicates=True
    )
    print(_facts(found, splits), _sizes(found, splits), _channels(splits), sep="\n\n")
    if warnings := data_warnings(splits.record):
        print("\nworth knowing:", *warnings, sep="\n- ")
    try:
        make_folder(path.parent)
        draw_samples(splits.x_train.numpy(), splits.y_train.numpy(), found.class_names, path, title=found.name)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from None
    print(f"\n{path}")
    if splits.record.verified is False:
        print(f"the files of {found.name} do not match the published checksums", file=sys.stderr)
        return 1
    return 0


def _facts(dataset: Dataset, splits: Splits) -> str:
    from tabulate import tabulate

    from bench.training.augment import record_of
    from reports.sections.data import PUBLISHED, VERIFIED, augmentation, is_own

    record = splits.record
    rows = [
        ("data set", dataset.name),
        ("", dataset.summary),
        ("source", record.source),
        ("checksums", VERIFIED[record.verified]),
        ("of the published set", "a part" if record.partial else "all"),
        ("shape", f"{' x '.join(map(str, record.shape))} (channels x height x width), 0 to 255"),
        ("classes", f"{record.num_classes:,}"),
        ("with --augment standard", augmentation(record_of("standard", record.shape, flip=dataset.flip))),
    ]
    rows = [row for row in rows if row[0] not in PUBLISHED or not is_own(dataset.name)]
    return tabulate(rows, tablefmt="plain", disable_numparse=True)


def _sizes(dataset: Dataset, splits: Splits) -> str:
    from tabulate import tabulate

    rows = []
    for name, labels in (("training", splits.y_train), ("validation", splits.y_val), ("test", splits.y_test)):
        counts = labels.bincount(minlength=dataset.num_classes)
        ends = [f"{int(counts[k]):,} ({dataset.class_names[int(k)]})" for k in (counts.argmin(), counts.argmax())]
        rows.append((name, f"{len(labels):,}", *ends))
    headers = ["split", "images", "smallest class", "largest class"]
    return tabulate(rows, headers, disable_numparse=True, colalign=("left", "right", "left", "left"))


def _channels(splits: Splits) -> str:
    from tabulate import tabulate

    rows = [
        (str(k), f"{mean:.4f}", f"{std:.4f}")
        for k, (mean, std) in enumerate(zip(splits.mean, splits.std, strict=True), 1)
    ]
    table = tabulate(rows, ["channel", "mean", "SD"], disable_numparse=True, colalign=("left", "right", "right"))
    return f"{table}\n(of the training split; black is 0, white is 1)"


main = exits(cli, "python -m bench.data")

if __name__ == "__main__":
    main()
