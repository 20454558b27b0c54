"""Errors over a whole set, from sums that batches add to."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from metatrain.data.target import DatasetInfo
from metatrain.units import force_unit, handy, stress_unit


@dataclass
class ErrorSums:
    """Running sums of an error; RMSE and MAE are those of the whole set, not of its batches.

    Sums are kept in float64, on the device they come from, so that adding a batch does
    not wait for the device.
    """

    squares: dict[str, Tensor] = field(default_factory=dict)
    absolutes: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, Tensor] = field(default_factory=dict)

    def add(self, name: str, prediction: Tensor, label: Tensor) -> None:
        """Count the elements that have a label.

        :param name: what is compared, such as ``"energy"`` or ``"energy forces"``
        :param prediction: any shape; NaN beside a label makes the errors NaN
        :param label: the same shape, NaN where missing
        """
        is_known = ~label.isnan()
        error = torch.where(is_known, (prediction - label).detach().double(), 0.0)
        for sums, value in (
            (self.squares, error.square().sum()),
            (self.absolutes, error.abs().sum()),
            (self.counts, is_known.sum().double()),
        ):
            sums[name] = sums[name] + value if name in sums else value

    def rmse(self, name: str) -> float:
        """Root mean square error; NaN where nothing had a label."""
        return math.sqrt(self._mean(self.squares, name))

    def mae(self, name: str) -> float:
        """Mean absolute error; NaN where nothing had a label."""
        return self._mean(self.absolutes, name)

    def _mean(self, sums: dict[str, Tensor], name: str) -> float:
        count = float(self.counts[name])
        return float(sums[name]) / count if count else math.nan

    @property
    def names(self) -> list[str]:
        """What was compared, in the order it was first added."""
        return list(self.counts)

    def as_container(self) -> dict[str, dict[str, Tensor]]:
        """The same as plain containers and tensors, for checkpoints."""
        return {name: dict(sums) for name, sums in vars(self).items()}

    @classmethod
    def from_container(
        cls, container: dict[str, dict[str, Tensor]], device: torch.device
    ) -> "ErrorSums":
        """The inverse of :meth:`as_container`."""
        return cls(
            **{
                kind: {name: value.to(device) for name, value in sums.items()}
                for kind, sums in container.items()
            }
        )


def gradient_name(target: str, gradient: str) -> str:
    """What the forces or the stress of a target are called in metrics and files.

    :param target: name of the target; those of ``energy`` need no further name
    :param gradient: ``"forces"`` or ``"stress"``
    """
    return gradient if target == "energy" else f"{target} {gradient}"


@dataclass(frozen=True)
class MetricNames:
    """How the errors of each target are called and in which unit they are shown.

    :param units: by the name of an error in :class:`ErrorSums`, the factor to its unit and
        the unit's name
    """

    units: dict[str, tuple[float, str]]

    @classmethod
    def of(cls, dataset_info: DatasetInfo) -> "MetricNames":
        """Units handy for reading: meV where the user wrote eV, else as the user wrote."""
        units = {}
        length = dataset_info.length_unit
        for name, target in dataset_info.targets.items():
            factor, unit = handy(target.unit)
            units[name] = (factor, _per_atom(unit) if target.is_extensive else unit)
            force, stress = "", ""
            if unit:
                force, stress = force_unit(target.unit, length), stress_unit(target.unit, length)
            units[gradient_name(name, "forces")] = handy(force)
            units[gradient_name(name, "stress")] = handy(stress)
        return cls(units)

    def summary(self, errors: ErrorSums) -> dict[str, dict[str, float | str]]:
        """RMSE, MAE, their unit and the number of labels of everything, for a report."""
        summary: dict[str, dict[str, float | str]] = {}
        for name in errors.names:
            factor, unit = self.units[name]
            summary[name] = {
                "rmse": factor * errors.rmse(name),
                "mae": factor * errors.mae(name),
                "unit": unit,
                "num_labels": int(errors.counts[name]),
            }
        return summary

    def metrics(self, part: str, errors: ErrorSums) -> dict[str, float]:
        """RMSE and MAE of everything, by the names of the columns of ``metrics.csv``.

        :param part: ``"training"`` or ``"validation"``
        """
        metrics = {}
        for name in errors.names:
            factor, unit = self.units[name]
            suffix = f" ({unit})" if unit else ""
            metrics[f"{part} {name} RMSE{suffix}"] = factor * errors.rmse(name)
            metrics[f"{part} {name} MAE{suffix}"] = factor * errors.mae(name)
        return metrics


def _per_atom(unit: str) -> str:
    """The unit of a value divided by the number of atoms."""
    return f"{unit}/atom" if unit else "per atom"
