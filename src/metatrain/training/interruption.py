"""Ctrl-C and SIGTERM: finish the step, save, and say how to go on."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def delayed_interruption() -> Iterator[Callable[[], int | None]]:
    """Within this context a first SIGINT or SIGTERM only leaves a note.

    The trainer asks for the note between steps. A second signal acts as usual.

    :return: a function that gives the number of the signal received, or ``None``
    """
    received: list[int] = []
    previous: dict[int, Any] = {}

    def remember(number: int, _: FrameType | None) -> None:
        if received:
            signal.signal(number, previous[number])
            signal.raise_signal(number)
        received.append(number)

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            # what the caller ignores (nohup, a background job) stays ignored
            if signal.getsignal(number) is not signal.SIG_IGN:
                previous[number] = signal.signal(number, remember)
    except ValueError:
        # Not the main thread: signals are not ours to handle.
        yield lambda: None
        return
    try:
        yield lambda: received[0] if received else None
    finally:
        for handled, handler in previous.items():
            signal.signal(handled, handler)
