"""What holds for every SOAP-BPNN model, trained or new."""

import numpy as np
import pytest
import torch
from ase import Atoms
from torch.fx.experimental.proxy_tensor import make_fx
from torch.testing import assert_close

from architectures.soap_bpnn import SoapBpnn, SoapBpnnHypers
from architectures.soap_bpnn.hypers import BpnnHypers, CutoffHypers, SoapHypers
from metatrain.data.target import DatasetInfo, Target
from metatrain.errors import MetatrainError
from metatrain.nn import fold
from metatrain.testing.graph_model import with_moved_weights
from metatrain.training.precision import products_in

SMALL = SoapHypers(max_angular=2, max_radial=2)
VARIANTS = {
    "legacy": SoapBpnnHypers(soap=SMALL),
    "embedded": SoapBpnnHypers(soap=SMALL, legacy=False),
    "mlp": SoapBpnnHypers(soap=SMALL, heads={"energy": "mlp"}),
    "no norm": SoapBpnnHypers(soap=SMALL, bpnn=BpnnHypers(layernorm=False)),
    "no hidden layer": SoapBpnnHypers(
        soap=SMALL, legacy=False, bpnn=BpnnHypers(num_hidden_layers=0)
    ),
}


def info(*targets):
    targets = targets or (Target("energy", quantity="energy"),)
    return DatasetInfo("angstrom", [1, 6, 7, 8], {target.name: target for target in targets})


def new_model(hypers):
    torch.manual_seed(1)
    return SoapBpnn(hypers, info()).double()


@pytest.fixture(params=list(VARIANTS))
def model(request):
    return new_model(VARIANTS[request.param])


@pytest.fixture
def acetamide(structures, build_graph):
    return build_graph([structures["acetamide"]], 5.0)


@pytest.fixture
def crystals(structures, build_graph):
    return build_graph([structures["triclinic_crystal"], structures["slab_ttf"]], 5.0)


def energies_and_gradients(function, graph):
    vectors = graph.vectors.detach().clone().requires_grad_()
    energies = function(graph._replace(vectors=vectors))["energy"]
    return energies, torch.autograd.grad(energies.sum(), vectors)[0]


def test_defaults_have_the_published_number_of_parameters():
    model = SoapBpnn(SoapBpnnHypers(), info())
    assert sum(parameter.numel() for parameter in model.parameters()) == 622_208


def test_new_weights_are_those_of_torch_layers():
    model = SoapBpnn(SoapBpnnHypers(soap=SMALL), info())
    norm, first = model.networks.members[2][0], model.networks.members[2][1]
    assert (norm.weight == 1).all()
    assert (norm.bias == 0).all()
    bound = first.in_features**-0.5
    assert 0.9 * bound < first.weight.abs().max() <= bound
    embedded = SoapBpnn(SoapBpnnHypers(soap=SMALL, legacy=False), info())
    assert 0.9 < embedded.center_encoding.weight.std() < 1.1


def test_each_target_gets_its_values_per_atom(acetamide):
    targets = [Target("energy", quantity="energy"), Target("mtt::q", "", "", "atom", "sum", 3)]
    values = SoapBpnn(VARIANTS["legacy"], info(*targets)).double()(acetamide)
    assert {name: list(value.shape) for name, value in values.items()} == {
        "energy": [9, 1],
        "mtt::q": [9, 3],
    }


def test_energy_is_invariant_under_rotation_and_inversion_and_forces_follow(model, acetamide):
    generator = torch.Generator().manual_seed(0)
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=generator))
    for turn in (rotation, -rotation):
        turned = acetamide._replace(vectors=acetamide.vectors @ turn.T)
        energies, gradients = energies_and_gradients(model, acetamide)
        turned_energies, turned_gradients = energies_and_gradients(model, turned)
        assert_close(turned_energies, energies, rtol=1e-12, atol=1e-13)
        assert_close(turned_gradients, gradients @ turn.T, rtol=0, atol=1e-12)


def test_energies_follow_a_permutation_of_the_atoms(model, structures, build_graph, acetamide):
    order = np.random.default_rng(0).permutation(9)
    permuted = build_graph([structures["acetamide"][order]], 5.0)
    assert_close(model(permuted)["energy"], model(acetamide)["energy"][torch.from_numpy(order)])


def test_forces_agree_with_finite_differences(model, crystals):
    some = crystals._replace(vectors=crystals.vectors.requires_grad_())
    function = lambda vectors: model(some._replace(vectors=vectors))["energy"].sum()  # noqa: E731
    assert torch.autograd.gradcheck(function, some.vectors, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, some.vectors, fast_mode=True, atol=1e-4)


def test_a_pair_fades_out_smoothly_at_the_cutoff(model, build_graph):
    def pair(distance):
        dimer = build_graph([Atoms("CO", [[0, 0, 0], [0, 0, distance]])], 5.0)
        return energies_and_gradients(model, dimer)

    near, slope = pair(5.0 - 1e-6)
    far, none = pair(5.1)
    assert len(none) == 0
    # value and slope fall with the square and the first power of the distance to the cutoff
    assert_close(near, far, rtol=0, atol=1e-9)
    assert slope.abs().max() < 1e-3


def test_single_atoms_and_zero_pairs_are_finite(model, build_graph):
    graph = build_graph([Atoms("O"), Atoms("H")], 5.0)
    energies, gradients = energies_and_gradients(model, graph)
    assert energies.shape == (2, 1)
    assert gradients.shape == (0, 3)
    energy = model(graph)["energy"].sum()
    grads = torch.autograd.grad(energy, list(model.parameters()), allow_unused=True)
    assert all(grad.isfinite().all() for grad in grads if grad is not None)


def test_an_atom_without_neighbors_has_finite_gradients_beside_others(
    model, structures, build_graph
):
    graph = build_graph([structures["water_plus_far_atom"]], 5.0)
    vectors = graph.vectors.requires_grad_()
    energies = model(graph._replace(vectors=vectors))["energy"]
    (gradients,) = torch.autograd.grad(energies.sum(), vectors, create_graph=True)
    loss = energies.square().sum() + gradients.square().sum()
    grads = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    assert all(grad.isfinite().all() for grad in grads if grad is not None)


def test_scripted_model_gives_the_same(model, crystals, acetamide):
    scripted = torch.jit.script(model)
    for graph in (crystals, acetamide):
        energies, gradients = energies_and_gradients(model, graph)
        again, gradients_again = energies_and_gradients(scripted, graph)
        assert_close(again, energies, rtol=1e-14, atol=1e-15)
        assert_close(gradients_again, gradients, rtol=1e-12, atol=1e-15)


def flat(model, graph):
    """The energies and their gradient as a function of tensors."""

    def function(*columns):
        energies, gradients = energies_and_gradients(model, type(graph)(*columns))
        return energies, gradients

    return function


@pytest.mark.parametrize("is_folded", [False, True])
def test_a_scripted_model_leaves_out_types_that_are_not_there(model, build_graph, is_folded):
    model = with_moved_weights(model)
    graph = build_graph([Atoms("CC", [[0, 0, 0], [0, 0.3, 1.2]]), Atoms("C")], 5.0)
    expected = energies_and_gradients(model, graph)
    if is_folded:
        fold(model)
    scripted = torch.jit.script(model)
    for _ in range(3):  # TorchScript optimizes code in its second and third run
        for ours, value in zip(energies_and_gradients(scripted, graph), expected, strict=True):
            assert_close(ours, value)


def test_an_exported_model_takes_a_system_without_atoms(model, build_graph):
    fold(model)
    scripted = torch.jit.script(model)
    assert len(scripted(build_graph([Atoms()], 5.0))["energy"]) == 0


@pytest.mark.parametrize("mode", ["real", "symbolic"])
def test_traced_model_gives_the_same(model, crystals, mode):
    traced = make_fx(flat(model, crystals), tracing_mode=mode, _allow_non_fake_inputs=True)(
        *crystals
    )
    for ours, expected in zip(
        traced(*crystals), energies_and_gradients(model, crystals), strict=True
    ):
        assert_close(ours, expected)


def test_symbolically_traced_model_holds_for_other_systems(model, crystals, acetamide):
    traced = make_fx(flat(model, crystals), tracing_mode="symbolic", _allow_non_fake_inputs=True)
    traced = traced(*crystals)
    for ours, expected in zip(
        traced(*acetamide), energies_and_gradients(model, acetamide), strict=True
    ):
        assert_close(ours, expected)


def test_bfloat16_reaches_the_largest_linear_layer(structures, build_graph):
    graph = build_graph([structures["acetamide"]], 5.0)
    graph = type(graph)(*(x.float() if x.is_floating_point() else x for x in graph))
    model = new_model(VARIANTS["legacy"]).float()
    largest = max((p for p in model.parameters() if p.dim() == 2), key=torch.numel)

    def energies(precision):
        with torch.no_grad(), products_in(precision):
            return model(graph)["energy"]

    full, rounded = energies("full"), energies("bf16")
    largest.data = largest.data.bfloat16().float()
    assert not torch.equal(energies("full"), full)
    assert torch.equal(energies("bf16"), rounded)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CutoffHypers(radius=3.0, width=4.0), "soap.cutoff.width"),
        (lambda: SoapBpnnHypers(bpnn=BpnnHypers(num_hidden_layers=0)), "num_hidden_layers"),
        (lambda: SoapBpnnHypers(heads={"energy": "mpl"}), "heads.energy: 'mpl'"),
        (lambda: SoapBpnnHypers(legacy=False, heads={"energy": "mlp"}), "needs legacy"),
        (
            lambda: SoapBpnn.complete_hypers(SoapBpnnHypers(heads={"enrgy": "mlp"}), {"energy": 0}),
            "no such target; did you mean 'energy'",
        ),
    ],
)
def test_impossible_options_are_refused_in_one_line(make, message):
    with pytest.raises(MetatrainError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
