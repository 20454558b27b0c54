"""What a run tells its user: console, ``train.log``, and a live line on a terminal."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from metatrain.errors import Interrupted, MetatrainError

logger = logging.getLogger("metatrain")
"""The logger of the hub and its plug-ins."""

_console = Console(soft_wrap=True, highlight=False)


class _ConsoleHandler(logging.Handler):
    """Prints through the console that also draws the live line, so that they do not mix."""

    def emit(self, record: logging.LogRecord) -> None:
        _console.print(Text(self.format(record)))


class _Formatter(logging.Formatter):
    """Messages as they are; warnings say that they are."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        if record.levelno == logging.WARNING:
            record.message = f"warning: {record.message}"
        return super().formatMessage(record)


@contextmanager
def logging_to_console() -> Iterator[None]:
    """Within this context the hub's messages are printed."""
    handler = _ConsoleHandler()
    handler.setFormatter(_Formatter("%(message)s"))
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextmanager
def logging_to_file(path: Path) -> Iterator[None]:
    """Within this context the hub's messages also go to a file, with their time.

    So does what ends it: a mistake as one line, a bug with its traceback.
    """
    handler = logging.FileHandler(path)
    handler.setFormatter(_Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logger.addHandler(handler)
    try:
        yield
    except (MetatrainError, Interrupted) as error:
        handler.emit(_record(f"error: {error}"))
        raise
    except Exception as error:
        handler.emit(_record(traceback.format_exc()))
        error.add_note(f"the traceback is in {path}")
        raise
    finally:
        logger.removeHandler(handler)
        handler.close()


def _record(text: str) -> logging.LogRecord:
    return logger.makeRecord(logger.name, logging.ERROR, "", 0, text, (), None)


class LiveLine:
    """The last line of a terminal, rewritten in place; nothing where there is no terminal."""

    def __init__(self, live: Live | None) -> None:
        self._live = live

    def show(self, text: str) -> None:
        """Replace what the line says."""
        if self._live is not None:
            self._live.update(Text(text, no_wrap=True, overflow="ellipsis"))


@contextmanager
def live_line() -> Iterator[LiveLine]:
    """A live line for the time of this context."""
    if not _console.is_terminal or not logger.handlers:
        yield LiveLine(None)
        return
    with Live(console=_console, refresh_per_second=4, transient=True) as live:
        yield LiveLine(live)


def duration(seconds: float) -> str:
    """A time span for reading: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``5 h 02 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"
