"""`mtt eval`."""

import argparse
from pathlib import Path

NAME = "eval"
HELP = "predict for a data set, and compare with its labels"
DESCRIPTION = "Predict for the systems of a data set, write the predictions, and report the errors."
WORKFLOW = "metatrain.workflows.evaluate:evaluate"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what stands after ``mtt eval``."""
    parser.add_argument(
        "path", type=Path, metavar="MODEL", help="exported model (.pt) or checkpoint (.ckpt)"
    )
    parser.add_argument(
        "options_path",
        type=Path,
        metavar="OPTIONS",
        help="YAML file with 'systems' and 'targets', as in an entry of training_set",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("output.xyz"),
        metavar="FILE",
        help="predictions; metrics go beside, as FILE_metrics.json (default: %(default)s)",
    )
    parser.add_argument(
        "-b",
        "--batch-size",
        type=int,
        default=8,
        metavar="N",
        help="systems at a time (default: %(default)s)",
    )
    parser.add_argument(
        "-a",
        "--architecture",
        metavar="MODULE:THING",
        help="what wrote the checkpoint, if that is code of yours that is not installed",
    )
    parser.add_argument("-d", "--device", help="cpu, cuda, ... (default: the model's favourite)")
    parser.add_argument(
        "-e",
        "--extensions",
        type=Path,
        metavar="FOLDER",
        help="folder with the TorchScript extensions that the model needs",
    )
