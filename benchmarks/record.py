"""What is written down: every single figure, and under which circumstances it was found."""

import json
import os
import platform
import statistics
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.contestants import Tool
from benchmarks.figures import Results, Target, peers

PACKAGES = ("metatrain", "mace-torch", "nequip", "torch", "metatomic-torch", "ase", "numpy")
VERSIONS = f"""
import importlib.metadata, json, platform
found = {{"python": platform.python_version()}}
for name in {PACKAGES!r}:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Circumstances:
    """When, where and of what something was measured.

    :param date: of the beginning
    :param commit: of the metatrain that is measured; ends in ``+`` where files are changed
    :param processor: its name
    :param cores: cores that processes may use
    :param gibibytes: memory of the machine
    :param system: operating system
    :param threads: threads of each process
    :param device: ``cpu`` or ``cuda``
    :param versions: of Python and packages, by tool
    """

    date: str
    commit: str
    processor: str
    cores: int
    gibibytes: float
    system: str
    threads: int
    device: str
    versions: dict[str, dict[str, str]]

    @classmethod
    def of(cls, tools: list[Tool], threads: int, device: str) -> "Circumstances":
        """Those of now."""
        return cls(
            date=time.strftime("%Y-%m-%d %H:%M"),
            commit=_commit(),
            processor=_processor(),
            cores=len(os.sched_getaffinity(0)),
            gibibytes=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            system=platform.platform(),
            threads=threads,
            device=device,
            versions={tool.name: _versions(tool) for tool in tools},
        )

    def __str__(self) -> str:
        lines = [
            f"{self.date}, commit {self.commit}, {self.device}, {self.threads} threads",
            f"{self.processor}, {self.cores} cores, {self.gibibytes} GiB, {self.system}",
        ]
        for tool, versions in self.versions.items():
            found = ", ".join(f"{name} {version}" for name, version in versions.items())
            lines.append(f"{tool}: {found}")
        return "\n".join([*lines, ""])


def write(
    path: Path,
    results: Results,
    circumstances: Circumstances,
    ours: tuple[str, ...],
    targets: tuple[Target, ...],
) -> None:
    """Write everything as JSON."""
    found = {
        "circumstances": asdict(circumstances),
        "figures": [
            _summary(place, list(values.values())) for place, values in results.values.items()
        ],
        "parts_of_limits": [
            _summary(place, parts) | {"limit": results.limits[place[:2]]}
            for place in results.values
            if (parts := results.parts_of_limit(*place))
        ],
        "ratios": _ratios(results, ours),
        "targets": _judged(results, targets),
    }
    path.write_text(json.dumps(found, indent=1) + "\n")


def _summary(place: tuple[str, str, str], values: list[float]) -> dict[str, Any]:
    block, column, who = place
    median = statistics.median(values)
    return {"block": block, "column": column, "who": who, "median": median, "values": values}


def _ratios(results: Results, ours: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        _summary((block, column, who), ratios) | {"other": other}
        for block, column, who in results.values
        for other in peers(who, results.participants(block), ours)
        if (ratios := results.ratios(block, column, who, other))
    ]


def _judged(results: Results, targets: tuple[Target, ...]) -> list[dict[str, Any]]:
    """The targets whose figure was measured."""
    judged = []
    for target in targets:
        place = (target.block, target.column, target.who)
        values = results.ratios(*place, target.other) if target.other else results.of(*place)
        if values:
            median = statistics.median(values)
            judged.append(asdict(target) | {"median": median, "is_met": target.is_met(values)})
    return judged


def _commit() -> str:
    try:
        commit, changes = (
            subprocess.run(
                ["git", *words],
                cwd=Path(__file__).parent,
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + "+" * bool(changes)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _versions(tool: Tool) -> dict[str, str]:
    done = subprocess.run([tool.python, "-c", VERSIONS], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found
