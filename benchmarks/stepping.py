"""Trainings whose optimizer steps are timed, in any environment."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contestants import INSIDE
from benchmarks.processes import Launcher, ProcessError

STEPS_FILE = "steps.json"
HOOK = {"PYTHONPATH": str(INSIDE / "hook")}
"""The environment in which processes find what times and counts."""


@dataclass(frozen=True)
class Steps:
    """The first steps of a training.

    :param ends: when each step ended, in seconds since the process was started
    :param imports: when ``mtt train`` of ours had imported what it needs; ``None`` for others
    :param operations: floating-point operations of the last step, if they were counted
    :param mebibytes: peak memory up to then, of the device if one was used
    """

    ends: list[float]
    imports: float | None
    operations: int
    mebibytes: float


def train(
    launcher: Launcher,
    words: Sequence[object],
    folder: Path,
    num_steps: int,
    *,
    is_counted: bool = False,
) -> Steps:
    """Run a training until it has done as many steps, where it is ended.

    :param words: the command
    :param num_steps: how many
    :param is_counted: whether operations are counted, which makes the steps slower
    """
    file = folder / STEPS_FILE
    file.unlink(missing_ok=True)
    variables = {
        **HOOK,
        "BENCHMARK_STEPS_FILE": str(file),
        "BENCHMARK_NUM_STEPS": str(num_steps),
    }
    if is_counted:
        variables["BENCHMARK_COUNTS"] = "1"
    done = launcher.run(words, folder, variables)
    if not file.exists():
        raise ProcessError(f"{' '.join(map(str, words))}: ended before its step {num_steps}")
    found = json.loads(file.read_text())
    imports = found["end_of_imports"]
    return Steps(
        [end - done.begin for end in found["ends"]],
        None if imports is None else imports - done.begin,
        found.get("operations", 0),
        found.get("device_mebibytes", done.mebibytes),
    )
