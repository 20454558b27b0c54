"""Measures speed and memory: ours, what users would run instead, and the limits of the machine.

Everyone takes a turn in every repeat, each in an environment of its own; what is not given is left
out. A table of medians, spread, ratios and targets is printed, and all single figures are written
as JSON after every repeat. benchmarks/README.md says what is needed, and where to get it.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Container, Iterable
from pathlib import Path

from benchmarks import machine, molecular_dynamics, reading, starting, training
from benchmarks.contestants import BATCH_SIZES, Mace, Metatrain, NequIP, Tool, contestants
from benchmarks.figures import Results, published
from benchmarks.measurements import Setting
from benchmarks.processes import Launcher, ProcessError
from benchmarks.record import Circumstances, write
from benchmarks.table import table
from benchmarks.targets import METATRAIN, TARGETS

# the limits come first: the others are seen as parts of them
MEASUREMENTS = {
    "machine": machine.turns,
    "help": starting.help_turns,
    "start": starting.turns,
    "read": reading.turns,
    "training": training.turns,
    "options": training.turns_of_options,
    "md": molecular_dynamics.turns,
}


def main() -> None:
    """Measure, print and write."""
    given = arguments()
    tools = tools_of(given)
    circumstances = Circumstances.of(tools, given.threads, given.device)
    results = Results()
    ours = (METATRAIN, *given.architectures)
    with tempfile.TemporaryDirectory() as work:
        setting = Setting(
            given.data,
            Path(work),
            Launcher(given.threads),
            tools,
            list(contestants(tools, given.architectures, given.device)),
            device=given.device,
            num_epochs=given.epochs,
            num_frames=given.frames,
        )
        measurements = {
            name: turns(setting) for name, turns in MEASUREMENTS.items() if name in given.only
        }
        for repeat in range(given.repeats):
            for name, turns in measurements.items():
                say(f"repeat {repeat + 1}/{given.repeats}: {name}")
                for turn in turns:
                    try:
                        results.add(repeat, turn())
                    except ProcessError as failure:
                        say(f"left out: {failure}")
            if given.json:
                write(given.json, results, circumstances, ours, TARGETS)
    print(circumstances)
    print(table(results, ours, TARGETS))


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--data",
        type=existing,
        required=True,
        help="folder with 3bpa/train_300K.xyz and, for md, ethanol_rmd17/test_MD.xyz",
    )
    parser.add_argument(
        "--published", type=existing, metavar="MTT", help="the published package's mtt"
    )
    parser.add_argument("--mace", type=existing, metavar="PYTHON", help="interpreter that has MACE")
    parser.add_argument(
        "--nequip", type=existing, metavar="PYTHON", help="interpreter that has NequIP"
    )
    some_of(parser, "--only", MEASUREMENTS, unless_given=set(MEASUREMENTS) - {"options"})
    some_of(parser, "--architectures", BATCH_SIZES, unless_given=BATCH_SIZES)
    parser.add_argument("--repeats", type=int, default=3, help="of each turn (%(default)s)")
    epochs = "that are timed, after a first one (%(default)s)"
    parser.add_argument("--epochs", type=int, default=2, help=epochs)
    frames = "of the file that is read (%(default)s)"
    parser.add_argument("--frames", type=int, default=100_000, help=frames)
    parser.add_argument("--threads", type=int, default=2, help="of each process (%(default)s)")
    parser.add_argument(
        "--device", default="cpu", choices=("cpu", "cuda"), help="of all work (%(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    return parser.parse_args()


def existing(text: str) -> Path:
    """A path that leads somewhere, whatever the folder; links of environments are kept."""
    path = Path(text).absolute()
    if not path.exists():
        raise argparse.ArgumentTypeError(f"there is no {path}")
    return path


def some_of(
    parser: argparse.ArgumentParser,
    option: str,
    names: Iterable[str],
    unless_given: Container[str],
) -> None:
    """Declare an option that takes some of the names, between commas."""
    known = list(names)
    default = [name for name in known if name in unless_given]

    def parse(text: str) -> list[str]:
        given = text.split(",")
        if not set(given) <= set(known):
            raise argparse.ArgumentTypeError(f"expected some of {','.join(known)}")
        return given

    some = f"some of {','.join(known)}, with commas between (unless given: %(default)s)"
    parser.add_argument(option, type=parse, default=",".join(default), help=some)


def tools_of(given: argparse.Namespace) -> list[Tool]:
    """Ours, and those of others that are given."""
    tools: list[Tool] = [Metatrain(METATRAIN, Path(sys.executable))]
    if given.published:
        python = given.published.parent / "python"
        tools.append(Metatrain(published(METATRAIN), python))
    if given.mace:
        tools.append(Mace("MACE", given.mace))
    if given.nequip:
        tools.append(NequIP("NequIP", given.nequip))
    return tools


def say(text: str) -> None:
    """Tell who waits."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
