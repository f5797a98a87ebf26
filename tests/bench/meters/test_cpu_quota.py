"""The CPU quota, from made-up trees of control groups and a real one, and what follows for the number of threads."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.meters import environment
from bench.meters.cpu_quota import cpu_quota


def tree(root: Path, cgroup: str, files: dict[str, str]) -> Path:
    for name, text in {"proc/self/cgroup": cgroup, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("cgroup", "files", "quota"),
    [
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2.0),  # a container of its own namespace
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ("0::/\n", {}, None),
        (
            "0::/user.slice/job\n",
            {"sys/fs/cgroup/user.slice/cpu.max": "150000 100000", "sys/fs/cgroup/user.slice/job/cpu.max": "max 100000"},
            1.5,  # the group above limits this one
        ),
        (
            "0::/a/b\n",
            {"sys/fs/cgroup/a/cpu.max": "400000 100000", "sys/fs/cgroup/a/b/cpu.max": "50000 100000"},
            0.5,
        ),
        (
            "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n",
            {
                "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us": "300000",
                "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000",
            },
            3.0,
        ),
        (
            "3:cpu,cpuacct:/docker/x\n",  # inside the container the group's folder is the mount's
            {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "250000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
            2.5,
        ),
        (
            "3:cpu:/\n",
            {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
            None,
        ),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "nonsense"}, None),
    ],
)
def test_quota(cgroup: str, files: dict[str, str], quota: float | None, tmp_path: Path) -> None:
    assert cpu_quota(tree(tmp_path, cgroup, files)) == quota


def test_a_system_without_groups_has_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None


@pytest.mark.parametrize(("quota", "cores"), [(None, 64), (2.0, 2), (2.9, 2), (0.5, 1), (100.0, 64)])
def test_threads_default_to_the_least(quota: float | None, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "cpu_quota", lambda: quota)
    monkeypatch.setattr(environment.os, "sched_getaffinity", lambda pid: set(range(64)))
    assert environment.available_cores() == cores


@pytest.fixture
def real_group() -> Iterator[Path]:
    """A control group of its own, limited to 0.7 CPUs by the version of control groups that this machine has."""
    name = f"noprop-bench-{uuid.uuid4().hex}"
    mounted = Path("/sys/fs/cgroup")
    for top, limit, text in (
        (mounted / "cpu", "cpu.cfs_quota_us", "70000"),
        (mounted / "cpu,cpuacct", "cpu.cfs_quota_us", "70000"),
        (mounted, "cpu.max", "70000 100000"),
    ):
        group = top / name
        with contextlib.suppress(OSError), contextlib.ExitStack() as removed_after:
            group.mkdir()
            removed_after.callback(group.rmdir)
            with (group / limit).open("r+") as file:  # not where it would be made: that is no control group
                file.write(text)
            if in_group(group, "true").returncode == 0:
                yield group
                return
    pytest.skip("this machine lets the test make no control group that limits the CPU")


def in_group(group: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a member of a group."""
    joined = ("sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(group), *command)
    return subprocess.run(joined, capture_output=True, text=True, check=False)


def test_a_real_group_has_its_quota(real_group: Path) -> None:
    asked = "from bench.meters.cpu_quota import cpu_quota; print(cpu_quota())"
    assert in_group(real_group, sys.executable, "-c", asked).stdout.strip() == "0.7"
