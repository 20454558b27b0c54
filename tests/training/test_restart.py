"""A run that was stopped, and what goes on from its checkpoint."""

import dataclasses
import os
import signal
import threading

import pytest
import torch
from torch import Tensor

from metatrain import checkpoint
from metatrain.errors import Interrupted, MetatrainError
from metatrain.nn import Graph
from metatrain.training import GradientHypers, GradientTrainer
from metatrain.training.hypers import BatchBudget
from metatrain.training.interruption import delayed_interruption
from pair_model import CPU, ENERGY, PairModel, dataset, info_of, labelled, new_model, trained


class DroppingOut(PairModel):
    """Draws random numbers in training."""

    @torch.jit.ignore
    def density(self, graph: Graph) -> Tensor:
        return torch.nn.functional.dropout(super().density(graph), 0.3, self.training)


HYPERS = {
    "batch_size": 2,
    "num_epochs": 4,
    "warmup_fraction": 0.2,
    "learning_rate": 1e-2,
    "ema_decay": 0.7,
    "seed": 1,
}


WATCHED = {"type": "own_plug_ins:Watched"}


def run(folder, *, start=None, **changes):
    """Train from the beginning or from a checkpoint, and give the trainer's last state."""
    model = new_model(model_class=DroppingOut)
    hypers = GradientHypers(**(HYPERS | changes))
    trainer = GradientTrainer(hypers)
    if start is not None:
        # whatever was drawn before must not matter
        torch.manual_seed(99)
        model = DroppingOut.load_checkpoint(start).restart(info_of())
        trainer = GradientTrainer.load_checkpoint(start, hypers)
    folder.mkdir()
    trainer.train(model, [CPU], [dataset(labelled(6))], [dataset(labelled(3))], folder)
    trainer.save_checkpoint(folder / "model.ckpt")
    return (folder / "model.ckpt"), (folder / "metrics.csv").read_text()


def assert_same(one, other):
    """Two checkpoints hold the same, bit for bit, but for the options.

    The random state is that of a stop within an epoch; each epoch begins with its own.
    """
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one.keys() - {"hypers", "random_state"}:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        for first, second in zip(one, other, strict=True):
            assert_same(first, second)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


@pytest.mark.parametrize("optimizer", ["adam", "own_plug_ins:Watched"])
@pytest.mark.parametrize("scheduler", ["cosine", "plateau"])
def test_a_run_that_goes_on_after_any_epoch_ends_as_the_unbroken_one(
    tmp_path, scheduler, optimizer
):
    kinds = {"scheduler": scheduler, "optimizer": optimizer}
    unbroken, table = run(tmp_path / "unbroken", **kinds)
    for epoch in (1, 3):
        half = tmp_path / f"half{epoch}"
        _first_epochs(half, epoch, **kinds)
        resumed, table_again = run(tmp_path / f"resumed{epoch}", start=half / "kept.ckpt", **kinds)
        assert_same(checkpoint.load(unbroken), checkpoint.load(resumed))
        assert table_again == table


def _first_epochs(folder, epoch, **kinds):
    loggers = [{"type": "own_plug_ins:KeptCheckpoint", "epoch": epoch}]
    run(folder, loggers=["csv", *loggers], **kinds)


def table_of_stopped_run(folder, step, number=signal.SIGINT, **options):
    """The metrics of a run that a signal stops in a step, and that ends as if it had not."""
    stopping = WATCHED | {"signal_at": step, "signal_number": int(number)}
    unbroken, table = run(folder / "unbroken", optimizer=WATCHED, **options)
    with pytest.raises(Interrupted) as caught:
        run(folder / "broken", optimizer=stopping, **options)
    assert caught.value.signal_number == number
    assert caught.value.checkpoint == folder / "broken" / "last.ckpt"
    start = caught.value.checkpoint
    resumed, again = run(folder / "resumed", start=start, optimizer=WATCHED, **options)
    assert_same(checkpoint.load(unbroken), checkpoint.load(resumed))
    assert again == table
    return table


@pytest.mark.parametrize("step", [1, 3, 5])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_any_step_leaves_a_checkpoint_that_ends_as_the_unbroken_run(
    tmp_path, step, number
):
    table_of_stopped_run(tmp_path, step, number)


def test_batches_by_atoms_go_on_where_they_were(tmp_path):
    table_of_stopped_run(tmp_path, 4, batch_size=BatchBudget(atoms=12))


@pytest.mark.parametrize("step", [1, 3, 5])
def test_systems_are_turned_after_a_restart_as_they_would_have_been(tmp_path, step):
    table = table_of_stopped_run(tmp_path, step, augmentation=True)
    assert table != run(tmp_path / "still", optimizer=WATCHED)[1]


def test_the_rest_of_an_epoch_wants_the_batches_it_began_with(tmp_path):
    watched = "own_plug_ins:Watched"
    stopping = {"type": watched, "signal_at": 2, "signal_number": int(signal.SIGINT)}
    with pytest.raises(Interrupted) as caught:
        run(tmp_path / "broken", optimizer=stopping)
    with pytest.raises(MetatrainError, match="middle of an epoch with batches of 2; restart"):
        run(tmp_path / "resumed", start=caught.value.checkpoint, optimizer=watched, batch_size=3)


def test_a_finished_run_goes_on_for_more_epochs_or_for_none(tmp_path):
    finished, table = run(tmp_path / "finished")
    again, table_again = run(tmp_path / "again", start=finished)
    assert_same(checkpoint.load(finished), checkpoint.load(again))
    assert table_again == table
    _, longer = run(tmp_path / "longer", start=finished, num_epochs=6)
    assert longer.startswith(table)
    assert len(longer.splitlines()) == 7


def test_a_restart_takes_the_learning_rate_and_options_it_is_given(tmp_path):
    finished, table = run(tmp_path / "finished", scheduler="constant")
    options = {"learning_rate": 1e-4, "optimizer": {"type": "adam", "beta1": 0.5}}
    _, longer = run(
        tmp_path / "longer", start=finished, num_epochs=5, scheduler="constant", **options
    )
    assert longer.startswith(table)
    assert float(longer.splitlines()[-1].split(",")[1]) == pytest.approx(1e-4)
    content = checkpoint.load(tmp_path / "longer" / "model.ckpt")
    assert content["trainer"]["optimizer"]["param_groups"][0]["betas"] == (0.5, 0.999)


@pytest.mark.parametrize("other", [{"optimizer": "adamw"}, {"scheduler": "plateau"}])
def test_a_restart_with_another_optimizer_or_schedule_is_refused(tmp_path, other):
    finished, _ = run(tmp_path / "finished")
    with pytest.raises(MetatrainError, match="but the checkpoint holds the state of"):
        run(tmp_path / "other", start=finished, **other)


def test_a_run_that_was_stopped_early_stays_stopped(tmp_path):
    options = {"early_stopping_patience": 1, "learning_rate": 1e-300, "num_epochs": 9}
    finished, table = run(tmp_path / "finished", **options)
    assert len(table.splitlines()) == 3
    _, again = run(tmp_path / "again", start=finished, **options)
    assert again == table


def test_state_of_a_newer_trainer_is_refused(tmp_path):
    trained(tmp_path, num_epochs=1)
    content = checkpoint.load(tmp_path / "last.ckpt")
    content["trainer"]["version"] += 1
    checkpoint.save(tmp_path / "new.ckpt", content)
    with pytest.raises(MetatrainError, match="has version 2 of the trainer's state, newer than 1"):
        GradientTrainer.load_checkpoint(tmp_path / "new.ckpt", GradientHypers())


def test_a_newer_model_is_refused(tmp_path):
    container = new_model().as_container()
    container["version"] += 1
    with pytest.raises(MetatrainError, match="newer than version 1 installed here"):
        PairModel.from_container(container)


def test_options_that_a_checkpoint_does_not_know_yet_take_their_defaults():
    container = new_model().as_container()
    del container["hypers"]["exponent"]
    assert PairModel.from_container(container).hypers == PairModel.Hypers()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unit": "kcal/mol"}, "has unit 'kcal/mol', that of the checkpoint's model 'eV'"),
        ({"unit": ""}, "has unit '', that of the checkpoint's model 'eV'"),
        ({"quantity": ""}, "has quantity '', that of"),
        ({"reduction": "mean"}, "has reduction 'mean', that of"),
        ({"num_properties": 2}, "has num_properties 2, that of"),
        ({"rank": 1}, "has rank 1, that of the checkpoint's model 0"),
        ({"irreps": ((1, 1),)}, "has irreps"),
    ],
)
def test_a_restart_with_another_target_is_refused(change, message):
    with pytest.raises(MetatrainError, match=message):
        new_model().restart(info_of(dataclasses.replace(ENERGY, **change)))


def test_a_restart_with_other_elements_or_lengths_is_refused():
    model, info = new_model(), info_of()
    with pytest.raises(MetatrainError, match=r"holds atomic types \[26\]"):
        model.restart(dataclasses.replace(info, atomic_types=[1, 26]))
    with pytest.raises(MetatrainError, match="has length_unit 'bohr', the model of"):
        model.restart(dataclasses.replace(info, length_unit="bohr"))


def test_a_restart_takes_units_in_any_spelling_fewer_elements_and_other_gradients():
    less = dataclasses.replace(ENERGY, unit="electronvolt", has_stress=False)
    info = dataclasses.replace(info_of(less), atomic_types=[1, 8], length_unit="A")
    model = new_model().restart(info)
    assert model.dataset_info.atomic_types == [1, 6, 8]
    assert model.dataset_info.targets["energy"].gradients == ("positions",)


def test_the_first_signal_waits_and_the_second_acts():
    with delayed_interruption() as received:
        assert received() is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert received() == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_handlers_are_as_before_once_it_is_over():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with delayed_interruption():
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_training_works_beside_the_main_thread(tmp_path):
    thread = threading.Thread(target=trained, args=[tmp_path], kwargs={"num_epochs": 1})
    thread.start()
    thread.join()

    assert checkpoint.load(tmp_path / "last.ckpt")["trainer"]["progress"]["epoch"] == 1
