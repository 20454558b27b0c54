"""`mtt train`."""

import argparse
from pathlib import Path

NAME = "train"
HELP = "train a model, export it, and report its errors"
DESCRIPTION = "Train the model that an options file describes, export it, and report its errors."
WORKFLOW = "metatrain.workflows.train:train"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what stands after ``mtt train``."""
    parser.add_argument("options_path", type=Path, metavar="OPTIONS", help="options file (YAML)")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("model.pt"),
        metavar="MODEL",
        help="exported model to write; the checkpoint beside it ends in .ckpt (default: %(default)s)",
    )
    parser.add_argument(
        "-e",
        "--extensions",
        type=Path,
        metavar="FOLDER",
        help="collect the TorchScript extensions of the model, if it needs any, in this folder",
    )
    parser.add_argument(
        "--restart",
        metavar="CHECKPOINT",
        help="go on from a checkpoint; 'auto' takes the newest under outputs/",
    )
    parser.add_argument(
        "-r",
        "--override",
        dest="overrides",
        action="extend",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="replace options of the file, such as architecture.training.num_epochs=10",
    )
