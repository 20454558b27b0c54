"""Options of plug-ins: names, types and ranges."""

from dataclasses import dataclass, fields

import pytest

from metatrain.errors import MetatrainError
from metatrain.hypers import hyper, with_options


@dataclass(frozen=True)
class Inner:
    """A section."""

    radius: float = hyper(5.0, "radius", above=0.0)


@dataclass(frozen=True)
class Outer:
    """A plug-in."""

    count: int = hyper(3, "how many", minimum=1, maximum=9)
    kind: str = hyper("soft", "of which kind", choices=("soft", "hard"))
    rate: float | None = hyper(None, "how fast", above=0.0)
    names: list[str] = hyper(["a"], "names")
    inner: Inner = hyper(Inner, "a section")
    switch: str = hyper("auto", "on or off", choices=("auto", "on", "off"))
    size: int | Inner = hyper(4, "a number or a section", minimum=1)

    def __post_init__(self):
        if self.kind == "hard" and self.count > 5:
            raise MetatrainError("count: more than 5 is too much for 'hard'.")


def test_defaults_are_not_shared():
    assert Outer().names is not Outer().names
    assert Outer().inner == Inner(5.0)


def test_a_hyper_carries_its_meaning_and_its_range():
    metadata = {field.name: dict(field.metadata) for field in fields(Outer)}
    assert metadata["count"] == {"meaning": "how many", "minimum": 1, "maximum": 9}
    assert metadata["kind"] == {"meaning": "of which kind", "choices": ("soft", "hard")}


def test_options_are_taken_in_their_types():
    made = with_options(Outer, {"rate": 2, "names": ["b", "c"]}, "x")
    assert made == Outer(rate=2.0, names=["b", "c"])
    assert isinstance(made.rate, float)
    assert isinstance(made.names, list)


def test_on_and_off_are_choices_though_yaml_takes_them_for_true_and_false():
    assert with_options(Outer, {"switch": True}, "x").switch == "on"
    assert with_options(Outer, {"switch": False}, "x").switch == "off"
    with pytest.raises(MetatrainError, match="found 'onn', expected one of 'auto', 'on', 'off'"):
        with_options(Outer, {"switch": "onn"}, "x")


def test_a_section_may_stand_for_a_number():
    assert with_options(Outer, {"size": "7"}, "x").size == 7
    assert with_options(Outer, {"size": {"radius": 2}}, "x").size == Inner(2.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cuont": 1}, "x.cuont: unknown option; did you mean 'count'? allowed: count, kind"),
        ({"zzz": 1}, "x.zzz: unknown option; allowed: count, kind"),
        ({"count": "many"}, "x.count: found 'many', expected a whole number"),
        ({"count": 0}, "x.count: found 0, expected at least 1"),
        ({"size": 0}, "x.size: found 0, expected at least 1"),
        ({"size": "big"}, "expected a whole number or a mapping of the options radius"),
        ({"size": {"radius": 0}}, "x.size.radius: found 0.0, expected a number above 0.0"),
        ({"size": {"raduis": 2}}, "x.size.raduis: unknown option; did you mean 'radius'?"),
        ({"count": 10}, "x.count: found 10, expected at most 9"),
        ({"rate": 0}, "x.rate: found 0.0, expected a number above 0.0"),
        ({"rate": float("nan")}, "x.rate: found nan, expected a number above 0.0"),
        ({"kind": "sotf"}, "x.kind: found 'sotf', expected one of 'soft', 'hard'"),
        ({"kind": "hard", "count": 6}, "x.count: more than 5 is too much for 'hard'."),
    ],
)
def test_a_mistake_names_its_key_and_what_is_expected(options, message):
    with pytest.raises(MetatrainError) as caught:
        with_options(Outer, options, "x")
    assert message in str(caught.value)
