import dataclasses
import itertools

import numpy as np
import pytest
import torch

from bench.datasets import RawData, get, make_splits
from bench.datasets.split import channel_statistics
from bench.errors import UserError
from tests.bench.datasets import files

SIZES = (30, 24, 40)


def raw_data(sizes: tuple[int, ...] = SIZES, channels: int = 1) -> RawData:
    """Images of which no two are alike: the first two pixels number them, test images from 200 x 256 on."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    test_labels = np.repeat(np.arange(len(sizes)), 4)

    def images(n: int, block: int) -> np.ndarray:
        x = rng.integers(0, 256, (n, channels, 4, 4), dtype=np.uint8)
        x[:, 0, 0, 0] = np.arange(n) // 256 + block
        x[:, 0, 0, 1] = np.arange(n) % 256
        return x

    train, test = images(len(labels), 0), images(len(test_labels), 200)
    return RawData(train, labels, test, test_labels, source="made up", verified=None, partial=True)


def split(raw: RawData | None = None, train_size: int | None = None, split_seed: int = 0, num_classes: int = 3):
    return make_splits(raw or raw_data(), num_classes=num_classes, train_size=train_size, split_seed=split_seed)


def numbers(images: torch.Tensor) -> set[int]:
    found = (images[:, 0, 0, 0].long() * 256 + images[:, 0, 0, 1].long()).tolist()
    assert len(set(found)) == len(found)
    return set(found)


def test_parts_are_disjoint_and_cover_everything() -> None:
    raw, splits = raw_data(), split()
    train, val, test = numbers(splits.x_train), numbers(splits.x_val), numbers(splits.x_test)
    assert not train & val
    assert train | val == numbers(torch.from_numpy(raw.x_train))
    assert test == numbers(torch.from_numpy(raw.x_test))


def test_every_image_keeps_its_label() -> None:
    raw, splits = raw_data(), split(train_size=20)
    label_of = dict(zip([image.tobytes() for image in raw.x_train], raw.y_train.tolist(), strict=True))
    for images, labels in ((splits.x_train, splits.y_train), (splits.x_val, splits.y_val)):
        assert [label_of[image.numpy().tobytes()] for image in images] == labels.tolist()
    assert torch.equal(splits.y_test, torch.from_numpy(raw.y_test))
    assert torch.equal(splits.x_test, torch.from_numpy(raw.x_test))


def test_types() -> None:
    splits = split(raw_data(channels=3))
    for images, labels in (
        (splits.x_train, splits.y_train),
        (splits.x_val, splits.y_val),
        (splits.x_test, splits.y_test),
    ):
        assert images.dtype == torch.uint8
        assert images.shape[1:] == (3, 4, 4)
        assert labels.dtype == torch.int64
    assert len(splits.mean) == len(splits.std) == 3


def test_validation_is_a_tenth_of_every_class() -> None:
    assert split().y_val.bincount().tolist() == [3, 2, 4]


def test_validation_has_one_of_even_a_tiny_class() -> None:
    splits = split(raw_data((30, 2, 40)))
    assert splits.y_val.bincount().tolist() == [3, 1, 4]
    assert splits.y_train.bincount().tolist() == [27, 1, 36]


def test_validation_does_not_depend_on_train_size() -> None:
    whole = split()
    for train_size in (3, 10, 60):
        assert torch.equal(split(train_size=train_size).x_val, whole.x_val)


@pytest.mark.parametrize("train_size", [3, 4, 5, 31, 66, 67, 68])
def test_training_part_is_balanced(train_size: int) -> None:
    counts = split(train_size=train_size).y_train.bincount(minlength=3)
    assert counts.sum() == train_size
    assert counts.max() - counts.min() <= 1


def test_training_parts_are_nested() -> None:
    parts = [numbers(split(train_size=size).x_train) for size in range(3, 69)]
    assert all(smaller < larger for smaller, larger in itertools.pairwise(parts))
    assert parts[-1] < numbers(split().x_train)


def test_seed_decides() -> None:
    first, again, other = split(train_size=20), split(train_size=20), split(train_size=20, split_seed=1)
    assert first.record == again.record
    assert numbers(first.x_val) != numbers(other.x_val)
    assert numbers(first.x_train) != numbers(other.x_train)
    assert numbers(first.x_test) == numbers(other.x_test)


def test_digits_are_pinned() -> None:
    """The same tensors for everybody, whatever the library versions: a change here breaks every stored result."""
    splits = split(get("digits").load(None), train_size=1000, num_classes=10)
    assert splits.record.fingerprint == "c487ff319108bb2771ea21bbc9e16676930053cbe720775acd922d31a807b7e2"


def test_statistics_are_those_of_the_training_part() -> None:
    splits = split(raw_data(channels=2), train_size=20)
    pixels = splits.x_train.double() / 255
    assert splits.mean == pytest.approx(pixels.mean(dim=(0, 2, 3)).tolist(), abs=1e-12)
    assert splits.std == pytest.approx(pixels.std(dim=(0, 2, 3), correction=0).tolist(), abs=1e-12)


def test_statistics_ignore_validation_and_test_images() -> None:
    raw = raw_data()
    before = split(raw, train_size=20)
    used = numbers(before.x_train)
    for number in range(len(raw.x_train)):
        if number not in used:
            raw.x_train[number, :, 1:] = 255
    raw.x_test[:, :, 1:] = 255
    after = split(raw, train_size=20)
    assert (after.mean, after.std) == (before.mean, before.std)
    assert not torch.equal(after.x_val, before.x_val)


def test_a_constant_channel_has_a_deviation_above_zero() -> None:
    mean, std = channel_statistics(np.full((3, 1, 2, 2), 51, np.uint8))
    assert mean == (0.2,)
    assert std == (1 / 255,)


def test_statistics_of_many_images() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2500, 2, 2, 2), dtype=np.uint8)
    images[:, 1] //= 2
    mean, std = channel_statistics(images)
    assert mean == pytest.approx((images / 255).mean(axis=(0, 2, 3)), abs=1e-12)
    assert std == pytest.approx((images / 255).std(axis=(0, 2, 3)), abs=1e-12)


def changed_copy(raw: RawData, name: str) -> RawData:
    array = getattr(raw, name).copy()
    array.flat[-1] = array.flat[0] if name.startswith("y") else array.flat[-1] ^ 1
    return dataclasses.replace(raw, **{name: array})


@pytest.mark.parametrize("name", ["x_train", "x_test", "y_test"])
def test_fingerprint_notices_one_pixel_or_label(name: str) -> None:
    raw = raw_data()
    assert split(changed_copy(raw, name)).record.fingerprint != split(raw).record.fingerprint


def test_fingerprint_is_of_what_is_used() -> None:
    raw = raw_data()
    before = split(raw, train_size=20)
    used = numbers(before.x_train) | numbers(before.x_val)
    unused = next(number for number in range(len(raw.x_train)) if number not in used)
    raw.x_train[unused, 0, 3, 3] ^= 1
    assert split(raw, train_size=20).record.fingerprint == before.record.fingerprint
    assert split(raw, train_size=21).record.fingerprint != before.record.fingerprint


def test_record_counts() -> None:
    record = split(train_size=20).record
    assert (record.n_train, record.n_val, record.n_test, record.n_train_available) == (20, 9, 12, 85)
    assert record.shape == (1, 4, 4)
    assert record.num_classes == 3
    assert (record.source, record.verified, record.partial) == ("made up", None, True)


def test_splits_do_not_share_memory_with_the_raw_data() -> None:
    raw = raw_data()
    splits = split(raw)
    splits.x_test.zero_()
    splits.x_train.zero_()
    assert raw.x_test.any()
    assert numbers(torch.from_numpy(raw.x_train)) == set(range(sum(SIZES)))


@pytest.mark.parametrize(
    ("train_size", "message"),
    [
        (2, "training size 2 is too small; expected at least 3"),
        (0, "training size 0 is too small"),
        (-5, "training size -5 is too small"),
        (86, "training size 86 is too large; 85 images are left after validation"),
        (69, "training size 69 cannot be balanced .* smallest of which has 22 images; expected at most 68"),
        (85, "training size 85 cannot be balanced"),
    ],
)
def test_refuses_a_train_size(train_size: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        split(train_size=train_size)


def test_refuses_a_negative_seed() -> None:
    with pytest.raises(UserError, match="split seed -1 cannot be used; expected 0 or more"):
        split(split_seed=-1)


@pytest.mark.parametrize(
    ("raw", "num_classes", "message"),
    [
        (raw_data(), 2, "training labels run from 0 to 2; expected 0 to 1"),
        (raw_data(), 4, r"class 3 has 0 training image\(s\); expected at least 2"),
        (raw_data((30, 1, 40)), 3, r"class 1 has 1 training image\(s\); expected at least 2"),
    ],
)
def test_refuses_classes_that_cannot_be_split(raw: RawData, num_classes: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        split(raw, num_classes=num_classes)


def test_refuses_a_class_without_test_images() -> None:
    raw = raw_data()
    keep = raw.y_test != 1
    with pytest.raises(UserError, match=r"class 1 has 0 test image\(s\); expected at least 1"):
        split(dataclasses.replace(raw, x_test=raw.x_test[keep], y_test=raw.y_test[keep]))


def test_read_only_arrays_are_fine(recwarn: pytest.WarningsRecorder) -> None:
    raw = RawData(*files.grey(), source="made up", verified=None, partial=True)
    for array in (raw.x_train, raw.y_train, raw.x_test, raw.y_test):
        array.flags.writeable = False
    split(raw, num_classes=10)
    assert not list(recwarn)


def test_the_share_of_the_most_frequent_class_is_that_of_the_test_part() -> None:
    raw = raw_data()
    assert split(raw).record.majority_share == 1 / 3
    lopsided = np.flatnonzero((raw.y_test == 0) | (np.arange(12) % 4 == 0))  # 4, 1 and 1 images
    kept = dataclasses.replace(raw, x_test=raw.x_test[lopsided], y_test=raw.y_test[lopsided])
    assert split(kept).record.majority_share == 4 / 6


def test_a_part_of_equal_images_is_refused_with_the_probable_reason() -> None:
    raw = raw_data()
    for part, value, reason in (("training", 0, "black ink on"), ("test", 1, "0 to 1"), ("test", 9, "one colour")):
        name = {"training": "x_train", "test": "x_test"}[part]
        flat = dataclasses.replace(raw, **{name: np.full_like(getattr(raw, name), value)})
        with pytest.raises(UserError, match=f"images of the {part} part are equal .*{reason}"):
            split(flat)
    with pytest.raises(UserError, match="the same picture, copied"):
        split(dataclasses.replace(raw, x_test=np.repeat(raw.x_test[:1], 12, axis=0)))


def test_test_images_in_the_training_part_are_counted_and_many_refused() -> None:
    raw = raw_data()
    assert split(raw).record.test_duplicates == 0
    one = dataclasses.replace(raw, x_test=np.concatenate([raw.x_train[:1], raw.x_test[1:]]))
    assert split(one).record.test_duplicates == 1
    x_val = np.concatenate([raw.x_train[:2], 255 - raw.x_test[2:4]])
    own = dataclasses.replace(one, x_val=x_val, y_val=raw.y_train[:4])
    assert (split(raw).record.val_duplicates, split(own).record.val_duplicates) == (0, 2)
    many = dataclasses.replace(raw, x_test=raw.x_train[:12])
    with pytest.raises(UserError, match=r"12 of 12 test images \(100%\).*--duplicates"):
        split(many)
    allowed = make_splits(many, num_classes=3, train_size=None, split_seed=0, allow_duplicates=True)
    assert allowed.record.test_duplicates == 12


def test_the_smallest_class_is_that_of_what_is_left() -> None:
    assert split(train_size=3).record.smallest_class == 22  # of 24, a tenth is held out
