"""Labels as a network learns them: without baseline, in units of the scale."""

import dataclasses

from metatrain.data.columns import Columns
from metatrain.data.target import Target
from metatrain.standardize import Standardization, residuals_per_atom


def standardized_labels(
    columns: Columns, targets: dict[str, Target], standardization: Standardization
) -> Columns:
    """The same systems with the labels that the training step compares with.

    Done once, in float64. Values that grow with the system become values per atom, and a
    stress becomes (dE/dstrain) per atom, which is of the size of the energies it competes
    with in the loss whatever the volume.
    """
    types = standardization.atomic_types
    values, forces, strain = {}, {}, {}
    for name, target in targets.items():
        scale = standardization.scale_of_rows(name, columns.types)
        rest = residuals_per_atom(columns, target, types, standardization.baselines[name])
        values[name] = rest / scale
        if target.has_forces:
            forces[name] = columns.forces[name] / scale
        if target.has_stress:
            volume_per_atom = columns.volumes / columns.num_atoms
            strain[name] = columns.stress[name] * volume_per_atom.reshape(-1, 1, 1) / scale
    return dataclasses.replace(columns, values=values, forces=forces, stress=strain)
