"""The limits of the machine."""

from benchmarks.figures import LIMITS, Figure
from benchmarks.measurements import Setting, Turn


def turns(setting: Setting) -> list[Turn]:
    """How fast it multiplies matrices, and copies."""
    folder = setting.folder("machine")

    def measure() -> list[Figure]:
        words = setting.ours.script("machine.py", "--device", setting.device)
        limits = setting.launcher.run(words, folder).json()
        return [Figure(LIMITS, column, LIMITS, value) for column, value in limits.items()]

    return [measure]
