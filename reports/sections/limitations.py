"""What a run does not show: sentences that are printed only where the run's own records say that they apply."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from reports.formats.markdown import capital, codes, listed, number, plural
from reports.published.paper import paper_epochs, published
from reports.sections import hyperparameters
from reports.sections.machine import DISTURBED_SHARE, is_disturbed
from reports.sections.matching import Mismatch
from reports.statistics.estimates import Estimate, estimate
from reports.statistics.measures import MIB
from reports.view import REFERENCE, RunView, by_seed
from results.schema import CellResult
from results.sharing import placed

FEW_SEEDS = 5
NEAR_CHANCE = 3.0
SMALL_SIDE = 16
"""Images of at most this many pixels a side are called small."""
SMALL_TRAINING_SET = 10_000
SMALL_TEST_SET = 2_000


def caveats(view: RunView, unmatched: Sequence[Mismatch]) -> list[str]:
    """The sentences that apply to this run, the ones about accuracy first."""
    return [
        *_seeds(view),
        *_overlaps(view),
        *_chance(view),
        *_data(view),
        *_training(view, unmatched),
        *_completeness(view),
        *_time(view),
        *_memory(view),
    ]


def _seeds(view: RunView) -> Iterator[str]:
    counts = [len(cells) for data in view.datasets for cells in data.finished.values() if cells]
    if 1 in counts:
        single = list(
            dict.fromkeys(m for data in view.datasets for m, cells in data.finished.items() if len(cells) == 1)
        )
        yield (
            f"One seed says nothing about the spread between seeds ({codes(single)}): another seed may reverse the "
            "order of the methods."
        )
    if few := sorted({count for count in counts if 1 < count < FEW_SEEDS}):
        rests = " or ".join(map(str, few))
        yield (
            f"Few seeds: some intervals rest on {rests} numbers, and on the assumption that they are normally "
            f"distributed. Fewer than {FEW_SEEDS} seeds are too few to rank methods that are close."
        )
    if any(count > 1 for count in counts):
        yield (
            "Intervals are over seeds alone. All seeds share one training, validation and test split, so the error "
            "that comes from the choice of the test images is not in them, nor in the verdict. Only the verdict and "
            "the ranking are corrected for comparing many methods, each by itself; the intervals of the tables are not."
        )


def _overlaps(view: RunView) -> Iterator[str]:
    for data in view.datasets:
        means = {m: estimate(by_seed(cells, "test_accuracy").values()) for m, cells in data.finished.items()}
        known: dict[str, Estimate] = {m: mean for m, mean in means.items() if mean is not None}
        if len(known) < 2:
            continue
        centre = data.reference if data.reference in known else max(known, key=lambda m: known[m].mean)
        assert centre is not None
        close = [m for m, mean in known.items() if m != centre and mean.overlaps(known[centre])]
        if close:
            yield (
                f"{data.name}: the 95% interval of test accuracy of {codes(close)} overlaps that of {codes([centre])}: "
                "the intervals of this run do not separate them. That is not evidence that they are equal."
            )


def _chance(view: RunView) -> Iterator[str]:
    """Methods whose mean accuracy is nearer to guessing than to anything learned."""
    for data in view.datasets:
        record = next((cell.data for cell in data.cells if cell.data is not None), None)
        if record is None:
            continue
        guessing = 1 / record.num_classes
        means = {m: estimate(by_seed(cells, "test_accuracy").values()) for m, cells in data.finished.items()}
        low = [m for m, mean in means.items() if mean is not None and mean.mean < NEAR_CHANCE * guessing]
        if low:
            yield (
                f"{data.name}: {codes(low)} ended below {NEAR_CHANCE:g} times the accuracy of guessing "
                f"({number(100 * guessing, decimals=1)}%): trained for as long as here, this is the start of learning, "
                "and says nothing about where the method ends up."
            )


def _data(view: RunView) -> Iterator[str]:
    for data in view.datasets:
        record = next((cell.data for cell in data.cells if cell.data is not None), None)
        if record is None:
            continue
        records = [cell.data for cell in data.cells if cell.data is not None]
        if record.n_train < record.n_train_available:
            yield (
                f"{data.name}: {record.n_train:,} of the {record.n_train_available:,} training images were used; "
                "accuracy, and the gaps between methods, may be different on all of them."
            )
        if any(each.partial for each in records):
            yield (
                f"{data.name}: the files hold only a part of the published data set, so the accuracies here cannot be "
                "compared with published ones."
            )
        if any(each.verified is False for each in records):
            yield f"{data.name}: the files do not match the published checksums; they may hold other images or labels."
        elif any(each.verified is None for each in records):
            yield f"{data.name}: no checksums are published for this form of the data, so the files were not verified."
        _, height, width = record.shape
        small = []
        if max(height, width) <= SMALL_SIDE:
            small.append(f"{height} × {width} pixels")
        if record.n_train_available < SMALL_TRAINING_SET:
            small.append(f"{plural(record.n_train_available, 'training image')}")
        if small:
            yield (
                f"{data.name} is a small problem ({' and '.join(small)}): fixed costs weigh more in its time and "
                "memory than they do at the size of practical problems, where the balance may be different."
            )
        if 0 < record.n_test < SMALL_TEST_SET:
            yield (
                f"{data.name}: the test set has {record.n_test:,} images, so one image is "
                f"{number(100 / record.n_test, 2)} percentage points of test accuracy."
            )


def _training(view: RunView, unmatched: Sequence[Mismatch]) -> Iterator[str]:
    for data in view.datasets:
        shorter = [(cell, theirs) for cell in data.cells if (theirs := _trained_longer(data.name, cell))]
        if shorter:
            epochs = sorted({cell.config.epochs for cell, _ in shorter})
            trained = str(epochs[0]) if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"
            rows: dict[int, dict[str, None]] = {}
            for _, (count, row) in shorter:
                rows.setdefault(count, {})[row] = None
            against = listed([f"{count} for {listed(list(names))}" for count, names in rows.items()])
            yield (
                f"{data.name}: {trained} {'epoch' if trained == '1' else 'epochs'} of training, against the paper's "
                f"{against} ({published().source}, Table 3): this is not a reproduction of its accuracies, and says "
                "nothing about where the methods end up when trained that long."
            )
    yield from hyperparameters.limits(view)
    if len({method for data in view.datasets for method in data.drawn}) > 1:
        yield "Training losses are each method's own, cannot be compared between methods, and are not shown."
    if unmatched:
        yield "The methods differ in the settings listed under Unmatched; part of any gap may come from those."


def _trained_longer(dataset: str, cell: CellResult) -> tuple[int, str] | None:
    """For how many epochs the paper trained the cell's method, and its name there, where that is longer.

    A method that is not the paper's is held against backprop.
    """
    method = cell.method_name if published().training_of(cell.method_name) else REFERENCE
    epochs, name = paper_epochs(dataset, method), published().name_of(method)
    return (epochs, name) if epochs and name and cell.config.epochs < epochs else None


def _completeness(view: RunView) -> Iterator[str]:
    failed = sum(cell.reason != "not run" for cell in view.missing)
    waiting = len(view.missing) - failed
    if failed:
        yield (
            f"{plural(failed, 'cell')} failed and {'is' if failed == 1 else 'are'} left out of every mean; a mean over "
            "the seeds that worked may flatter a method that sometimes fails."
        )
    if waiting:
        yield f"{plural(waiting, 'planned cell')} {'was' if waiting == 1 else 'were'} not run: the run is not complete."
    if again := sum(cell.attempt > 1 for cell in view.cells):
        yield (
            f"{plural(again, 'cell')} failed at first and finished when tried again (`--retries`); the means are over "
            "the attempts that finished, and may flatter a method that sometimes fails."
        )
    if view.unplanned:
        count = plural(view.unplanned, "result")
        yield f"{count} in cells.jsonl {'is' if view.unplanned == 1 else 'are'} for cells that run.json does not name."


def _time(view: RunView) -> Iterator[str]:
    if where := placed(view.cells):
        yield (
            f"{capital(where)}: times, and images/s, depend on the machine and on what ran beside a cell. "
            "They are not those of a cell alone on one machine, and are not fit for comparing methods."
        )
    elif view.sharing:
        yield (
            f"Cells ran {view.record.jobs} at a time and shared the machine: times, and images/s, depend on what ran "
            "beside a cell. They are not those of a cell alone, and are not fit for comparing methods."
        )
    environments = {cell.environment for cell in view.cells}
    if disturbed := sum(is_disturbed(cell) for cell in view.cells) if view.sharing is None else 0:
        yield (
            f"{plural(disturbed, 'cell')} trained while other processes or guests took more than {DISTURBED_SHARE:.0%} "
            "of the machine's cores (see The machine while the cells trained): their times may be too long."
        )
    machines = {(each.cpu, each.cores, each.gpu, each.platform) for each in environments}
    if len(machines) == 1:
        yield (
            "Times come from one kind of machine with one version of PyTorch"
            if len({each.torch for each in environments}) == 1
            else "Times come from one kind of machine with several versions of PyTorch"
        ) + ": their ratios may be different on other hardware, and other load on the machine is not corrected for."
    else:
        yield f"Cells ran on {len(machines)} kinds of machine, so differences in time may be differences of machine."
    commits = {each.commit for each in environments}
    if len(commits) > 1:
        yield "Cells were made by different versions of the code (see Environment)."
    if any(commit is None or commit.endswith("-dirty") for commit in commits):
        yield "The code was not an unchanged commit, so the commit recorded does not identify it fully."


def _memory(view: RunView) -> Iterator[str]:
    cells = list(view.cells)
    if all(cell.config.device == "cpu" for cell in cells):
        yield "Everything ran on the CPU: nothing here says how much GPU memory or GPU time a method needs."
    if any(cell.activation_bytes is not None for cell in cells):
        yield (
            "Activation bytes are what one training step holds for its backward pass. Parameters, gradients and the "
            "optimiser's state are not in them, nor are a step's short-lived buffers."
        )
    baselines = [cell.baseline_rss_bytes for cell in cells if cell.baseline_rss_bytes is not None]
    if any(cell.peak_rss_bytes is not None for cell in cells):
        known = f", about {number(statistics.median(baselines) / MIB)} MiB of it before the model was built"
        yield (
            "Peak resident memory is that of a whole process: it includes the interpreter, the libraries and the data"
            f"{known if baselines else ''}. A ratio of two peaks is therefore nearer to 1 than the ratio of what the "
            "methods themselves need."
        )
    if any(cell.rss_source == "high-water mark of the process's life" for cell in cells):
        yield (
            "In some cells the system did not let the memory mark be reset before the model was built, so the rise "
            "may be too small: a peak while importing or loading data can hide the method's own."
        )
