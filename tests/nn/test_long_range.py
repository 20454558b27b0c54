"""The long-range potential against known lattice sums, large clusters and its own derivatives."""

import ase
import ase.build
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from metatrain.data.batches import BatchColumns
from metatrain.data.neighbor_lists import find_pairs
from metatrain.nn import Graph, LongRangePotential
from metatrain.nn.graph import with_pairs
from metatrain.testing import systems

SMEARING = 0.6
EXCLUSION = 2.5
POTENTIAL = LongRangePotential(SMEARING, resolution=0.4, exclusion_radius=EXCLUSION)


def graph_of(*atoms: ase.Atoms, cutoff: float = 5.0, dtype: torch.dtype = torch.float64) -> Graph:
    columns = systems.columns_of(atoms)
    batches = BatchColumns(columns, find_pairs(columns, cutoff), dtype, torch.device("cpu"))
    return batches.batch(torch.arange(len(columns))).graph


def of_point_charges(charges: Tensor, graph: Graph) -> Tensor:
    """The potential with what is near and left out added to it: erfc(5 / (sqrt(2) 0.6)) < 1e-16."""
    r = graph.vectors.norm(dim=1)
    fading = 0.5 * (1 + torch.cos(torch.pi * r / EXCLUSION)) * (r < EXCLUSION)
    smeared = torch.erf(r / (2**0.5 * SMEARING))
    near = ((1 - smeared + fading * smeared) / r).unsqueeze(1) * charges[graph.neighbors]
    return POTENTIAL(charges, graph).index_add(0, graph.centers, near)


def salt(kind: str, distance: float) -> tuple[ase.Atoms, Tensor]:
    """A conventional cell of a salt of unit charges, with this distance of neighbors."""
    edge = (
        distance * {"rocksalt": 2.0, "cesiumchloride": 2 / 3**0.5, "zincblende": 4 / 3**0.5}[kind]
    )
    atoms = ase.build.bulk("NaCl", kind, a=edge)
    atoms = atoms.repeat((1, 1, 2)) if kind == "cesiumchloride" else atoms
    charges = torch.where(torch.tensor(atoms.numbers) == 11, 1.0, -1.0).double()
    return atoms, charges.unsqueeze(1)


# L. Glasser, Inorg. Chem. 51, 2420 (2012): potentials at unit distance
MADELUNG = {
    "rocksalt": 1.747564594633,
    "cesiumchloride": 1.762674773071,
    "zincblende": 1.638055053388,
}


@pytest.mark.parametrize("kind", MADELUNG)
def test_potentials_in_salts_are_those_of_madelung(kind: str) -> None:
    distance = 1.9
    atoms, charges = salt(kind, distance)
    found = of_point_charges(charges, graph_of(atoms)) * distance / charges
    torch.testing.assert_close(found, torch.full_like(found, -MADELUNG[kind]), rtol=0, atol=1e-9)


def test_potential_in_a_charged_crystal_does_not_depend_on_the_smearing() -> None:
    atoms = systems.crystal()
    charges = torch.tensor([[1.0, 0.2], [0.4, -0.1], [0.7, 0.3], [-0.2, 0.9]], dtype=torch.float64)
    graph = graph_of(atoms, cutoff=9.0)
    r = graph.vectors.norm(dim=1)
    totals = []
    for smearing in (0.7, 1.0):
        far = LongRangePotential(smearing, resolution=0.35, exclusion_radius=1e-3)
        near = (torch.erfc(r / (2**0.5 * smearing)) / r).unsqueeze(1) * charges[graph.neighbors]
        totals.append(far(charges, graph).index_add(0, graph.centers, near))
    torch.testing.assert_close(totals[0], totals[1], rtol=0, atol=1e-10)


def test_potential_in_a_crystal_is_that_in_a_large_cluster() -> None:
    # With a center of inversion a cube of cells has no dipole, and its sum converges.
    half = np.array([[0.4, 0.9, 0.2], [1.3, -0.6, 1.5]])
    atoms = ase.Atoms("OHOH", positions=[*half, *-half], cell=[5.0] * 3, pbc=True)
    charges = torch.tensor([[-1.0], [1.0], [-1.0], [1.0]], dtype=torch.float64)
    found = of_point_charges(charges, graph_of(atoms)).squeeze(1)

    images = torch.tensor((np.array(list(np.ndindex(31, 31, 31))) - 15) * 5.0)
    r = torch.tensor(atoms.positions)
    vectors = r.view(1, 4, 1, 3) + images - r.view(4, 1, 1, 3)
    inverse = torch.where(vectors.norm(dim=3) > 0, 1 / vectors.norm(dim=3), 0.0)
    in_cluster = (inverse.sum(dim=2) * charges.T).sum(dim=1)
    # M. Makov, M. C. Payne, Phys. Rev. B 51, 4014 (1995): the mean of the potential of the cells
    mean = -2 * torch.pi / 3 / 5.0**3 * (charges.squeeze(1) * r.square().sum(dim=1)).sum()
    torch.testing.assert_close(found, in_cluster - mean, rtol=0, atol=1e-4)  # its surface


def test_molecule_in_a_large_box_is_as_the_molecule_alone() -> None:
    alone = ase.Atoms("OCO", positions=[[0, 0, 4.1], [0, 0, 0], [0, 0, -4.1]])
    boxed = alone.copy()
    boxed.cell, boxed.pbc = [60.0] * 3, True
    charges = torch.tensor([[-1.0], [2.0], [-1.0]], dtype=torch.float64)
    coarse = LongRangePotential(1.0, resolution=1.5, exclusion_radius=4.0)
    expected, found = coarse(charges, graph_of(alone)), coarse(charges, graph_of(boxed))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)  # its images are 60 away


def test_what_is_near_is_left_out() -> None:
    molecule = systems.molecule()
    wide = LongRangePotential(SMEARING, 0.4, exclusion_radius=1e4)
    found = wide(torch.ones(4, 1, dtype=torch.float64), graph_of(molecule))
    assert float(found.abs().max()) < 1e-6


def test_supercell_has_the_potentials_of_its_cell() -> None:
    cell, large = systems.crystal(), systems.crystal().repeat((3, 1, 2))
    charges = torch.tensor([[1.0], [-0.4], [0.5], [0.3]], dtype=torch.float64)
    expected = POTENTIAL(charges, graph_of(cell)).repeat(6, 1)
    found = POTENTIAL(charges.repeat(6, 1), graph_of(large))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def energy(potential: torch.nn.Module, graph: Graph) -> Tensor:
    """A sum that is not linear in the potentials of charges of two kinds."""
    charges = torch.stack([graph.types * 0.3 - 1.5, torch.cos(graph.types)], dim=1).to(
        graph.vectors
    )
    return (charges * potential(charges, graph)).sum(dim=1).square().sum()


def strained_energy(atoms: ase.Atoms, step: float) -> float:
    strain = np.zeros((3, 3))
    strain[0, 1], strain[2, 2] = step, -step
    # of waves that end where they still count
    coarse = LongRangePotential(SMEARING, resolution=1.1, exclusion_radius=EXCLUSION)
    return float(energy(coarse, graph_of(systems.strained(atoms, strain))))


def test_energy_does_not_jump_when_waves_come_and_go() -> None:
    energies = np.array(
        [strained_energy(systems.crystal(), s) for s in np.linspace(-0.2, 0.2, 401)]
    )
    jumps = np.abs(np.diff(energies, 3))
    assert jumps.max() < 1e-3 * np.abs(np.diff(energies)).max()


def test_a_batch_gives_what_one_by_one_gives() -> None:
    several = [systems.molecule(), systems.crystal(), systems.lone_atom(), systems.supercell()]
    together = graph_of(*several)
    charges = torch.sin(torch.arange(3 * len(together.types)).double()).view(-1, 3)
    parts = charges.split([len(atoms) for atoms in several])
    alone = [POTENTIAL(q, graph_of(a)) for q, a in zip(parts, several, strict=True)]
    torch.testing.assert_close(POTENTIAL(charges, together), torch.cat(alone), rtol=0, atol=1e-12)


def test_order_of_pairs_does_not_matter() -> None:
    graph = graph_of(systems.crystal(), systems.molecule())
    order = torch.randperm(len(graph.centers), generator=torch.Generator().manual_seed(0))
    found = energy(POTENTIAL, with_pairs(graph, order))
    torch.testing.assert_close(found, energy(POTENTIAL, graph))


def test_derivatives_can_be_differentiated_again() -> None:
    graph = graph_of(systems.crystal(), systems.molecule())
    coarse = LongRangePotential(1.0, resolution=1.4, exclusion_radius=2.0)
    charges = torch.linspace(-1, 1, 8).double().unsqueeze(1).requires_grad_()
    leaves = [charges] + [
        leaf.detach().requires_grad_() for leaf in (graph.vectors, graph.positions, graph.cells)
    ]

    def of_leaves(charges: Tensor, vectors: Tensor, positions: Tensor, cells: Tensor) -> Tensor:
        # the cell of the molecule has to stay without volume
        cells = torch.cat([cells[:1], torch.zeros_like(cells[1:])])
        return coarse(charges, graph._replace(vectors=vectors, positions=positions, cells=cells))

    assert torch.autograd.gradcheck(of_leaves, leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(of_leaves, leaves, fast_mode=True)


def test_scripted_and_traced_give_what_eager_gives() -> None:
    graph = graph_of(systems.molecule(), systems.crystal(), systems.lone_atom())
    charges = torch.sin(torch.arange(3 * len(graph.types)).double()).view(-1, 3)
    expected = POTENTIAL(charges, graph)
    scripted = torch.jit.script(POTENTIAL)
    for _ in range(3):
        torch.testing.assert_close(scripted(charges, graph), expected)
    traced = make_fx(lambda q, *tensors: POTENTIAL(q, Graph(*tensors)))(charges, *graph)
    torch.testing.assert_close(traced(charges, *graph), expected)


def test_single_precision_is_good_to_five_digits() -> None:
    several = [systems.molecule(), systems.supercell()]
    exact, rounded = graph_of(*several), graph_of(*several, dtype=torch.float32)
    charges = torch.sin(torch.arange(len(exact.types)).double()).unsqueeze(1)
    found = POTENTIAL(charges.float(), rounded).double()
    torch.testing.assert_close(found, POTENTIAL(charges, exact), rtol=0, atol=1e-5)
