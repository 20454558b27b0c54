"""The command `mtt`: one module per command; what a command needs is loaded when it runs."""

import argparse
import errno
import gc
import importlib
import os
import shlex
import signal
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from types import FrameType, ModuleType

from metatrain import __version__
from metatrain.cli import completion, evaluate, export, list_plugins, new, schema, train
from metatrain.errors import Interrupted, MetatrainError, Terminated
from metatrain.files import check_options_file

COMMANDS = (train, evaluate, export, list_plugins, schema, new, completion)
CRASH_LOG = Path("mtt-crash.log")
NOTE = "the traceback is in"


def parser() -> argparse.ArgumentParser:
    """The command line, without anything heavy."""
    mtt = argparse.ArgumentParser(
        prog="mtt", description="Train, evaluate and export atomistic machine-learning models."
    )
    mtt.add_argument("-V", "--version", action="version", version=f"metatrain {__version__}")
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
    before = signal.getsignal(signal.SIGTERM)
    if before is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)
    try:
        # where a user's own module:Thing is looked for, after all that is installed
        sys.path.append(str(Path.cwd()))
        with warnings.catch_warnings():
            if not sys.warnoptions:
                # Warnings of libraries are for us, who see them as errors in the tests.
                warnings.simplefilter("ignore")
            if "options_path" in given:
                # a wrong path is told at once, before anything heavy is loaded
                check_options_file(str(given["options_path"]))
            getattr(_loaded(module), function)(**given)
        # here rather than at exit, where nobody could catch that the reader is gone
        sys.stdout.flush()
    except BrokenPipeError:
        return _stop_printing()
    except MetatrainError as error:
        return _refuse(str(error))
    except Interrupted as stop:
        print(f"{stop}; to go on: {_restart_line(stop.checkpoint)}", file=sys.stderr)
        return 128 + stop.signal_number
    except KeyboardInterrupt as stop:
        print("stopped before there was anything to save", file=sys.stderr)
        return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)
    except Exception as bug:  # noqa: BLE001 (the last to see it: it is reported as a bug)
        mistake = _mistake(bug)
        if mistake:
            return _refuse(mistake)
        _report(bug)
        return 1
    finally:
        if before is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, before)
    return 0


def _loaded(name: str) -> ModuleType:
    """The module that runs a command.

    What is imported stays: to look for garbage in it, again and again while there is more of it,
    takes a seventh of the time, and later a tenth of a second whenever all is looked through.
    """
    if name in sys.modules:
        return sys.modules[name]
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()


def _terminate(number: int, _: FrameType | None) -> None:
    raise Terminated(number)


def _stop_printing() -> int:
    """Leave quietly when nobody reads on, as in ``mtt list | head``."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE


def _refuse(message: str) -> int:
    print("error:", " ".join(message.split()), file=sys.stderr)
    return 2


def _mistake(error: Exception) -> str:
    """What the user can do about an error of the machine; empty for a bug."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{error.filename or 'the disk'}: no space is left; free some, and restart."
    # torch may not be loaded, and is not loaded for this
    if type(error).__name__ == "OutOfMemoryError":
        return "the memory of the device is full; take smaller batches, or another device."
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return "the memory of this machine is full; take smaller batches, or a smaller model."
    return ""


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
    return shlex.join(["mtt", *words, "--restart", str(checkpoint)])


def _report(bug: Exception) -> None:
    """Say that it is a bug, and where its traceback is."""
    notes = [note for note in getattr(bug, "__notes__", []) if note.startswith(NOTE)]
    where = notes[-1] if notes else f"{NOTE} {_written(traceback.format_exc())}"
    kind = type(bug).__name__
    text = (str(bug).splitlines() or [""])[0]
    frames = traceback.extract_tb(bug.__traceback__)
    # where torch was called rather than where in torch it ended
    ours = [frame for frame in frames if f"{os.sep}torch{os.sep}" not in frame.filename]
    place = (ours or frames)[-1]
    print(
        f"this is a bug, of metatrain or of a plug-in: {kind}: {text} ({place.filename}, line "
        f"{place.lineno}); {where}",
        file=sys.stderr,
    )


def _written(text: str) -> Path:
    """The file with a traceback: here, or where temporary files go."""
    path = CRASH_LOG
    try:
        path.write_text(text)
    except OSError:
        path = Path(tempfile.gettempdir()) / CRASH_LOG
        path.write_text(text)
    return path
