"""The section on the hyperparameters that each method ran with, and how they were found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reports.formats.markdown import MISSING, code, codes, listed, markdown_table, plural, plus_minus
from reports.statistics.estimates import estimate, paired_differences
from reports.statistics.measures import TEST_ACCURACY, VAL_ACCURACY
from reports.view import DatasetView, RunView
from results.schema import CellConfig, CellResult
from results.tuning import TuningRecord, untuned

NOT_SEARCHED = "not searched"


def section(view: RunView) -> Iterator[str]:
    """A row for each method on each data set, and where there was a search, what it was and what it brought."""
    yield "### Hyperparameters"
    configs = [
        (data.name, method, config)
        for data in view.datasets
        for method, cells in data.finished.items()
        for config in _distinct([cell.config for cell in cells])
    ]
    rows = [
        [
            code(dataset),
            code(method),
            f"{config.lr:g}",
            f"{config.weight_decay:g}",
            _chosen(method, config),
            how_found(config.tuning),
        ]
        for dataset, method, config in configs
    ]
    headers = ["data set", "method", "learning rate", "weight decay", "options given or searched", "how found"]
    yield markdown_table(headers, rows, text_columns=6)
    searched = [(dataset, method, config.tuning) for dataset, method, config in configs if config.tuning is not None]
    if len(searched) < len(configs):
        yield (
            f"*{NOT_SEARCHED[0].upper()}{NOT_SEARCHED[1:]}*: the preset's and the methods' defaults, or what the "
            "command says; options that it does not name are at their defaults."
        )
    if searched:
        yield from _searches(searched)
        for data in view.datasets:
            yield from _gain(data)
            yield from _alike(data)


def limits(view: RunView) -> Iterator[str]:
    """What a search for hyperparameters, or that there was none, leaves open: for the section of caveats."""
    records = {(cell.dataset, cell.method): cell.config.tuning for cell in view.cells if cell.config.tuning is not None}
    searched = dict.fromkeys(method for _, method in records)
    if not searched:
        if len({method for data in view.datasets for method in data.drawn}) > 1:
            yield (
                "The results record no search for hyperparameters: no method is shown at its own best learning rate, "
                "weight decay or batch size, and a setting that suits one method may handicap another."
            )
        return
    budgets = list(dict.fromkeys(budget(tuning) for tuning in records.values()))
    yield (
        f"The hyperparameters of {codes(searched)} are the best that a search of {listed(budgets)} came across, judged "
        "by one seed: more or longer trials may find better ones, and what was not searched (batch size and epochs, "
        "say) may still suit one method more than another."
    )
    yield (
        f"The validation accuracy of {codes(searched)} flatters: the same validation images chose the hyperparameters. "
        "Test images took no part in that."
    )
    if _differ_within((dataset, len(tuning.space)) for (dataset, _), tuning in records.items()):
        yield (
            "Where more was searched of a method, the same number of trials covers it more thinly: equal budgets are "
            "not equal chances."
        )
    for cell in _first_of_each(view):
        if differing := list(_unlike_its_search(cell.config)):
            yield (
                f"The search for the hyperparameters of {code(cell.method)} on {cell.dataset} trained with "
                f"{listed(differing)}: what it found may not be the best here."
            )
    chosen_by = {cell.seed for cell in view.cells if cell.config.tuning and cell.config.tuning.seed == cell.seed}
    if chosen_by:
        yield (
            f"Seed {listed([str(seed) for seed in sorted(chosen_by)])} is the one by whose trainings the search chose: "
            "its luck is in the tuned rows and not in the others."
        )
    for data in view.datasets:
        if data.reference is None:
            continue
        unlike = [method for method in data.rivals if (method in searched) != (data.reference in searched)]
        if unlike:
            with_search, without = (codes([data.reference]), codes(unlike))
            if data.reference not in searched:
                with_search, without = without, with_search
            yield (
                f"{data.name}: a search chose the hyperparameters of {with_search}, but none those of {without}; part "
                "of the gap between them is the search's."
            )


def _differ_within(found: Iterable[tuple[str, object]]) -> bool:
    """Whether a data set has more than one value, of (data set, value)."""
    each = set(found)
    return len(each) > len({dataset for dataset, _ in each})


def _first_of_each(view: RunView) -> Iterator[CellResult]:
    """A tuned cell of each method and data set."""
    seen = set()
    for cell in view.cells:
        if cell.config.tuning is not None and (cell.dataset, cell.method) not in seen:
            seen.add((cell.dataset, cell.method))
            yield cell


def _unlike_its_search(config: CellConfig) -> Iterator[str]:
    """What decides how a cell trains and was another in the search that found its hyperparameters."""
    tuning = config.tuning
    assert tuning is not None
    if tuning.optimizer != config.optimizer:
        yield f"{tuning.optimizer} instead of {config.optimizer}"
    if tuning.augment != config.augment:
        yield f"augmentation {tuning.augment} instead of {config.augment}"
    if tuning.amp != config.amp:
        yield f"{'mixed' if tuning.amp else 'single'} precision instead of {'single' if tuning.amp else 'mixed'}"
    if tuning.batch_size != config.batch_size:
        yield f"batches of {tuning.batch_size} instead of {config.batch_size}"


def how_found(tuning: TuningRecord | None) -> str:
    """A few words on where a cell's hyperparameters are from."""
    return NOT_SEARCHED if tuning is None else f"best of {plural(tuning.trials, 'trial')} by validation accuracy"


def budget(tuning: TuningRecord) -> str:
    """What was spent on each method: `20 trials of 3 epochs on 5,000 training images`."""
    images = "all training images" if tuning.train_size is None else plural(tuning.train_size, "training image")
    return f"{plural(tuning.trials, 'trial')} of {plural(tuning.epochs, 'epoch')} on {images}"


def _searches(searched: list[tuple[str, str, TuningRecord]]) -> Iterator[str]:
    rows = [
        [
            code(dataset),
            code(method),
            "; ".join(f"{name} {where}" for name, where in tuning.space.items()),
            f"{budget(tuning)}, batches of {tuning.batch_size}",
            str(tuning.failed),
            "the defaults" if tuning.trial == 0 else f"trial {tuning.trial + 1}",
            MISSING if tuning.default_val_accuracy is None else f"{100 * tuning.default_val_accuracy:.2f}",
            f"{100 * tuning.val_accuracy:.2f}",
        ]
        for dataset, method, tuning in searched
    ]
    headers = ["data set", "method", "searched", "budget", "failed", "winner"]
    yield markdown_table([*headers, "validation of defaults, %", "of winner, %"], rows, text_columns=4)
    records = [tuning for *_, tuning in searched]
    samplers = dict.fromkeys(f"{tuning.sampler} with seed {tuning.seed}" for tuning in records)
    studies = dict.fromkeys(tuning.study for tuning in records)
    commits = dict.fromkeys(tuning.commit or "unknown" for tuning in records)
    same = "NOT the same" if _differ_within((name, tuning.budget) for name, _, tuning in searched) else "the same"
    yield (
        f"The searched methods of a data set had {same} budget. Optuna's {listed(list(samplers))} proposed what to "
        "try, after a first trial at the defaults; the earliest trial with the highest validation accuracy after its "
        f"last epoch won. A trial looks at no test image. All trials are in {codes(studies)} (commit {codes(commits)})."
    )


def _gain(data: DatasetView) -> Iterator[str]:
    """Each tuned method beside itself without that, on the seeds of both."""
    rows = []
    for method in data.drawn:
        plain = untuned(method)
        if plain == method or not data.finished.get(plain):
            continue
        ours, theirs = data.finished[method], data.finished[plain]
        shared = {cell.seed for cell in ours} & {cell.seed for cell in theirs}
        row = [code(plain), str(len(shared))]
        for measure in (TEST_ACCURACY, VAL_ACCURACY):
            before, after = (
                {seed: value for seed, value in measure.values(cells).items() if seed in shared}
                for cells in (theirs, ours)
            )
            row += [plus_minus(estimate(each.values()), decimals=2) for each in (before, after)]
            gap = estimate(paired_differences(after, before))
            row.append(plus_minus(gap, decimals=2, signed=True, expected=len(shared)))
        rows.append(row)
    if rows:
        yield f"What the search brought on {data.name}, each method against itself on the same seeds:"
        states = ("defaults", "tuned", "gain")
        headers = [f"{what} accuracy, %: {state}" for what in ("test", "validation") for state in states]
        yield markdown_table(["method", "seeds", *headers], rows)


def _alike(data: DatasetView) -> Iterator[str]:
    """Tuned methods beside the reference where that is tuned, too, and the tables compare with its defaults."""
    tuned = [method for method in data.drawn if untuned(method) != method]
    reference = next((method for method in tuned if untuned(method) == data.reference), None)
    rivals = [method for method in tuned if method != reference]
    if reference is None or not rivals:
        return
    theirs = TEST_ACCURACY.values(data.finished[reference])
    rows = []
    for method in rivals:
        ours = TEST_ACCURACY.values(data.finished[method])
        gap = estimate(paired_differences(ours, theirs))
        rows.append([code(method), str(len(ours.keys() & theirs.keys())), plus_minus(gap, decimals=2, signed=True)])
    yield f"Tuned against tuned on {data.name}: test accuracy, minus that of {code(reference)} on the same seeds:"
    yield markdown_table(["method", "seeds", "test accuracy, points"], rows)


def _chosen(method: str, config: CellConfig) -> str:
    """Options in the label's brackets, then those that were searched."""
    given = untuned(method).partition("[")[2].removesuffix("]")
    shown = [given] if given else []
    if config.tuning is not None:
        names = [name for name in config.tuning.space if name in config.options]
        shown += [f"{name}={config.options[name]:g}" for name in names]
    return code(", ".join(shown)) if shown else "none"


def _distinct(configs: list[CellConfig]) -> list[CellConfig]:
    """Those that differ in what this section shows."""
    kept: dict[str, CellConfig] = {}
    for config in configs:
        shown = config.model_dump_json(include={"lr", "weight_decay", "options", "tuning"})
        kept.setdefault(shown, config)
    return list(kept.values())
