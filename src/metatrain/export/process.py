"""The process that an exported file is proven in, as the one who asks sees it."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

import torch

# Not imported: it imports what the process imports beside us.
_SCRIPT = Path(__file__).with_name("fresh_process.py")
# Importing metatensor compiles its operations to TorchScript, which takes half a second; engines
# have none of them, and nothing that was exported can need them. Nor is there garbage in imports.
_START = (
    "import gc, runpy, sys; gc.disable(); sys.modules['metatensor_operations'] = None; "
    "runpy.run_path(sys.argv[1], run_name='__main__')"
)


class FreshProcess:
    """A Python that imports metatomic alone and then waits for its one request.

    The imports take longer than most exports: to be started before there is a file to prove.
    """

    def __init__(self) -> None:
        # -P: nothing that lies in the current folder is taken for a module of that name
        command = [sys.executable, "-P", "-W", "ignore", "-c", _START, str(_SCRIPT)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What the process says to a request; it ends with that.

        :raises RuntimeError: with what it said last, if it broke down
        """
        with tempfile.TemporaryDirectory() as folder:
            request_path, result_path = Path(folder) / "request.pt", Path(folder) / "result.pt"
            torch.save(request, request_path)
            _, errors = self._process.communicate(f"{request_path}\n{result_path}\n")
            if self._process.returncode != 0:
                raise RuntimeError(errors)
            answer: dict[str, Any] = torch.load(result_path, weights_only=True)
            return answer
