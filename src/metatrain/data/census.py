"""What a data set holds, counted before it is believed."""

from collections.abc import Mapping

import torch
from torch import Tensor

from metatrain.data.atomic_types import symbol, symbols
from metatrain.data.columns import Columns
from metatrain.data.target import Target
from metatrain.errors import MetatrainError
from metatrain.units import conversion_factor, force_unit, stress_unit

# Energies of one method, less the energies of the elements, are never this far apart.
LARGE_RESIDUAL_EV = 1.0


def census(
    name: str,
    columns: Columns,
    targets: Mapping[str, Target],
    *,
    length_unit: str,
    residuals: Mapping[str, Tensor] | None = None,
) -> str:
    """A table of what a set holds: systems, atoms, elements, and each label's count and range.

    :param name: what the set is called
    :param columns: the set
    :param targets: the targets; their units are those of the columns
    :param length_unit: unit of the positions
    :param residuals: by target, (S,) or (S, P), labels per atom less the baseline
    :return: lines of plain text
    """
    num_systems, num_atoms = len(columns), len(columns.types)
    rows = [("", f"{num_systems} systems, {num_atoms} atoms", _elements(columns))]
    for target in targets.values():
        rows += _rows_of_target(columns, target, length_unit)
    notes = []
    for target_name, residual in (residuals or {}).items():
        target = targets[target_name]
        rows.append(_residual_row(target, residual))
        notes += _flag(columns, target, residual)
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    lines = [f"  {a:<{first}}  {b:<{second}}  {c}".rstrip() for a, b, c in rows]
    return "\n".join([f"{name}:", *lines, *notes])


def _elements(columns: Columns) -> str:
    types, counts = torch.unique(columns.types, return_counts=True)
    return ", ".join(
        f"{symbol(number)} {count}"
        for number, count in zip(types.tolist(), counts.tolist(), strict=True)
    )


def _rows_of_target(
    columns: Columns, target: Target, length_unit: str
) -> list[tuple[str, str, str]]:
    values = columns.values.get(target.name)
    if values is not None and target.is_extensive:
        values = values / columns.num_atoms.unsqueeze(1)
    label = target.name
    if values is not None and not target.is_scalar:
        label, values = f"|{label}|", _sizes(values, target)
    rows = [_row(label, columns, values, _per_atom_unit(target))]
    if target.has_forces:
        forces = columns.forces.get(target.name)
        size = None if forces is None else forces.norm(dim=1)
        unit = force_unit(target.unit, length_unit) if target.unit and length_unit else ""
        rows.append(_row(f"{target.name} |forces|", columns, size, unit))
    if target.has_stress:
        unit = stress_unit(target.unit, length_unit) if target.unit and length_unit else ""
        rows.append(_row(f"{target.name} stress", columns, columns.stress.get(target.name), unit))
    return rows


def _sizes(values: Tensor, target: Target) -> Tensor:
    """The norm of each tensor: unlike its components it does not turn with the system.

    :param values: (S, V), or (N, V) for a target per atom
    :return: (S, P) or (N, P) for each block, side by side
    """
    shape = (len(values), -1, target.num_properties)
    blocks = [values[:, block.columns].reshape(shape).norm(dim=1) for block in target.blocks]
    return torch.cat(blocks, dim=1)


def _per_atom_unit(target: Target) -> str:
    if not target.is_extensive:
        return target.unit
    return f"{target.unit}/atom" if target.unit else "per atom"


def _row(label: str, columns: Columns, values: Tensor | None, unit: str) -> tuple[str, str, str]:
    if values is None or bool(values.isnan().all()):
        return label, f"0 of {len(columns)} systems", ""
    is_known = ~values.flatten(1).isnan().all(dim=1) if values.dim() > 1 else ~values.isnan()
    atoms = ""
    if len(is_known) != len(columns):  # per atom
        num_known = torch.bincount(columns.system_of_atom[is_known], minlength=len(columns))
        is_known = num_known > 0
        num_atoms = int(columns.num_atoms[is_known].sum())
        if num_known.sum() < num_atoms:
            atoms = f", {int(num_known.sum())} of {num_atoms} atoms"
    known = values[~values.isnan()]
    count = f"{int(is_known.sum())} of {len(columns)} systems{atoms}"
    return label, count, f"{known.min():.6g} .. {known.max():.6g} {unit}".rstrip()


def _residual_row(target: Target, residual: Tensor) -> tuple[str, str, str]:
    known = residual[~residual.isnan()]
    if len(known) == 0:
        return f"{target.name} less baseline", "", "no labels"
    rms, largest = known.square().mean().sqrt(), known.abs().max()
    unit = _per_atom_unit(target)
    return f"{target.name} less baseline", "", f"rms {rms:.4g}, max {largest:.4g} {unit}".rstrip()


def _flag(columns: Columns, target: Target, residual: Tensor) -> list[str]:
    """A line about systems whose energies don't fit those of the others, if there are any."""
    factor = _factor_to_ev(target)
    if factor is None:
        return []
    is_large = (residual.reshape(len(columns), -1).abs() * factor > LARGE_RESIDUAL_EV).any(dim=1)
    systems = torch.nonzero(is_large).squeeze(1)
    if len(systems) == 0:
        return []
    shared, first = _shared_elements(columns, systems), columns.origin.where(int(systems[0]))
    line = (
        f"  warning: {target.name} of {len(systems)} of {len(columns)} systems is more than "
        f"{LARGE_RESIDUAL_EV:g} eV/atom from the baseline ({shared}; the first is {first}): "
        "is it by the same method?"
    )
    return [line]


def _factor_to_ev(target: Target) -> float | None:
    """The factor from the target's unit to eV; ``None`` if it is no energy."""
    if target.quantity != "energy" or target.is_per_atom or not target.unit:
        return None
    try:
        return conversion_factor(target.unit, "eV", f"unit of {target.name}")
    except MetatrainError:
        return None


def _shared_elements(columns: Columns, systems: Tensor) -> str:
    types, kind_of_atom = torch.unique(columns.types, return_inverse=True)
    cells = columns.system_of_atom * len(types) + kind_of_atom
    counts = torch.bincount(cells, minlength=len(columns) * len(types))
    is_shared = (counts.reshape(-1, len(types))[systems] > 0).all(dim=0)
    shared = symbols(types[is_shared].tolist())
    return f"all have {shared}" if shared else "they have no element in common"
