"""Fixtures that tests of several packages use."""

from pathlib import Path

import pytest

from bench.datasets import sources

pytest_plugins = ("tests.no_skips",)


@pytest.fixture
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No system folder, an empty cache, no data variable, no network."""

    def no_network(published: sources.Published, folder: Path) -> None:
        raise OSError("no network in tests")

    monkeypatch.setattr(sources, "SYSTEM_ROOT", tmp_path / "system")
    monkeypatch.setattr(sources, "cache_root", lambda: tmp_path / "cache")
    monkeypatch.setattr(sources, "fetch", no_network)
    monkeypatch.delenv(sources.DATA_VARIABLE, raising=False)
