"""`python -m bench.scale`: how a training step's cost grows with depth, batch, image size, and an epoch's with data.

On images of random numbers, one axis at a time, all methods in turn within each round, so that a machine that drifts
does so for all. A matrix product is timed in between: what the machine could do at most.

Exit codes: 0 all well; 2 something given cannot be used, and nothing was written; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from bench.commandline import flags
from bench.commandline.params import CommaList, Folder, Whole
from reports.formats.choice import html_option

DEFAULT_OUT = Path("results/scale")
MAX_SIDE, MAX_IMAGES = 1024, 1_000_000


@click.command(context_settings={"show_default": True, "max_content_width": 110})
@click.option("--methods", default="noprop,backprop", help="Comma list, as for python -m bench.run.")
@click.option("--depths", type=CommaList(Whole(1, 1000)), default="2,5,10,20", help="Numbers of blocks T.")
@click.option("--batch-sizes", type=CommaList(Whole(2, 65536)), default="32,64,128,256", help="Images a batch.")
@click.option("--sides", type=CommaList(Whole(8, MAX_SIDE)), default="8,16,28,32", help="Pixels of an image's side.")
@click.option(
    "--images",
    type=CommaList(Whole(20, MAX_IMAGES)),
    default="256,512,1024,2048",
    help="Training images of an epoch.",
)
@click.option("--rounds", type=Whole(3, 1000), default=5, help="Timed rounds of every call.")
@click.option("--channels", type=Whole(1, 64), default=1, help="Of an image.")
@flags.amp
@flags.device
@click.option("--threads", type=Whole(1, 1024), help="CPU threads.  [default: all cores]")
@click.option("--out", type=Folder(path_type=Path), default=DEFAULT_OUT, help="Folder in which the sweep gets its own.")
@html_option
def cli(
    methods: str,
    depths: tuple[int, ...],
    batch_sizes: tuple[int, ...],
    sides: tuple[int, ...],
    images: tuple[int, ...],
    rounds: int,
    channels: int,
    amp: bool,
    device: str,
    threads: int | None,
    out: Path,
    html: bool,
) -> int:
    """Measure how the cost of training grows, and write a table and pictures of it.

    While one of T, batch size, image side and images is varied, the others stay at 10, 128, 28 and 1,024. What is
    measured is kept point by point.
    """
    from bench.commandline.folders import new_folder
    from bench.meters.environment import available_cores, describe_environment
    from bench.planning.method_spec import parse_methods
    from bench.planning.plan import resolve_device
    from bench.training.scaling import CLASSES, FIXED, Growth
    from reports.scaling import build_scale_report
    from results.scale import Axis, ScalePoint, ScaleRecord, write_scale

    growth = Growth(
        parse_methods(methods, {}),
        device=resolve_device(device),
        threads=threads or available_cores(),
        channels=channels,
        amp=amp,
        rounds=rounds,
    )
    values: dict[Axis, tuple[int, ...]] = {"T": depths, "batch_size": batch_sizes, "side": sides, "images": images}
    settings = [
        (axis, value) for axis, several in values.items() if growth.having(axis) for value in sorted(set(several))
    ]
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
                amp=amp,
                environment=environment,
                fixed=FIXED,
                channels=channels,
                num_classes=CLASSES,
                ceiling=growth.ceiling(),
                points=points,
                complete=done == len(settings),
            ),
        )
    print(build_scale_report(folder, html=html))
    return 0


def main() -> None:
    """Entry point: run the command and turn every expected mistake into one sentence and exit code 2."""
    from bench.commandline.exit_codes import run_to_exit

    run_to_exit(cli, "python -m bench.scale")


if __name__ == "__main__":
    main()
