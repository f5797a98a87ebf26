"""The report on how fast the project's own code is: its ratios, and which method gains by it."""

from __future__ import annotations

from typing import Any

import pytest

from reports.sections import plain_trainer
from reports.view import arrange
from results.microbenchmarks import Microbenchmarks
from tests.factories import make_cell, make_run
from tests.microbench_factory import REFERENCE, make_benchmark, make_session
from tests.reports.sections.test_microbench import table, words

FAVOURED = "**part of the difference between their training times"


def said(*benchmarks: dict[str, Any]) -> str:
    session = Microbenchmarks.model_validate(make_session(benchmarks))
    return plain_trainer.section(arrange(make_run([make_cell()]), [make_cell()], session)) or ""


def epoch(method: str, training: float, iqr: float = 0.02) -> dict[str, Any]:
    ratio = {"median": training, "iqr": iqr, "pairs": 7}
    return make_benchmark("epoch", method, reference=REFERENCE | {"training": ratio})


def test_every_ratio_is_a_row() -> None:
    headers, _, *rows = table(said(epoch("noprop", 0.623, 0.021), make_benchmark("block", "noprop")))
    assert headers == ["method", "precision", "image", "call", "compared with", "times as long (IQR)", "pairs"]
    plain, size = "the plain trainer's", "1 × 28 × 28"
    bound = "its operations at a matrix product's speed"
    assert rows == [
        ["`noprop`", "float32", size, "an epoch's training and evaluation", plain, "0.410 (0.012)", "7"],
        ["`noprop`", "float32", size, "an epoch's training", plain, "0.623 (0.021)", "7"],
        ["`noprop`", "float32", size, "a block's forward and backward pass", bound, "2.340 (0.050)", "31"],
    ]


def test_mixed_precision_is_a_row_of_its_own_and_is_said() -> None:
    text = said(
        *(make_benchmark("epoch", name, amp=amp) for name in ("noprop", "backprop") for amp in (False, True)),
        *(make_benchmark("block", "noprop", amp=amp) for amp in (False, True)),
    )
    assert [row[:2] for row in table(text)[2:]] == [
        ["`noprop`", "float32"],
        ["`noprop`", "float32"],
        ["`noprop`", "bfloat16"],
        ["`noprop`", "bfloat16"],
        ["`backprop`", "float32"],
        ["`backprop`", "float32"],
        ["`backprop`", "bfloat16"],
        ["`backprop`", "bfloat16"],
        ["`noprop`", "float32"],
        ["`noprop`", "bfloat16"],
    ]
    assert "the plain trainer computes in float32 in every row" in text
    assert text.count("gain equally") == 2
    assert text.count("both in bfloat16") == 1
    assert text.count("6.20 GFLOP") == 1
    assert "bfloat16" not in said(epoch("noprop", 0.6), make_benchmark("block", "noprop"))


def test_what_is_evaluated_and_the_bound_are_said() -> None:
    text = said(epoch("noprop", 0.6), make_benchmark("block", "noprop"))
    assert "9 training steps on 128 images" in text
    assert "the harness evaluates 341 images" in text
    assert "the plain trainer 1,493, the training images too" in text
    assert "6.20 GFLOP for a batch of 128 images with `noprop`" in text
    assert "2,048 × 2,048 on the same threads, 123 GFLOP/s" in text


@pytest.mark.parametrize(
    ("noprop", "backprop", "sentence"),
    [
        (0.7, 0.5, "`backprop` gains more than `noprop` (0.500 of"),
        (0.5, 0.7, "`noprop` gains more than `backprop` (0.700 of"),
        (0.51, 0.5, "gain equally (0.500 of"),
        (0.5, 0.51, "gain equally (0.510 of"),
    ],
)
def test_who_gains_more(noprop: float, backprop: float, sentence: str) -> None:
    text = said(epoch("noprop", noprop), epoch("backprop", backprop))
    assert sentence in text
    assert (FAVOURED in text) == (noprop == 0.5 and backprop == 0.7)
    assert f"{noprop:.3f} for `noprop`" in text


def test_one_method_alone_gains_nothing_over_another() -> None:
    assert "the implementation" not in said(epoch("noprop", 0.5))
    assert "Below 1" not in said(make_benchmark("block", "noprop"))
    assert said(make_benchmark("step")) == ""


def test_it_is_part_of_the_section_and_adds_no_row_to_the_table_of_methods() -> None:
    calls = [make_benchmark("step"), epoch("noprop", 0.5), make_benchmark("block", "noprop")]
    text = words(make_session(calls))
    before, heading, after = text.partition("### Against a plain trainer")
    assert heading
    assert [row[0] for row in table(before)[2:]] == ["`backprop`"]
    assert "0.500 (0.020)" in after
    assert "### Against" not in words()
