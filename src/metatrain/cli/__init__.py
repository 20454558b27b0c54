"""The command `mtt`: one module per command; what a command needs is loaded when it runs."""

import argparse
import importlib
import sys
import traceback
import warnings
from pathlib import Path

from metatrain import __version__
from metatrain.cli import completion, evaluate, export, list_plugins, train
from metatrain.errors import Interrupted, MetatrainError

COMMANDS = (train, evaluate, export, list_plugins, completion)
CRASH_LOG = Path("mtt-crash.log")


def parser() -> argparse.ArgumentParser:
    """The command line, without anything heavy."""
    mtt = argparse.ArgumentParser(
        prog="mtt", description="Train, evaluate and export atomistic machine-learning models."
    )
    mtt.add_argument("--version", action="version", version=f"metatrain {__version__}")
    commands = mtt.add_subparsers(
        title="commands", dest="command", required=True, metavar="COMMAND"
    )
    for command in COMMANDS:
        sub = commands.add_parser(command.NAME, help=command.HELP, description=command.DESCRIPTION)
        command.add_arguments(sub)
        sub.set_defaults(workflow=command.WORKFLOW)
    return mtt


def main(arguments: list[str] | None = None) -> int:
    """Run `mtt`.

    :param arguments: the words after ``mtt``; ``None`` takes those of the process
    :return: 0; 2 after a mistake that the user can mend, 1 after a bug, 128 plus its number
        after a signal
    """
    given = vars(parser().parse_args(arguments))
    del given["command"]
    module, function = given.pop("workflow").split(":")
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:
                # Warnings of libraries are for us, who see them as errors in the tests.
                warnings.simplefilter("ignore")
            getattr(importlib.import_module(module), function)(**given)
    except MetatrainError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Interrupted as stop:
        print(f"{stop}; to go on: {_restart_line(stop.checkpoint)}", file=sys.stderr)
        return 128 + stop.signal_number
    except KeyboardInterrupt:
        print("stopped by Ctrl-C before there was anything to save", file=sys.stderr)
        return 130
    except Exception as bug:  # noqa: BLE001 (the last to see it: it is reported as a bug)
        _report(bug)
        return 1
    return 0


def _restart_line(checkpoint: Path) -> str:
    """The command of this process, with --restart at the checkpoint."""
    words = sys.argv[1:]
    for index, word in enumerate(words):
        if word == "--restart":
            del words[index : index + 2]
            break
        if word.startswith("--restart="):
            del words[index]
            break
    return " ".join(["mtt", *words, "--restart", str(checkpoint)])


def _report(bug: Exception) -> None:
    """Say that it is a bug, and where its traceback is."""
    where = getattr(bug, "__notes__", [])
    if not where:
        CRASH_LOG.write_text(traceback.format_exc())
        where = [f"the traceback is in {CRASH_LOG}"]
    kind = type(bug).__name__
    text = (str(bug).splitlines() or [""])[0]
    print(
        f"this is a bug, of metatrain or of a plug-in: {kind}: {text}; {where[0]}", file=sys.stderr
    )
