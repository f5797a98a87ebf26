"""Kinds of values on the command line."""

from pathlib import Path

import pytest

from bench.commandline.params import DatasetList


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("mnist,digits", ("mnist", "digits")),
        ("npz:a,b.npz", ("npz:a,b.npz",)),
        ("digits,folder:c,d,e[size=3,flip=true],mnist", ("digits", "folder:c,d,e[size=3,flip=true]", "mnist")),
        ("npz:no,where.npz", ("npz:no", "where.npz")),
        ("npz:a,b.npz,npz:a,b.npz", ("npz:a,b.npz", "npz:a,b.npz")),
    ],
)
def test_a_path_of_a_data_set_may_have_commas_if_it_is_there(
    text: str, items: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a,b.npz").touch()
    Path("c,d,e").mkdir()
    assert DatasetList().convert(text, None, None) == items
