"""Every test here sees an empty machine: no system folder, an empty cache, no variable, no network."""

from pathlib import Path

import pytest

from bench.datasets import download, sources


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(torchvision_class: str, folder: Path) -> None:
        raise OSError("no network in tests")

    monkeypatch.setattr(sources, "SYSTEM_ROOT", tmp_path / "system")
    monkeypatch.setattr(sources, "cache_root", lambda: tmp_path / "cache")
    monkeypatch.setattr(download, "fetch", no_network)
    monkeypatch.delenv(sources.DATA_VARIABLE, raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The user's data folder, empty."""
    folder = tmp_path / "user"
    folder.mkdir()
    return folder
