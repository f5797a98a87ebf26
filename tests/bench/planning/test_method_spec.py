"""What a user may write for methods and their options."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import methods
from bench.errors import UserError
from bench.planning.method_spec import parse_methods, parse_settings
from results.conditions import untuned

NAMES = sorted(methods.available())


def labels(text: str, **given_settings: str) -> list[str]:
    return [spec.label for spec in parse_methods(text, given_settings)]


def test_all_is_every_method_with_its_defaults() -> None:
    specs = parse_methods("all", {})
    assert [spec.label for spec in specs] == NAMES
    for spec in specs:
        assert spec.options == spec.cls.Options.parse({}).as_dict()


def test_core_is_at_most_ten_methods_that_say_so_themselves() -> None:
    core = labels("core")
    controls = {"backprop-checkpoint", "backprop-deep-supervision", "backprop-ensemble", "backprop-plain"}
    assert set(core) >= {"noprop", "backprop", "mono-forward"} | controls
    assert set(core) < set(NAMES)
    assert len(core) <= 10
    assert issubclass(methods.get("backprop-accumulate"), methods.get("backprop"))
    assert "backprop-accumulate" not in core


@given(st.permutations(NAMES), st.integers(1, len(NAMES)), st.sampled_from([",", " , ", ", "]))
def test_order_is_kept(order: list[str], count: int, comma: str) -> None:
    assert labels(comma.join(order[:count])) == order[:count]


def test_commas_in_brackets_do_not_end_a_method() -> None:
    first, second = parse_methods("noprop[T=20, sampler=mean],backprop[T=20]", {})
    assert (first.options["T"], first.options["sampler"]) == (20, "mean")
    assert (second.cls.name, second.options["T"]) == ("backprop", 20)


@given(T=st.integers(1, 50), eta=st.floats(1e-6, 1e6), first=st.sampled_from(["T", "eta"]))
def test_label_reads_back_as_the_same_method(T: int, eta: float, first: str) -> None:
    written = [f"T={T}", f"eta={eta}"] if first == "T" else [f"eta={eta}", f"T={T}"]
    (spec,) = parse_methods(f"noprop[{','.join(written)}]", {})
    assert spec.label == f"noprop[T={T},eta={eta}]"
    assert (spec.options["T"], spec.options["eta"]) == (T, eta)
    (again,) = parse_methods(spec.label, {})
    assert again == spec


def test_alias_gets_the_method_s_own_name() -> None:
    assert labels("noprop-dt[T=3]") == ["noprop[T=3]"]


def test_settings_reach_the_methods_that_have_them() -> None:
    assert labels("noprop,backprop-plain,backprop", T="3") == ["noprop[T=3]", "backprop-plain", "backprop[T=3]"]


def test_a_setting_is_left_out_of_methods_that_refuse_its_value(capsys: pytest.CaptureFixture[str]) -> None:
    """As long as one accepts it; which are left out is said."""
    assert labels("noprop,backprop-ensemble", T="3", execution="together") == [
        "noprop[T=3,execution=together]",
        "backprop-ensemble[T=3]",
    ]
    assert "note: execution=together is left out of backprop-ensemble: " in capsys.readouterr().err
    with pytest.raises(UserError, match=r"^backprop-ensemble: option execution='together' is not accepted"):
        labels("backprop,backprop-ensemble", execution="together")


def test_low_memory_is_a_row_of_its_own() -> None:
    """Beside the usual one, with the same options else; of each method that can, once."""
    specs = parse_methods("backprop,noprop[T=3],noprop[T=4,execution=low_memory]", {"eta": "2"}, low_memory=True)
    assert [spec.label for spec in specs] == [
        "backprop",
        "noprop[T=3,eta=2.0]",
        "noprop[T=3,eta=2.0,execution=low_memory]",
        "noprop[T=4,eta=2.0,execution=low_memory]",
    ]
    twice = parse_methods("noprop,noprop[execution=together],noprop[execution=low_memory]", {}, low_memory=True)
    assert [spec.label for spec in twice] == [
        "noprop",
        "noprop[execution=together]",
        "noprop[execution=low_memory]",
    ]
    usual, low = specs[1].options, specs[2].options
    assert {name for name in usual if usual[name] != low[name]} == {"execution"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("backprop,noprop-ct", "--low-memory is not accepted with backprop, noprop-ct: only noprop can"),
        ("noprop[embedding=learned]", "execution=low_memory"),
    ],
)
def test_low_memory_that_cannot_be(text: str, said: str) -> None:
    with pytest.raises(UserError) as refused:
        parse_methods(text, {}, low_memory=True)
    assert said in str(refused.value)


def test_tuned_is_a_word_in_brackets() -> None:
    """It makes another row of the same method; where no method has it, it is for all."""
    some = parse_methods("noprop,noprop[tuned],backprop[tuned, T=2]", {"eta": "2"}, tuned=True)
    assert [spec.label for spec in some] == ["noprop[eta=2.0]", "noprop[eta=2.0,tuned]", "backprop[T=2,tuned]"]
    assert [spec.tuned for spec in some] == [False, True, True]
    assert [untuned(spec.label) for spec in some] == ["noprop[eta=2.0]", "noprop[eta=2.0]", "backprop[T=2]"]
    assert [spec.label for spec in parse_methods("noprop,backprop[T=2]", {}, tuned=True)] == [
        "noprop[tuned]",
        "backprop[T=2,tuned]",
    ]
    assert [spec.label for spec in parse_methods("all[tuned],noprop", {}, tuned=True)][-1] == "noprop"
    with pytest.raises(UserError, match="without tuned hyperparameters: add --config tuned"):
        parse_methods("backprop[T=2,tuned]", {})


def test_brackets_win_over_settings() -> None:
    first, second = parse_methods("noprop[T=2],backprop", {"T": "7"})
    assert (first.options["T"], second.options["T"]) == (2, 7)


def test_same_method_with_other_options_is_another() -> None:
    assert labels("noprop,noprop[T=2],noprop[T=3]") == ["noprop", "noprop[T=2]", "noprop[T=3]"]


def test_the_same_options_under_another_name_are_no_other_method() -> None:
    with pytest.raises(UserError, match=r"noprop and noprop\[T=10\] are the same method with the same options"):
        parse_methods("noprop,noprop[T=10]", {})


def test_none_and_text_options_show_as_they_are_written() -> None:
    assert labels("noprop[embedding_dim=none,embedding=learned]") == ["noprop[embedding=learned,embedding_dim=none]"]


@settings(max_examples=300, derandomize=True)
@given(st.text(st.sampled_from("noprpback[]=,T 12-"), max_size=25))
def test_any_text_is_read_or_refused_in_one_sentence(text: str) -> None:
    try:
        said, found = "", [spec.label for spec in parse_methods(text, {})]
    except UserError as error:
        said, found = str(error), []
    assert bool(said) != bool(found)
    assert "\n" not in said
    assert len(set(found)) == len(found)


@given(st.dictionaries(st.text("abcT_", min_size=1), st.text("xyz=1.", min_size=1).filter(str.strip), max_size=4))
def test_settings_read_back(expected: dict[str, str]) -> None:
    assert parse_settings(f" {name} = {value} " for name, value in expected.items()) == expected


@pytest.mark.parametrize("item", ["", "T", "T=", "=3", "  =  "])
def test_setting_of_another_form(item: str) -> None:
    with pytest.raises(UserError, match="NAME=VALUE") as refusal:
        parse_settings([item])
    assert repr(item) in str(refusal.value)
