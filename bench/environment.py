"""Where a run takes place: processor, cards, versions, and the project's commit."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import psutil
import pynvml
import torch

from results.schema import Environment

_PROJECT = Path(__file__).resolve().parent.parent


def available_cores() -> int:
    """Logical cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe_environment(device: str) -> Environment:
    """Describe this machine and these versions for a run on `device` (`cpu`, `cuda:0`, ...)."""
    gpu, driver = _describe_gpu() if device.startswith("cuda") else (None, None)
    return Environment(
        cpu=_cpu_model(),
        cores=available_cores(),
        memory_bytes=psutil.virtual_memory().total,
        gpu=torch.cuda.get_device_name(device) if gpu is None and device.startswith("cuda") else gpu,
        gpu_driver=driver,
        platform=platform.platform(),
        python=platform.python_version(),
        torch=torch.__version__,
        cuda=torch.version.cuda if device.startswith("cuda") else None,
        commit=_commit(),
    )
