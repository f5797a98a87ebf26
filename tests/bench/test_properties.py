"""Whatever people bring, it works or it is one sentence: no other exception, no warning of a library, no written file.

Few examples by default; `pytest -m slow` tries 3,000 of each kind.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bench import datasets
from bench.errors import UserError
from bench.planning.method_spec import parse_methods
from bench.run import cli
from results.store import CELLS_FILE, ResultsError, encode, read_cells
from tests.factories import make_cell

FEW, MANY = 15, 3000


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def holds(attempt: Callable[[], object]) -> None:
    """It works, or it is one sentence."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ResourceWarning)  # of the example before, whenever it is collected
        try:
            attempt()
        except (UserError, ResultsError, click.ClickException) as error:
            sentence = error.format_message() if isinstance(error, click.ClickException) else str(error)
            assert sentence.strip()
            assert len(" ".join(sentence.split())) < 3000
            sentence.encode("utf-8", "backslashreplace")


def load(name: str) -> None:
    found = datasets.get(name)
    found.name.encode()
    datasets.make_splits(found.load(None), num_classes=found.num_classes, train_size=None, split_seed=0)


# --- archives -------------------------------------------------------------------------------------------------------
NAMES = [f"{kind}_{part}" for kind in "xy" for part in ("train", "test", "val")]
NAMES += [f"{part}_{kind}" for part in ("train", "test", "val") for kind in ("images", "labels")]
TYPES = st.sampled_from(["u1", "i8", "f4", "f8", "?", ">i4", "c8", "U3", "O", "M8[s]", "u8"])


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    kind = draw(TYPES)
    shape = draw(st.lists(st.integers(0, 5), max_size=5))
    size = int(np.prod(shape, dtype=int))
    values = draw(st.lists(st.integers(0, 3), min_size=size, max_size=size)) if size < 40 else [size % 7] * size
    made = np.array(values, dtype="i8").astype(kind if kind != "M8[s]" else "i8").reshape(shape)
    return made.astype(kind)


@st.composite
def sound_archive(draw: st.DrawFn) -> dict[str, np.ndarray]:
    """One that can be trained on, but for what is put in place of some of its arrays."""
    classes, each = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 5)))
    shape = draw(st.sampled_from([(4, 4), (4, 5, 1), (1, 4, 4), (4, 4, 3), (1, 1), (3, 3, 3)]))
    labels = np.repeat(np.arange(classes), each)
    found = {}
    for part in draw(st.sampled_from([("train", "test"), ("train", "test", "val")])):
        found[f"x_{part}"] = rng.integers(0, draw(st.sampled_from([1, 2, 256])), (len(labels), *shape), dtype=np.uint8)
        found[f"y_{part}"] = labels[:, None] if draw(st.booleans()) else labels.astype("u1")
    return found | draw(st.dictionaries(st.sampled_from(NAMES), arrays(), max_size=1))


def any_archive(content: dict[str, np.ndarray], cut: int | None) -> None:
    with folder() as place:
        path = place / "mine.npz"
        np.savez(path, **content)
        if cut is not None:
            path.write_bytes(path.read_bytes()[:cut])
        holds(lambda: load(f"npz:{path}"))
        assert list(place.iterdir()) == [path]


ARCHIVES = given(
    st.one_of(sound_archive(), st.dictionaries(st.sampled_from(NAMES), arrays())),
    st.one_of(st.none(), st.none(), st.integers(0, 2000)),
)

# --- folders --------------------------------------------------------------------------------------------------------
NAME = st.one_of(
    st.sampled_from(
        ["a", "b", "é", "e\u0301", ".hidden", "thumbs", "0.png", "x.jfif", "._x.png", "[v2]", "a b", "c\n"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=8),
)
KIND = st.sampled_from(["L", "RGB", "RGBA", "P", "I;16", "1", "junk", "empty", "link", "loop", "folder", "big"])
TREE = given(
    st.lists(st.tuples(st.sampled_from(["train", "test", "val", "."]), NAME, NAME, KIND), max_size=12),
    st.booleans(),
    st.sampled_from(["", "[size=3]", "[size=3,channels=1]", "[channels=3]"]),
)


def any_tree(entries: list[tuple[str, str, str, str]], whole: bool, options: str) -> None:
    with folder() as place:
        rng = np.random.default_rng(0)
        for part in ("train", "test") if whole else ():
            for name in "ab":
                (place / part / name).mkdir(parents=True)
                for number in range(2):
                    pixels = rng.integers(0, 255, (4, 4), dtype=np.uint8)
                    Image.fromarray(pixels).save(place / part / name / f"{number}.png")
        for part, name, file, kind in entries:
            try:
                parent = place / part / name
                parent.mkdir(parents=True, exist_ok=True)
                put(parent / (file if kind in ("folder", "link", "loop") else f"{file}.png"), kind)
            except (OSError, ValueError):  # not a name on this disk, or one that is there
                continue
        before = sorted(map(str, place.rglob("*")))
        holds(lambda: load(f"folder:{place}{options}"))
        assert sorted(map(str, place.rglob("*"))) == before


def put(path: Path, kind: str) -> None:
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(path.parent)
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind in ("junk", "empty"):
        path.write_bytes(b"junk" if kind == "junk" else b"")
    else:
        size = (9, 7) if kind == "big" else (4, 4)
        Image.new(kind if kind != "big" else "L", size, 3).save(path)


# --- configuration files, lists of methods, rows --------------------------------------------------------------------
KEYS = st.sampled_from(["methods", "seeds", "epochs", "set", "amp", "lr", "data-dir", "tuned", "nope", "batch_size"])
VALUES = st.sampled_from(
    [
        *("1", "-1", "0.5", "nan", "inf", "true", '"a"', '""', "[]", "[1, 2]", '["a", [1]]', "{ T = 2 }"),
        *("{ a = { b = 1 } }", "2020-01-01", "99999999999999999999", "'''\n'''", "\x00", '"\\u0000"'),
    ]
)
TOML = given(
    st.lists(st.tuples(KEYS, VALUES), max_size=4).map(lambda each: "".join(f"{key} = {value}\n" for key, value in each))
    | st.text(max_size=30),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"]),
)


def any_toml(text: str, encoding: str) -> None:
    with folder() as place:
        path = place / "mine.toml"
        path.write_bytes(text.encode(encoding, "replace"))
        holds(lambda: cli.make_context("bench.run", ["--config", str(path)]))
        assert list(place.iterdir()) == [path]


WORDS = st.sampled_from(
    ["noprop", "backprop", "all", "core", "tuned", "T", "=", "[", "]", ",", "2", "-1", " ", "é", "\n"]
)
METHODS = given(st.lists(WORDS, max_size=10).map("".join) | st.text(max_size=20))


def any_methods(text: str) -> None:
    holds(lambda: parse_methods(text, {}))


LINE = encode(make_cell())
ROWS = given(
    st.lists(
        st.one_of(
            st.just(LINE),
            st.binary(max_size=30),
            st.integers(0, len(LINE)).map(lambda end: LINE[:end]),
            st.tuples(st.integers(0, len(LINE) - 1), st.binary(max_size=3)).map(
                lambda at: LINE[: at[0]] + at[1] + LINE[at[0] + 1 :]
            ),
        ),
        max_size=4,
    )
)


def any_rows(lines: list[bytes]) -> None:
    with folder() as place:
        (place / CELLS_FILE).write_bytes(b"".join(lines))
        holds(lambda: read_cells(place))
        assert (place / CELLS_FILE).read_bytes() == b"".join(lines)


KINDS: dict[str, tuple[Any, Callable[..., None]]] = {
    "archives": (ARCHIVES, any_archive),
    "folders": (TREE, any_tree),
    "toml": (TOML, any_toml),
    "methods": (METHODS, any_methods),
    "rows": (ROWS, any_rows),
}


def try_many(kind: str, examples: int) -> None:
    made, check = KINDS[kind]
    unlimited = settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    unlimited(made(check))()


@pytest.mark.parametrize("kind", KINDS)
def test_it_works_or_is_one_sentence(kind: str) -> None:
    try_many(kind, FEW)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", KINDS)
def test_it_works_or_is_one_sentence_for_thousands(kind: str) -> None:
    try_many(kind, MANY)
