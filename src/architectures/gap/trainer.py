"""The trainer of GAP: sparse points, then one linear solve."""

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import Tensor

from architectures.gap.hypers import GapTrainingHypers
from architectures.gap.kernel_rows import KernelRows, Rows
from architectures.gap.least_squares import LeastSquares, solve
from architectures.gap.model import Gap
from architectures.gap.principal_points import principal_points
from architectures.gap.selection import farthest_points
from architectures.gap.spectrum import normalised
from metatrain import checkpoint
from metatrain.data.batches import Batch, BatchColumns
from metatrain.data.columns import Columns
from metatrain.data.dataset import Dataset
from metatrain.data.target import Target
from metatrain.hypers import plain
from metatrain.log import logger
from metatrain.metrics import ErrorSums, MetricNames
from metatrain.standardize import Standardization, choice_of_baseline, fit_baseline, fit_scale
from metatrain.training.learnable import Learnable
from metatrain.training.report import errors_of
from metatrain.training.step import Objective, atoms_per_system, predict
from metatrain.training.trainer import check_targets

CHECKPOINT_VERSION = 1
BLOCK_NUMBERS = 2**23
"""How many floating-point numbers a block of equations may have."""
CANDIDATE_NUMBERS = 2**27
"""How many floating-point numbers the power spectra may have that sparse points are picked from."""

LARGEST_COEFFICIENTS = 1e8
"""Norm of coefficients that cancel each other, of which rounding leaves errors of 1e-8."""


class GapTrainer:
    """Fits a :class:`Gap` to energies, forces and stress by one linear solve.

    A fit has no state between its beginning and its end: a restart fits anew to the data
    it is given.

    :param train_hypers: the options under ``architecture.training``
    """

    Hypers: ClassVar[type] = GapTrainingHypers

    def __init__(self, train_hypers: GapTrainingHypers) -> None:
        self.hypers = train_hypers
        self._model: Gap | None = None

    @classmethod
    def complete_hypers(
        cls, hypers: GapTrainingHypers, targets: Mapping[str, Target]
    ) -> GapTrainingHypers:
        """The same options, after a look whether baselines are those of targets."""
        if isinstance(hypers.atomic_baseline, Mapping):
            check_targets(hypers.atomic_baseline, targets, "atomic_baseline")
        return hypers

    def train(
        self,
        model: Gap,
        devices: list[torch.device],
        train_datasets: list[Dataset],
        val_datasets: list[Dataset],
        checkpoint_dir: Path,  # noqa: ARG002
    ) -> None:
        """Fit ``model``, whatever it held before.

        :param devices: the first one is used
        :param train_datasets: fitted to, together
        :param val_datasets: compared with, together
        :param checkpoint_dir: not used: there is nothing to save before the end
        """
        start = time.monotonic()
        self._model = model
        learnable = Learnable.of(train_datasets, model)
        model.standardization = self._fit_standardization(model, learnable.columns)
        model.to(device=devices[0], dtype=torch.float64)
        data = learnable.batches(model, devices[0])
        with torch.no_grad():
            self._choose_points(model, learnable.columns, data)
            self._solve(model, learnable.columns, data)
        model.untrained_targets = frozenset()
        logger.info("fitted in %.1f s", time.monotonic() - start)
        self._log_errors("training", model, data)
        if any(map(len, val_datasets)):
            validation = Learnable.of(val_datasets, model).batches(model, devices[0])
            self._log_errors("validation", model, validation)

    def _fit_standardization(self, model: Gap, columns: Columns) -> Standardization:
        types = model.dataset_info.atomic_types
        baselines, scales = {}, {}
        for name, target in model.dataset_info.targets.items():
            choice = choice_of_baseline(target, self.hypers.atomic_baseline)
            baselines[name] = fit_baseline(columns, target, types, choice)
            scales[name] = fit_scale(columns, target, types, baselines[name])
        return Standardization(types, baselines, scales)

    def _choose_points(self, model: Gap, columns: Columns, data: BatchColumns) -> None:
        """Give the kernels of the model their sparse points, with coefficients of zero."""
        num_features = model.spectrum.num_features
        # where power spectra are too many for the memory, one of a few has to do
        stride = 1 + len(columns.types) * num_features // CANDIDATE_NUMBERS
        spectra: list[list[Tensor]] = [[] for _ in range(model.num_types)]
        for systems in _blocks(columns.num_atoms, num_features):
            graph = data.batch(systems).graph
            types = model.type_index(graph.types)
            found = normalised(model.spectrum(model.coefficients(graph, types)))
            for kind, of_type in enumerate(spectra):
                of_type.append(found[types == kind][::stride])
        candidates = [torch.cat(parts) for parts in spectra]
        picked = farthest_points(candidates, model.hypers.krr.num_sparse_points)
        for kernel, rows, chosen in zip(model.sparse_kernels(), candidates, picked, strict=True):
            points = rows[chosen]
            kernel.set(points, points.new_zeros(len(points), sum(model.num_values)))
        counts = {
            number: len(chosen)
            for number, chosen in zip(model.dataset_info.atomic_types, picked, strict=True)
        }
        logger.info(
            "%d environments in %d systems; sparse points by atomic type: %s",
            len(columns.types),
            len(columns),
            ", ".join(f"{number}: {count}" for number, count in counts.items()),
        )

    def _solve(self, model: Gap, columns: Columns, data: BatchColumns) -> None:
        """Give the kernels of the model their coefficients."""
        targets = model.dataset_info.targets
        kernel_rows = KernelRows(model)
        sizes = [len(points) for points in kernel_rows.points]
        equations = {
            name: LeastSquares(sum(sizes), target.num_values, next(model.parameters()).device)
            for name, target in targets.items()
        }
        with_derivatives = any(target.gradients for target in targets.values())
        height = 3 if with_derivatives else 1
        for systems in _blocks(columns.num_atoms, height * sum(sizes)):
            batch = data.batch(systems)
            rows = kernel_rows.of(batch.graph, with_derivatives=with_derivatives)
            for name, target in targets.items():
                self._add(equations[name], target, rows, batch)
        matrix = torch.block_diag(
            *((points @ points.T) ** model.hypers.krr.degree for points in kernel_rows.points)
        )
        has_principal_points = model.hypers.krr.degree == 2 and sum(model.num_values) == 1
        largest = math.inf if has_principal_points else LARGEST_COEFFICIENTS
        solution, jitter = solve(equations.values(), matrix, largest=largest)
        logger.info("jitter %.1e", jitter)
        for kernel, part in zip(model.sparse_kernels(), solution.split(sizes), strict=True):
            if has_principal_points:
                kernel.set(*principal_points(kernel.points, part))
            else:
                kernel.set(kernel.points, part.contiguous())

    def _add(self, equations: LeastSquares, target: Target, rows: Rows, batch: Batch) -> None:
        """Add what a block of systems says of one target."""
        num_unknowns = rows.values.shape[1]
        num_atoms = atoms_per_system(batch.graph).to(rows.values.dtype).unsqueeze(1)  # (S, 1)
        # Errors of atoms are independent: that of their mean falls with the root of their number.
        certainty = num_atoms.sqrt()
        equations.add(
            rows.values / num_atoms, batch.values[target.name], certainty / self.hypers.regularizer
        )
        if target.has_forces:
            labels = batch.forces[target.name].reshape(-1, 1)
            weight = 1.0 / self.hypers.error_of_forces
            equations.add(rows.forces.reshape(-1, num_unknowns), labels, weight)
        if target.has_stress:
            strain = (rows.strain / num_atoms.unsqueeze(2)).reshape(-1, num_unknowns)
            labels = batch.stress[target.name].reshape(-1, 1)
            weights = certainty / self.hypers.error_of_strain
            equations.add(strain, labels, weights.repeat_interleave(9, dim=0))

    def _log_errors(self, part: str, model: Gap, data: BatchColumns) -> None:
        targets = model.dataset_info.targets
        standardization = model.standardization.scales_on(
            next(model.parameters()).device, torch.float64
        )
        objective = Objective(targets, {}, standardization, frozenset())
        errors = ErrorSums()
        for systems in torch.arange(len(data)).split(8):
            batch = data.batch(systems)
            objective.add_errors(
                errors, predict(model, batch.graph, targets, is_training=False), batch
            )
        metrics = MetricNames.of(model.dataset_info).metrics(part, errors)
        logger.info("%s: RMSE (MAE) %s", part, errors_of(part, metrics, show_mae=True))

    def save_checkpoint(self, path: Path) -> None:
        """Write the model."""
        assert self._model is not None
        trainer = {"version": CHECKPOINT_VERSION, "hypers": plain(self.hypers)}
        checkpoint.save(path, {"model": self._model.as_container(), "trainer": trainer})

    @classmethod
    def load_checkpoint(cls, path: Path, train_hypers: GapTrainingHypers) -> Self:  # noqa: ARG003
        """A trainer that fits anew: a fit that ended has nothing to go on from."""
        return cls(train_hypers)


def _blocks(num_atoms: Tensor, numbers_per_atom: int) -> Iterator[Tensor]:
    """Systems in their order, as many at once as fit in the memory, at least one.

    :param num_atoms: (S,)
    :param numbers_per_atom: how many floating-point numbers an atom makes
    """
    most = max(1, BLOCK_NUMBERS // max(1, numbers_per_atom))
    first, size = 0, 0
    for system, count in enumerate(num_atoms.tolist()):
        if size + count > most and system > first:
            yield torch.arange(first, system)
            first, size = system, 0
        size += count
    yield torch.arange(first, len(num_atoms))
