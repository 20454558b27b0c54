"""`mtt schema`."""

import argparse

NAME = "schema"
HELP = "print a JSON schema of the options file, for editors"
DESCRIPTION = (
    "Print a JSON schema (draft 2020-12) of the options file of mtt train, with which editors "
    "complete and check what is written: mtt schema > options.schema.json"
)
WORKFLOW = "metatrain.workflows.schema:schema"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what stands after ``mtt schema``."""
    parser.add_argument(
        "-a",
        "--architecture",
        metavar="NAME",
        help="the architecture that the file is for (default: all that are installed)",
    )
