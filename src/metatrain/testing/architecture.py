"""Tests of the contract and of physics, through the model that engines would get."""

import math
from pathlib import Path
from typing import Any, ClassVar

import ase
import numpy as np
import torch
from metatensor.torch import Labels
from metatomic.torch import (
    AtomisticModel,
    ModelEvaluationOptions,
    ModelOutput,
    System,
    load_atomistic_model,
    register_autograd_neighbors,
)

from metatrain import plugins
from metatrain.data.columns import Columns
from metatrain.data.dataset import Dataset
from metatrain.data.target import DatasetInfo, Target
from metatrain.evaluation import Predictions, Predictor
from metatrain.hypers import restored
from metatrain.testing import systems

ENERGY = Target("energy", "energy", "eV", has_forces=True, has_stress=True)
# Energies are sums of numbers of order one in float64; rounding is all that may differ.
EXACT = 1e-10


class ArchitectureTests:
    """What every architecture fulfils. Subclass it, and name the architecture.

    :cvar architecture: name of the plug-in
    :cvar model_hypers: options of a model small enough for tests
    :cvar training_hypers: options of a training that takes a second
    """

    architecture: ClassVar[str]
    model_hypers: ClassVar[dict[str, Any]] = {}
    training_hypers: ClassVar[dict[str, Any]] = {}

    @property
    def plugin(self) -> plugins.Architecture:
        """The architecture."""
        return plugins.load_architecture(self.architecture, "architecture")

    @property
    def is_rotation_invariant(self) -> bool:
        """Whether the model turns with the systems exactly; some only learn to."""
        return getattr(self.plugin.model_class, "is_rotation_invariant", True)

    @property
    def is_long_ranged(self) -> bool:
        """Whether atoms feel each other however far apart they are."""
        return math.isinf(self.new_model().export().capabilities().interaction_range)

    def known(self, atoms: list[ase.Atoms]) -> list[ase.Atoms]:
        """Those of the systems that are periodic in a way that the model can treat."""
        periodicities = getattr(self.new_model(), "periodicities", range(4))
        return [one for one in atoms if sum(one.pbc) in periodicities]

    def everything(self) -> list[ase.Atoms]:
        """One of each kind of system that the model can treat."""
        return self.known(systems.everything())

    @property
    def info(self) -> DatasetInfo:
        """What the model is told about its data."""
        return DatasetInfo("angstrom", list(systems.ATOMIC_TYPES), {"energy": ENERGY})

    def new_model(self, dtype: torch.dtype = torch.float64) -> Any:
        """A model ready to be exported; the same every time."""
        torch.manual_seed(0)
        hypers = restored(self.plugin.model_hypers, self.model_hypers)
        model = self.plugin.model_class(hypers, self.info)
        return model.to(dtype) if isinstance(model, torch.nn.Module) else model

    def predict(self, atoms: list[ase.Atoms], model: AtomisticModel | None = None) -> Predictions:
        """Energies, forces and stress in float64."""
        exported = self.new_model().export() if model is None else model
        predictor = Predictor(
            exported,
            {"energy": ENERGY},
            length_unit="angstrom",
            device=torch.device("cpu"),
            batch_size=len(atoms),
        )
        return predictor(systems.columns_of(atoms))

    def energies(self, atoms: list[ase.Atoms], model: AtomisticModel | None = None) -> np.ndarray:
        """(S,) energies in float64."""
        return self.predict(atoms, model).values["energy"].squeeze(1).numpy()

    def cutoff(self) -> float:
        """Radius of the neighborhood."""
        return max(o.cutoff for o in self.new_model().export().requested_neighbor_lists())

    def test_rotation_turns_forces_and_stress_and_leaves_energies(self) -> None:
        if not self.is_rotation_invariant:
            return
        rotation = systems.random_rotation()
        before = self.known([systems.molecule(), systems.crystal(), systems.slab()])
        self._check_turned(before, rotation)

    def test_inversion_turns_forces_and_leaves_energies(self) -> None:
        if not self.is_rotation_invariant:
            return
        self._check_turned([systems.molecule(), systems.crystal()], -np.eye(3))

    def _check_turned(self, before: list[ase.Atoms], rotation: np.ndarray) -> None:
        expected = self.predict(before)
        found = self.predict([systems.rotated(atoms, rotation) for atoms in before])
        turn = torch.tensor(rotation)
        assert_close(found.values["energy"], expected.values["energy"])
        assert_close(found.forces["energy"], expected.forces["energy"] @ turn.T)
        assert_close(found.stress["energy"], turn @ expected.stress["energy"] @ turn.T)

    def test_order_of_atoms_does_not_matter(self) -> None:
        order = [2, 0, 3, 1]
        for atoms in (systems.molecule(), systems.crystal()):
            expected, found = self.predict([atoms]), self.predict([atoms[order]])
            assert_close(found.values["energy"], expected.values["energy"])
            assert_close(found.forces["energy"], expected.forces["energy"][order])

    def test_translation_and_wrapping_do_not_matter(self) -> None:
        moved, wrapped = systems.crystal(), systems.crystal()
        moved.translate([0.3, -1.1, 17.0])
        wrapped.positions[1] += 2 * wrapped.cell.array[0] - wrapped.cell.array[2]
        expected = self.predict([systems.crystal()])
        for atoms in (moved, wrapped):
            found = self.predict([atoms])
            assert_close(found.values["energy"], expected.values["energy"])
            assert_close(found.forces["energy"], expected.forces["energy"])

    def test_energy_of_a_supercell_is_a_multiple(self) -> None:
        once, sixfold = self.energies([systems.crystal(), systems.crystal().repeat((1, 2, 3))])
        assert_close(torch.tensor(sixfold), torch.tensor(6 * once))

    def test_energy_of_two_distant_molecules_is_the_sum(self) -> None:
        if self.is_long_ranged:
            return
        far = systems.molecule()
        far.translate([1000.0, 0.0, 0.0])  # beyond any cutoff
        one, two = self.energies([systems.molecule(), systems.molecule() + far])
        assert_close(torch.tensor(two), torch.tensor(2 * one))

    def test_energy_and_forces_do_not_jump_at_the_cutoff(self) -> None:
        cutoff, step = self.cutoff(), 1e-6
        model = self.new_model().export()

        def with_atom_at(distance: float) -> ase.Atoms:
            return systems.molecule() + ase.Atoms("H", positions=[[distance, 0.1, 0.0]])

        inside, outside = with_atom_at(cutoff - step), with_atom_at(cutoff + step)
        found = self.predict([inside, outside], model)
        forces = found.forces["energy"].reshape(2, -1, 3)
        scale = forces.abs().max()
        energies = found.values["energy"]
        # a force that vanishes at least linearly leaves 1e-6 of its slope here
        assert float((forces[0] - forces[1]).abs().max()) < 1e-3 * scale
        assert float((energies[0] - energies[1]).abs()) < 10 * step * scale

    def test_a_batch_gives_what_one_by_one_gives(self) -> None:
        together = self.predict(self.everything())
        alone = Predictions.concatenate([self.predict([s]) for s in self.everything()])
        assert_close(together.values["energy"], alone.values["energy"])
        assert_close(together.forces["energy"], alone.forces["energy"])
        assert_close(
            together.stress["energy"].nan_to_num(0.0), alone.stress["energy"].nan_to_num(0.0)
        )

    def test_forces_are_the_negative_derivative_of_the_energy(self) -> None:
        model = self.new_model().export()
        kinds = [systems.molecule(), systems.crystal(), systems.slab(), systems.chain()]
        for atoms in self.known(kinds):
            forces = self.predict([atoms], model).forces["energy"].numpy()
            scale = np.abs(forces).max()
            for atom, axis in ((0, 0), (1, 1), (3, 2)):

                def displaced(
                    step: float, atoms: ase.Atoms = atoms, atom: int = atom, axis: int = axis
                ) -> ase.Atoms:
                    moved = atoms.copy()
                    moved.positions[atom, axis] += step
                    return moved

                errors = self._derivatives(displaced, model) + forces[atom, axis]
                assert np.abs(errors).min() < 1e-6 * scale

    def test_stress_is_the_derivative_of_the_energy_by_strain(self) -> None:
        model, atoms = self.new_model().export(), systems.crystal()
        stress = self.predict([atoms], model).stress["energy"][0].numpy()
        for row, column in ((0, 0), (1, 1), (0, 1), (1, 2), (2, 0)):

            def strained(step: float, row: int = row, column: int = column) -> ase.Atoms:
                strain = np.zeros((3, 3))
                strain[row, column] = step
                return systems.strained(atoms, strain)

            numerical = self._derivatives(strained, model) / atoms.get_volume()
            errors = np.abs(numerical - stress[row, column])
            assert errors.min() < 1e-6 * np.abs(stress).max()

    def _derivatives(self, moved: Any, model: AtomisticModel) -> np.ndarray:
        """Central differences of fourth order of the energy of ``moved(step)`` at zero.

        For two steps, of which the better counts: a pair may cross the cutoff within one,
        where a cutoff function has a kink in its second derivative.
        """
        steps = np.array([1e-4, 1e-5])
        points = np.outer(steps, [-2.0, -1.0, 1.0, 2.0])
        energies = self.energies([moved(step) for step in points.ravel()], model)
        return energies.reshape(points.shape) @ np.array([1.0, -8.0, 8.0, -1.0]) / (12 * steps)

    def test_atoms_without_neighbors_are_finite_and_feel_no_force(self) -> None:
        for atoms in (systems.lone_atom(), systems.far_apart()):
            found = self.predict([atoms])
            assert bool(found.values["energy"].isfinite().all())
            assert bool(found.forces["energy"].isfinite().all())
            if len(atoms) == 1 or not self.is_long_ranged:
                assert bool((found.forces["energy"] == 0).all())

    def test_selected_atoms_give_their_part(self) -> None:
        model = self.new_model().export()
        columns = systems.columns_of([systems.molecule(), systems.crystal()])
        whole = self._evaluate(model, columns, "atom", None)
        chosen = Labels(["system", "atom"], torch.tensor([[1, 0], [1, 3]]))
        part = self._evaluate(model, columns, "atom", chosen)
        assert part.samples.values.tolist() == chosen.values.tolist()
        assert_close(part.values, whole.values[[4, 7]])
        total = self._evaluate(model, columns, "system", chosen)
        assert total.samples.values.tolist() == [[1]]
        assert_close(total.values[0], part.values.sum(dim=0))
        nothing = Labels(["system", "atom"], torch.zeros((0, 2), dtype=torch.int32))
        assert len(self._evaluate(model, columns, "system", nothing).values) == 0

    def test_energies_per_atom_add_up(self) -> None:
        model = self.new_model().export()
        columns = systems.columns_of([systems.molecule(), systems.crystal()])
        per_atom = self._evaluate(model, columns, "atom", None).values
        total = self._evaluate(model, columns, "system", None).values
        assert_close(total, torch.stack([per_atom[:4].sum(0), per_atom[4:].sum(0)]))

    def _evaluate(self, model: AtomisticModel, columns: Columns, kind: str, selected: Any) -> Any:
        """The block that the model gives, with metatomic's checks on."""
        samples = self._samples(model, columns)
        options = ModelEvaluationOptions(
            length_unit="angstrom",
            outputs={"energy": ModelOutput(unit="eV", sample_kind=kind)},
            selected_atoms=selected,
        )
        batch = [samples[i].system for i in range(len(columns))]
        return model(batch, options, check_consistency=True)["energy"].block()

    def _samples(self, model: AtomisticModel, columns: Columns) -> Dataset:
        """The systems with the pairs that the model asks for."""
        return Dataset(
            columns,
            {},
            getattr(torch, model.capabilities().dtype),
            length_unit="angstrom",
            neighbor_lists=model.requested_neighbor_lists,
            inputs=model.requested_inputs(use_new_names=True),
        )

    def test_order_of_pairs_does_not_matter(self) -> None:
        model = self.new_model().export()
        columns = systems.columns_of([systems.molecule(), systems.crystal()])
        samples = self._samples(model, columns)
        given = [samples[i].system for i in range(len(columns))]
        expected = self._energies_and_forces(model, given)
        found = self._energies_and_forces(
            model, [systems.with_shuffled_pairs(one) for one in given]
        )
        for one, other in zip(found, expected, strict=True):
            assert_close(one, other)

    def _energies_and_forces(
        self, model: AtomisticModel, given: list[System]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(S, 1) and (N, 3), with the pairs in the order in which they are given."""
        tracked = [_tracked(system) for system in given]
        options = ModelEvaluationOptions(
            length_unit="angstrom",
            outputs={"energy": ModelOutput(unit="eV", sample_kind="system")},
        )
        energies = model(tracked, options, check_consistency=True)["energy"].block().values
        gradients = torch.autograd.grad(energies.sum(), [one.positions for one in tracked])
        return energies.detach(), -torch.cat(gradients)

    def test_all_supported_dtypes_agree(self) -> None:
        expected = self.energies(self.everything())
        for dtype in self.plugin.model_class.__supported_dtypes__:
            found = self.energies(self.everything(), self.new_model(dtype).export())
            tolerance = 1e3 * torch.finfo(dtype).eps * np.abs(expected).max()
            assert np.abs(found - expected).max() < tolerance

    def test_the_exported_file_gives_what_the_model_in_memory_gives(self, tmp_path: Path) -> None:
        model = self.new_model().export()
        model.save(tmp_path / "model.pt")
        loaded = load_atomistic_model(tmp_path / "model.pt")
        expected = self.predict(self.everything(), model)
        # TorchScript optimizes code in its second and third run
        for _ in range(3):
            found = self.predict(self.everything(), loaded)
            assert_close(found.values["energy"], expected.values["energy"])
            assert_close(found.forces["energy"], expected.forces["energy"])

    def test_a_saved_model_loads_and_predicts_the_same(self, tmp_path: Path) -> None:
        model, trainer = self.trained(tmp_path, self.training_hypers)
        trainer.save_checkpoint(tmp_path / "saved.ckpt")
        loaded = self.plugin.model_class.load_checkpoint(tmp_path / "saved.ckpt")
        expected = self.energies(self.everything(), model.export())
        assert (self.energies(self.everything(), loaded.export()) == expected).all()

    def trained(self, folder: Path, hypers: dict[str, Any]) -> tuple[Any, Any]:
        """A model and its trainer, after a short training on made-up labels."""
        trainer = self.plugin.trainer_class(restored(self.plugin.train_hypers, hypers))
        model = self.new_model()
        data = self.dataset()
        trainer.train(model, [torch.device("cpu")], [data], [data], folder)
        return model, trainer

    def dataset(self) -> Dataset:
        """Systems with made-up labels."""
        generator = torch.Generator().manual_seed(0)
        kinds = self.known([systems.molecule(), systems.crystal(), systems.slab()])
        columns = systems.columns_of(kinds)
        number = len(columns)
        columns.values["energy"] = torch.randn(number, 1, generator=generator).double()
        columns.forces["energy"] = torch.randn(4 * number, 3, generator=generator).double()
        stress = torch.randn(number, 3, 3, generator=generator).double()
        is_bulk = columns.pbc.all(dim=1).reshape(-1, 1, 1)
        columns.stress["energy"] = torch.where(is_bulk, stress, torch.nan)
        exported = self.new_model().export()
        return Dataset(
            columns,
            self.info.targets,
            torch.float64,
            length_unit="angstrom",
            neighbor_lists=exported.requested_neighbor_lists,
            inputs=exported.requested_inputs(use_new_names=True),
        )


def _tracked(system: System) -> System:
    """A copy whose pair vectors depend on its positions."""
    positions = system.positions.clone().requires_grad_()
    tracked = System(system.types, positions, system.cell, system.pbc)
    for options in system.known_neighbor_lists():
        pairs = system.get_neighbor_list(options).copy()
        register_autograd_neighbors(tracked, pairs, check_consistency=False)
        tracked.add_neighbor_list(options, pairs)
    for name in system.known_data():
        tracked.add_data(name, system.get_data(name))
    return tracked


def assert_close(found: torch.Tensor, expected: torch.Tensor, tolerance: float = EXACT) -> None:
    """Equal up to rounding, relative to the largest number (or one)."""
    scale = max(1.0, float(expected.abs().nan_to_num(0.0).max()) if expected.numel() else 1.0)
    torch.testing.assert_close(
        found, expected, rtol=0.0, atol=tolerance * scale, equal_nan=True, check_dtype=False
    )
