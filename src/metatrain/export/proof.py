"""Proof that an exported file computes what the model in memory computes."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from metatomic.torch import AtomisticModel
from torch import Tensor

from metatrain.data.columns import Columns, Origin
from metatrain.data.inputs import SYSTEM_INPUTS, default_inputs
from metatrain.data.neighbor_lists import find_pairs
from metatrain.export import fresh_process
from metatrain.export.module import AtomisticExport
from metatrain.export.process import FreshProcess
from metatrain.nn.folding import Foldable

# Scripted code may sum in another order than Python, so the last digits may differ.
TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-8}
# A missing gradient is wrong by 1e-1; fourth-order differences in float64 of a smooth function
# are good to 1e-8.
DIFFERENCE_TOLERANCE = 1e-4
# Cutoff functions have kinks in their second derivative, which spoil a difference across one
# by as much as the step is long; energies that are sums of large terms, as those of kernel
# models are, have rounding errors that spoil short ones. The best of three steps counts, and
# the one that is nearly always good comes first. In units of the spacing.
STEPS = (1e-4, 1e-3, 1e-5)


class ExportError(RuntimeError):
    """An exported model does not do what the model in memory does."""


@dataclass(frozen=True)
class Agreement:
    """How well an exported file and the model in memory agree, relative to the largest value.

    :param value: values per system
    :param gradient: derivatives by positions and strain
    :param difference: derivatives against finite differences, in float64
    """

    value: float
    gradient: float
    difference: float


def prove(
    process: FreshProcess, path: Path, model: AtomisticModel, extensions: Path | None
) -> Agreement:
    """Load an exported file in a fresh process and compare it with the model in memory.

    :param process: started before there was a file, as it imports meanwhile
    :param path: the exported file
    :param model: what was exported
    :param extensions: folder of the TorchScript extensions that were collected
    :raises ExportError: if values, forces or stress differ, or finite differences do
    """
    capabilities = model.capabilities()
    outputs = _own_outputs(model)
    cases = _cases(model)
    dtype = getattr(torch, capabilities.dtype)
    expected = fresh_process.evaluate_all(model, cases, outputs, dtype)
    request = {
        "model": str(path),
        "extensions": None if extensions is None else str(extensions),
        "outputs": outputs,
        "cases": cases,
        "tolerance": DIFFERENCE_TOLERANCE,
    }
    try:
        result = process.answer(request)
    except RuntimeError as error:
        raise ExportError(f"{path} does not run on its own:\n{error}") from None
    ours = {"metatrain", "architectures"} & set(result["imported"])
    if ours:
        raise ExportError(f"{path}: loading it imported {', '.join(sorted(ours))}")

    found = result["as_exported"]
    agreement = Agreement(
        value=_worst_value(found, expected, float(cases[0]["spacing"]), dtype),
        gradient=_worst_gradient(found, expected),
        difference=_worst_difference(result["in_double"]),
    )
    # Written so that a NaN fails.
    tolerance = TOLERANCE[_network_dtype(model)]
    if not (agreement.value <= tolerance and agreement.gradient <= tolerance):
        raise ExportError(
            f"{path}: the exported model differs from the one in memory: values by "
            f"{agreement.value:.1e}, derivatives by {agreement.gradient:.1e} (relative)"
        )
    if not agreement.difference <= DIFFERENCE_TOLERANCE:
        raise ExportError(
            f"{path}: forces or stress of the exported model differ from finite differences of "
            f"its energies by {agreement.difference:.1e} (relative): part of it is not "
            "differentiated, or jumps"
        )
    return agreement


def prove_folding(model: Any) -> None:
    """Refuse products of weights with which a model is another one than it was trained.

    They are compared in float64, in which nothing but the last digits may differ.

    :param model: a :class:`metatrain.model.GraphModel`
    :raises ExportError: if values, forces or stress differ
    """
    if not any(isinstance(part, Foldable) for part in model.modules()):
        return
    exact, dtype = copy.deepcopy(model).to(torch.float64), torch.float64
    folded, plain = (AtomisticExport.of(exact, is_folded=is_folded) for is_folded in (True, False))
    cases, outputs = _cases(plain), _own_outputs(plain)
    found, expected = (
        fresh_process.evaluate_all(one, cases, outputs, dtype) for one in (folded, plain)
    )
    value = _worst_value(found, expected, float(cases[0]["spacing"]), dtype)
    gradient = _worst_gradient(found, expected)
    # written so that a NaN fails
    if not (value <= TOLERANCE[dtype] and gradient <= TOLERANCE[dtype]):
        raise ExportError(
            "products of weights, which an export multiplies once (fold), make another model: values "
            f"differ by {value:.1e}, derivatives by {gradient:.1e} (relative)"
        )


def _own_outputs(model: AtomisticModel) -> list[str]:
    """The names of the outputs, without those that metatomic adds because they once had them."""
    names = model.capabilities().outputs
    current = {name: model._get_new_name(name) for name in names}  # noqa: SLF001 (no public way)
    return [name for name in names if current[name] == name or current[name] not in names]


def _network_dtype(model: AtomisticModel) -> torch.dtype:
    floating = [p.dtype for p in model.parameters() if p.is_floating_point()]
    return torch.float64 if floating and set(floating) == {torch.float64} else torch.float32


def _worst_value(found: Any, expected: Any, spacing: float, dtype: torch.dtype) -> float:
    """Largest deviation of a value, relative to what moving an atom by ``spacing`` changes.

    Not to the value itself: beside the reference energies in it any change would look small.
    """
    deviations = []
    for one, other in _pairs(found, expected):
        rounding = 100 * torch.finfo(dtype).eps * other["value"].abs().max()
        size = spacing * other["positions"].abs().max() + rounding
        deviations.append(_relative((one["value"] - other["value"]).abs().max(), size))
    return _largest(deviations)


def _worst_gradient(found: Any, expected: Any) -> float:
    """Largest deviation of a derivative, relative to the largest one."""
    deviations = []
    for one, other in _pairs(found, expected):
        both = [torch.cat([of["positions"], of["strain"]]) for of in (one, other)]
        deviations.append(_relative((both[0] - both[1]).abs().max(), both[1].abs().max()))
    return _largest(deviations)


def _pairs(found: Any, expected: Any) -> Iterator[tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """What the file and what the model in memory says, for each system and output."""
    for found_case, expected_case in zip(found, expected, strict=True):
        yield from zip(found_case, expected_case, strict=True)


def _worst_difference(cases: list[list[dict[str, Tensor]]]) -> float:
    deviations = []
    for result in (one for case in cases for one in case):
        errors = (result["numerical"] - result["analytical"]).abs()  # (H, 2 D)
        best = errors.min(dim=0).values
        deviations.append(_relative(best.max(), result["analytical"].abs().max()))
    return _largest(deviations)


def _largest(deviations: list[float]) -> float:
    # unlike Python's max, a NaN comes through
    return float(torch.tensor(deviations).max())


def _relative(error: Tensor, size: Tensor) -> float:
    return float(error / size if size > 0 else error)


def _cases(model: AtomisticModel) -> list[dict[str, Tensor]]:
    """A cluster, a triclinic crystal and a slab of all the model's elements, made to its cutoff.

    Without the slab where a model cannot treat it.
    """
    capabilities = model.capabilities()
    lists = model.requested_neighbor_lists()
    cutoff = max((options.cutoff for options in lists), default=5.0)
    generator = torch.Generator().manual_seed(0)
    spacing = 0.4 * cutoff
    points = torch.cartesian_prod(*[torch.arange(2.0, dtype=torch.float64)] * 3) * spacing
    cell = spacing * torch.tensor(
        [[2.0, 0.0, 0.0], [0.3, 2.1, 0.0], [-0.2, 0.4, 2.2]], dtype=torch.float64
    )
    known = torch.tensor(capabilities.atomic_types)
    cases = []
    # only models of ours tell what they can treat
    known_periodicities = getattr(model.module, "periodicities", (0, 2, 3))
    kinds = [[False] * 3, [True] * 3, [True, True, False]]
    for index, pbc in enumerate(pbc for pbc in kinds if sum(pbc) in known_periodicities):
        noise = torch.rand(points.shape, generator=generator, dtype=torch.float64) - 0.5
        chosen = torch.randint(len(known), (len(points),), generator=generator)
        is_periodic = torch.tensor(pbc)
        case = {
            "types": known[chosen],
            "positions": points + 0.3 * spacing * noise,
            "cell": torch.where(is_periodic.unsqueeze(1), cell, 0.0),
            "pbc": is_periodic,
            "spacing": torch.tensor(spacing),
            "steps": torch.tensor(STEPS, dtype=torch.float64) * spacing,
            "displacements": torch.randn(2, *points.shape, generator=generator).double(),
            "strains": torch.randn(2, 3, 3, generator=generator).double() / spacing,
            **_inputs(model, index),
        }
        case["candidates"] = _candidates(case, 1.05 * cutoff)
        cases.append(case)
    return cases


def _inputs(model: AtomisticModel, index: int) -> dict[str, Tensor]:
    """Charges and the like: in turn what is usual, and both ends of what the model knows."""
    known = getattr(model.module, "known_inputs", {})
    inputs = {}
    for name, one in SYSTEM_INPUTS.items():
        values = [one.default, *known.get(name, ())]
        inputs[name] = torch.tensor(float(values[index % len(values)]))
    return inputs


def _candidates(case: dict[str, Tensor], cutoff: float) -> Tensor:
    """(E, 5) center, neighbor and shifts of all pairs closer than ``cutoff``."""
    columns = Columns(
        offsets=torch.tensor([0, len(case["types"])]),
        types=case["types"],
        positions=case["positions"],
        cells=case["cell"].unsqueeze(0),
        pbc=case["pbc"].unsqueeze(0),
        values={},
        forces={},
        stress={},
        inputs=default_inputs(1),
        origin=Origin(("",), torch.tensor([0]), torch.tensor([0])),
    )
    pairs = find_pairs(columns, cutoff)
    return torch.cat(
        [pairs.centers.unsqueeze(1), pairs.neighbors.unsqueeze(1), pairs.shifts], dim=1
    ).long()
