"""`mtt list`."""

import argparse

NAME = "list"
HELP = "list the installed plug-ins, or the options of one"
DESCRIPTION = (
    "List architectures, losses, readers and all other plug-ins that are installed, and those that "
    "cannot be used, with the reason. With a name: what it is, and its options."
)
WORKFLOW = "metatrain.workflows.list_plugins:list_plugins"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what stands after ``mtt list``."""
    parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="a plug-in, or a kind of plug-in such as losses (default: all)",
    )
