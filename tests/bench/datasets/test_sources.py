from pathlib import Path

import numpy as np
import pytest

from bench.datasets import data_root, get, mnist, sources
from bench.datasets.sources import Published
from bench.errors import UserError
from tests.bench.datasets import files


def put(root: Path, seed: int) -> np.ndarray:
    """Write a Fashion-MNIST of its own under a root, and return its training images."""
    data = files.grey(seed=seed)
    files.write_idx_files(root / "fashion-mnist", data)
    return data[0]


def test_order_of_the_sources(root: Path, tmp_path: Path) -> None:
    load = get("fashion-mnist").load
    system = put(tmp_path / "system", 1)
    raw = load(None)
    assert np.array_equal(raw.x_train, system)
    assert raw.source == "IDX files in fashion-mnist (system)"

    cache = put(tmp_path / "cache", 2)
    raw = load(None)
    assert np.array_equal(raw.x_train, cache)
    assert raw.source == "IDX files in fashion-mnist (user cache)"

    user = put(root, 3)
    raw = load(root)
    assert np.array_equal(raw.x_train, user)
    assert raw.source == "IDX files in fashion-mnist (data folder)"
    assert np.array_equal(load(None).x_train, cache)


def test_the_variable_stands_in_for_a_folder_not_given(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    by_variable, by_argument = put(other, 1), put(root, 2)
    monkeypatch.setenv("NOPROP_DATA", str(other))
    assert np.array_equal(get("fashion-mnist").load(None).x_train, by_variable)
    assert np.array_equal(get("fashion-mnist").load(root).x_train, by_argument)
    assert data_root(None) == other
    assert data_root(root) == root


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOPROP_DATA", "")
    assert data_root(None) is None


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "nowhere"
    with pytest.raises(UserError, match=rf"the data folder {missing} does not exist"):
        get("mnist").load(missing)
    monkeypatch.setenv("NOPROP_DATA", str(missing))
    with pytest.raises(UserError, match=rf"the data folder in NOPROP_DATA {missing} does not exist"):
        get("mnist").load(None)


def test_a_file_is_not_a_data_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file is not a folder; expected a folder"):
        data_root(tmp_path / "file")


def test_damage_is_never_passed_over(root: Path, tmp_path: Path) -> None:
    put(tmp_path / "system", 1)
    put(root, 2)
    (root / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz").write_bytes(b"")
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte\.gz"):
        get("fashion-mnist").load(root)


def test_unpacked_files_are_named_where_they_differ_from_the_gzipped_ones(root: Path) -> None:
    images = put(root, 2)
    files.write_idx_files(root / "fashion-mnist", files.grey(seed=2), gz=False)
    assert get("fashion-mnist").load(root).passed_over == {}
    other = root / "fashion-mnist" / "train-images-idx3-ubyte"
    other.write_bytes(files.idx_bytes(files.grey(seed=3)[0][:, 0]))
    raw = get("fashion-mnist").load(root)
    assert np.array_equal(raw.x_train, images)
    assert raw.passed_over == {"train-images-idx3-ubyte, which differs from the .gz file that is used": 1}


@pytest.mark.parametrize("name", sorted(files.CONTRACT))
def test_missing_data_name_every_place_and_a_way_out(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        get(name).load(None)
    message = str(caught.value)
    for place in (tmp_path / "cache", tmp_path / "system"):
        assert str(place) in message
    assert "could not be downloaded (no network in tests)" in message
    assert "NOPROP_DATA" in message
    assert ("dataset-fashion-mnist" in message) == (name == "fashion-mnist")
    assert "\n" not in message


def test_a_folder_that_was_given_and_does_not_have_it_is_an_error(root: Path, tmp_path: Path) -> None:
    put(tmp_path / "cache", 1)
    with pytest.raises(UserError, match=rf"Fashion-MNIST is not in {root} \(data folder\).*--data-dir.*NOPROP_DATA"):
        get("fashion-mnist").load(root)


def test_nothing_is_downloaded_for_a_user_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "cache_root", lambda: Path("~/.cache/noprop-bench"))
    with pytest.raises(UserError, match="there is no home folder to keep it in"):
        get("mnist").load(None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [RuntimeError("many\nlines " * 50), EOFError(), ValueError("odd")])
def test_whatever_a_download_raises_becomes_one_sentence(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(wanted: Published, folder: Path) -> None:
        raise error

    monkeypatch.setattr(sources, "fetch", fail)
    with pytest.raises(UserError, match="could not be downloaded") as caught:
        get("mnist").load(None)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> files.Arrays:
    """Make a small data set the one whose checksums are published for MNIST."""
    data = files.grey(seed=9)
    monkeypatch.setitem(mnist.SHA256, "MNIST", files.idx_digests(data))
    return data


def serve(monkeypatch: pytest.MonkeyPatch, data: files.Arrays) -> list[str]:
    """Let the download give these images; returns the list of the data sets asked for."""
    asked: list[str] = []

    def fetch(wanted: Published, folder: Path) -> None:
        asked.append(wanted.title)
        files.write_idx_files(folder / "MNIST" / "raw", data)

    monkeypatch.setattr(sources, "fetch", fetch)
    return asked


def test_a_download_is_kept_in_the_cache(
    published: files.Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = serve(monkeypatch, published)
    for _ in range(2):
        raw = get("mnist").load(None)
        assert np.array_equal(raw.x_train, published[0])
        assert raw.verified
        assert raw.source == "IDX files in MNIST/raw (user cache)"
    assert asked == ["MNIST"]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["MNIST"]
    assert capsys.readouterr().out == ""


def test_a_download_that_is_not_what_was_published_is_thrown_away(
    published: files.Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, files.grey(seed=10))
    with pytest.raises(UserError, match="does not match the published checksums"):
        get("mnist").load(None)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("error", [OSError("connection reset"), KeyboardInterrupt()])
def test_an_interrupted_download_leaves_nothing(
    published: files.Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def interrupted(wanted: Published, folder: Path) -> None:
        files.write_idx_files(folder / "MNIST" / "raw", published)
        raise error

    monkeypatch.setattr(sources, "fetch", interrupted)
    with pytest.raises((UserError, KeyboardInterrupt)):
        get("mnist").load(None)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("name", sorted(files.CONTRACT))
@pytest.mark.parametrize(
    "end", [OSError("connection reset"), KeyboardInterrupt(), None], ids=["broken", "stopped", "wrong"]
)
def test_no_data_set_is_taken_from_a_download_that_broke_off_or_brought_other_files(
    name: str, end: BaseException | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the files are all there by then."""
    make, write = files.CONTRACT[name]

    def fetch(wanted: Published, folder: Path) -> None:
        write(folder, make())
        if end is not None:
            raise end

    with monkeypatch.context() as patched:
        patched.setattr(sources, "fetch", fetch)
        with pytest.raises(type(end) if isinstance(end, KeyboardInterrupt) else UserError):
            get(name).load(None)
    assert list((tmp_path / "cache").iterdir()) == []
    with pytest.raises(UserError, match=r"is not in .* could not be downloaded"):
        get(name).load(None)


@pytest.mark.parametrize("name", sorted(files.CONTRACT))
def test_what_a_killed_download_leaves_is_not_looked_at(name: str, tmp_path: Path) -> None:
    make, write = files.CONTRACT[name]
    write(tmp_path / "cache" / ".download-abcdefgh", make())
    with pytest.raises(UserError, match=r"is not in .* could not be downloaded"):
        get(name).load(None)


def test_a_download_that_another_process_finished_first_is_left_alone(
    published: files.Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(wanted: Published, folder: Path) -> None:
        files.write_idx_files(tmp_path / "cache" / "MNIST" / "raw", published)
        files.write_idx_files(folder / "MNIST" / "raw", published)

    monkeypatch.setattr(sources, "fetch", fetch)
    assert get("mnist").load(None).verified
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["MNIST"]


def test_a_cache_that_cannot_be_made_becomes_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in its place")
    with pytest.raises(UserError, match="could not be downloaded"):
        get("mnist").load(None)


def test_fetch_bounds_the_wait_and_keeps_standard_output_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import socket

    import torchvision.datasets

    seen: list[float | None] = []

    class Chatty:
        def __init__(self, root: Path, train: bool, download: bool) -> None:
            assert root == tmp_path
            assert download
            seen.append(socket.getdefaulttimeout())
            print("Downloading ...")

    monkeypatch.undo()  # the real fetch
    monkeypatch.setattr(torchvision.datasets, "MNIST", Chatty)
    before = socket.getdefaulttimeout()
    sources.fetch(mnist.MNIST, tmp_path)
    assert seen[0] is not None
    assert 0 < seen[0] <= 60
    assert socket.getdefaulttimeout() == before
    assert capsys.readouterr().out == ""


def test_cache_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    import platformdirs

    monkeypatch.undo()
    assert sources.cache_root() == platformdirs.user_cache_path("noprop-bench")
