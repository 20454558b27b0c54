"""Baseline and scale from labels, in float64, in one vectorised pass."""

from collections.abc import Mapping

import torch
from torch import Tensor

from metatrain.data.columns import Columns
from metatrain.data.target import Target
from metatrain.errors import MetatrainError

ISOLATED_ATOMS = "isolated_atoms"
LEAST_SQUARES = "least_squares"


Choice = str | float | Mapping[int, float]
"""How a baseline is found; see :func:`fit_baseline`."""


def choice_of_baseline(target: Target, atomic_baseline: Choice | Mapping[str, Choice]) -> Choice:
    """What the option ``atomic_baseline`` says of one target.

    :param atomic_baseline: a choice for all targets, or a mapping from target to choice;
        targets it does not name are fitted
    """
    if not isinstance(atomic_baseline, Mapping):
        return atomic_baseline
    return atomic_baseline.get(target.name, LEAST_SQUARES)  # type: ignore[call-overload]


def fit_baseline(
    columns: Columns,
    target: Target,
    atomic_types: list[int],
    given: Choice = LEAST_SQUARES,
) -> Tensor:
    """Reference value of each atomic type.

    Least squares of the labels against the composition, the solution of least norm where
    compositions do not tell all types apart. Values that turn with the system have none: an
    atom alone knows no direction.

    :param columns: systems with labels; missing ones are left out
    :param target: the target
    :param atomic_types: atomic numbers, ascending
    :param given: ``"least_squares"``; ``"isolated_atoms"`` takes the labels of the systems
        that are a single atom; a number is used for all types; a mapping from atomic
        number to value fixes these and fits the others
    :return: (T, V) float64 in the target's unit
    """
    baseline = torch.zeros(len(atomic_types), target.num_values, dtype=torch.float64)
    is_invariant = target.is_invariant
    if is_invariant.any():
        labels = columns.values[target.name][:, is_invariant]
        baseline[:, is_invariant] = _fit(columns, target, labels, atomic_types, given)
    return baseline


def _fit(
    columns: Columns, target: Target, labels: Tensor, atomic_types: list[int], given: Choice
) -> Tensor:
    """The baseline of the labels given, which stay what they are when the system turns."""
    shape = (len(atomic_types), labels.shape[1])
    if given == ISOLATED_ATOMS:
        return _labels_of_isolated_atoms(columns, target, labels, atomic_types)
    if isinstance(given, int | float):
        return torch.full(shape, float(given), dtype=torch.float64)
    fixed = {} if isinstance(given, str) else given
    unknown = sorted(set(fixed) - set(atomic_types))
    if unknown:
        raise MetatrainError(
            f"architecture.training.atomic_baseline.{target.name}: gives a value for atomic types "
            f"{unknown}, which the model does not know; it knows {atomic_types}."
        )
    baseline = torch.zeros(shape, dtype=torch.float64)
    is_fixed = torch.tensor([number in fixed for number in atomic_types])
    for row, number in enumerate(atomic_types):
        if number in fixed:
            baseline[row] = fixed[number]

    design = _composition(columns, target, atomic_types)
    is_known = ~labels.isnan().any(dim=1)
    design, labels = design[is_known], labels[is_known]
    # A type that no labelled system holds would be fitted to nothing: it keeps zero.
    is_fitted = ~is_fixed & (design > 0).any(dim=0)
    if is_fitted.any():
        rest = labels - design @ baseline
        solution = torch.linalg.lstsq(design[:, is_fitted], rest, driver="gelsd").solution
        baseline[is_fitted] = solution
    return baseline


def _labels_of_isolated_atoms(
    columns: Columns, target: Target, labels: Tensor, atomic_types: list[int]
) -> Tensor:
    alone = torch.nonzero(columns.num_atoms == 1).squeeze(1)
    types = columns.types[columns.offsets[alone]]
    rows = columns.offsets[alone] if target.is_per_atom else alone
    labels = labels[rows]
    baseline = torch.zeros(len(atomic_types), labels.shape[1], dtype=torch.float64)
    missing = []
    for row, number in enumerate(atomic_types):
        found = labels[(types == number) & ~labels.isnan().any(dim=1)]
        if len(found) == 0:
            missing.append(number)
        else:
            baseline[row] = found.mean(dim=0)
    if missing:
        raise MetatrainError(
            f"architecture.training.atomic_baseline: {ISOLATED_ATOMS!r} needs a system of one "
            f"atom with a label {target.name!r} for each atomic type; there is none for "
            f"{missing}; add them to the training set or give numbers."
        )
    return baseline


def _composition(columns: Columns, target: Target, atomic_types: list[int]) -> Tensor:
    """Design matrix (S, T), or (N, T), of the linear model of the baseline."""
    row = torch.searchsorted(torch.tensor(atomic_types), columns.types)
    num_types = len(atomic_types)
    if target.is_per_atom:
        return torch.nn.functional.one_hot(row, num_types).double()
    cells = columns.system_of_atom * num_types + row
    counts = torch.bincount(cells, minlength=len(columns) * num_types)
    design = counts.reshape(len(columns), num_types).double()
    if target.reduction == "mean":
        design = design / columns.num_atoms.unsqueeze(1)
    return design


def residuals(
    columns: Columns, target: Target, atomic_types: list[int], baseline: Tensor
) -> Tensor:
    """Labels without the baseline.

    :param baseline: (T, V)
    :return: (S, V), or (N, V) for a target per atom, in the target's unit
    """
    return columns.values[target.name] - _composition(columns, target, atomic_types) @ baseline


def residuals_per_atom(
    columns: Columns, target: Target, atomic_types: list[int], baseline: Tensor
) -> Tensor:
    """Labels without the baseline; those that grow with the system divided by its size."""
    rest = residuals(columns, target, atomic_types, baseline)
    if not target.is_extensive:
        return rest
    return rest / columns.num_atoms.unsqueeze(1)


def fit_scale(
    columns: Columns, target: Target, atomic_types: list[int], baseline: Tensor
) -> Tensor:
    """Root mean square of what a network has to learn.

    That of the forces, where there are any (they have the information: one energy stands
    beside 3 N force components), else that of the labels per atom without baseline. The
    components of a tensor have one scale, or it would not turn as a tensor does.

    :return: (1, V) in the target's unit; one where all labels are equal
    """
    if target.has_forces:
        scale = _root_mean_square(columns.forces[target.name].reshape(-1, 1))
        if scale > 0:
            return scale.unsqueeze(0)
    residual = residuals_per_atom(columns, target, atomic_types, baseline)
    labels = residuals_per_atom(columns, target, atomic_types, torch.zeros_like(baseline))
    scales = []
    for block in target.blocks:
        of_components = residual[:, block.columns].reshape(-1, target.num_properties)
        scale = _root_mean_square(of_components)
        # rounding of the labels is nothing to learn
        noise = 1e-10 * labels[:, block.columns].abs().nan_to_num(0.0).max()
        scale = torch.where(scale > noise, scale, torch.ones_like(scale))
        scales.append(scale.repeat(block.num_components))
    return torch.cat(scales).unsqueeze(0)


def _root_mean_square(values: Tensor) -> Tensor:
    """(P,) over the known values; NaN where there is none."""
    return values.square().nanmean(dim=0).sqrt()
