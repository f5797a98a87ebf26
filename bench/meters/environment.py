"""Where a run takes place: processor, card, versions, and the project's commit."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import math
import os
import platform
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import psutil
import pynvml
import torch

from bench.meters.cpu_quota import cpu_quota
from methods.networks.compiled import functions
from results.schema import Environment

_PROJECT = Path(__file__).resolve().parents[2]
_FOLDERS = ("bench", "methods", "reports", "results")
_CODE = (".py", ".c", ".jinja", ".toml")
_MISLEADING = {f"GIT_{name}" for name in ("DIR", "WORK_TREE", "INDEX_FILE", "COMMON_DIR", "OBJECT_DIRECTORY", "CONFIG")}
"""Variables that git sets for what it starts, such as hooks: they name another repository."""


def allowed_cores() -> int:
    """Logical cores that this process may run on, whatever its share of their time: the machine's, or its affinity."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_cores() -> int:
    """Logical cores that this process may use: the least of the machine's, its affinity and its cgroups' CPU quota."""
    cores = allowed_cores()
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, math.floor(quota)))


@cache
def describe_environment(device: str) -> Environment:
    """Describe this machine and these versions for a run on `device` (`cpu`, `cuda:0`, ...); once in a process."""
    on_gpu = device.startswith("cuda")
    driver = None
    if on_gpu:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlInit()
            driver = str(pynvml.nvmlSystemGetDriverVersion())
    commit = _commit()
    return Environment(
        cpu=_cpu_model(),
        cores=available_cores(),
        memory_bytes=psutil.virtual_memory().total,
        gpu=torch.cuda.get_device_name(device) if on_gpu else None,
        gpu_driver=driver,
        platform=platform.platform(),
        python=platform.python_version(),
        torch=torch.__version__,
        cuda=torch.version.cuda if on_gpu else None,
        commit=commit,
        layers="pytorch" if on_gpu or functions(torch.float32) is None else "fused",
        instructions=torch.backends.cpu.get_cpu_capability(),
        bfloat16=has_bfloat16(device),
        package=None if commit else _package(),
    )


def has_bfloat16(device: str) -> bool | None:
    """Whether PyTorch has fast convolutions and products in bfloat16 for the processor or card; None: it cannot say.

    Elsewhere they are computed one number after another, by far slower than in float32.
    """
    if device.startswith("cuda"):
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # what PyTorch itself goes by
    except (AttributeError, RuntimeError):
        return None


def _cpu_model() -> str:
    """The processor's name as the kernel gives it, or what Python knows about it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """The checkout's commit, with `-dirty` where its files differ from it; null where this is no checkout.

    A repository that merely has this package somewhere in it, as in `.venv`, is another project's.
    """
    try:
        if not _PROJECT.samefile(_git("rev-parse", "--show-toplevel")):
            return None
        described = _git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
        untracked = _git("ls-files", "--others", "--exclude-standard", "--", "*.py")  # a new method is one new file
    except (OSError, subprocess.SubprocessError):
        return None
    return described + "-dirty" if untracked and not described.endswith("-dirty") else described or None


def _package() -> str:
    """Version of the installed package, and a hash of its files."""
    try:
        version = importlib.metadata.version("noprop-bench")
    except importlib.metadata.PackageNotFoundError:
        version = "unknown version"
    return f"{version} (files {hash_code(_FOLDERS)[:12]})"


def hash_code(folders: Iterable[str]) -> str:
    """SHA-256 of the code in some of the project's folders."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted((_PROJECT / folder).rglob("*")):
            if path.suffix in _CODE and path.is_file():
                digest.update(f"{path.relative_to(_PROJECT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _git(*arguments: str) -> str:
    """What git prints in the project's folder."""
    done = subprocess.run(
        ["git", *arguments],  # noqa: S607 - whichever git is used here
        cwd=_PROJECT,
        env={key: value for key, value in os.environ.items() if key not in _MISLEADING},
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    return done.stdout.strip()
