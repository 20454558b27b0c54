"""The script that `mtt completion` prints, made from the command line itself."""

import argparse
from pathlib import Path

import shtab

from metatrain import cli


def print_script(shell: str) -> None:
    """Print a completion script.

    :param shell: ``bash``, ``zsh`` or ``tcsh``
    """
    mtt = cli.parser()
    _complete_files(mtt)
    print(shtab.complete(mtt, shell))


def _complete_files(parser: argparse.ArgumentParser) -> None:
    """Tell shtab which arguments are files."""
    # argparse has no public way to look at its arguments
    for action in parser._actions:  # noqa: SLF001
        if action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for sub in action.choices.values():
                _complete_files(sub)
