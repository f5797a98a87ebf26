"""Options and the registry: every mistake is one sentence that names the value and what is accepted."""

from __future__ import annotations

import pytest

import methods
from methods.core.method import TaskShape
from tests.methods.helpers import build


@pytest.mark.parametrize(
    ("option", "value", "accepted"),
    [
        ("T", "0", "from 1 to 1,000"),
        ("T", "-3", "from 1 to 1,000"),
        ("T", "2.5", "a whole number"),
        ("T", "ten", "a whole number"),
        ("eta", "0", "above 0"),
        ("eta", "inf", "finite"),
        ("eta", "much", "a number"),
        ("eta", "nan", "above 0"),
        ("embedding", "random", "one of onehot, learned"),
        ("T", "1001", "from 1 to 1,000"),
        ("samples", "0", "from 1 to 10,000"),
        ("embedding_dim", "0", "from 1 to 100,000"),
        ("decoder", "relu6", "one of none, tanh"),
        ("sampler", "euler", "one of ancestral, mean, replace"),
        ("alpha_bar_min", "0", "between 0 and 1"),
        ("alpha_bar_max", "1", "below 1"),
        ("alpha_bar_max", "0.0001", "above alpha_bar_min"),
    ],
)
def test_bad_value(option: str, value: str, accepted: str) -> None:
    with pytest.raises(methods.MethodError) as error:
        methods.get("noprop").Options.parse({option: value})
    assert option in str(error.value)
    assert value in str(error.value)
    assert accepted in str(error.value)


def test_unknown_option_names_the_nearest() -> None:
    with pytest.raises(methods.MethodError, match=r"'samplr' \(did you mean 'sampler'\?\)"):
        methods.get("noprop").Options.parse({"samplr": "mean"})


def test_text_becomes_values() -> None:
    options = methods.get("noprop").Options.parse(
        {"T": "20", "eta": "1e-1", "embedding_dim": "none", "decoder": "none"}
    )
    assert options.as_dict() | {"T": 20, "eta": 0.1, "embedding_dim": None, "decoder": "none"} == options.as_dict()


def test_onehot_has_one_dimension_a_class() -> None:
    assert build("noprop", T=1, embedding_dim=10).net.embedding.dim == 10
    with pytest.raises(methods.MethodError, match=r"embedding_dim=7 is not accepted.*10 classes"):
        build("noprop", T=1, embedding_dim=7)


def test_too_small_images() -> None:
    with pytest.raises(methods.MethodError, match="7x8 pixels are too small"):
        build("backprop", shape=TaskShape(1, 7, 8, 10))


def test_unknown_method_names_the_nearest_and_all() -> None:
    with pytest.raises(methods.MethodError) as error:
        methods.get("nopropp")
    assert "did you mean 'noprop'?" in str(error.value)
    assert all(name in str(error.value) for name in methods.available())


def test_alias_is_the_same_method() -> None:
    assert methods.get("noprop-dt") is methods.get("noprop")
    assert "noprop-dt" not in methods.available()


@pytest.mark.parametrize("name", ["noprop", "noprop-dt"])
def test_a_name_is_taken_once(name: str) -> None:
    with pytest.raises(ValueError, match="already registered"):
        methods.register(name)(methods.get("backprop"))
