"""`python -m bench.profile`: where a method's time goes, operation by operation.

Runs a few training steps and one evaluation under PyTorch's profiler, with the data and settings of a cell. Profiling
itself takes time: `bench.microbench` says how long a step takes.

Exit codes: 0 success; 2 something given cannot be used, and nothing was written; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.commandline import flags
from bench.commandline.exit_codes import exits
from bench.commandline.flags import what
from bench.commandline.help import Command
from bench.commandline.params import Whole, new_folder

if TYPE_CHECKING:
    from torch.profiler import profile as Profile

    from results.schema import PlannedCell

DEFAULT_OUT = Path("results/profiles")
TABLE_FILE, TRACE_FILE = "table.txt", "trace.json"
TRAINING, EVALUATION = "training step", "evaluation"
"""Their names in the table and the trace."""
_SHOWN_ROWS = 15
_NAME_WIDTH = 48


@click.command(cls=Command)
@flags.one_method("noprop")
@flags.one_dataset
@what("--steps", type=Whole(1, 1000), default=5, help="Training steps, at most one epoch.")
@flags.preset("standard")
@flags.batch_size
@flags.train_size
@flags.duplicates
@flags.data_dir
@flags.device
@flags.threads
@flags.out(DEFAULT_OUT, "Parent folder for profiles.")
def cli(method: str, dataset: str, steps: int, data_dir: Path | None, out: Path, **given: Any) -> None:
    """Profile a few training steps of a method and one evaluation on the validation images.

    Prints the slowest operations, and writes the whole table (table.txt) and a trace (trace.json) for ui.perfetto.dev.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # before torch: its profiler complains where there is no GPU

    from bench import datasets
    from bench.meters.environment import available_cores
    from bench.planning.plan import plan_one_method
    from results.files import file_stem

    data_dir = datasets.data_root(data_dir)
    given["threads"] = given["threads"] or available_cores()
    given |= {"datasets": (dataset,), "seeds": (0,), "epochs": 1, "data_dir": data_dir}
    (cell,) = plan_one_method(method, "a profile is of one", **given)
    folder = new_folder(out, f"{file_stem(cell.dataset)}-{cell.method}")
    profiled = profile_cell(cell, steps, data_dir)
    by = f"self_{'cuda' if cell.config.device.startswith('cuda') else 'cpu'}_time_total"
    operations = profiled.key_averages()
    table = operations.table(sort_by=by, row_limit=-1, max_name_column_width=_NAME_WIDTH)
    _write(profiled, table, folder)
    print(operations.table(sort_by=by, row_limit=_SHOWN_ROWS, max_name_column_width=_NAME_WIDTH))
    for name in (TABLE_FILE, TRACE_FILE):
        print(folder / name)


def profile_cell(cell: PlannedCell, steps: int, data_dir: Path | None) -> Profile:
    """Profile training steps of the cell's method, at most one epoch, and an evaluation, after a cell's warm-up."""
    import torch
    from torch._C._profiler import _ExperimentalConfig
    from torch.profiler import ProfilerActivity, profile, record_function

    from bench.training.build import MethodBuilder, load_data
    from bench.training.cell import warm_up
    from bench.training.loop import batches, draw_order, evaluate
    from bench.training.ranks import Ranks
    from bench.training.rng import Stream, seed_of

    config = cell.config
    torch.set_num_threads(config.threads)
    data, record = load_data(cell, data_dir)
    builder = MethodBuilder.on(data, record, cell.method_name, config, cell.seed)
    warm_up(builder.make(), data, config, Ranks())
    method = builder.make()
    order = torch.Generator().manual_seed(seed_of(cell.seed, Stream.ORDER))
    activities = [ProfilerActivity.CPU]
    if config.device.startswith("cuda"):
        activities.append(ProfilerActivity.CUDA)
    method.train()
    # Also those that a method starts to train several parts at a time.
    profiled = profile(activities=activities, experimental_config=_ExperimentalConfig(profile_all_threads=True))
    with profiled:
        for x, y in islice(batches(data.train, config.batch_size, draw_order(data.train, order)), steps):
            with record_function(TRAINING):
                method.train_step(data.images(x), y)
        with record_function(EVALUATION):
            evaluate(method, data, data.val, config.batch_size, seed_of(cell.seed, Stream.EVALUATION))
    return profiled


def _write(profiled: Profile, table: str, folder: Path) -> None:
    from bench.errors import UserError

    try:
        (folder / TABLE_FILE).write_text(table + "\n", encoding="utf-8")
        profiled.export_chrome_trace(str(folder / TRACE_FILE))
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror or error}") from None


main = exits(cli, "python -m bench.profile")

if __name__ == "__main__":
    main()
