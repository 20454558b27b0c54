"""Where a restarted run goes on, and whether it may."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from metatrain import checkpoint
from metatrain.errors import MetatrainError
from metatrain.options import Options
from metatrain.workflows.files import check_is_checkpoint, newest_checkpoint


@dataclass(frozen=True)
class Start:
    """Where a restarted run goes on.

    :param path: the checkpoint
    :param run: the run that wrote it
    :param options: its complete options
    """

    path: Path
    run: checkpoint.RunRecord
    options: dict[str, Any]

    @classmethod
    def of(cls, restart: str, options: Options) -> "Start":
        """Read the checkpoint, and check that it belongs to the options."""
        path = newest_checkpoint() if restart == "auto" else Path(restart)
        check_is_checkpoint(path)
        run = checkpoint.run_record(path, checkpoint.load(path))
        if run.architecture["name"] != options.architecture.name:
            raise MetatrainError(
                f"--restart {path}: is a checkpoint of {run.architecture['name']!r}, but the "
                f"options ask for {options.architecture.name!r}."
            )
        stored: Any = OmegaConf.to_container(OmegaConf.create(run.options))
        given = options.as_container()
        _check_unchanged(
            given["architecture"]["model"],
            stored["architecture"]["model"],
            "architecture.model",
            f"in the run of --restart {path}; a restart needs the same model",
        )
        for name in ("training_set", "validation_set", "test_set"):
            _check_unchanged(
                _without_paths(given[name]),
                _without_paths(stored[name]),
                name,
                f"in the run of --restart {path}; other data or another split need a new run",
            )
        return cls(path, run, stored)


def _check_unchanged(now: Any, before: Any, where: str, reason: str) -> None:
    """Refuse options that differ from those of the run that is restarted."""
    is_same_kind = isinstance(now, dict) and isinstance(before, dict)
    before, now = (_flat(before), _flat(now)) if is_same_kind else ({"": before}, {"": now})
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            raise MetatrainError(
                f"{where}{key}: is {now.get(key)!r}, but {before.get(key)!r} {reason}."
            )


def _without_paths(section: Any) -> Any:
    """The same section without the places of files: these may have moved."""
    if isinstance(section, list):
        return [_without_paths(item) for item in section]
    if not isinstance(section, dict):
        return section
    return {key: _without_paths(item) for key, item in section.items() if key != "read_from"}


def _flat(section: Any, key: str = "") -> dict[str, Any]:
    """A nested section as one level, with keys such as ``.soap.cutoff.radius``."""
    if not isinstance(section, dict):
        return {key: section}
    flat: dict[str, Any] = {}
    for name, value in section.items():
        flat |= _flat(value, f"{key}.{name}")
    return flat
