"""`mtt schema`: the options file as JSON schema, for editors."""

import json
import sys

from metatrain import plugins
from metatrain.options.json_schema import file_schema
from metatrain.plugins import Architecture, BrokenPluginError

_COMMAND = "mtt schema"


def schema(architecture: str | None) -> None:
    """Print the schema.

    :param architecture: the one that files may name; ``None`` for all that are installed
    """
    if architecture is None:
        found = _all_architectures()
    else:
        found = [plugins.load_architecture(architecture, f"{_COMMAND} -a")]
    print(json.dumps(file_schema(found), indent=2))


def _all_architectures() -> list[Architecture]:
    """Those that can be used; of the others the user is told."""
    found = []
    for name in plugins.installed("architectures"):
        try:
            found.append(plugins.load_architecture(name, _COMMAND))
        except BrokenPluginError as error:
            print(f"left out: {name!r} {error.reason}", file=sys.stderr)
    return found
