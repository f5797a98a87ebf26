"""The CPU quota of this process's control groups: what `docker --cpus`, Kubernetes, systemd and Slurm limit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


def cpu_quota(root: Path = Path("/")) -> float | None:
    """CPUs that this process may use on average, by cgroup v2 (`cpu.max`) or v1 (`cpu.cfs_quota_us`); None: no limit.

    A group is limited by those above it, too, so the least counts. Files are those of Linux's cgroups(7).

    Args:
        root: of the file system that has `proc` and `sys`.
    """
    limits: list[float] = []
    for folder in _groups(root):
        with contextlib.suppress(OSError, ValueError):
            quota, period = (folder / "cpu.max").read_text().split()
            limits.append(float(quota) / float(period))  # `max` is no number: no limit
        with contextlib.suppress(OSError, ValueError):
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            if float(quota) > 0:  # -1: no limit
                limits.append(float(quota) / float(period))
    return min(limits, default=None)


def _groups(root: Path) -> Iterator[Path]:
    """The folders of this process's groups and of those above. In a container the group's own is the mount's root."""
    mounted = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        named = controllers.split(",")
        if controllers and "cpu" not in named:
            continue
        for top in (mounted, mounted / "cpu", mounted / controllers) if controllers else (mounted,):
            parts = Path(path).parts[1:]
            for depth in range(len(parts), -1, -1):
                yield top.joinpath(*parts[:depth])
