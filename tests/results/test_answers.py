"""Which images a model got right, as text in a row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from results.answers import pack, unpack
from tests.factories import make_cell, make_data


@given(st.lists(st.booleans(), min_size=1, max_size=70))
def test_come_back(right: list[bool]) -> None:
    assert unpack(pack(np.array(right)), len(right)).tolist() == right


def test_ten_thousand_images_take_under_two_kilobytes() -> None:
    assert len(pack(np.ones(10_000, dtype=bool))) < 2_000


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "0 bytes, and the bits of 9 images take 2"),
        ("!!!!", "not base64"),
        ("/4A", "not base64"),
        ("//8=", "bits beyond the 9 images"),
        ("////", "3 bytes"),
    ],
)
def test_what_is_not_of_these_images_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        unpack(text, 9)


def test_a_row_s_answers_are_those_of_its_accuracy() -> None:
    right = np.arange(10) < 7
    data = make_data(n_test=10)
    assert make_cell(data=data, test_accuracy=0.7, test_correct=pack(right)).test_correct is not None
    with pytest.raises(ValidationError, match="its test answers is not that of its accuracy"):
        make_cell(data=data, test_accuracy=0.8, test_correct=pack(right))
    with pytest.raises(ValidationError, match="its test answers is damaged: it has 1 bytes"):
        make_cell(data=data, test_accuracy=0.7, test_correct=pack(right[:8]))
