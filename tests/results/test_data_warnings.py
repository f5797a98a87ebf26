import pytest

from results.data_warnings import data_warnings
from tests.factories import make_data


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (
            {"passed_over": ((".heic files", 3), ("hidden or system files", 1))},
            "4 files or arrays of its data passed over (.heic files: 3, hid",
        ),
        (
            {"passed_over": (*((f".{letter} files", 1) for letter in "abcde"), (".x files", 3), (".y files", 2))},
            "10 files or arrays of its data passed over (.x files: 3, .y files: 2, .a files: 1, .b files: 1, "
            ".c files: 1, others: 2)",
        ),
        ({"test_duplicates": 5, "n_test": 50}, "5 of 50 test images (10.0%) in the training or validation part"),
        ({"val_duplicates": 5, "n_val": 50}, "5 of 50 validation images (10.0%) in the training part too"),
        ({"several_frames": 1}, "1 picture is animated or of several pages: only the first is read"),
        ({"majority_share": 0.95}, "95.0% of the test images are of one class"),
        ({"majority_share": 0.3}, "30.0% of the test images are of one class"),
        ({"smallest_class": 1}, "its smallest class has 1 training image, too few"),
        ({"blank": 30, "n_train_available": 1000}, "30 training images have one colour throughout (3.0%)"),
        ({"mean": (0.002,)}, "its images are almost black"),
    ],
)
def test_what_is_odd_is_one_sentence(facts: dict[str, object], sentence: str) -> None:
    (found,) = data_warnings(make_data(**facts))
    assert found.startswith(sentence)


def test_nothing_is_said_of_data_as_they_should_be() -> None:
    usual = {"test_duplicates": 0, "majority_share": 0.11, "blank": 5, "n_train_available": 1000, "smallest_class": 100}
    assert data_warnings(make_data(**usual)) == []
    assert data_warnings(make_data(majority_share=0.6, num_classes=2)) == []
