"""Errors of predictions, and predictions beside the systems they belong to."""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from metatrain.data.columns import Columns
from metatrain.data.frames import Column, Frames
from metatrain.data.target import Target
from metatrain.evaluation.predict import Predictions, Predictor
from metatrain.metrics import ErrorSums, gradient_name


def errors_of(
    predictions: Predictions, columns: Columns, targets: dict[str, Target], errors: ErrorSums
) -> None:
    """Add the errors of predictions to ``errors``; values that grow with a system per atom.

    :param columns: the labels; those that are missing count for nothing
    """
    for name, target in targets.items():
        values, labels = predictions.values[name], columns.values.get(name)
        if labels is not None:
            size = columns.num_atoms.unsqueeze(1) if target.is_extensive else 1
            errors.add(name, values / size, labels / size)
        if target.has_forces and name in columns.forces:
            of = gradient_name(name, "forces")
            errors.add(of, predictions.forces[name], columns.forces[name])
        if target.has_stress and name in columns.stress:
            of = gradient_name(name, "stress")
            errors.add(of, predictions.stress[name], columns.stress[name])


@dataclass
class Evaluation:
    """A stream of systems, predicted chunk by chunk; only sums are kept.

    :param predictor: the model at work
    :param errors: of what has gone through
    :param num_systems: how many have gone through
    """

    predictor: Predictor
    errors: ErrorSums = field(default_factory=ErrorSums)
    num_systems: int = 0

    def stream(self, chunks: Iterable[tuple[Frames, Columns]]) -> Iterator[Frames]:
        """The systems as read, with the predictions beside.

        A prediction takes the target's name (and ``forces``, ``stress``). A label of the
        file that has that name already stays, as ``reference_`` and its name.
        """
        for frames, columns in chunks:
            predictions = self.predictor(columns)
            errors_of(predictions, columns, self.predictor.targets, self.errors)
            self.num_systems += len(columns)
            yield with_predictions(frames, predictions, self.predictor.targets)


def prediction_key(target: str, gradient: str) -> str:
    """What the forces or the stress of a target are called in a file of predictions.

    :param gradient: ``"forces"`` or ``"stress"``
    """
    return gradient_name(target, gradient).replace(" ", "_")


def with_predictions(
    frames: Frames, predictions: Predictions, targets: dict[str, Target]
) -> Frames:
    """Systems as read with predictions beside what the file had.

    A tensor is its flat values in the order in which labels are read.
    """
    system: dict[str, Column] = {}
    atom: dict[str, Column] = {}
    for name, target in targets.items():
        values = predictions.values[name].squeeze(1).numpy()
        (atom if target.is_per_atom else system)[name] = _everywhere(values, len(frames))
        if target.has_forces:
            forces = predictions.forces[name].numpy()
            atom[prediction_key(name, "forces")] = _everywhere(forces, len(frames))
        if target.has_stress:
            stress = predictions.stress[name]
            is_known = ~stress.isnan().any(dim=(1, 2)).numpy()
            if is_known.any():
                system[prediction_key(name, "stress")] = Column(stress.numpy(), is_known)
    return dataclasses.replace(
        frames,
        system_data=_beside(system, frames.system_data, frames.system_results),
        atom_data=_beside(atom, frames.atom_data, frames.atom_results),
        system_results={k: v for k, v in frames.system_results.items() if k not in system},
        atom_results={k: v for k, v in frames.atom_results.items() if k not in atom},
    )


def _everywhere(values: np.ndarray, num_systems: int) -> Column:
    return Column(values, np.ones(num_systems, dtype=bool))


def _beside(
    predicted: dict[str, Column], data: dict[str, Column], results: dict[str, Column]
) -> dict[str, Column]:
    kept = {k: v for k, v in data.items() if k not in predicted}
    for of in (data, results):
        references = {f"reference_{key}": of[key] for key in predicted if key in of}
        # a file that was predicted for before has its references already
        kept = references | kept
    return kept | predicted
