"""Whole processes: how long they take, and how much memory."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# nothing that is measured takes as long, so that one that hangs costs no night
LONGEST_SECONDS = 1800.0
LAST_LINES = 15


class ProcessError(Exception):
    """A process that did not do its work; the message has its command and its last lines."""


@dataclass(frozen=True)
class Finished:
    """A process that has ended well.

    :param begin: when it was started, on the clock that all processes share
    :param seconds: how long it took
    :param mebibytes: the peak of its resident memory
    :param answer: the last line that it printed
    """

    begin: float
    seconds: float
    mebibytes: float
    answer: str

    def json(self) -> dict[str, Any]:
        """The last line, where it is a JSON object."""
        found: dict[str, Any] = json.loads(self.answer)
        return found


@dataclass(frozen=True)
class Launcher:
    """Starts processes with the same number of threads, one after the other.

    :param threads: threads of each
    """

    threads: int

    def run(
        self, words: Sequence[object], folder: Path, variables: Mapping[str, str] | None = None
    ) -> Finished:
        """Run a command to its end.

        :param words: the command
        :param folder: where it runs; gets ``stdout.txt`` and ``stderr.txt``
        :param variables: added to the environment
        :raises ProcessError: if it does not end well
        """
        command = [str(word) for word in words]
        threads = str(self.threads)
        environment = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        printed, errors = folder / "stdout.txt", folder / "stderr.txt"
        begin = time.monotonic()
        with printed.open("w") as stdout, errors.open("w") as stderr:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment | dict(variables or {}),
                stdout=stdout,
                stderr=stderr,
            )
            watch = threading.Timer(LONGEST_SECONDS, process.kill)
            watch.start()
            try:
                _, status, usage = os.wait4(process.pid, 0)
            except KeyboardInterrupt:
                process.send_signal(signal.SIGKILL)
                raise
            finally:
                watch.cancel()
        seconds = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        lines = printed.read_text(errors="replace").splitlines()
        if process.returncode != 0:
            last = [*lines, *errors.read_text(errors="replace").splitlines()][-LAST_LINES:]
            raise ProcessError(
                "\n".join([f"{' '.join(command)}: exit {process.returncode}", *last])
            )
        # Linux counts in KiB
        return Finished(begin, seconds, usage.ru_maxrss / 1024, lines[-1] if lines else "")
