"""Accuracy of an architecture with its default options: errors on a test set, time and memory.

All systems of the training file are trained on; there is no validation set. Energies and forces
are learned. Time and memory are those of the whole `mtt train`, from its start to the export.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml


def main() -> None:
    """Train once and print the errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, required=True, help="structures to learn from")
    parser.add_argument("--test", type=Path, required=True, help="structures to be compared with")
    parser.add_argument("--architecture", default="gap")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mtt", type=Path, default=Path(sys.executable).parent / "mtt")
    given = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        options = options_of(given.architecture, given.train, given.test, given.seed)
        Path(folder, "options.yaml").write_text(yaml.safe_dump(options, sort_keys=False))
        seconds, peak = train(given.mtt.absolute(), Path(folder))
        (report,) = Path(folder).glob("outputs/*/*/report.json")
        errors = json.loads(report.read_text())["test"]
    for name, error in errors.items():
        print(f"{name:8} MAE {error['mae']:8.3f} {error['unit']}")
    print(f"{seconds:.0f} s, at most {peak:.2f} GiB")


def options_of(architecture: str, train: Path, test: Path, seed: int) -> dict[str, object]:
    """The options of the run."""

    def data(path: Path) -> dict[str, object]:
        energy = {"unit": "eV", "forces": True, "stress": False}
        systems = {"read_from": str(path.absolute()), "length_unit": "angstrom"}
        return {"systems": systems, "targets": {"energy": energy}}

    return {
        "seed": seed,
        "architecture": {"name": architecture},
        "training_set": data(train),
        "validation_set": 0.0,
        "test_set": data(test),
    }


def train(command: Path, folder: Path) -> tuple[float, float]:
    """Seconds that it took, and the peak memory of the process in GiB."""
    start = time.perf_counter()
    with Path(folder, "output.txt").open("w") as output:
        process = subprocess.Popen(
            [command, "train", "options.yaml"], cwd=folder, stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command} failed:\n{Path(folder, 'output.txt').read_text()}")
    # Linux counts in KiB
    return time.perf_counter() - start, usage.ru_maxrss / 2**20


if __name__ == "__main__":
    main()
