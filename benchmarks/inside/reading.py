"""Reads the data sets of an options file as `mtt train` does before it builds the model."""

import argparse
import json
import time
from pathlib import Path

import torch

from metatrain.data.columns import Columns
from metatrain.options import parse
from metatrain.workflows.parts import read_parts


def main() -> None:
    """Print how long it took, and what it took up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("options", type=Path)
    options = parse(parser.parse_args().options, [])
    before = kibibytes("VmRSS")
    start = time.perf_counter()
    parts = read_parts(options, seed=0, run=None)
    found = {
        "seconds": time.perf_counter() - start,
        "systems": parts.num_systems,
        "peak_bytes": (kibibytes("VmHWM") - before) * 1024,
        "column_bytes": sum(map(size_of, parts.columns.values())),
    }
    print(json.dumps(found))


def size_of(columns: Columns) -> int:
    """Bytes of all arrays."""
    arrays = [value for value in vars(columns).values() if isinstance(value, torch.Tensor)]
    for labels in (columns.values, columns.forces, columns.stress, columns.inputs):
        arrays.extend(labels.values())
    return sum(array.nbytes for array in arrays)


def kibibytes(name: str) -> int:
    """What Linux says of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise KeyError(name)


if __name__ == "__main__":
    main()
