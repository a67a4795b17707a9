"""Seeds, values and names as they are typed."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from seedspread.config.overrides import (
    expand_seeds,
    format_seeds,
    format_value,
    name_study,
    quote_letters,
    results_override,
    split_command,
    validation_overrides,
    wider_range,
)


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, unique=True))
def test_seeds_are_spelled_and_read_back(seeds):
    assert expand_seeds(format_seeds(seeds)) == seeds


def test_runs_of_seeds_are_short():
    assert format_seeds([*range(10_000), 12]) == "0-9999,12" and expand_seeds(7) == [7]


def test_studies_are_named_by_what_was_swept():
    assert name_study("digits", []) == "digits"
    assert name_study("digits", [("model.width", "16"), ("+x/y", "a b")]) == "digits-width16-x_ya_b"
    assert name_study("größe", [("data.source", "'ü'")]) == "größe-source_ü_"


@pytest.mark.parametrize(
    "value",
    [
        *("cosine", "/tmp/results", "/tmp/my results", "/tmp/a=b,c", "it's", "back\\", "a\\'b", "", "true", "Null"),
        *("nan", "1e3", "résultats", None, True, False, 3, -0.5, 1e-05),
    ],
)
def test_values_are_typed_so_that_hydra_reads_them_back(value):
    read = OverridesParser.create().parse_override(f"key={format_value(value)}").value()
    assert str(read) == str(value) and isinstance(read, type(value)) and isinstance(value, type(read))


@pytest.mark.parametrize(
    "typed, read",
    [
        ("key=größe.csv", "größe.csv"),
        ("key=größe [1], alt.csv", None),
        ("key=größe[1].csv", "größe[1].csv"),
        ("key=[größe.csv,x.csv]", ["größe.csv", "x.csv"]),
        ("key=[[ü, b],[c]]", [["ü", "b"], ["c"]]),
        ("key='ü, b'", "ü, b"),
        ("key={a: 'ü'}", {"a": "ü"}),
        ("+key=data.source=über", "data.source=über"),
    ],
)
def test_letters_outside_of_ascii_are_quoted(typed, read):
    override = OverridesParser.create().parse_override(*quote_letters([typed]))
    assert override.value() == read if read else list(override.sweep_string_iterator()) == ["'größe [1]'", "alt.csv"]


def test_the_results_of_a_command_to_type_next_are_typed_so_that_hydra_reads_them_back():
    assert results_override("results") == results_override(Path("results")) == []
    [typed] = results_override(Path("/tmp/my results, old"))
    assert OverridesParser.create().parse_override(typed).value() == "/tmp/my results, old"


@pytest.mark.parametrize(
    "seeds, wider", [([0, 1, 2], "range(0,30)"), ([5], "range(5,25)"), (range(10), "range(0,100)")]
)
def test_a_wider_range_has_ten_times_as_many_seeds(seeds, wider):
    assert wider_range(seeds) == wider


@pytest.mark.parametrize("program", ["python -m src.train", "seedspread train"])
def test_the_overrides_of_a_recorded_command_are_found_for_both_programs(program):
    assert split_command(f"{program} seed=3 'study=a b'") == ["seed=3", "study=a b"]


def test_a_tenth_validates_unless_it_is_typed_or_the_data_are_foreign(small):
    assert validation_overrides(small(), ["experiment=digits"]) == ["data.validation=0.1"]
    for typed in ("data.validation=0.2", "data.validation=null", "++data.validation=500"):
        assert validation_overrides(small(), ["experiment=digits", typed]) == []
    assert validation_overrides(small("data._target_=mine.Data"), []) == []
