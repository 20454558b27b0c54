"""Which plug-in is for which file."""

from pathlib import Path
from typing import Any

from metatrain import plugins
from metatrain.errors import MetatrainError


def plugin_for(kind: str, path: str | Path, name: str | None, where: str) -> Any:
    """The reader or writer that is named, or else the one that claims the suffix of a file.

    :param kind: ``"readers"`` or ``"writers"``
    :param path: the file
    :param name: name of the plug-in; ``None`` lets the suffix decide
    :param where: what names the file in the options, for messages
    """
    if name is not None:
        return plugins.load(kind, name, where)()
    candidates = {known: plugins.load(kind, known, where) for known in plugins.installed(kind)}
    claims = {suffix: known for known in candidates for suffix in candidates[known].suffixes}
    file_name = Path(path).name
    fitting = [suffix for suffix in claims if file_name.endswith(suffix)]
    if not fitting:
        raise MetatrainError(
            f"{where}: none of the {kind} claims the suffix of {file_name!r}; known are "
            f"{', '.join(sorted(claims)) or 'none'}; rename the file, or name one of the "
            f"{kind}, such as '{kind[:-1]}: {next(iter(candidates), 'module:Thing')}'."
        )
    # "vasprun.xml" says more than ".xml"
    return candidates[claims[max(fitting, key=len)]]()
