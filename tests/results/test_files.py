import re

from results.files import file_stem


def test_a_plain_name_stands_for_itself() -> None:
    assert file_stem("fashion-mnist") == "fashion-mnist"


def test_a_path_becomes_a_short_plain_name() -> None:
    stem = file_stem("folder:/home/someone/é [old]/My Photos (2020)[size=32,flip=true]")
    assert re.fullmatch(r"folder-my-photos-2020-[0-9a-f]{8}", stem)
    assert len(file_stem(f"npz:/{'long' * 100}.npz")) < 60
    assert file_stem("npz:/data/photos.npz").startswith("npz-photos-npz-")


def test_names_that_differ_anywhere_do_so_as_file_names() -> None:
    names = [
        "npz:/a/x.npz",
        "npz:/b/x.npz",
        "npz:/a/X.npz",
        "folder:/a/x.npz",
        "npz:/a/x.npz[flip=true]",
        "npz:/a/x-npz",
    ]
    assert len({file_stem(name) for name in names}) == len(names)
