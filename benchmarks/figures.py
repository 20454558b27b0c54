"""What was measured: single figures, and the ratios of ours to others."""

import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

LIMITS = "machine"


@dataclass(frozen=True)
class Figure:
    """One number, measured once.

    :param block: the block of the table that it stands in
    :param column: what it is, with its unit, or the case that it belongs to
    :param who: whose figure it is
    :param value: the number
    :param limit: the column of the block of the machine that it is to be seen as a part of
    """

    block: str
    column: str
    who: str
    value: float
    limit: str = ""


@dataclass
class Results:
    """The figures of all repeats, in the order of their first appearance.

    :param values: by block, column and who: the value in each repeat
    :param limits: by block and column: the column of the machine's block
    """

    values: dict[tuple[str, str, str], dict[int, float]] = field(default_factory=dict)
    limits: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, repeat: int, figures: Iterable[Figure]) -> None:
        """Keep what a repeat has given."""
        for figure in figures:
            place = (figure.block, figure.column, figure.who)
            self.values.setdefault(place, {})[repeat] = figure.value
            if figure.limit:
                self.limits[figure.block, figure.column] = figure.limit

    def blocks(self) -> list[str]:
        """Names of the blocks."""
        return list(dict.fromkeys(block for block, _, _ in self.values))

    def columns(self, block: str) -> list[str]:
        """Names of the columns of a block."""
        return list(dict.fromkeys(column for of, column, _ in self.values if of == block))

    def participants(self, block: str) -> list[str]:
        """Who has figures in a block."""
        return list(dict.fromkeys(who for of, _, who in self.values if of == block))

    def of(self, block: str, column: str, who: str) -> list[float]:
        """The values of all repeats; empty if there are none."""
        return list(self.values.get((block, column, who), {}).values())

    def ratios(self, block: str, column: str, who: str, other: str) -> list[float]:
        """One to the other, in each repeat that has both; empty for a part of a limit."""
        if (block, column) in self.limits:
            return []
        ours = self.values.get((block, column, who), {})
        theirs = self.values.get((block, column, other), {})
        return [ours[repeat] / theirs[repeat] for repeat in ours if theirs.get(repeat)]

    def parts_of_limit(self, block: str, column: str, who: str) -> list[float]:
        """The part of the machine's limit, in each repeat; empty where nothing limits."""
        limit = self.values.get((LIMITS, self.limits.get((block, column), ""), LIMITS), {})
        values = self.values.get((block, column, who), {})
        return [values[repeat] / limit[repeat] for repeat in values if repeat in limit]


@dataclass(frozen=True)
class Target:
    """What a figure, or its ratio to that of another, has to be.

    :param other: whose figure it is divided by; empty for the figure itself
    :param limit: the number that it is held against
    :param is_least: whether it has to be at least that, rather than at most
    """

    block: str
    column: str
    who: str
    other: str
    limit: float
    is_least: bool = False

    def is_met(self, values: list[float]) -> bool:
        """Whether the median is on the right side."""
        median = statistics.median(values)
        return median >= self.limit if self.is_least else median <= self.limit

    def __str__(self) -> str:
        return f"{'>=' if self.is_least else '<='} {self.limit:.3g}"


def peers(who: str, everyone: Iterable[str], ours: tuple[str, ...]) -> Iterator[str]:
    """Those that one of ours is compared with: all others, but no twin of another of ours."""
    if who in ours:
        for other in everyone:
            is_twin = other.startswith(published(""))
            if other not in ours and (not is_twin or other == published(who)):
                yield other


def published(name: str) -> str:
    """The name of the published twin of one of ours."""
    return f"published {name}"
