"""Speed and memory of training in its steady state."""

import dataclasses
from pathlib import Path

from benchmarks.contestants import Contestant
from benchmarks.data import write_parts
from benchmarks.figures import Figure
from benchmarks.measurements import Setting, Turn
from benchmarks.stepping import train
from benchmarks.targets import MEMORY, METATRAIN, PET, SOAP, SPEED, TRAINING

# what docs/options.md says the cost of
OPTIONS = {name: {"compile": "on", "precision": "bf16"} for name in (SOAP, PET)}
# the first step compiles and allocates, the second is counted
COUNTED_STEP = 2


def turns(setting: Setting) -> list[Turn]:
    """Each contestant trains for some epochs."""
    return [_turn(setting, contestant, TRAINING) for contestant in setting.contestants]


def turns_of_options(setting: Setting) -> list[Turn]:
    """Ours train with their defaults, and with one option that is another."""
    turns: list[Turn] = []
    for usual in setting.contestants:
        if usual.tool.name == METATRAIN:
            others = [
                dataclasses.replace(usual, name=f"{option}: {value}", options={option: value})
                for option, value in OPTIONS[usual.architecture].items()
            ]
            block = f"training of {usual.architecture}, by options"
            turns += [_turn(setting, contestant, block) for contestant in (usual, *others)]
    return turns


def _turn(setting: Setting, contestant: Contestant, block: str) -> Turn:
    folder = setting.folder(block, contestant.name)
    num_structures = write_parts(setting.data, folder)
    num_operations: list[int] = []

    def measure() -> list[Figure]:
        if not num_operations:
            num_operations.append(_operations_of_step(setting, contestant, folder))
        per_structure = num_operations[0] / contestant.batch_size
        figures = _figures(setting, contestant, folder, num_structures, per_structure)
        return [dataclasses.replace(figure, block=block) for figure in figures]

    return measure


def _operations_of_step(setting: Setting, contestant: Contestant, folder: Path) -> int:
    """Of the matrix products; those of single elements are not counted."""
    # what is compiled cannot be looked into, and a short run is not compiled unless asked
    options = {name: value for name, value in contestant.options.items() if name != "compile"}
    plain = dataclasses.replace(contestant, options=options)
    words = plain.training(folder, num_epochs=1)
    return train(setting.launcher, words, folder, COUNTED_STEP, is_counted=True).operations


def _figures(
    setting: Setting,
    contestant: Contestant,
    folder: Path,
    num_structures: int,
    operations_per_structure: float,
) -> list[Figure]:
    """The first epoch is left out; the others are timed with the validation after each."""
    num_steps = num_structures // contestant.batch_size
    words = contestant.training(folder)
    steps = train(setting.launcher, words, folder, num_steps * (1 + setting.num_epochs))
    seconds = steps.ends[-1] - steps.ends[num_steps - 1]
    speed = num_structures * setting.num_epochs / seconds
    figures = {SPEED: speed, MEMORY: steps.mebibytes}
    found = [Figure(TRAINING, column, contestant.name, of) for column, of in figures.items()]
    if operations_per_structure:
        size = operations_per_structure / 1e9
        found += [
            Figure(TRAINING, "GFLOP/structure", contestant.name, size),
            Figure(TRAINING, "GFLOP/s", contestant.name, size * speed, "f32 GFLOP/s"),
        ]
    return found
