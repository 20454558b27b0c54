"""How long it takes until a training does its first step, and a short run as a whole."""

from collections.abc import Iterator

from benchmarks.contestants import Contestant, Metatrain, Tool
from benchmarks.data import write_parts
from benchmarks.figures import Figure, published
from benchmarks.measurements import Setting, Turn
from benchmarks.stepping import train
from benchmarks.targets import (
    BEYOND_IMPORTS,
    BEYOND_TORCH,
    FIRST_STEP,
    HELP,
    IMPORTS,
    IMPORTS_BY_TORCH,
    SOAP,
    STARTING,
    TORCH,
    WHOLE,
)

NUM_MOLECULES = 100


def help_turns(setting: Setting) -> list[Turn]:
    """`mtt` says what it can be told."""
    return [_help_turn(setting, tool) for tool in setting.tools if isinstance(tool, Metatrain)]


def turns(setting: Setting) -> list[Turn]:
    """Each contestant starts; ours and its twin also train a short run from begin to end."""
    return [*_starts(setting), *_whole_runs(setting)]


def _help_turn(setting: Setting, tool: Tool) -> Turn:
    folder = setting.folder("help", tool.name)

    def measure() -> list[Figure]:
        done = setting.launcher.run([tool.command("mtt"), "--help"], folder)
        return [Figure("command line", HELP, tool.name, done.seconds)]

    return measure


def _starts(setting: Setting) -> Iterator[Turn]:
    for contestant in setting.contestants:
        yield _start_turn(setting, contestant)


def _start_turn(setting: Setting, contestant: Contestant) -> Turn:
    folder = setting.folder("starting", contestant.name)
    write_parts(setting.data, folder)

    def measure() -> list[Figure]:
        # to the end of the import, not of the process
        words = [contestant.tool.python, "-c", "import torch, time; print(time.monotonic())"]
        done = setting.launcher.run(words, folder)
        torch = float(done.answer) - done.begin
        steps = train(setting.launcher, contestant.training(folder), folder, 1)
        (first,) = steps.ends
        found = {TORCH: torch, FIRST_STEP: first, BEYOND_TORCH: first - torch}
        if steps.imports is not None:
            found |= {
                IMPORTS: steps.imports,
                IMPORTS_BY_TORCH: steps.imports / torch,
                BEYOND_IMPORTS: first - steps.imports,
            }
        return [Figure(STARTING, column, contestant.name, of) for column, of in found.items()]

    return measure


def _whole_runs(setting: Setting) -> Iterator[Turn]:
    for contestant in setting.contestants:
        if contestant.name in (SOAP, published(SOAP)):
            yield _whole_turn(setting, contestant)


def _whole_turn(setting: Setting, contestant: Contestant) -> Turn:
    folder = setting.folder("whole", contestant.name)
    write_parts(setting.data, folder, NUM_MOLECULES)

    def measure() -> list[Figure]:
        done = setting.launcher.run(contestant.training(folder, num_epochs=1), folder)
        return [Figure(STARTING, WHOLE, contestant.name, done.seconds)]

    return measure
