from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.datasets.located import locate
from bench.errors import UserError
from methods.core.options import Options


@dataclass(frozen=True)
class Some(Options):
    size: int | None = None
    flip: bool = False


@pytest.mark.parametrize(
    ("text", "path", "options", "name"),
    [
        ("/a/b.npz", "/a/b.npz", Some(), "x:/a/b.npz"),
        ("/a/../b", "/b", Some(), "x:/b"),
        ("c", "HERE/c", Some(), "x:HERE/c"),
        ("./c/", "HERE/c", Some(), "x:HERE/c"),
        ("~/c", "HOME/c", Some(), "x:HOME/c"),
        ("/a[size=32]", "/a", Some(size=32), "x:/a[size=32]"),
        ("/a[flip=TRUE, size=32]", "/a", Some(32, True), "x:/a[size=32,flip=true]"),
        ("/a[flip=false,size=none]", "/a", Some(), "x:/a"),
        ("/a[]", "/a", Some(), "x:/a"),
        ("/a[b]/c", "/a[b]/c", Some(), "x:/a[b]/c"),
        ("/with space:and colon", "/with space:and colon", Some(), "x:/with space:and colon"),
    ],
)
def test_reads_path_and_options_and_gives_one_name_for_all_spellings(
    text: str, path: str, options: Some, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(home))

    def put(text: str) -> str:
        return text.replace("HERE", str(here)).replace("HOME", str(home))

    found = locate("x", text, Some)
    assert (found.path, found.options, found.name) == (Path(put(path)), options, put(name))
    assert locate("x", found.name.removeprefix("x:"), Some) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'x:' names no file or folder: write x:PATH"),
        ("  ", "names no file or folder"),
        ("/a\0b", "has a null character"),
        ("/a\nb", r"the path '/a\\nb' has a control character: rename it"),
        ("/a\x1b[31mb", "has a control character"),
        ("/a[sise=3]", r"x:/a\[sise=3\]: unknown option 'sise' \(did you mean 'size'\?\)"),
        ("/a[size=big]", "option size='big' is not accepted: size must be a whole number"),
        ("/a[flip=yes]", "flip must be true or false"),
        ("/a[size]", "'size' is not accepted: give each option once, as NAME=VALUE"),
        ("/a[size=1,size=2]", "'size=2' is not accepted: give each option once"),
    ],
)
def test_refuses(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        locate("x", text, Some)
