"""`mtt export`."""

import argparse
from pathlib import Path

NAME = "export"
HELP = "turn a checkpoint into a model for simulation engines"
DESCRIPTION = "Export the model of a checkpoint, and prove that the file computes the same."
WORKFLOW = "metatrain.workflows.export:export"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what stands after ``mtt export``."""
    parser.add_argument("path", type=Path, metavar="CHECKPOINT", help="checkpoint (.ckpt)")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="MODEL",
        help="file to write (default: the name of the checkpoint, ending in .pt)",
    )
    parser.add_argument(
        "-e",
        "--extensions",
        type=Path,
        metavar="FOLDER",
        help="collect the TorchScript extensions of the model, if it needs any, in this folder",
    )
    parser.add_argument(
        "-m",
        "--metadata",
        type=Path,
        metavar="METADATA",
        help="YAML file with name, description, authors, references, extra",
    )
    parser.add_argument(
        "-a",
        "--architecture",
        metavar="MODULE:THING",
        help="what wrote the checkpoint, if that is code of yours that is not installed",
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "float64"),
        help="precision of positions and energies (default: float64, whatever the network's)",
    )
