from dataclasses import dataclass
from typing import Any

from metatrain.hypers import hyper
from metatrain.hypers.description import Option, describe


@dataclass(frozen=True)
class Cutoff:
    radius: float = hyper(5.0, "radius of the neighborhood", above=0.0)
    width: float = hyper(0.5, "width of the switch", minimum=0.0, maximum=1.0)


@dataclass(frozen=True)
class Hypers:
    depth: int
    cutoff: Cutoff = hyper(Cutoff, "the neighborhood")
    wide: Cutoff = hyper(lambda: Cutoff(radius=9.0), "a section with defaults of its own")
    repulsion: Cutoff | None = hyper(None, "short range")
    kind: str = hyper("silu", "nonlinearity", choices=("silu", "tanh"))
    heads: dict[str, str] = hyper({}, "per target")
    flag: bool | None = hyper(None, "maybe")
    optimizer: Any = hyper("adam", "an optimizer", plugin="optimizers")
    loggers: list[Any] = hyper(["csv"], "loggers", plugin="loggers")
    size: int | Cutoff = hyper(3, "a number or a section", minimum=1)


OPTIONS = {option.name: option for option in describe(Hypers)}


def test_an_option_says_type_default_range_and_meaning():
    assert OPTIONS["cutoff.width"] == Option(
        "cutoff.width", "number", "0.5", "0.0 to 1.0", "width of the switch"
    )
    assert OPTIONS["cutoff.radius"].allowed == "above 0.0"


def test_sections_are_written_with_dots_and_have_no_row_of_their_own():
    assert list(OPTIONS)[:3] == ["depth", "cutoff.radius", "cutoff.width"]


def test_an_optional_section_has_a_row_and_those_of_its_options():
    assert OPTIONS["repulsion"].type == "mapping or null"
    assert OPTIONS["repulsion"].default == "null"
    assert OPTIONS["repulsion.radius"].default == "5.0"


def test_a_section_that_may_stand_for_a_number_has_rows_below_that_of_the_number():
    assert OPTIONS["size"].type == "whole number or a mapping"
    assert (OPTIONS["size"].default, OPTIONS["size.width"].default) == ("3", "0.5")


def test_an_option_without_default_is_required():
    assert OPTIONS["depth"] == Option("depth", "whole number", "required", "", "")


def test_choices_are_the_allowed_values():
    assert OPTIONS["kind"].allowed == "silu, tanh"


def test_what_names_a_plug_in_says_where_to_look():
    assert OPTIONS["optimizer"].type == "name or mapping"
    assert OPTIONS["loggers"].type == "list of names or mappings"
    assert OPTIONS["optimizer"].allowed == "what 'mtt list optimizers' shows"


def test_defaults_are_yaml():
    assert OPTIONS["heads"].default == "{}"
    assert OPTIONS["loggers"].default == "[csv]"
    assert OPTIONS["flag"].default == "null"
