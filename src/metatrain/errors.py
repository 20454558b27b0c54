"""What went wrong, in words for the person who can mend it."""

import difflib
from collections.abc import Iterable
from pathlib import Path


class MetatrainError(Exception):
    """A mistake that the user can mend.

    Its message is one line: where it is, what was found, what is expected, and the
    way out. The command line prints it without a traceback and exits with 2. Every
    other exception is a bug of metatrain or of a plug-in and keeps its traceback.
    """


class Interrupted(Exception):  # noqa: N818 (nothing is wrong)
    """The run was told to stop by a signal, and has saved its state.

    :param signal_number: SIGINT or SIGTERM
    :param checkpoint: the file from which the run goes on
    """

    def __init__(self, signal_number: int, checkpoint: Path) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.signal_number = signal_number
        self.checkpoint = checkpoint


class Terminated(KeyboardInterrupt):
    """SIGTERM, taken as Ctrl-C is: what is open is closed, and the user is told."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A clause that names the entry of ``known`` nearest to ``word``; empty if none is near.

    :param word: what was written
    :param known: what would have been accepted
    :return: ``"; did you mean 'forces'?"`` or ``""``
    """
    by_lower = {entry.lower(): entry for entry in known}
    nearest = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f"; did you mean {by_lower[nearest[0]]!r}?" if nearest else ""
