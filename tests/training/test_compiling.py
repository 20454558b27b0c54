"""The compiled training step: it gives what the uncompiled one gives, or is not used."""

import logging
import random

import pytest
import torch
from torch import Tensor

from metatrain import checkpoint
from metatrain.data.target import Target
from metatrain.errors import Interrupted
from metatrain.hypers import restored
from metatrain.nn import Graph
from metatrain.plugins import load_architecture
from metatrain.training.tracing import Compiled
from pair_model import ENERGY, PairModel, info_of, labelled, new_model, trained

FEW = Target("energy", "energy", "eV")
NEVER_TOLD = "the training step is not compiled"


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    """What is compiled is not found from an earlier session, but within this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("inductor")))
        yield


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.INFO, logger="metatrain")
    return caplog


class Guessing(PairModel):
    """Multiplies by a number that nobody but Python knows."""

    @torch.jit.ignore
    def density(self, graph: Graph) -> Tensor:
        return super().density(graph) * (1.0 + random.random())


class DroppingOut(PairModel):
    """Draws random numbers in training."""

    @torch.jit.ignore
    def density(self, graph: Graph) -> Tensor:
        return torch.nn.functional.dropout(super().density(graph), 0.3, self.training)


class Counting(PairModel):
    """Looks at the number of pairs as a number."""

    @torch.jit.ignore
    def density(self, graph: Graph) -> Tensor:
        return super().density(graph) * graph.vectors.new_ones(len(graph.vectors)).mean()


class Averaging(PairModel):
    """Changes a buffer in each step."""

    def __init__(self, hypers, dataset_info):
        super().__init__(hypers, dataset_info)
        self.register_buffer("mean", torch.zeros(4))

    @torch.jit.ignore
    def density(self, graph: Graph) -> Tensor:
        density = super().density(graph)
        self.mean.lerp_(density.detach().mean(dim=0), 0.1)
        return density - self.mean


def weights_of(folder):
    return checkpoint.load(folder / "last.ckpt")["trainer"]["weights"]


def assert_same_run(one, other):
    for name, weight in weights_of(one).items():
        assert torch.equal(weight, weights_of(other)[name])


def test_a_compiled_run_learns_what_the_uncompiled_one_learns(tmp_path, told):
    # batches of 3 and of 1 system, with forces and stress, missing labels, turned at random
    options = {"training": labelled(7), "batch_size": 3, "augmentation": True}
    trained(tmp_path / "off", compile="off", **options)
    trained(tmp_path / "on", compile="on", **options)
    assert "compiled the training step in" in told.text
    assert "for batches of some sizes" not in told.text
    for name, weight in weights_of(tmp_path / "off").items():
        torch.testing.assert_close(weights_of(tmp_path / "on")[name], weight, rtol=0, atol=1e-14)


# their derivatives are written by hand, and of sizes that follow from values
SMALL = {
    "pet": {
        "cutoff": 3.5,
        "d_pet": 16,
        "d_node": 16,
        "d_feedforward": 16,
        "num_heads": 2,
        "num_attention_layers": 1,
        "num_gnn_layers": 1,
    },
    "soap_bpnn": {
        "soap": {"max_angular": 2, "max_radial": 2},
        "bpnn": {"num_neurons_per_layer": 8},
    },
}


@pytest.mark.parametrize("name", SMALL)
def test_architectures_learn_compiled_what_they_learn_uncompiled(tmp_path, told, name):
    plugin = load_architecture(name, "")
    info = info_of(ENERGY)
    for mode in ("off", "on"):
        torch.manual_seed(0)
        model = plugin.model_class(restored(plugin.model_hypers, SMALL[name]), info).double()
        options = {"training": labelled(7), "batch_size": 3, "num_epochs": 1}
        trained(tmp_path / mode, model=model, compile=mode, **options)
    assert "compiled the training step in" in told.text
    assert "for batches of some sizes" not in told.text
    for weight_name, weight in weights_of(tmp_path / "off").items():
        found = weights_of(tmp_path / "on")[weight_name]
        torch.testing.assert_close(found, weight, rtol=0, atol=1e-10)


def test_a_compiled_run_that_goes_on_ends_as_the_unbroken_one(tmp_path):
    watched = "own_plug_ins:Watched"
    options = {"training": labelled(7), "batch_size": 3, "compile": "on"}
    trained(tmp_path / "unbroken", optimizer=watched, **options)
    with pytest.raises(Interrupted) as caught:
        trained(tmp_path / "broken", optimizer={"type": watched, "signal_at": 5}, **options)
    trained(tmp_path / "resumed", optimizer=watched, start=caught.value.checkpoint, **options)
    assert_same_run(tmp_path / "unbroken", tmp_path / "resumed")


@pytest.mark.parametrize(
    ("model_class", "reason"),
    [
        (DroppingOut, "it draws random numbers"),
        (Counting, "should ask for x.shape[0] rather than len(x)"),
        (Averaging, "it changes what it is given"),
    ],
)
def test_what_cannot_be_compiled_runs_as_it_did(tmp_path, told, model_class, reason):
    for mode in ("off", "on"):
        trained(tmp_path / mode, model=new_model(FEW, model_class=model_class), compile=mode)
    assert NEVER_TOLD in told.text
    assert reason in told.text
    assert_same_run(tmp_path / "off", tmp_path / "on")


def test_numbers_that_are_not_those_of_the_model_are_refused(tmp_path, told):
    trained(tmp_path, model=new_model(FEW, model_class=Guessing), compile="on", num_epochs=1)
    assert f"{NEVER_TOLD}: it would give other numbers, by " in told.text


def test_without_a_compiler_training_goes_on_without(tmp_path, told):
    for mode in ("off", "on"):
        with torch._inductor.config.patch({"cpp.cxx": ("no-such-compiler",)}):
            trained(tmp_path / mode, compile=mode)
    assert f"{NEVER_TOLD}: no C++ compiler was found (install g++); training goes on" in told.text
    assert_same_run(tmp_path / "off", tmp_path / "on")


def test_short_runs_are_not_compiled_unless_asked(tmp_path, told):
    trained(tmp_path)
    assert "compil" not in told.text


def test_a_function_is_compiled_for_sizes_that_follow_from_values():
    def sums(given):
        positive = torch.nonzero(given[0] > 0)
        lengths = [positive.shape[0], given[0].shape[0] - positive.shape[0]]
        return [torch.stack([part.sum() for part in given[0].sort().values.split(lengths)])]

    compiled = Compiled(sums, [torch.randn(9)], 0)
    for length in (9, 5, 1):
        values = torch.randn(length)
        torch.testing.assert_close(compiled([values]), sums([values]))


def test_sizes_that_a_function_treats_in_another_way_are_not_taken():
    def tail(given):
        return [given[0] * 2 if given[0].shape[0] > 3 else given[0]]

    compiled = Compiled(tail, [torch.ones(9)], 0)
    assert compiled([torch.ones(5)])[0].tolist() == 5 * [2.0]
    assert compiled([torch.ones(2)]) is None


def test_what_a_function_writes_through_views_is_not_lost():
    def written(given):
        result = torch.empty_like(given[0])
        left, right = result.chunk(2, dim=1)
        torch.mul(given[0][:, :1], 2.0, out=left)
        torch.add(given[0][:, 1:], 1.0, out=right)
        return [result]

    compiled = Compiled(written, [torch.ones(9, 2)], 0)
    assert torch.equal(compiled([torch.ones(5, 2)])[0], torch.full((5, 2), 2.0))


def test_indices_are_found_before_unless_weights_decide_on_them():
    def chosen(given):
        weights, rows, types = given
        rows = torch.nn.functional.layer_norm(rows @ weights, [4])
        return [rows.gather(1, rows.topk(2, dim=1).indices).index_select(0, types.argsort())]

    given = [torch.randn(3, 4), torch.randn(9, 3), torch.randperm(9)]
    compiled = Compiled(chosen, given, 1)
    torch.testing.assert_close(compiled(given), chosen(given))
    before = " ".join(str(node.target) for node in compiled._before.graph.nodes)
    assert "aten.sort" in before
    assert not [
        name for name in ("mm", "native_layer_norm", "topk", "gather") if f"aten.{name}" in before
    ]
