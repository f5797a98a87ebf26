"""A process that computes keeps the memory that it frees."""

import os
import subprocess
import sys

import pytest

from bench.children.processes import compute_variables

FAULTS = """
import resource
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
bytearray(b"x") * 2**24
before = faults()
bytearray(b"x") * 2**24
print(faults() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="GNU's allocator is Linux's")
def test_a_large_array_takes_the_pages_of_the_one_before() -> None:
    command = [sys.executable, "-c", FAULTS]
    computing = os.environ | compute_variables(threads=1)
    plain = {name: value for name, value in computing.items() if not name.startswith("MALLOC_")}
    kept = int(subprocess.run(command, env=computing, capture_output=True, check=True).stdout)
    returned = int(subprocess.run(command, env=plain, capture_output=True, check=True).stdout)
    assert kept < 10
    assert returned > 100
