"""With NOPROP_NO_SKIPS set, as `.ci/run` does, a skipped test is a failed one, unless it needs a card."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TypeVar

import pytest

VARIABLE = "NOPROP_NO_SKIPS"
NEEDS_A_CARD = "needs a CUDA card"
_Report = TypeVar("_Report", pytest.TestReport, pytest.CollectReport)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return failed_if_skipped((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return failed_if_skipped((yield))


def failed_if_skipped(report: _Report) -> _Report:
    if os.environ.get(VARIABLE) and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if NEEDS_A_CARD not in reason:
            report.outcome = "failed"
            report.longrepr = f"{reason} ({VARIABLE} is set: only tests that need a card may be skipped)"
    return report
