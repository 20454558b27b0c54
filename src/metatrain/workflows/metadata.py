"""What a user wants an exported model to say of itself."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from metatrain.errors import MetatrainError, did_you_mean

FIELDS = {
    "name": "text",
    "description": "text",
    "authors": "a list of texts",
    "references": "a mapping of lists of texts",
    "extra": "a mapping of texts",
}
# the kinds that metatomic knows
REFERENCES = ("implementation", "architecture", "model")
# what the hub writes itself
RESERVED = ("architecture", "trained_with", "trained_on", "options")


def read_metadata(path: Path) -> dict[str, Any]:
    """The fields of a metadata file, all checked."""
    try:
        fields: Any = OmegaConf.to_container(OmegaConf.load(path))
    except FileNotFoundError as error:
        raise MetatrainError(f"{path}: no such metadata file.") from error
    except (OSError, UnicodeDecodeError, YAMLError, OmegaConfBaseException) as error:
        raise MetatrainError(f"{path}: is not a YAML file of metadata.") from error
    if not isinstance(fields, dict):
        raise MetatrainError(f"{path}: expected 'name: ...', 'authors: [...]' and so on.")
    _check_names(fields, FIELDS, f"{path}: ")
    for name, value in fields.items():
        if not _is_valid(name, value):
            raise MetatrainError(f"{path}: {name}: found {value!r}, expected {FIELDS[name]}.")
    _check_names(fields.get("references", {}), REFERENCES, f"{path}: references.")
    for name in RESERVED:
        if name in fields.get("extra", {}):
            raise MetatrainError(f"{path}: extra.{name}: is written by metatrain; rename it.")
    return fields


def _check_names(given: dict[Any, Any], allowed: Any, where: str) -> None:
    for name in given:
        if name not in allowed:
            raise MetatrainError(
                f"{where}{name}: unknown field{did_you_mean(str(name), allowed) or ';'} "
                f"allowed: {', '.join(allowed)}."
            )


def _is_valid(name: str, value: Any) -> bool:
    if name == "authors":
        return _are_texts(value)
    if name == "references":
        return isinstance(value, dict) and all(map(_are_texts, value.values()))
    if name == "extra":
        return isinstance(value, dict) and not any(
            isinstance(one, dict | list) for one in value.values()
        )
    return isinstance(value, str)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
