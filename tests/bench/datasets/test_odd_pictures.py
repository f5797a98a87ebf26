"""Picture files that are not what their names or their tags say."""

from pathlib import Path
from struct import pack

import numpy as np
import pytest
from PIL import Image

from bench.datasets.formats.image_file import UnreadableError, has_several_frames, read_picture

GREY = np.arange(54, dtype=np.uint8).reshape(6, 9)


def planar(bits: int) -> bytes:
    """A TIFF of 9 x 6 pixels that has the three colours one after the other."""
    plane = (GREY.astype(np.uint16) * 257).astype(f"<u{bits // 8}").tobytes()
    tags = [(256, 9), (257, 6), (258, None), (259, 1), (262, 2), (273, None), (277, 3), (278, 6), (279, None), (284, 2)]
    lists = {258: (bits,) * 3, 273: (0,) * 3, 279: (len(plane),) * 3}
    end = 8 + 2 + 12 * len(tags) + 4
    start = end + 3 * 12
    lists[273] = tuple(start + number * len(plane) for number in range(3))
    body, held = b"", b""
    for tag, value in tags:
        body += pack("<HHII", tag, 4, 1, value) if value is not None else pack("<HHII", tag, 4, 3, end + len(held))
        held += pack("<3I", *lists[tag]) if value is None else b""
    return b"II*\0" + pack("<IH", 8, len(tags)) + body + bytes(4) + held + plane * 3


def test_tiffs_of_separate_planes_are_read_if_they_have_8_bits(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(planar(8))
    assert np.array_equal(np.asarray(read_picture(path)), np.stack([GREY] * 3, axis=2))
    path.write_bytes(planar(16))
    with pytest.raises(UnreadableError, match=r"a\.tif has more than 8 bits per channel: convert it to 8 bits$"):
        read_picture(path)


def test_tiffs_of_signed_numbers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(GREY).save(path, tiffinfo={339: 2})
    with pytest.raises(UnreadableError, match=r"a\.tif has signed numbers as pixels: convert it to 8 bits without"):
        read_picture(path)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_frames_are_counted_whatever_the_name(suffix: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    frames = [Image.fromarray(np.full((6, 9), value, np.uint8)) for value in (255, 0, 128)]
    frames[0].save(path, kind, save_all=True, append_images=frames[1:])
    assert has_several_frames(path)
    frames[0].save(path, kind)
    assert not has_several_frames(path)


def test_the_preview_in_a_cameras_file_is_no_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(GREY).save(path, "MPO", save_all=True, append_images=[Image.fromarray(GREY)])
    assert not has_several_frames(path)
    assert read_picture(path).size == (9, 6)


def test_formats_that_are_not_accepted_are_never_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(GREY).save(path, "EPS")
    with pytest.raises(UnreadableError, match=r"a\.png is not an image that can be read: it is none of BMP, DIB, GIF"):
        read_picture(path)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_good_pixels_are_read_whatever_the_camera_wrote_beside_them(kind: str, tmp_path: Path) -> None:
    path, plain = tmp_path / "a", tmp_path / "b"
    Image.fromarray(GREY).save(path, kind, exif=b"Exif\0\0junkjunk")
    Image.fromarray(GREY).save(plain, kind)
    assert np.array_equal(np.asarray(read_picture(path)), np.asarray(read_picture(plain)))
