"""Memory and size: resident memory, exact activation memory, parameters and, where there is one, GPU memory."""

from __future__ import annotations

from reports.formats.markdown import Markdown
from reports.formats.prose import prose
from reports.sections import paper
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
TEXT = """
### Memory and size

{{ table }}

MiB are 2²⁰ bytes. *Peak memory* is the peak resident memory of the cell's process, as the kernel records it. *Peak
memory increase* is that peak minus the resident memory just before the model was built. *Activation memory* is what
autograd keeps for the backward pass, at the peak of one training step, without parameters, gradients and optimiser
state. It is counted exactly, as are parameters and optimiser state. Nothing in this table is sampled.

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
        gpu=summary(data, GPU_MEMORY).markdown() if on_gpu else None,
        paper=paper.gpu_memory(data) or "",
    )
