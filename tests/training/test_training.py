"""What a training run does to the weights, and what it leaves."""

import csv
import logging
import math

import pytest
import torch
from torch import Tensor

from metatrain import checkpoint
from metatrain.data.target import Target
from metatrain.errors import MetatrainError
from metatrain.nn import Graph
from metatrain.training import GradientHypers, GradientTrainer
from metatrain.training.hypers import BatchBudget
from metatrain.training.loggers import CSV
from metatrain.training.step import predict
from own_plug_ins import Watched
from pair_model import CPU, ENERGY, PairModel, batch_of, labelled, new_model, trained

CHARGE = Target("mtt::charge", "charge", "e", "atom", num_properties=2)
GAP = Target("mtt::gap", unit="eV", reduction="mean")


class Watching(PairModel):
    """Notes the first atom of each system that it learns from."""

    def __init__(self, hypers, dataset_info):
        super().__init__(hypers, dataset_info)
        self.batches = []

    @torch.jit.ignore
    def forward(self, graph):
        if self.training:
            self.batches.append([tuple(row) for row in graph.positions[::4].tolist()])
        return super().forward(graph)


class Breaking(PairModel):
    """Gives NaN, or only its derivatives do, from the fourth batch on."""

    num_batches = 0
    only_derivatives = False

    @torch.jit.ignore
    def forward(self, graph):
        values = super().forward(graph)["energy"]
        self.num_batches += self.training
        if self.num_batches >= 4:
            zero = 0.0 * self.center_shifts.weight.sum()
            values = values + (zero.abs().sqrt() if self.only_derivatives else zero * math.nan)
        return {"energy": values}


class DroppingOut(PairModel):
    """Draws random numbers in training."""

    @torch.jit.ignore
    def density(self, graph: Graph) -> Tensor:
        return torch.nn.functional.dropout(super().density(graph), 0.3, self.training)


def weights_of(path):
    """Weights that a trainer goes on from."""
    return checkpoint.load(path)["trainer"]["weights"]


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def table(folder):
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def taught(columns, teacher):
    """The columns with labels that a model has made."""
    prediction = predict(teacher, batch_of(columns).graph, {"energy": ENERGY}, is_training=False)
    found, volumes = prediction["energy"], columns.volumes.reshape(-1, 1, 1)
    columns.values["energy"] = found.values.detach() * 4
    columns.forces["energy"] = found.forces
    columns.stress["energy"] = torch.where(volumes > 0, found.strain * 4 / volumes, torch.nan)
    return columns


def test_a_model_learns_what_another_one_teaches(tmp_path):
    torch.manual_seed(7)
    teacher = PairModel(PairModel.Hypers(), new_model().dataset_info).double()
    columns = taught(labelled(20), teacher)
    trained(
        tmp_path,
        training=columns.select(range(16)),
        validation=columns.select(range(16, 20)),
        num_epochs=60,
        learning_rate=0.02,
    )
    first, last = table(tmp_path)[0], table(tmp_path)[-1]
    for name in ("energy RMSE (meV/atom)", "forces RMSE (meV/A)", "stress RMSE (meV/A^3)"):
        assert float(last[f"validation {name}"]) < 0.1 * float(first[f"validation {name}"])


def test_every_system_is_seen_once_an_epoch_in_a_new_order(tmp_path):
    model = new_model(model_class=Watching)
    trained(tmp_path, model=model, training=labelled(7), batch_size=3)
    first, second, third = model.batches[:3], model.batches[3:6], model.batches[6:]
    epochs = [[system for batch in epoch for system in batch] for epoch in (first, second, third)]
    assert [len(batch) for batch in first] == [3, 3, 1]
    assert all(len(set(epoch)) == 7 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_the_order_follows_from_the_seed(tmp_path):
    orders = []
    for seed in (1, 1, 2):
        model = new_model(model_class=Watching)
        trained(tmp_path, model=model, seed=seed)
        orders.append(model.batches)
    assert orders[0] == orders[1] != orders[2]


def test_gradients_are_clipped_by_their_norm(tmp_path):
    trained(tmp_path / "free", optimizer="own_plug_ins:Watched", num_epochs=1)
    free = [gradient for _, gradient, _ in Watched.notes]
    trained(tmp_path / "cut", optimizer="own_plug_ins:Watched", num_epochs=1, grad_clip_norm=1e-3)
    cut = [gradient for _, gradient, _ in Watched.notes]
    assert all(gradient.norm() > 1e-3 for gradient in free)
    assert all(gradient.norm() <= 1e-3 for gradient in cut)
    torch.testing.assert_close(cut[0] / cut[0].norm(), free[0] / free[0].norm())


def test_the_running_average_is_validated_and_kept_but_not_trained(tmp_path):
    run = {"optimizer": "own_plug_ins:Watched", "scheduler": "constant", "learning_rate": 1e-2}
    trained(tmp_path / "plain", **run)
    start = [weight.detach() for weight in new_model().parameters()]
    model, averaged = trained(tmp_path / "average", ema_decay=0.8, **run)
    averages = start
    for _, _, weights in Watched.notes:
        averages = [0.8 * a + 0.2 * w for a, w in zip(averages, weights, strict=True)]
    for found, expected in zip(model.parameters(), averages, strict=True):
        torch.testing.assert_close(found.detach(), expected, rtol=1e-12, atol=1e-15)
    for folder in ("plain", "average"):
        assert (tmp_path / folder / "last.ckpt").exists()
    raw = weights_of(tmp_path / "average" / "last.ckpt")
    assert same(raw, weights_of(tmp_path / "plain" / "last.ckpt"))
    averaged.save_checkpoint(tmp_path / "model.ckpt")
    assert same(PairModel.load_checkpoint(tmp_path / "model.ckpt").state_dict(), model.state_dict())
    assert same(weights_of(tmp_path / "model.ckpt"), raw)


def test_validating_the_running_average_leaves_the_trained_weights_alone(tmp_path):
    run = {"validation": labelled(3), "learning_rate": 1e-2}
    trained(tmp_path / "plain", **run)
    trained(tmp_path / "average", ema_decay=0.8, **run)
    raw = weights_of(tmp_path / "average" / "last.ckpt")
    assert same(raw, weights_of(tmp_path / "plain" / "last.ckpt"))


def test_the_best_average_is_kept_when_later_ones_are_worse(tmp_path):
    # so large a rate makes it worse after a while
    options = {"learning_rate": 0.3, "scheduler": "constant", "num_epochs": 8, "ema_decay": 0.5}
    model, trainer = trained(tmp_path, validation=labelled(3), **options)
    assert checkpoint.load(tmp_path / "last.ckpt")["trainer"]["progress"]["best_epoch"] < 8
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    for name in ("best.ckpt", "last.ckpt", "model.ckpt"):
        assert same(PairModel.load_checkpoint(tmp_path / name).state_dict(), model.state_dict())


def test_validation_draws_no_random_numbers(tmp_path):
    rows = []
    for model_class in (PairModel, DroppingOut):
        model = new_model(model_class=model_class)
        folder = tmp_path / model_class.__name__
        # so small a rate leaves the weights as they are
        trained(folder, model=model, validation=labelled(3), learning_rate=1e-300)
        rows.append(table(folder)[-1])
    assert rows[0]["training loss"] != rows[1]["training loss"]
    assert rows[0]["validation loss"] == rows[1]["validation loss"]


def test_training_scripts_the_model_once_to_see_that_it_can_be_exported(tmp_path, monkeypatch):
    scripted = []
    monkeypatch.setattr(torch.jit, "script", scripted.append)
    model, _ = trained(tmp_path, validation=labelled(2), num_epochs=3)
    assert scripted == [model]


def test_best_and_last_weights_are_kept_apart(tmp_path):
    # so large a rate makes it worse after a while
    options = {"learning_rate": 0.3, "scheduler": "constant", "num_epochs": 8}
    model, trainer = trained(tmp_path, validation=labelled(3), **options)
    losses = [float(row["validation loss"]) for row in table(tmp_path)]
    progress = checkpoint.load(tmp_path / "last.ckpt")["trainer"]["progress"]
    assert progress["epoch"] == 8
    assert 1 <= progress["best_epoch"] < 8
    assert len(set(losses)) == 8
    best = PairModel.load_checkpoint(tmp_path / "best.ckpt")
    assert same(best.state_dict(), model.state_dict())
    assert not same(weights_of(tmp_path / "last.ckpt"), dict(model.state_dict()))
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    assert same(weights_of(tmp_path / "model.ckpt"), weights_of(tmp_path / "last.ckpt"))


def test_the_best_epoch_is_the_one_whose_errors_multiply_to_the_least(tmp_path):
    options = {"learning_rate": 0.3, "scheduler": "constant", "num_epochs": 8}
    trained(tmp_path, validation=labelled(4), best_model_metric="mae_prod", **options)
    names = ("energy MAE (meV/atom)", "forces MAE (meV/A)", "stress MAE (meV/A^3)")
    products = [
        math.prod(float(row[f"validation {name}"]) for name in names) for row in table(tmp_path)
    ]
    progress = checkpoint.load(tmp_path / "last.ckpt")["trainer"]["progress"]
    assert progress["best_epoch"] == 1 + products.index(min(products))


def test_without_a_validation_set_the_last_weights_are_kept(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="metatrain"):
        model, _ = trained(tmp_path)
    assert same(weights_of(tmp_path / "last.ckpt"), dict(model.state_dict()))
    assert "there is no validation set: keeping the weights of the last epoch" in caplog.messages


@pytest.mark.parametrize("metric", ["loss", "rmse_prod"])
def test_a_validation_set_without_labels_chooses_no_epoch(tmp_path, metric):
    validation = labelled(2)
    for labels in (validation.values, validation.forces, validation.stress):
        labels["energy"][:] = torch.nan
    model, _ = trained(tmp_path, validation=validation, best_model_metric=metric)
    assert same(weights_of(tmp_path / "last.ckpt"), dict(model.state_dict()))
    assert not (tmp_path / "best.ckpt").exists()


def test_training_ends_early_once_nothing_improves(tmp_path):
    options = {"learning_rate": 1e-300, "num_epochs": 50, "early_stopping_patience": 4}
    trained(tmp_path, validation=labelled(2), **options)
    assert len(table(tmp_path)) == 5


def test_early_stopping_needs_a_validation_set(tmp_path):
    with pytest.raises(MetatrainError, match="early stopping needs a validation set"):
        trained(tmp_path, early_stopping_patience=4)


def test_threads_that_prepare_batches_change_nothing(tmp_path):
    models = [
        trained(tmp_path / str(n), num_workers=n, model=new_model(model_class=DroppingOut))[0]
        for n in (0, 1, 3)
    ]
    assert same(models[0].state_dict(), models[1].state_dict())
    assert same(models[0].state_dict(), models[2].state_dict())


def test_losses_are_means_over_systems_whatever_the_batches(tmp_path):
    rows = []
    for batch_size in (7, 2):
        folder = tmp_path / str(batch_size)
        options = {"batch_size": batch_size, "num_epochs": 1, "learning_rate": 1e-300}
        energy = Target("energy", "energy", "eV")
        model = new_model(energy)
        trained(folder, model=model, training=labelled(7, energy), **options)
        rows += table(folder)
    for name in ("training loss", "training energy RMSE (meV/atom)"):
        assert float(rows[0][name]) == pytest.approx(float(rows[1][name]), rel=1e-12)


def test_a_batch_may_be_larger_than_the_set(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="metatrain"):
        trained(tmp_path, batch_size=100, optimizer="own_plug_ins:Watched")
    assert len(Watched.notes) == 3
    assert "batch_size 100 is more than the 6 training systems" in caplog.text


def test_batches_may_be_as_large_as_a_number_of_atoms(tmp_path, caplog):
    columns = labelled(7)
    most = 2 * int(columns.num_atoms.max())
    with caplog.at_level(logging.INFO, logger="metatrain"):
        trained(
            tmp_path,
            training=columns,
            batch_size=BatchBudget(atoms=most),
            optimizer="own_plug_ins:Watched",
        )
    assert len(Watched.notes) == 3 * 4
    assert "larger than batch_size" not in caplog.text
    assert "4 training steps per epoch, with " in caplog.text


def test_systems_that_are_larger_than_a_batch_are_told_of(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="metatrain"):
        trained(tmp_path, batch_size=BatchBudget(atoms=11, pairs=30), validation=labelled(2))
    assert "3 of the 6 training systems are larger than batch_size, up to " in caplog.text


@pytest.mark.parametrize("only_derivatives", [False, True])
def test_nan_stops_the_run_and_the_last_good_state_stays(tmp_path, only_derivatives):
    model = new_model(model_class=Breaking)
    model.only_derivatives = only_derivatives
    with pytest.raises(MetatrainError, match=r"epoch 2, .*last.ckpt holds the last good"):
        trained(tmp_path, model=model)
    content = checkpoint.load(tmp_path / "last.ckpt")
    assert content["trainer"]["progress"]["epoch"] == 1
    assert all(weight.isfinite().all() for weight in content["trainer"]["weights"].values())


def test_weights_that_break_in_the_last_step_of_an_epoch_are_not_saved(tmp_path):
    model = new_model(model_class=Breaking)
    model.only_derivatives = True
    with pytest.raises(MetatrainError, match="epoch 2, the weights are not finite"):
        trained(tmp_path, model=model, training=labelled(5), batch_size=4, num_epochs=4)
    assert all(w.isfinite().all() for w in weights_of(tmp_path / "last.ckpt").values())


def test_nan_before_anything_was_saved_says_so(tmp_path):
    model = new_model(model_class=Breaking)
    with pytest.raises(MetatrainError, match=r"epoch 1, step 4: .*nothing was saved yet"):
        trained(tmp_path, model=model, batch_size=1)


def test_checkpoints_hold_tensors_and_plain_containers_only(tmp_path):
    _, trainer = trained(tmp_path, validation=labelled(2), ema_decay=0.9)
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    for name in ("last.ckpt", "best.ckpt", "model.ckpt"):
        # reads with weights_only=True
        checkpoint.load(tmp_path / name)


def test_given_baselines_and_scales_are_used(tmp_path):
    targets = (ENERGY, CHARGE)
    model, _ = trained(
        tmp_path,
        model=new_model(*targets),
        atomic_baseline={"energy": {8: -3.0}, "mtt::charge": 0.25},
        fixed_scaling_weights={"energy": 2.5},
    )
    standardization = model.standardization
    assert standardization.baselines["energy"][2].item() == -3.0
    assert (standardization.baselines["mtt::charge"] == 0.25).all()
    assert standardization.scales["energy"].tolist() == [[2.5]]
    assert standardization.scales["mtt::charge"].shape == (1, 2)


def test_unscaled_targets_have_a_scale_of_one(tmp_path):
    model, _ = trained(tmp_path, scale_targets=False)
    assert model.standardization.scales["energy"].tolist() == [[1.0]]


def test_a_logger_of_ones_own_gets_every_epoch(tmp_path):
    trained(tmp_path, loggers=["csv", {"type": "own_plug_ins:Lines", "file": "mine.txt"}])
    lines = (tmp_path / "mine.txt").read_text().splitlines()
    expected = [f"{row['epoch']} {row['training loss']}" for row in table(tmp_path)]
    assert lines == [*expected, "end"]


def test_the_table_is_complete_after_every_row(tmp_path):
    session = CSV("metrics.csv")(tmp_path)
    session.log(1, {"loss": 0.1, "energy RMSE (meV/atom)": 1 / 3})
    assert table(tmp_path) == [{"epoch": "1", "loss": "0.1", "energy RMSE (meV/atom)": repr(1 / 3)}]
    session.log(2, {"loss": math.nan, "energy RMSE (meV/atom)": 2.0})
    assert len(table(tmp_path)) == 2
    session.close()


TARGETS = {"energy": ENERGY, "mtt::charge": CHARGE, "mtt::gap": GAP}


def test_options_are_completed_with_the_loss_of_every_target():
    hypers = GradientTrainer.complete_hypers(GradientHypers(loss="mae"), TARGETS)
    assert list(hypers.loss) == list(TARGETS)
    assert hypers.loss["energy"]["gradients"]["strain"]["type"] == "mae"
    assert GradientTrainer.complete_hypers(hypers, TARGETS) == hypers


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adma"}, "optimizer: 'adma' is not installed; did you mean"),
        ({"optimizer": 3}, "optimizer: found 3, expected a name or {type: NAME, ...}"),
        ({"optimizer": {"beta1": 0.5}}, "expected a name or {type: NAME, ...}"),
        ({"optimizer": {"type": "adam", "beta": 1}}, "optimizer.beta: unknown option; did you"),
        (
            {"optimizer": {"type": "adam", "beta2": 1.0}},
            "optimizer.beta2: found 1.0, expected less",
        ),
        (
            {"optimizer": {"type": "adam", "beta1": "x"}},
            "optimizer.beta1: found 'x', expected a number",
        ),
        ({"scheduler": {"type": "cosine", "final_fraction": 2}}, "expected at most 1.0"),
        ({"loggers": ["cvs"]}, "loggers: 'cvs' is not installed; did you mean 'csv'?"),
        ({"loss": {"enrgy": "mse"}}, "loss.enrgy: no such target; did you mean 'energy'?"),
        ({"atomic_baseline": {"enrgy": 1.0}}, "atomic_baseline.enrgy: no such target"),
        ({"fixed_scaling_weights": {"e": 1.0}}, "fixed_scaling_weights.e: no such target"),
        ({"per_structure_targets": ["e"]}, "per_structure_targets.e: no such target"),
        ({"per_structure_targets": ["mtt::gap"]}, "mtt::gap: has no sum over the atoms"),
        ({"per_structure_targets": ["mtt::charge"]}, "mtt::charge: has no sum over the atoms"),
    ],
)
def test_a_mistake_is_told_before_training(options, message):
    with pytest.raises(MetatrainError) as caught:
        GradientTrainer.complete_hypers(GradientHypers(**options), TARGETS)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"atomic_baseline": "least_sqares"}, "atomic_baseline: found 'least_sqares'"),
        ({"atomic_baseline": {"energy": "isolated"}}, "atomic_baseline.energy: found 'isolated'"),
        ({"atomic_baseline": {"energy": {"H": 1.0}}}, "atomic_baseline.energy: found {'H': 1.0}"),
        ({"atomic_baseline": None}, "atomic_baseline: found None, expected 'least_squares'"),
        ({"fixed_scaling_weights": {"energy": 0.0}}, "fixed_scaling_weights.energy: 0.0 is no"),
        ({"ema_decay": 1.0}, "ema_decay: with 1.0 the average never leaves"),
    ],
)
def test_impossible_values_are_refused(options, message):
    with pytest.raises(MetatrainError) as caught:
        GradientHypers(**options)
    assert message in str(caught.value)


def test_single_precision_trains_too(tmp_path):
    model, _ = trained(tmp_path, dtype=torch.float32)
    assert model.dtype == torch.float32
    assert model.standardization.baselines["energy"].dtype == torch.float64
    assert next(model.parameters()).device == CPU
