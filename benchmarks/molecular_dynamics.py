"""Speed of the exported models in ASE."""

from pathlib import Path

from benchmarks.contestants import Contestant, Tool
from benchmarks.data import write_parts, write_systems
from benchmarks.figures import Figure
from benchmarks.measurements import Setting, Turn
from benchmarks.stepping import HOOK
from benchmarks.targets import DYNAMICS, FLATNESS, GROWTH

FLOOR = "floor"
OPERATIONS = "MD in ASE, GFLOP/s"
# enough that everything of a training runs
NUM_STRUCTURES = 64
SMALLEST_OF_GROWTH = 64


def turns(setting: Setting) -> list[Turn]:
    """Each contestant runs all systems, and so does a model that does next to nothing."""
    systems = setting.folder("dynamics") / "systems.xyz"
    write_systems(setting.data, systems)
    return [
        *(_turn(setting, contestant, systems) for contestant in setting.contestants),
        _turn_of_floor(setting, systems),
    ]


def _turn(setting: Setting, contestant: Contestant, systems: Path) -> Turn:
    folder = setting.folder("dynamics", contestant.name)
    write_parts(setting.data, folder, NUM_STRUCTURES)

    def measure() -> list[Figure]:
        if not (folder / contestant.tool.model).exists():
            _train(setting, contestant, folder)
        model, tool = folder / contestant.tool.model, contestant.tool
        return _figures(setting, contestant.name, tool, model, systems)

    return measure


def _train(setting: Setting, contestant: Contestant, folder: Path) -> None:
    setting.launcher.run(contestant.training(folder, num_epochs=1), folder)
    compiling = contestant.tool.compiling(contestant.device)
    if compiling:
        setting.launcher.run(compiling, folder)


def _turn_of_floor(setting: Setting, systems: Path) -> Turn:
    model = setting.folder("dynamics", FLOOR) / "model.pt"

    def measure() -> list[Figure]:
        if not model.exists():
            words = setting.ours.script("trivial_model.py", model)
            setting.launcher.run(words, model.parent)
        return _figures(setting, FLOOR, setting.ours, model, systems)

    return measure


def _figures(setting: Setting, who: str, tool: Tool, model: Path, systems: Path) -> list[Figure]:
    words = tool.script("dynamics.py", tool.kind, model, systems, "--device", setting.device)
    found = {
        int(num_atoms): of
        for num_atoms, of in setting.launcher.run(words, model.parent, HOOK).json().items()
    }
    per_atom = {num_atoms: of["seconds"] / num_atoms * 1e6 for num_atoms, of in found.items()}
    figures = [Figure(DYNAMICS, str(size), who, micros) for size, micros in per_atom.items()]
    large = [micros for size, micros in per_atom.items() if size >= SMALLEST_OF_GROWTH]
    figures.append(Figure(GROWTH, FLATNESS, who, max(large) / min(large)))
    for size, of in found.items():
        if of["operations"]:
            rate = of["operations"] / of["seconds"] / 1e9
            figures.append(Figure(OPERATIONS, str(size), who, rate, "f32 GFLOP/s"))
    return figures
