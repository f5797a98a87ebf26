"""`python -m bench.scale`: how the cost of training grows with depth, batch size, image size and training set size.

Uses random images and varies one axis at a time. Within each round all methods take turns, so that a drift of the
machine affects all alike. A matrix product is timed in between as the upper bound of what the machine can do. With
`--accuracy` methods are trained on a data set at several depths instead, with several seeds.

Exit codes: 0 success; 1 a cell of --accuracy failed; 2 something given cannot be used, and nothing was written; 130
stopped by Ctrl-C.
"""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bench.commandline import flags
from bench.commandline.exit_codes import exits
from bench.commandline.flags import what
from bench.commandline.help import Command, group
from bench.commandline.params import CommaList, Whole, new_folder, refuse_given
from reports.formats.choice import html_option

DEFAULT_OUT = Path("results/scale")
MAX_SIDE, MAX_IMAGES = 1024, 1_000_000
METHODS = "noprop,backprop"
axis = group("What to vary (comma-separated lists)")
trained = group("With --accuracy")
TRAINED = ("dataset", "seeds", "preset", "epochs", "batch_size", "train_size", "data_dir", "timeout", "name")
"""Parameters that only --accuracy has."""
MEASURED = ("batch_sizes", "sides", "images", "channels", "rounds")
"""Parameters that it has not."""


def _counts(least: int, most: int) -> CommaList:
    return CommaList(Whole(least, most))


@click.command(cls=Command)
@what(
    "--methods",
    show_default=f"{METHODS}; with --accuracy, also backprop-ensemble",
    metavar="NAME,...",
    help="Comma-separated list, as for bench.run.",
)
@axis("--depths", type=_counts(1, 1000), default="1,2,5,10,20", help="Numbers of blocks T.")
@axis("--batch-sizes", type=_counts(2, 65536), default="32,64,128,256", help="Batch sizes.")
@axis("--sides", type=_counts(8, MAX_SIDE), default="8,16,28,32", help="Image sides in pixels.")
@axis("--images", type=_counts(20, MAX_IMAGES), default="256,512,1024,2048", help="Training images per epoch.")
@what("--channels", type=Whole(1, 64), default=1, help="Image channels.")
@what("--rounds", type=Whole(3, 1000), default=5, help="Timed repetitions.")
@trained("--accuracy", is_flag=True, help="Train at each of --depths, and report accuracy, time and memory.")
@trained("--dataset", default="digits", help="One data set.")
@trained(
    "--seeds",
    type=CommaList(flags.SEED),
    metavar="SEED,...",
    show_default="the preset's",
    help="Seeds.",
)
@flags.preset()
@flags.epochs
@flags.batch_size
@flags.amp
@flags.train_size
@flags.data_dir
@flags.device
@flags.threads
@flags.timeout
@flags.out(DEFAULT_OUT, "Parent folder for measurements.")
@flags.output(
    "--name", show_default="the data set", help="Name of the folder of --accuracy; what is there is continued."
)
@html_option
def cli(accuracy: bool, methods: str | None, **given: Any) -> int:
    """Measure how the cost of training grows, and write a table and figures.

    One of T, batch size, image side and images varies at a time; the others stay at 10, 128, 28 and 1,024. Each point
    is saved as soon as it is measured.

    With --accuracy, T varies alone, and every method is trained at each depth with several seeds. The same command
    continues what was stopped; other methods, depths or seeds add to it.
    """
    refuse_given(MEASURED if accuracy else TRAINED, f"with{'' if accuracy else 'out'} --accuracy: leave it out")
    given = {key: value for key, value in given.items() if key not in (MEASURED if accuracy else TRAINED)}
    if accuracy:
        return _accuracy(f"{METHODS},backprop-ensemble" if methods is None else methods, **given)
    return _cost(METHODS if methods is None else methods, **given)


def _accuracy(
    methods: str,
    depths: tuple[int, ...],
    dataset: str,
    timeout: float | None,
    out: Path,
    name: str | None,
    html: bool,
    **given: Any,
) -> int:
    """Accuracy against depth; the exit code."""
    from functools import partial

    from bench import datasets
    from bench.meters.environment import available_cores
    from bench.planning.grid import depth_points
    from bench.runner.folders import named_folder
    from bench.runner.grid import new_grid, run_grid
    from reports.sweeps.depth_accuracy import build_depth_report
    from results.files import file_stem

    data_dir = datasets.data_root(given.pop("data_dir"))
    given["threads"] = given["threads"] or available_cores()
    points = depth_points(depths, methods, datasets=(dataset,), data_dir=data_dir, **given)
    folder = named_folder(out, f"{file_stem(points[0].cell.dataset)}-depth" if name is None else name)
    report = partial(build_depth_report, html=html)
    return run_grid(folder, new_grid("bench.scale", "T", points), report, data_dir=data_dir, timeout=timeout)


def _cost(methods: str, device: str, threads: int | None, out: Path, html: bool, **given: Any) -> int:
    """Cost against depth, batch size, image size and data; the exit code."""
    from bench.meters.environment import available_cores, describe_environment
    from bench.planning.method_spec import parse_methods
    from bench.planning.plan import resolve_device
    from bench.runner.scaling import CLASSES, FIXED, Growth
    from reports.sweeps.scaling import build_scale_report
    from results.scale import Axis, ScalePoint, ScaleRecord, write_scale

    values: dict[Axis, tuple[int, ...]] = {
        "T": given.pop("depths"),
        "batch_size": given.pop("batch_sizes"),
        "side": given.pop("sides"),
        "images": given.pop("images"),
    }
    specs = parse_methods(methods, {})
    growth = Growth(specs, device=resolve_device(device), threads=threads or available_cores(), **given)
    settings = [(axis, value) for axis in values if growth.having(axis) for value in sorted(set(values[axis]))]
    for axis, value in settings:
        growth.check(axis, value)
    folder = new_folder(out, "scale")
    created, environment = datetime.now(UTC).isoformat(timespec="seconds"), describe_environment(growth.device)
    points: list[ScalePoint] = []
    for done, (axis, value) in enumerate(settings, start=1):
        measured = growth.points(axis, value)
        points += measured
        times = ", ".join(f"{point.method} {point.seconds.median * 1e3:,.0f} ms" for point in measured)
        print(f"[{done}/{len(settings)}] {axis} = {value:,}: {times}", file=sys.stderr, flush=True)
        write_scale(
            folder,
            ScaleRecord(
                created_at=created,
                command=shlex.join(["python", "-m", "bench.scale", *sys.argv[1:]]),
                threads=growth.threads,
                device=growth.device,
                amp=growth.amp,
                environment=environment,
                fixed=FIXED,
                channels=growth.channels,
                num_classes=CLASSES,
                ceiling=growth.ceiling(),
                points=points,
                complete=done == len(settings),
            ),
        )
    print(build_scale_report(folder, html=html))
    return 0


main = exits(cli, "python -m bench.scale")

if __name__ == "__main__":
    main()
