"""The repulsion of nuclei, for the energies of a data set in their units."""

from collections.abc import Mapping

from metatrain.data.target import DatasetInfo, Target
from metatrain.errors import MetatrainError
from metatrain.nn import ZBL, NoPrior
from metatrain.units import conversion_factor


def check_repulsion(targets: Mapping[str, Target]) -> None:
    """Refuse the option ``zbl`` of a new model where no target is an energy."""
    if not _energies(targets):
        raise MetatrainError("zbl: there is no energy to add the repulsion to; use false.")


def repulsion(dataset_info: DatasetInfo) -> ZBL | NoPrior:
    """A prior for all targets that are energies.

    There may be none of them where a trained model goes on with other targets.

    :param dataset_info: says which they are, and the units
    """
    units = {
        target.name: conversion_factor("eV", target.unit, f"targets.{target.name}.unit")
        for target in _energies(dataset_info.targets)
    }
    if not units:
        return NoPrior()
    length = conversion_factor(dataset_info.length_unit, "angstrom", "length_unit")
    return ZBL(dataset_info.atomic_types, units, length)


def _energies(targets: Mapping[str, Target]) -> list[Target]:
    return [t for t in targets.values() if t.quantity == "energy" and t.is_scalar]
