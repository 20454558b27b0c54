"""Which plug-in is for which file."""

from pathlib import Path
from typing import Any

from metatrain import plugins
from metatrain.errors import MetatrainError

_METHODS = {"readers": "__call__", "writers": "open"}


def plugin_for(kind: str, path: str | Path, name: str | None, where: str) -> Any:
    """The reader or writer that is named, or else the one that claims the suffix of a file.

    :param kind: ``"readers"`` or ``"writers"``
    :param path: the file
    :param name: name of the plug-in; ``None`` lets the suffix decide
    :param where: what names the file in the options, for messages
    """
    if name is not None:
        return _made(kind, plugins.load(kind, name, where), name, where)
    claims, broken = _claims(kind, where)
    file_name = Path(path).name
    fitting = [suffix for suffix in claims if file_name.endswith(suffix)]
    if not fitting:
        way_out = ", or name a reader, such as 'reader: ase'" if kind == "readers" else ""
        raise MetatrainError(
            f"{where}: none of the {kind} claims the suffix of {file_name!r}; known are "
            f"{', '.join(sorted(claims)) or 'none'}; rename the file{way_out}."
            + "".join(f" (What {name!r} claims is not known: it {why}.)" for name, why in broken)
        )
    # "vasprun.xml" says more than ".xml"
    suffix = max(fitting, key=len)
    if len(claims[suffix]) > 1:
        way_out = "name one as 'reader'" if kind == "readers" else "choose another suffix"
        raise MetatrainError(
            f"{where}: several {kind} claim {suffix!r}: {', '.join(claims[suffix])}; {way_out}."
        )
    (known,) = claims[suffix]
    return _made(kind, claims[suffix][known], known, where)


def _claims(kind: str, where: str) -> tuple[dict[str, dict[str, Any]], list[tuple[str, str]]]:
    """The plug-ins that claim each suffix, by name; and those that cannot be asked, with why.

    A package that is broken takes nothing from those who use others.
    """
    claims: dict[str, dict[str, Any]] = {}
    broken = []
    for name in plugins.installed(kind):
        try:
            plugin = plugins.load(kind, name, where)
        except plugins.BrokenPluginError as error:
            broken.append((name, error.reason))
            continue
        for suffix in getattr(plugin, "suffixes", ()):
            claims.setdefault(suffix, {})[name] = plugin
    return claims, broken


def _made(kind: str, plugin: Any, name: str, where: str) -> Any:
    """The plug-in with its options as they are by default."""
    method = _METHODS[kind]
    if not isinstance(plugin, type) or not any(method in vars(of) for of in plugin.__mro__):
        raise MetatrainError(
            f"{where}: {name!r} is none of the {kind}; expected a class with {method}(path)."
        )
    return plugin()
