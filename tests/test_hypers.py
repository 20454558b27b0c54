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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cuont": 1}, "x.cuont: unknown option; did you mean 'count'? allowed: count, kind"),
        ({"zzz": 1}, "x.zzz: unknown option; allowed: count, kind"),
        ({"count": "many"}, "x.count: found 'many', expected a whole number"),
        ({"count": 0}, "x.count: found 0, expected at least 1"),
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
