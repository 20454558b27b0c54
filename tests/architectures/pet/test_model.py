"""What holds for every PET model, trained or new."""

import dataclasses

import ase
import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.testing import assert_close

from architectures.pet import Pet, PetHypers
from architectures.pet.adaptive_cutoff import GridCutoff
from metatrain.data.target import DatasetInfo, Target
from metatrain.errors import MetatrainError
from metatrain.nn import fold
from metatrain.testing.graph_model import with_moved_weights
from published_models import graph_of

SMALL = PetHypers(
    d_pet=8, d_node=12, d_head=4, d_feedforward=8, num_heads=2, num_attention_layers=1
)
RESIDUAL = dataclasses.replace(SMALL, featurizer_type="residual", transformer_type="PostLN")
ADAPTIVE = dataclasses.replace(SMALL, num_neighbors_adaptive=3.0)
VARIANTS = {"feedforward": SMALL, "residual": RESIDUAL, "adaptive": ADAPTIVE}
STRESS = Target("non_conservative_stress", quantity="pressure", rank=2)


def info(*targets):
    targets = targets or (Target("energy", quantity="energy", unit="eV"),)
    return DatasetInfo("angstrom", [1, 6, 7, 8], {target.name: target for target in targets})


def new_model(hypers, *targets):
    torch.manual_seed(1)
    return Pet(hypers, info(*targets)).double()


def energies_and_gradients(function, graph):
    vectors = graph.vectors.detach().clone().requires_grad_()
    energies = function(graph._replace(vectors=vectors))["energy"]
    return energies, torch.autograd.grad(energies.sum(), vectors)[0]


@pytest.mark.parametrize(
    ("hypers", "expected"),
    [
        (PetHypers(), 2_903_298),
        # by the formula of the specification
        (
            dataclasses.replace(RESIDUAL, d_pet=12, normalization="LayerNorm", activation="SiLU"),
            3444,
        ),
    ],
)
def test_number_of_parameters(hypers, expected):
    assert sum(parameter.numel() for parameter in new_model(hypers).parameters()) == expected


def test_second_derivatives_agree_with_finite_differences(structures):
    graph = graph_of([structures["water"]], 4.5)
    for hypers in VARIANTS.values():
        model = new_model(hypers)
        vectors = graph.vectors.clone().requires_grad_()
        function = lambda v, model=model: model(graph._replace(vectors=v))["energy"].sum()  # noqa: E731
        assert torch.autograd.gradcheck(function, vectors, fast_mode=True)
        assert torch.autograd.gradgradcheck(function, vectors, fast_mode=True, atol=1e-4)


@pytest.mark.parametrize("hypers", list(VARIANTS.values()), ids=list(VARIANTS))
def test_nothing_beyond_the_interaction_range_matters(hypers):
    def chain(shift):
        atoms = ase.Atoms("C13", [[1.4 * k, 0.2 * (k % 2), 0.0] for k in range(13)])
        atoms.positions[-1, 1] += shift
        return graph_of([atoms], 1.5)

    model = new_model(dataclasses.replace(hypers, cutoff=1.5))
    change = (model(chain(0.1))["energy"] - model(chain(0.0))["energy"]).squeeze(1)
    reached = int((change.abs() > 1e-14).sum())
    assert reached == 1 + model.num_message_passing


def test_a_grid_of_cutoffs_is_the_published_formula():
    distances = torch.tensor([0.9, 1.3, 2.2, 1.0, 2.9], dtype=torch.float64)
    centers = torch.tensor([0, 0, 0, 1, 1])
    found = GridCutoff(3.0, 2.0, 1.0)(distances, centers, 3)
    probes = [0.5 + 0.25 * k for k in range(10)]
    expected = []
    for atom in range(3):
        excess = []
        for k, probe in enumerate(probes):
            s = ((distances[centers == atom] - probe + 1.0) / 1.0).clamp(1e-6, 1 - 1e-6)
            weights = 0.5 * (1 + torch.tanh(1 / torch.tan(torch.pi * s)))
            excess.append(weights.sum() - 2.0 + 2.0 * (k / 9) ** 3)
        (slopes,) = torch.gradient(torch.stack(excess))
        logits = -0.5 * (torch.stack(excess) / slopes.abs().clamp(min=1e-12)) ** 2
        expected.append((torch.softmax(logits, 0) * torch.tensor(probes)).sum())
    assert_close(found, torch.stack(expected))


def test_a_stress_is_symmetric_and_zero_without_a_volume(structures):
    model = new_model(SMALL, STRESS)
    graph = graph_of([structures["triclinic_crystal"], structures["water"]], 4.5)
    stress = model(graph)[STRESS.name].view(-1, 3, 3)
    assert_close(stress, stress.transpose(1, 2))
    is_bulk = graph.system == 0
    assert (stress[is_bulk] != 0).all()
    assert (stress[~is_bulk] == 0).all()


def test_the_repulsion_reaches_further_than_a_short_cutoff():
    hypers = dataclasses.replace(SMALL, cutoff=1.0, zbl=True)
    model, plain = new_model(hypers), new_model(dataclasses.replace(hypers, zbl=False))
    assert model.cutoff == pytest.approx(1.52)
    graph = graph_of([ase.Atoms("CCO", [[0, 0, 0], [0, 0, 0.9], [0, 1.3, 0]])], model.cutoff)
    shorter = graph_of([ase.Atoms("CCO", [[0, 0, 0], [0, 0, 0.9], [0, 1.3, 0]])], 1.0)
    assert_close(model(graph)["energy"], plain(shorter)["energy"])
    assert (model.prior(graph)["energy"] > 0).all()


def test_symbolically_traced_model_holds_for_other_systems(structures):
    model = new_model(SMALL)
    crystals = graph_of([structures["triclinic_crystal"], structures["slab_ttf"]], 4.5)
    other = graph_of([structures["acetamide"]], 4.5)
    function = lambda *columns: energies_and_gradients(model, type(other)(*columns))  # noqa: E731
    traced = make_fx(function, tracing_mode="symbolic", _allow_non_fake_inputs=True)(*crystals)
    for found, expected in zip(traced(*other), energies_and_gradients(model, other), strict=True):
        assert_close(found, expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PetHypers(num_heads=7), "num_heads: 7 heads do not divide d_pet, 128; .* 133"),
        (lambda: PetHypers(cutoff_function="step"), "cutoff_function: found 'step'"),
        (
            lambda: PetHypers(
                num_neighbors_adaptive=8.0,
                adaptive_cutoff_method="grid",
                cutoff_width_adaptive=1e-9,
            ),
            "cutoff_width_adaptive: 1e-09",
        ),
        (lambda: Pet.complete_hypers(PetHypers(zbl=True), {"q": Target("q")}), "no energy"),
        (
            lambda: Pet.complete_hypers(SMALL, {STRESS.name: dataclasses.replace(STRESS, rank=1)}),
            "Cartesian tensor of rank 2",
        ),
    ],
)
def test_impossible_options_are_refused_in_one_line(make, message):
    with pytest.raises(MetatrainError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("num_tokens", [1, 20])
@pytest.mark.parametrize("hypers", VARIANTS.values(), ids=VARIANTS)
def test_parts_of_the_atoms_make_up_the_whole(structures, hypers, num_tokens):
    graph = graph_of([structures["water"], structures["diamond_primitive"]], 4.5)
    model = with_moved_weights(new_model(dataclasses.replace(hypers, system_conditioning=True)))
    expected = energies_and_gradients(model, graph)
    model.num_tokens = model.num_tokens_of_export = num_tokens
    for found, value in zip(energies_and_gradients(model, graph), expected, strict=True):
        assert_close(found, value)
    fold(model)
    scripted = torch.jit.script(model)
    for _ in range(3):  # TorchScript optimizes code in its second and third run
        for found, value in zip(energies_and_gradients(scripted, graph), expected, strict=True):
            assert_close(found, value)
