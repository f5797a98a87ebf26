"""Stands in for imports that take seconds in every process, and that nothing in the processes under test needs.

`harness.Plugin` puts it where Python finds it as `sitecustomize`, which is imported at each start. A method that does
compile or solve an ODE fails at once, and reports have no figures.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import ModuleType


def disable(function: Callable[..., object], *_: object, **__: object) -> Callable[..., object]:
    """What `torch._dynamo.disable` gives where nothing is compiled."""
    return function


def stand_in(name: str, **content: object) -> None:
    module = ModuleType(name)
    vars(module).update(content)
    sys.modules[name] = module


if "TORCHELASTIC_RUN_ID" not in os.environ:  # process groups and DistributedDataParallel need the real ones
    stand_in("torch._dynamo", disable=disable, graph_break=lambda: None)  # which marks of PyTorch import
    stand_in("triton")  # kernels for cards, which the counter of operations looks for
    stand_in("triton.runtime")
    stand_in("triton.runtime.jit", JITFunction=object)
stand_in("torchdiffeq", odeint=None, odeint_adjoint=None)
stand_in("reports.figures.catalogue", draw=lambda *_: {})
stand_in("reports.figures.style", method_styles=lambda *_: {}, MAX_DRAWN=20)
