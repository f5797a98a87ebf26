"""Memory and size: resident memory, exact activation memory, parameters and, where there is one, GPU memory."""

from __future__ import annotations

from statistics import fmean

from reports.formats.markdown import Markdown, code, codes, number
from reports.formats.prose import prose
from reports.sections import paper
from reports.statistics.estimates import paired_ratios
from reports.statistics.measures import ACTIVATIONS, GPU_MEMORY, MIB, PEAK_RSS, RSS_RISE, Measure, is_measured
from reports.tables import summary
from reports.view import DatasetView, RunView

MEASURES = (
    PEAK_RSS,
    RSS_RISE,
    ACTIVATIONS,
    Measure("parameters", "", "parameters", decimals=0, exact=True),
    Measure("parameters", "MiB", "parameter_bytes", MIB, exact=True),
    Measure("optimiser state", "MiB", "optimizer_bytes", MIB, exact=True),
)
IN_TURN = Measure("activation memory in turn", "MiB", "activation_bytes_in_turn", MIB, exact=True)
TEXT = """
### Memory and size

{{ table }}

MiB are 2²⁰ bytes. *Peak memory* is the peak resident memory of the cell's process, as the kernel records it. *Peak
memory increase* is that peak minus the resident memory just before the model was built. *Activation memory* is what
autograd keeps for the backward pass, at the peak of one training step, without parameters, gradients and optimiser
state. It is counted exactly, as are parameters and optimiser state. Nothing in this table is sampled.

{{ in_turn }}

{% if gpu %}{{ gpu }}

*Allocated* (live tensors) and *reserved* (taken from the driver) are exact peaks of PyTorch's allocator. *Process* is
the driver's figure for the whole process, CUDA context included, read once at the end of training.

{{ paper }}{% endif %}
"""


def section(run: RunView, data: DatasetView) -> Markdown:
    """The table of the process, that of the GPU, and the GPU memory that the paper reports."""
    on_gpu = any(is_measured(data, measure) for measure in GPU_MEMORY)
    return prose(
        TEXT,
        table=summary(data, MEASURES).markdown(),
        in_turn=in_turn(data),
        gpu=summary(data, GPU_MEMORY).markdown() if on_gpu else None,
        paper=paper.gpu_memory(data) or "",
    )


def in_turn(data: DatasetView) -> str:
    """What methods that train several parts at a time hold if they train them in turn; empty without such methods."""
    sentences = []
    for method, cells in data.finished.items():
        if not (alone := IN_TURN.values(cells)):
            continue
        held = max(ACTIVATIONS.values(cells).values())
        reference = ACTIVATIONS.values(data.finished.get(str(data.reference), []))
        ratios = paired_ratios(alone, reference)
        times = f", {number(fmean(ratios))} times what {code(str(data.reference))} holds" if ratios else ""
        sentences.append(
            f"{code(method)} trained several parts at a time ({codes({str(cell.execution): None for cell in cells})}), "
            f"and its activation memory is that of these, {number(held)} MiB; in turn (`execution=in_turn`) it is "
            f"{number(max(alone.values()))} MiB{times}."
        )
    return " ".join(sentences)
