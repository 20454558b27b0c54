"""Training speed of an architecture, against the published metatrain in the same run.

Both train the same data with their defaults, in turns. An epoch is timed from one line of the
log to the next, so that start-up does not count; it holds the steps on the training set and one
pass over the validation set.
"""

import argparse
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ase.io
import numpy as np

OPTIONS = """
seed: {seed}
architecture:
  name: {architecture}
  training:
    num_epochs: {num_epochs}
    log_interval: 1
training_set:
  systems: {{read_from: training.xyz, length_unit: angstrom}}
  targets: {{energy: {{key: energy, unit: eV, forces: {{key: forces}}}}}}
validation_set:
  systems: {{read_from: validation.xyz, length_unit: angstrom}}
  targets: {{energy: {{key: energy, unit: eV, forces: {{key: forces}}}}}}
"""
END_OF_EPOCH = re.compile(r"epoch:? +\d+", re.IGNORECASE)


def main() -> None:
    """Run both in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="structures with energy, forces")
    parser.add_argument("--published", type=Path, help="the mtt command of the published package")
    parser.add_argument("--architecture", default="soap_bpnn")
    parser.add_argument("--ours", type=Path, default=Path(sys.executable).parent / "mtt")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the figures here")
    given = parser.parse_args()

    commands = {"ours": given.ours} | ({"published": given.published} if given.published else {})
    commands = {name: command.absolute() for name, command in commands.items()}
    rates: dict[str, list[float]] = {name: [] for name in commands}
    peaks: dict[str, list[float]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as folder:
        num_training = split(given.data, Path(folder))
        for repeat in range(given.repeats):
            options = OPTIONS.format(
                architecture=given.architecture, seed=repeat, num_epochs=given.epochs
            )
            (Path(folder) / "options.yaml").write_text(options)
            for name, command in commands.items():
                seconds, peak = train(command, Path(folder), given.threads)
                rates[name].append(num_training / statistics.median(seconds))
                peaks[name].append(peak)
                rate = f"{rates[name][-1]:7.1f} structures/s"
                print(f"{name:10} {rate}, at most {peak:.2f} GiB", flush=True)

    medians = {name: statistics.median(of) for name, of in rates.items()}
    print()
    for name, of in rates.items():
        print(
            f"{name:10} {medians[name]:7.1f} structures/s (median; {min(of):.1f} to {max(of):.1f})"
        )
    result = {
        "structures_per_second": rates,
        "medians": medians,
        "peak_memory_in_gib": peaks,
        "threads": given.threads,
    }
    if given.published:
        ratios = [a / b for a, b in zip(rates["ours"], rates["published"], strict=True)]
        result["ratio"] = statistics.median(ratios)
        print(f"ours / published: {result['ratio']:.2f} (median over repeats)")
        memory = statistics.median(peaks["ours"]) / statistics.median(peaks["published"])
        print(f"peak memory, ours / published: {memory:.2f}")
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n")


def split(data: Path, folder: Path) -> int:
    """Write nine tenths as training set and the rest as validation set."""
    frames = ase.io.read(data, ":")
    order = np.random.default_rng(0).permutation(len(frames))
    num_validation = len(frames) // 10
    ase.io.write(folder / "validation.xyz", [frames[i] for i in order[:num_validation]])
    ase.io.write(folder / "training.xyz", [frames[i] for i in order[num_validation:]])
    return len(frames) - num_validation


def train(command: Path, folder: Path, threads: int) -> tuple[list[float], float]:
    """Seconds of each epoch after the first, and the peak memory of the process in GiB."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [command, "train", "options.yaml"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    ends, output = [], []
    for line in process.stdout:
        output.append(line)
        if END_OF_EPOCH.search(line) and "validation" in line:
            ends.append(time.perf_counter())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0 or len(ends) < 3:
        sys.exit(f"{command} failed:\n{''.join(output[-20:])}")
    # Linux counts in KiB
    return [end - start for start, end in itertools.pairwise(ends)], usage.ru_maxrss / 2**20


if __name__ == "__main__":
    main()
