import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from bench.datasets.formats.idx import read_idx
from bench.datasets.mnist import MNIST
from bench.errors import UserError
from tests.bench.datasets.files import idx_bytes

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize(("one", "other"), [("plain", "packed.gz"), ("unpacked-by-a-browser.gz", "packed")])
def test_reads_the_same_gzipped_or_not(one: str, other: str, tmp_path: Path) -> None:
    (tmp_path / one).write_bytes(idx_bytes(IMAGES))
    (tmp_path / other).write_bytes(gzip.compress(idx_bytes(IMAGES)))
    plain, packed = read_idx(tmp_path / one, ndim=3), read_idx(tmp_path / other, ndim=3)
    assert np.array_equal(plain.values, IMAGES)
    assert np.array_equal(packed.values, IMAGES)
    assert plain.sha256 == packed.sha256
    assert plain.values.flags.writeable


def test_finds_the_gzipped_file_first(tmp_path: Path) -> None:
    (form,) = MNIST.forms
    folder = tmp_path / "mnist"
    folder.mkdir()
    assert form.find(tmp_path, "MNIST") is None
    for suffix in ("", ".gz"):
        for name in form.files:
            (folder / f"{name}{suffix}").touch()
        assert form.find(tmp_path, "MNIST") == ([folder / f"{name}{suffix}" for name in form.files], "mnist")


def corrupt_crc(packed: bytes) -> bytes:
    return packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]


PACKED = gzip.compress(idx_bytes(IMAGES), mtime=0)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (PACKED[:-9], "is cut short: its gzip stream ends early"),
        (PACKED[:15], "is cut short: its gzip stream ends early"),
        (corrupt_crc(PACKED), "is not a sound gzip file"),
        (PACKED[:10] + b"\xff" * 30, "is not a sound gzip file"),
        (b"<html>404 not found</html>", "is not a sound gzip file"),
        (gzip.compress(b"", mtime=0), r"starts with the bytes \(none\)"),
    ],
)
def test_refuses_a_damaged_gzip_file(tmp_path: Path, contents: bytes, message: str) -> None:
    (tmp_path / "x.gz").write_bytes(contents)
    with pytest.raises(UserError, match=rf"x\.gz {message}"):
        read_idx(tmp_path / "x.gz", ndim=3)


SOUND = idx_bytes(IMAGES)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"\x89PNG" + SOUND[4:], "starts with the bytes 89504e47; .* starts with 00000803"),
        (b"\0\0\x0d\x03" + SOUND[4:], "starts with the bytes 00000d03"),
        (idx_bytes(IMAGES[0]), "starts with the bytes 00000802; .* in 3 dimension"),
        (SOUND[:9], "is cut short inside its header of 16 bytes"),
        (SOUND[:-1], "has 23 bytes of data; its header announces 2 x 3 x 4 = 24"),
        (SOUND + b"\0", "has 25 bytes of data; its header announces 2 x 3 x 4 = 24"),
        (SOUND[:4] + struct.pack("<3I", 2, 3, 4) + SOUND[16:], "has 24 bytes of data; its header announces 33554432"),
        (SOUND[:4] + b"\xff" * 12 + SOUND[16:], "has 24 bytes of data"),
        (idx_bytes(np.zeros((0, 3, 4))), "is empty"),
    ],
)
def test_refuses_a_malformed_file(tmp_path: Path, contents: bytes, message: str) -> None:
    (tmp_path / "x").write_bytes(contents)
    with pytest.raises(UserError, match=f"x {message}"):
        read_idx(tmp_path / "x", ndim=3)


def test_an_unreadable_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*gone: No such file"):
        read_idx(tmp_path / "gone", ndim=3)
