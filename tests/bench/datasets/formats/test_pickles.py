import collections
import operator
import pickle
from pathlib import Path

import numpy as np
import pytest

from bench.datasets.formats.pickles import RefusedPickleError, load_arrays
from tests.bench.datasets.files import python2_pickle


@pytest.mark.parametrize("dump", [python2_pickle, lambda value: pickle.dumps(value, protocol=4)])
def test_reads_arrays_and_plain_values(dump) -> None:
    value = {"data": np.arange(6, dtype=np.uint8).reshape(2, 3), "labels": [1, 2], "name": "x\xe9", "n": 1.5}
    loaded = load_arrays(dump(value))
    assert np.array_equal(loaded.pop("data"), value.pop("data"))
    assert loaded == value


class Touch:
    """Pickles as a program that makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_runs_nothing(tmp_path: Path, protocol: int) -> None:
    program = pickle.dumps({"data": Touch(tmp_path / "made")}, protocol=protocol)
    with pytest.raises(RefusedPickleError):
        load_arrays(program)
    assert not (tmp_path / "made").exists()
    pickle.loads(program)  # the program does what it is meant to, where it is trusted
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize("named", [eval, operator.attrgetter, collections.deque, np.load, np.ndarray.tofile])
@pytest.mark.parametrize("protocol", [2, 4])
def test_refuses_to_name_anything_else(named: object, protocol: int) -> None:
    with pytest.raises(RefusedPickleError, match="it asks for"):
        load_arrays(pickle.dumps(named, protocol=protocol))


class Encode:
    """Pickles as a call of a codec."""

    def __init__(self, codec: str) -> None:
        self.codec = codec

    def __reduce__(self) -> tuple[object, ...]:
        import _codecs

        return _codecs.encode, ("text", self.codec)


def test_the_one_codec_that_bytes_need_is_the_only_one() -> None:
    assert load_arrays(pickle.dumps(Encode("latin1"), protocol=2)) == b"text"
    with pytest.raises(RefusedPickleError, match="the encoding 'rot13'"):
        load_arrays(pickle.dumps(Encode("rot13"), protocol=2))


def test_a_scalar_is_a_number() -> None:
    assert load_arrays(pickle.dumps([np.int64(7), np.uint8(3)], protocol=2)) == [7, 3]
    with pytest.raises(RefusedPickleError, match="no number"):
        load_arrays(pickle.dumps(np.datetime64("2020-01-01"), protocol=2))
