"""The hook that lets no test be skipped in continuous integration."""

from __future__ import annotations

import pytest

from tests.no_skips import VARIABLE

pytest_plugins = ("pytester",)
TESTS = """
    import pytest

    @pytest.mark.skipif(True, reason="needs a CUDA card")
    def test_card():
        pass

    @pytest.mark.skipif(True, reason="no browser")
    def test_mark():
        pass

    def test_call():
        pytest.skip("no kernel")

    @pytest.fixture
    def thing():
        pytest.skip("no thing")

    def test_fixture(thing):
        pass

    @pytest.mark.xfail
    def test_expected_to_fail():
        raise AssertionError

    def test_passes():
        pass
"""


def run(pytester: pytest.Pytester) -> pytest.RunResult:
    pytester.makepyfile(test_some=TESTS, test_module="import pytest\npytest.importorskip('no_such_module')")
    return pytester.runpytest("-p", "tests.no_skips", "--continue-on-collection-errors")


def test_a_skip_is_a_failure_unless_it_needs_a_card(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    ended = run(pytester)
    ended.assert_outcomes(passed=1, skipped=1, xfailed=1, failed=1, errors=3)
    ended.stdout.fnmatch_lines([f"*no {what} (NOPROP_NO_SKIPS is set*" for what in ("browser", "kernel")])


def test_a_skip_is_a_skip_otherwise(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    run(pytester).assert_outcomes(passed=1, skipped=5, xfailed=1)
