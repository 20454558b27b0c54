"""A virtual environment in which packages of strangers are installed beside metatrain."""

import shutil
import site
import subprocess
import sys
import tempfile
import venv
from pathlib import Path


def fresh_environment(folder: Path) -> Path:
    """The interpreter of a new environment that sees all that this one has installed.

    What is installed there stays there. Nothing is downloaded.
    """
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    python = folder / "bin" / "python"
    # "import" lines of a .pth file run at start-up; addsitedir follows the .pth files of
    # editable installs too, which PYTHONPATH would not
    lines = [f"import site; site.addsitedir({path!r})\n" for path in site.getsitepackages()]
    (_site_packages(python) / "beside.pth").write_text("".join(lines))
    return python


def install(python: Path, *packages: Path) -> None:
    """Install folders with a ``pyproject.toml`` each, as ``pip install`` of an author would.

    :param python: what :func:`fresh_environment` gave
    """
    with tempfile.TemporaryDirectory() as folder:
        # pip builds where the sources are, and leaves traces there
        copies = [shutil.copytree(path, Path(folder, path.name)) for path in packages]
        options = ["--no-deps", "--no-build-isolation", "--no-index", "--no-compile", "--quiet"]
        command = [sys.executable, "-m", "pip", "--python", python, "install", *options, *copies]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _site_packages(python: Path) -> Path:
    (found,) = python.parents[1].glob("lib/python3*/site-packages")
    return found
