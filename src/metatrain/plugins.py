"""Plug-ins: what is installed, and how it is found by name."""

import importlib
import inspect
import re
from dataclasses import dataclass
from importlib.metadata import (
    Distribution,
    EntryPoint,
    distribution,
    entry_points,
    packages_distributions,
)
from types import ModuleType
from typing import Any, NoReturn

from metatrain.contract import shortcomings
from metatrain.errors import MetatrainError, did_you_mean

KINDS = (
    "architectures",
    "losses",
    "readers",
    "writers",
    "optimizers",
    "schedulers",
    "loggers",
)


class BrokenPluginError(MetatrainError):
    """A plug-in that is installed and cannot be used.

    :param where: key of the name in the options file
    :param plugin: the name, and the package it comes from
    :param reason: why it cannot be used, in one line
    """

    def __init__(self, where: str, plugin: str, reason: str) -> None:
        super().__init__(f"{where}: {plugin} {reason}")
        self.reason = reason


@dataclass(frozen=True)
class Architecture:
    """An architecture whose package fulfils the contract.

    :param name: the name in the options file
    :param package: the distribution it comes from
    :param version: the version of that distribution; empty if it has none
    :param model_class: class that fulfils ``ModelInterface``
    :param trainer_class: class that fulfils ``TrainerInterface``
    :param model_hypers: dataclass of the options under ``architecture.model``; ``None`` if
        the model takes a plain dictionary
    :param train_hypers: the same for ``architecture.training``
    :param authors: names and handles, such as ``("Ada <ada@lab.org>", "@ada")``
    :param maintainers: names and handles of those to ask
    :param references: publications of the architecture, from ``__references__`` if there
    :param description: what the architecture says of itself: the docstring of its module
    """

    name: str
    package: str
    version: str
    model_class: type[Any]
    trainer_class: type[Any]
    model_hypers: type | None
    train_hypers: type | None
    authors: tuple[tuple[str, str], ...]
    maintainers: tuple[tuple[str, str], ...]
    references: tuple[str, ...] = ()
    description: str = ""

    @property
    def devices(self) -> tuple[str, ...]:
        """Names of the devices that the model runs on, best first."""
        return tuple(self.model_class.__supported_devices__)

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Names of the floating-point types that the model computes in, best first."""
        dtypes = self.model_class.__supported_dtypes__
        return tuple(str(dtype).removeprefix("torch.") for dtype in dtypes)


def installed(kind: str) -> dict[str, EntryPoint]:
    """The plug-ins of one kind that are installed, by name.

    Where two packages give the same name, both stand here as ``package:name``.

    :param kind: one of :data:`KINDS`
    """
    every = entry_points(group=f"metatrain.{kind}")
    found = sorted(every, key=lambda entry: (entry.name, package_of(entry)))
    names = [entry.name for entry in found]
    return {
        entry.name if names.count(entry.name) == 1 else _full_name(entry): entry for entry in found
    }


def load(kind: str, name: str, where: str) -> Any:
    """The plug-in of the given name.

    :param kind: one of :data:`KINDS`
    :param name: the name of an installed plug-in, ``package:name`` where two packages give
        the same, or ``module:Thing`` for what is not installed
    :param where: key of the name in the options file, for messages
    """
    return _find(kind, name, where)[0]


def load_architecture(name: str, where: str) -> Architecture:
    """The architecture of the given name, its contract checked.

    :param name: see :func:`load`
    :param where: key of the name in the options file, for messages
    """
    module, package, version = _find("architectures", name, where)
    lacks = shortcomings(module)
    if lacks:
        reason = f"is not a complete architecture: {'; '.join(lacks)}"
        raise BrokenPluginError(where, f"{name!r} of package {package!r}", reason)
    return Architecture(
        name=name,
        package=package,
        version=version,
        model_class=module.__model__,
        trainer_class=module.__trainer__,
        model_hypers=getattr(module.__model__, "Hypers", None),
        train_hypers=getattr(module.__trainer__, "Hypers", None),
        authors=tuple((who, handle) for who, handle in module.__authors__),
        maintainers=tuple((who, handle) for who, handle in module.__maintainers__),
        references=tuple(getattr(module, "__references__", ())),
        description=inspect.getdoc(module) or "",
    )


def is_installed(kind: str, name: str) -> bool:
    """Whether a name is that of an entry point, rather than a ``module:Thing`` to import.

    :param kind: one of :data:`KINDS`
    :param name: as in :func:`load`; one that nobody gives counts as installed, for to look it
        up runs nothing either
    """
    try:
        return _entry_point(kind, name, "") is not None
    except MetatrainError:
        return True


def _find(kind: str, name: str, where: str) -> tuple[Any, str, str]:
    """The plug-in, the package it comes from, and the version of that package."""
    if not isinstance(name, str) or not name:
        raise MetatrainError(f"{where}: found {name!r}, expected the name of a plug-in")
    entry = _entry_point(kind, name, where)
    if entry is not None:
        thing = _import(entry.value, name, where, entry.dist)
        return thing, package_of(entry), entry.dist.version if entry.dist else ""
    dist = _distribution_of(name)
    thing = _import(name, name, where, dist)
    package = dist.name if dist else name.partition(":")[0].partition(".")[0]
    return thing, package, dist.version if dist else ""


def _entry_point(kind: str, name: str, where: str) -> EntryPoint | None:
    """The entry point that ``name`` stands for; ``None`` if it is a ``module:Thing``."""
    known = installed(kind)
    if name in known:
        return known[name]
    of_that_name = [full for full in known if full.rpartition(":")[2] == name]
    if of_that_name:
        raise MetatrainError(
            f"{where}: several packages give {name!r}; write " + " or ".join(of_that_name)
        )
    package, colon, short = name.rpartition(":")
    if short in known and package_of(known[short]) == package:
        return known[short]
    if colon and package and short:
        return None
    raise MetatrainError(
        f"{where}: {name!r} is not installed{did_you_mean(name, known) or ';'} "
        f"installed: {', '.join(known) or 'none'}"
    )


def _import(path: str, name: str, where: str, dist: Distribution | None) -> Any:
    """What stands at ``module`` or ``module:Thing``."""
    module_name, _, attribute = path.partition(":")
    try:
        thing = importlib.import_module(module_name)
        for part in filter(None, attribute.split(".")):
            thing = _attribute_or_submodule(thing, part)
    # A plug-in is foreign code: whatever it raises while it is imported, even to end the
    # process, its name, its package and the reason in one line serve the user best.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        _blame_import(error, name, where, dist)
    return thing


def _attribute_or_submodule(thing: Any, name: str) -> Any:
    if isinstance(thing, ModuleType) and not hasattr(thing, name) and hasattr(thing, "__path__"):
        return importlib.import_module(f"{thing.__name__}.{name}")
    return getattr(thing, name)


def _blame_import(
    error: BaseException, name: str, where: str, dist: Distribution | None
) -> NoReturn:
    """Say in one line why a plug-in cannot be used, and how to mend it."""
    reason = " ".join(str(error).split()) or "no reason given"
    owner = f" of package {dist.name!r}" if dist else ""
    message = f"cannot be imported: {type(error).__name__}: {reason}"
    if isinstance(error, ModuleNotFoundError) and dist and error.name:
        message += f"; try: pip install {_requirement(dist, error.name)}"
    raise BrokenPluginError(where, f"{name!r}{owner}", message) from error


def _requirement(dist: Distribution, module: str) -> str:
    """What to give to pip for ``module``: the package, with the extra that brings it."""
    wanted = _normalized(module.partition(".")[0])
    for requirement in dist.requires or []:
        package = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"""extra\s*==\s*['"]([\w.-]+)['"]""", requirement)
        if package and extra and _normalized(package[0]) == wanted:
            return f"'{dist.name}[{extra[1]}]'"
    return dist.name


def _normalized(package: str) -> str:
    """The name of a package as the package index compares it."""
    return re.sub(r"[-_.]+", "-", package).lower()


def package_of(entry: EntryPoint) -> str:
    """Name of the package that gives a plug-in."""
    return entry.dist.name if entry.dist else entry.value.partition(".")[0]


def _full_name(entry: EntryPoint) -> str:
    return f"{package_of(entry)}:{entry.name}"


def _distribution_of(path: str) -> Distribution | None:
    """The distribution that brings the module of ``module:Thing``, if any does."""
    top_level = path.partition(":")[0].partition(".")[0]
    names = packages_distributions().get(top_level)
    return distribution(names[0]) if names else None
