"""`mtt list`."""

import argparse

NAME = "list"
HELP = "list the installed plug-ins and where they come from"
DESCRIPTION = "List architectures, losses, readers and all other plug-ins that are installed."
WORKFLOW = "metatrain.workflows.list_plugins:list_plugins"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing stands after ``mtt list``."""
