"""``type`` of a target: a scalar, a Cartesian tensor, or spherical tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from metatrain.data.source import TargetSource
from metatrain.data.target import Target
from metatrain.hypers import mistakes
from metatrain.hypers.check import build
from metatrain.hypers.mistakes import Place
from metatrain.options.schema import CartesianSection, IrrepSection, SphericalSection

_FORMS = "'scalar', {cartesian: {rank: 1}}, or {spherical: {irreps: [{o3_lambda: 2, o3_sigma: 1}]}}"


@dataclass(frozen=True)
class TargetType:
    """How the values of a target turn with the system; see ``data.target.Target``."""

    rank: int = 0
    irreps: tuple[tuple[int, int], ...] = ()

    @classmethod
    def read(cls, given: Any, place: Place) -> Self:
        """What the options say.

        :param given: what stands at ``place``
        """
        if given == "scalar":
            return cls()
        if isinstance(given, Mapping) and len(given) == 1:
            ((kind, section),) = given.items()
            if kind == "cartesian":
                return cls(rank=build(CartesianSection, section, place / kind).rank)
            if kind == "spherical":
                return cls(irreps=_irreps(section, place / kind))
        raise mistakes.wrong_type(place, given, _FORMS)


def type_of(target: TargetSource | Target) -> Any:
    """The type of a target in the form that an options file has."""
    if target.irreps:
        irreps = [{"o3_lambda": angular, "o3_sigma": sigma} for angular, sigma in target.irreps]
        return {"spherical": {"irreps": irreps}}
    return {"cartesian": {"rank": target.rank}} if target.rank else "scalar"


def _irreps(given: Any, place: Place) -> tuple[tuple[int, int], ...]:
    """Lambda and sigma of each spherical tensor."""
    section = build(SphericalSection, given, place)
    if section.product is not None:
        raise (place / "product").mistake(
            "products of irreps are not available in this version; list the irreps that they give"
        )
    at = place / "irreps"
    if not isinstance(section.irreps, list) or not section.irreps:
        expected = "a list such as [{o3_lambda: 0, o3_sigma: 1}, {o3_lambda: 2, o3_sigma: 1}]"
        raise mistakes.wrong_type(at, section.irreps, expected)
    irreps: list[tuple[int, int]] = []
    for index, item in enumerate(section.irreps):
        irrep = build(IrrepSection, item, at[index])
        found = (irrep.o3_lambda, irrep.o3_sigma)
        if irrep.num != 1 or found in irreps:
            raise at[index].mistake(
                "the irreps of a target are there once, or num_subtargets times each; write each "
                "once, and 'num_subtargets' in the target"
            )
        irreps.append(found)
    return tuple(irreps)
