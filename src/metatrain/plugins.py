"""Plug-ins: what is installed, and how it is found by name."""

import dataclasses
import importlib
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

_MODEL_CONTRACT = (
    "__supported_devices__",
    "__supported_dtypes__",
    "load_checkpoint",
    "restart",
    "export",
)
_TRAINER_CONTRACT = ("train", "save_checkpoint", "load_checkpoint")


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


def installed(kind: str) -> dict[str, EntryPoint]:
    """The plug-ins of one kind that are installed, by name.

    Where two packages give the same name, both stand here as ``package:name``.

    :param kind: one of :data:`KINDS`
    """
    every = entry_points(group=f"metatrain.{kind}")
    found = sorted(every, key=lambda entry: (entry.name, _package(entry)))
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
    gaps = _gaps_in_contract(module)
    if gaps:
        raise MetatrainError(
            f"{where}: {name!r} of package {package!r} is not a complete architecture: "
            + "; ".join(gaps)
        )
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
    )


def _find(kind: str, name: str, where: str) -> tuple[Any, str, str]:
    """The plug-in, the package it comes from, and the version of that package."""
    if not isinstance(name, str) or not name:
        raise MetatrainError(f"{where}: found {name!r}, expected the name of a plug-in")
    entry = _entry_point(kind, name, where)
    if entry is not None:
        thing = _import(entry.value, name, where, entry.dist)
        return thing, _package(entry), entry.dist.version if entry.dist else ""
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
    if short in known and _package(known[short]) == package:
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
    # A plug-in is foreign code: whatever it raises while it is imported, its name, its
    # package and the reason in one line serve the user best.
    except Exception as error:  # noqa: BLE001
        _blame_import(error, name, where, dist)
    return thing


def _attribute_or_submodule(thing: Any, name: str) -> Any:
    if isinstance(thing, ModuleType) and not hasattr(thing, name) and hasattr(thing, "__path__"):
        return importlib.import_module(f"{thing.__name__}.{name}")
    return getattr(thing, name)


def _blame_import(error: Exception, name: str, where: str, dist: Distribution | None) -> NoReturn:
    """Say in one line why a plug-in cannot be used, and how to mend it."""
    reason = " ".join(str(error).split()) or "no reason given"
    owner = f" of package {dist.name!r}" if dist else ""
    message = f"{where}: {name!r}{owner} cannot be imported: {type(error).__name__}: {reason}"
    if isinstance(error, ModuleNotFoundError) and dist and error.name:
        message += f"; try: pip install {_requirement(dist, error.name)}"
    raise MetatrainError(message) from error


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


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value.partition(".")[0]


def _full_name(entry: EntryPoint) -> str:
    return f"{_package(entry)}:{entry.name}"


def _distribution_of(path: str) -> Distribution | None:
    """The distribution that brings the module of ``module:Thing``, if any does."""
    top_level = path.partition(":")[0].partition(".")[0]
    names = packages_distributions().get(top_level)
    return distribution(names[0]) if names else None


def _gaps_in_contract(module: Any) -> list[str]:
    """Everything that an architecture must define and does not."""
    gaps = [
        f"{name} is missing"
        for name in ("__model__", "__trainer__", "__authors__", "__maintainers__")
        if not hasattr(module, name)
    ]
    for name in ("__authors__", "__maintainers__"):
        if hasattr(module, name) and not _are_people(getattr(module, name)):
            gaps += [f'{name} is not a list of ("Name <email>", "@handle")']
    for name, contract in (("__model__", _MODEL_CONTRACT), ("__trainer__", _TRAINER_CONTRACT)):
        if hasattr(module, name):
            gaps += _gaps_in_class(name, getattr(module, name), contract)
    return gaps


def _gaps_in_class(name: str, thing: Any, contract: tuple[str, ...]) -> list[str]:
    """What a model or trainer class lacks."""
    if not isinstance(thing, type):
        return [f"{name} is not a class"]
    gaps = [f"{thing.__name__}.{part} is missing" for part in contract if not hasattr(thing, part)]
    hypers = getattr(thing, "Hypers", None)
    if hypers is not None and not (isinstance(hypers, type) and dataclasses.is_dataclass(hypers)):
        gaps.append(f"{thing.__name__}.Hypers is not a dataclass")
    return gaps


def _are_people(people: Any) -> bool:
    return isinstance(people, list | tuple) and all(
        isinstance(person, list | tuple)
        and len(person) == 2
        and all(isinstance(part, str) for part in person)
        for person in people
    )
