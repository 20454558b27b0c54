"""The figures as text: medians, their spread, ratios, and whether the targets are met."""

import statistics

from benchmarks.figures import Results, Target, peers

LABEL_WIDTH = 25
CELL_WIDTH = 15
COLUMNS_IN_A_ROW = 5


def table(results: Results, ours: tuple[str, ...], targets: tuple[Target, ...]) -> str:
    """All blocks, no wider than 100 characters."""
    lines = ["median ±half of the range, in per cent of it"]
    for block in results.blocks():
        lines += ["", block]
        columns = results.columns(block)
        for first in range(0, len(columns), COLUMNS_IN_A_ROW):
            some = columns[first : first + COLUMNS_IN_A_ROW]
            lines += _part(results, block, some, ours, targets)
    return "\n".join(lines)


def _part(
    results: Results,
    block: str,
    columns: list[str],
    ours: tuple[str, ...],
    targets: tuple[Target, ...],
) -> list[str]:
    """Some columns of a block: everyone's figures, and under each of ours the ratios to others."""
    participants = results.participants(block)
    lines = [_row("", columns)]
    for who in participants:
        figures = {column: results.of(block, column, who) for column in columns}
        lines += _rows(f"  {who}", figures, _targets(targets, block, who, ""))
        parts = {column: results.parts_of_limit(block, column, who) for column in columns}
        per_cent = {column: [100 * part for part in parts[column]] for column in columns}
        lines += _rows("    % of the limit", per_cent, {})
        for other in peers(who, participants, ours):
            ratios = {column: results.ratios(block, column, who, other) for column in columns}
            lines += _rows(f"    / {other}", ratios, _targets(targets, block, who, other))
    return lines


def _targets(targets: tuple[Target, ...], block: str, who: str, other: str) -> dict[str, Target]:
    """The targets of a row, by column."""
    return {
        target.column: target
        for target in targets
        if (target.block, target.who, target.other) == (block, who, other)
    }


def _rows(label: str, values: dict[str, list[float]], targets: dict[str, Target]) -> list[str]:
    """A row of medians, and one of the targets, as far as there are any."""
    if not any(values.values()):
        return []
    rows = [_row(label, [_spread(of) for of in values.values()])]
    if any(values[column] for column in targets if column in values):
        rows.append(_row("      target", [_verdict(targets.get(c), values[c]) for c in values]))
    return rows


def _row(label: str, cells: list[str]) -> str:
    line = f"{label:{LABEL_WIDTH}}" + "".join(f"{cell:>{CELL_WIDTH}}" for cell in cells)
    return line.rstrip()


def _spread(values: list[float]) -> str:
    if not values:
        return "-"
    median = statistics.median(values)
    if len(values) == 1 or median == 0:
        return _number(median)
    return f"{_number(median)} ±{50 * (max(values) - min(values)) / median:.0f}%"


def _number(value: float) -> str:
    """Three digits, and no exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}"


def _verdict(target: Target | None, values: list[float]) -> str:
    if target is None or not values:
        return ""
    return f"{target} {'met' if target.is_met(values) else 'MISSED'}"
