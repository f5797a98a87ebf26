"""Limitations: sentences that are printed only if the run's own records say that they apply.

Those that open in bold matter most; the first page repeats the first of them.
"""

from __future__ import annotations

import statistics

from reports.formats.markdown import Markdown, bullets, listed, plural, span
from reports.formats.prose import prose
from reports.published.paper import paper_epochs, published
from reports.sections import hyperparameters
from reports.sections.unmatched import mismatches
from reports.statistics.measures import MIB
from reports.statistics.noise import DISTURBED_SHARE, is_disturbed
from reports.view import NOT_RUN, REFERENCE, DatasetView, RunView
from results.conditions import processors
from results.data_warnings import data_warnings
from results.schema import CellResult
from results.sharing import placed

FEW_SEEDS = 5
SMALL_SIDE = 16
"""Images of at most this many pixels a side are called small."""
SMALL_TRAINING_SET = 10_000
SMALL_TEST_SET = 2_000
SEEDS = """
{% if single %}**One seed** says nothing about the spread between seeds ({{ single | codes }}): another seed may reverse
the order of the methods.{% endif %}

{% if few %}**Few seeds**: some intervals are based on {{ few | join(" or ") }} values, assumed to be normally
distributed. Fewer than {{ enough }} seeds are too few to rank methods that are close.{% endif %}

{% if several %}All seeds share one split into training and validation images; what another split would give is not in
any interval. The ± of the tables here cover the variation between seeds only and are not corrected for comparing many
methods; the verdicts of the first page cover the choice of test images, too, and are corrected.{% endif %}
"""
DATASET = """
{% if one %}{% if one.n_train < one.n_train_available %}{{ name }}: {{ "{:,}".format(one.n_train) }} of the
{{ "{:,}".format(one.n_train_available) }} training images were used; accuracy, and the gaps between methods, may be
different with all of them.{% endif %}

{% if partial %}**{{ name }}: only a part of the published data set**, so the accuracies here cannot
be compared with published ones.{% endif %}

{% if False in verified %}{{ name }}: the files do not match the published checksums, so images or labels may be
different. {%- elif None in verified %}{{ name }}: no checksums are published for this form of the data, so the files
were not verified.{% endif %}

{% if small %}**{{ name }} is a small problem** ({{ small | join(" and ") }}): fixed costs weigh more in time and memory
than in problems of practical size, where the balance may be different.{% endif %}

{% if 0 < one.n_test < small_test_set %}{{ name }}: the test set has {{ "{:,}".format(one.n_test) }} images, so one
image is {{ (100 / one.n_test) | number(2) }} percentage points of test accuracy.{% endif %}{% endif %}

{% for warning in warnings %}**{{ name }}**: {{ warning }}.

{% endfor %}
{% if theirs %}**{{ name }}: {{ trained }} of training**, compared with the paper's {{ theirs | listed }} ({{ source }},
Table 3): this is not a reproduction of its accuracies, and says nothing about where the methods end up after training
that long.{% endif %}
"""
RUN = """
{% if run.methods | length > 1 %}Training losses are not shown: each method has its own, and they cannot be compared.
{%- endif %}

{% if mismatches %}**The methods differ in the settings listed under Unmatched** (details): part of any gap may come
from those.{% endif %}

{% if failed %}**{{ failed | plural("cell") }} failed**, and left out of every mean; a
mean over the seeds that worked may flatter a method that sometimes fails.{% endif %}

{% if waiting %}**{{ waiting | plural("planned cell") }} not run**: the run is not
complete.{% endif %}

{% if retried %}{{ retried | plural("cell") }} failed at first and finished when tried again (`--retries`); the means
are over the attempts that finished, and may flatter a method that sometimes fails.{% endif %}

{% if run.unplanned %}{{ run.unplanned | plural("result") }} in cells.jsonl {{ "is" if run.unplanned == 1 else "are" }}
for cells that run.json does not name.{% endif %}

{% if run.sharing %}**{{ run.sharing | capital }}**: times, and images/s, depend on {% if placed %}the machine and on {%
endif %}what else ran beside a cell. They are not those of a cell alone on one machine, so methods cannot be compared by
them.{% if raced %} The race's ratios of times{% if raced | length < run.datasets | length %} ({{ raced | listed }})
{%- endif %} are not affected: it timed the methods in turns.{% endif %}
{%- elif disturbed %}**{{ disturbed | plural("cell") }} disturbed**: other processes or guests took more than {{
disturbed_share }} of the machine's cores (see The machine while the cells trained): their times may be too long.
{%- endif %}

{% if emulated %}**Mixed precision on a processor without bfloat16** ({{ emulated | plural("cell") }}): float32 would
have been faster, and times from processors that have it are different.
{%- endif %}

{% if machines == 1 %}The cells' times come from one kind of machine with
{{ "one version" if versions == 1 else "several versions" }} of PyTorch: their ratios may be different on other
hardware, and other load on the machine is not corrected for.
{%- else %}Cells ran on {{ machines }} kinds of machine, so differences in time may be differences of machine.
{%- endif %}

{% if commits | length > 1 %}Cells were made by different versions of the code (see Environment).{% endif %}

{% if unclean %}The code was not a clean commit, so the recorded commit does not identify it fully.{% endif %}

{% if on_cpu %}**Everything ran on the CPU**: nothing here says how much GPU memory or GPU time a method needs.
{%- endif %}

{% if activations %}Activation memory is what one training step keeps for its backward pass. It includes neither
parameters, gradients and optimiser state nor a step's short-lived buffers.{% endif %}

{% if peak %}Peak memory is that of the whole process, including the interpreter, the libraries and the data
{%- if baseline %}, about {{ baseline | number }} MiB before the model was built{% endif %}. A ratio of two peaks is
therefore closer to 1 than the ratio of what the methods themselves need.{% endif %}

{% if unreset %}In some cells the system did not let the memory mark be reset before the model was built, so the peak
memory increase may be too small: a peak while importing or loading data can hide the method's own.{% endif %}
"""


def section(run: RunView) -> Markdown:
    """All of them."""
    return f"## Limitations\n\n{bullets(sentences(run))}"


def sentences(run: RunView) -> list[str]:
    """Those that apply to this run, on the whole run's rows first where they are marked."""
    texts = [_seeds(run), *map(_dataset, run.datasets), *hyperparameters.limits(run), _whole_run(run)]
    return [each for text in texts for each in text.splitlines() if each]


def _seeds(run: RunView) -> Markdown:
    counts = [(method, len(cells)) for data in run.datasets for method, cells in data.finished.items() if cells]
    return prose(
        SEEDS,
        single=dict.fromkeys(method for method, seeds in counts if seeds == 1),
        few=sorted({seeds for _, seeds in counts if 1 < seeds < FEW_SEEDS}),
        several=any(seeds > 1 for _, seeds in counts),
        enough=FEW_SEEDS,
    )


def _dataset(data: DatasetView) -> Markdown:
    records = [cell.data for cell in data.cells if cell.data is not None]
    small = []
    if records and max(records[0].shape[1:]) <= SMALL_SIDE:
        small.append(f"{records[0].shape[1]} × {records[0].shape[2]} pixels")
    if records and records[0].n_train_available < SMALL_TRAINING_SET:
        small.append(plural(records[0].n_train_available, "training image"))
    theirs: dict[int, dict[str, None]] = {}
    ours = set()
    for cell in data.cells:
        if longer := _trained_longer(data.name, cell):
            theirs.setdefault(longer[0], {})[longer[1]] = None
            ours.add(cell.config.epochs)
    return prose(
        DATASET,
        name=data.name,
        one=records[0] if records else None,
        warnings=data_warnings(records[0]) if records else [],
        partial=any(record.partial for record in records),
        verified={record.verified for record in records},
        small=small,
        small_test_set=SMALL_TEST_SET,
        trained="1 epoch" if ours == {1} else f"{span(ours)} epochs" if ours else "",
        theirs=[f"{epochs} for {listed(list(names))}" for epochs, names in theirs.items()],
        source=published().source,
    )


def _trained_longer(dataset: str, cell: CellResult) -> tuple[int, str] | None:
    """For how many epochs the paper trained the cell's method (or else backprop), and its name, where that is more."""
    method = cell.method_name if published().training_of(cell.method_name) else REFERENCE
    epochs, name = paper_epochs(dataset, method), published().name_of(method)
    return (epochs, name) if epochs and name and cell.config.epochs < epochs else None


def _emulates_bfloat16(cell: CellResult) -> bool:
    return cell.config.amp and cell.config.device == "cpu" and cell.environment.bfloat16 is False


def _whole_run(run: RunView) -> Markdown:
    cells = run.cells
    environments = {cell.environment for cell in cells}
    commits = {each.commit for each in environments}
    kinds = {(each.cpu, each.cores, each.gpu, each.platform) for each in environments}
    failed = sum(cell.reason != NOT_RUN for cell in run.missing)
    baselines = [cell.baseline_rss_bytes / MIB for cell in cells if cell.baseline_rss_bytes is not None]
    return prose(
        RUN,
        run=run,
        mismatches=mismatches(run),
        failed=failed,
        waiting=len(run.missing) - failed,
        retried=sum(cell.attempt > 1 for cell in cells),
        placed=placed(cells),
        raced=[data.name for data in run.datasets if data.race is not None and data.race.methods],
        disturbed=sum(map(is_disturbed, cells)),
        disturbed_share=f"{DISTURBED_SHARE:.0%}",
        emulated=sum(_emulates_bfloat16(cell) for cell in cells),
        machines=max(len(processors(environments)), len(kinds)),
        versions=len({each.torch for each in environments}),
        commits=commits,
        unclean=any(commit is None or commit.endswith("-dirty") for commit in commits),
        on_cpu=all(cell.config.device == "cpu" for cell in cells),
        activations=any(cell.activation_bytes is not None for cell in cells),
        peak=any(cell.peak_rss_bytes is not None for cell in cells),
        baseline=statistics.median(baselines) if baselines else None,
        unreset=any(cell.rss_source == "high-water mark of the process's life" for cell in cells),
    )
