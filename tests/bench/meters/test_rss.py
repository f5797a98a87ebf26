"""Resident memory against allocations of known size, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

_SCRIPT = """
import os, sys
import torch
from bench.meters.rss import PeakRss, current_rss
MIB = 2**20
before = bytearray(200 * MIB)          # a peak that is over before the baseline
del before
meter = PeakRss(os.getpid(), torch.device("cpu"))
meter.start()
held = bytearray(b"x") * (150 * MIB)   # touched, so resident
del held
meter.stop()
found = meter.fields()
if found["rss_source"] != "high-water mark, reset":
    print("no reset"); sys.exit()
print(found["rss_rise_bytes"] / MIB, (current_rss() - found["baseline_rss_bytes"]) / MIB)
"""


def test_a_known_allocation_is_the_rise_and_an_earlier_peak_is_not() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    if done.stdout.strip() == "no reset":
        pytest.skip("the kernel does not let a process reset its high-water mark here")
    rise, left = map(float, done.stdout.split())
    assert rise == pytest.approx(150, rel=0.05)
    assert left < 5
