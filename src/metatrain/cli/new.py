"""`mtt new`."""

import argparse
from pathlib import Path

NAME = "new"
HELP = "write a package for an architecture of your own"
DESCRIPTION = (
    "Write a package to start an architecture of your own from: a model that learns, its options, "
    "the conformance suite, and an example to train."
)
WORKFLOW = "metatrain.workflows.new_package:write_package"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what stands after ``mtt new``."""
    parser.add_argument(
        "name", metavar="NAME", help="name of the architecture and of its package, such as my_net"
    )
    parser.add_argument(
        "-o",
        "--output",
        dest="folder",
        type=Path,
        metavar="FOLDER",
        help="folder to write (default: NAME)",
    )
