"""Hyperparameters: what each method ran with, how that was found, and what a search brought."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from reports.formats.markdown import MISSING, Markdown, code, codes, listed, markdown_table, plural, plus_minus
from reports.formats.prose import prose
from reports.statistics.estimates import DIFFERENCES, estimate, paired_differences
from reports.statistics.measures import TEST_ACCURACY, VAL_ACCURACY, paired
from reports.view import DatasetView, RunView
from results.conditions import TuningRecord, untuned
from results.schema import CellConfig

NOT_SEARCHED = "not searched"
TEXT = """
### Hyperparameters

{{ table }}

{% if unsearched %}*Not searched*: the defaults of the preset and of the methods, unless the command sets them.
{%- endif %}

{% if searches %}{{ searches }}

The searched methods of a data set had {{ "NOT the same" if unequal else "the same" }} budget. Optuna's
{{ samplers | listed }} proposed what to try, after a first trial at the defaults; the earliest trial with the highest
validation accuracy after its last epoch won. No trial uses test images. All trials are in {{ studies | codes }} (commit
{{ commits | codes }}).{% endif %}

{{ gains }}
"""


def section(run: RunView) -> Markdown:
    """A row for each method on each data set, and where there was a search, what it was and what it brought."""
    configs = [
        (data.name, method, config)
        for data in run.datasets
        for method, cells in data.finished.items()
        for config in _distinct([cell.config for cell in cells])
    ]
    rows = [
        [code(data), code(method), f"{c.lr:g}", f"{c.weight_decay:g}", _chosen(method, c), how_found(c.tuning)]
        for data, method, c in configs
    ]
    headers = ["data set", "method", "learning rate", "weight decay", "options given or searched", "how found"]
    searched = [(dataset, method, config.tuning) for dataset, method, config in configs if config.tuning is not None]
    records = [tuning for *_, tuning in searched]
    gains = [found for data in run.datasets for found in (_gain(data), _tuned_against_tuned(data)) if found]
    return prose(
        TEXT,
        table=markdown_table(headers, rows, text_columns=6),
        unsearched=len(searched) < len(configs),
        searches=_searches(searched) if searched else "",
        unequal=_differ_within((dataset, tuning.budget) for dataset, _, tuning in searched),
        samplers=list(dict.fromkeys(f"{tuning.sampler} with seed {tuning.seed}" for tuning in records)),
        studies=dict.fromkeys(tuning.study for tuning in records),
        commits=dict.fromkeys(tuning.commit or "unknown" for tuning in records),
        gains="\n\n".join(gains) if searched else "",
    )


def limits(run: RunView) -> Iterator[str]:
    """What a search for hyperparameters, or that there was none, leaves open: for the section on limitations."""
    first: dict[tuple[str, str], tuple[CellConfig, TuningRecord]] = {}
    for cell in run.cells:
        if cell.config.tuning is not None:
            first.setdefault((cell.dataset, cell.method), (cell.config, cell.config.tuning))
    searched = dict.fromkeys(method for _, method in first)
    if not searched:
        if len({method for data in run.datasets for method in data.drawn}) > 1:
            yield (
                "The results record no search for hyperparameters: no method is shown at its own best learning rate, "
                "weight decay or batch size, and a setting that suits one method may handicap another."
            )
        return
    budgets = list(dict.fromkeys(budget(tuning) for _, tuning in first.values()))
    yield (
        f"The hyperparameters of {codes(searched)} are the best found by a search of {listed(budgets)}, judged by one "
        "seed: more or longer trials may find better ones, and what was not searched (batch size and epochs, say) may "
        "still suit one method more than another."
    )
    yield (
        f"The validation accuracy of {codes(searched)} is optimistic: the same validation images chose the "
        "hyperparameters. Test images took no part in that."
    )
    if _differ_within((dataset, len(tuning.space)) for (dataset, _), (_, tuning) in first.items()):
        yield (
            "The same number of trials covers a larger search space more thinly: equal budgets are not equal chances."
        )
    for (dataset, method), (config, tuning) in first.items():
        if differing := list(_unlike_its_search(config, tuning)):
            yield (
                f"The search for the hyperparameters of {code(method)} on {dataset} trained with {listed(differing)}: "
                "what it found may not be the best here."
            )
    chosen_by = {cell.seed for cell in run.cells if cell.config.tuning and cell.config.tuning.seed == cell.seed}
    if chosen_by:
        yield (
            f"The search chose by trainings with seed {listed([str(seed) for seed in sorted(chosen_by)])}: the luck of "
            "that seed is in the tuned rows and not in the others."
        )
    for data in run.datasets:
        unlike = [method for method in data.rivals if (method in searched) != (data.reference in searched)]
        if unlike:
            tuned_ones, others = codes([str(data.reference)]), codes(unlike)
            if data.reference not in searched:
                tuned_ones, others = others, tuned_ones
            yield (
                f"{data.name}: a search chose the hyperparameters of {tuned_ones}, but not those of {others}; part of "
                "the gap between them may come from that."
            )


def how_found(tuning: TuningRecord | None) -> str:
    """A few words on where a cell's hyperparameters are from."""
    return NOT_SEARCHED if tuning is None else f"best of {plural(tuning.trials, 'trial')} by validation accuracy"


def budget(tuning: TuningRecord) -> str:
    """What was spent on each method: `20 trials of 3 epochs on 5,000 training images`."""
    images = "all training images" if tuning.train_size is None else plural(tuning.train_size, "training image")
    return f"{plural(tuning.trials, 'trial')} of {plural(tuning.epochs, 'epoch')} on {images}"


def _differ_within(found: Iterable[tuple[str, object]]) -> bool:
    """Whether a data set has more than one value, of (data set, value)."""
    each = set(found)
    return len(each) > len({dataset for dataset, _ in each})


def _unlike_its_search(config: CellConfig, tuning: TuningRecord) -> Iterator[str]:
    """What decides how a cell trains and was different in the search that found its hyperparameters."""
    precision = {True: "mixed precision", False: "single precision"}
    for there, here in (
        (tuning.optimizer, config.optimizer),
        (f"augmentation {tuning.augment}", f"augmentation {config.augment}"),
        (precision[tuning.amp], precision[config.amp]),
        (f"batches of {tuning.batch_size}", f"batches of {config.batch_size}"),
    ):
        if there != here:
            yield f"{there} instead of {here}"


def _searches(searched: Sequence[tuple[str, str, TuningRecord]]) -> Markdown:
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
    return markdown_table([*headers, "validation of defaults, %", "of winner, %"], rows, text_columns=4)


def _gain(data: DatasetView) -> Markdown:
    """Each tuned method beside itself without that, on the seeds of both."""
    rows = []
    for method in data.drawn:
        plain = untuned(method)
        if plain == method or not data.finished.get(plain):
            continue
        shared = {cell.seed for cell in data.finished[method]} & {cell.seed for cell in data.finished[plain]}
        row = [code(plain), str(len(shared))]
        for measure in (TEST_ACCURACY, VAL_ACCURACY):
            both = [[cell for cell in data.finished[name] if cell.seed in shared] for name in (plain, method)]
            before, after = map(measure.values, both)
            gap = estimate(paired_differences(after, before), limits=DIFFERENCES)
            row += [plus_minus(measure.mean(cells), decimals=2) for cells in both]
            row.append(plus_minus(gap, decimals=2, signed=True, expected=len(shared)))
        rows.append(row)
    if not rows:
        return ""
    states = ("defaults", "tuned", "gain")
    headers = ["method", "seeds", *(f"{what} accuracy, %: {s}" for what in ("test", "validation") for s in states)]
    title = f"What the search brought on {data.name}, each method compared with itself on the same seeds:"
    return f"{title}\n\n{markdown_table(headers, rows)}"


def _tuned_against_tuned(data: DatasetView) -> Markdown:
    """Tuned methods beside the tuned reference: the other tables compare with its defaults."""
    tuned = [method for method in data.drawn if untuned(method) != method]
    reference = next((method for method in tuned if untuned(method) == data.reference), None)
    rivals = [method for method in tuned if method != reference]
    if reference is None or not rivals:
        return ""
    rows = []
    for method in rivals:
        gaps = paired(data, TEST_ACCURACY, method, reference)
        rows.append(
            [code(method), str(len(gaps)), plus_minus(estimate(gaps, limits=DIFFERENCES), decimals=2, signed=True)]
        )
    title = f"Tuned against tuned on {data.name}: test accuracy minus that of {code(reference)} on the same seeds:"
    return f"{title}\n\n{markdown_table(['method', 'seeds', 'test accuracy, points'], rows)}"


def _chosen(method: str, config: CellConfig) -> str:
    """Options in the label's brackets, then those that were searched."""
    given = untuned(method).partition("[")[2].removesuffix("]")
    shown = [given] if given else []
    if config.tuning is not None:
        shown += [f"{name}={config.options[name]:g}" for name in config.tuning.space if name in config.options]
    return code(", ".join(shown)) if shown else "none"


def _distinct(configs: Iterable[CellConfig]) -> list[CellConfig]:
    """Those that differ in what this section shows."""
    kept: dict[str, CellConfig] = {}
    for config in configs:
        kept.setdefault(config.model_dump_json(include={"lr", "weight_decay", "options", "tuning"}), config)
    return list(kept.values())
