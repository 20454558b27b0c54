"""The learning rate of every step."""

import math

import pytest

from metatrain.errors import MetatrainError
from metatrain.training.loggers import CSV
from own_plug_ins import Watched
from pair_model import labelled, trained


def rates(folder, **hypers):
    """The learning rate of each step of a run of 4 epochs with 3 steps each."""
    trained(folder, optimizer="own_plug_ins:Watched", num_epochs=4, learning_rate=1e-4, **hypers)
    return [rate / 1e-4 for rate, _, _ in Watched.notes]


def test_constant_stays(tmp_path):
    assert rates(tmp_path, scheduler="constant") == 12 * [1.0]


def test_cosine_falls_along_half_a_cosine(tmp_path):
    expected = [0.5 + 0.5 * math.cos(math.pi * step / 12) for step in range(12)]
    assert rates(tmp_path, scheduler="cosine") == pytest.approx(expected, rel=1e-12)


def test_cosine_can_end_above_zero(tmp_path):
    found = rates(tmp_path, scheduler={"type": "cosine", "final_fraction": 0.2})
    expected = [0.6 + 0.4 * math.cos(math.pi * step / 12) for step in range(12)]
    assert found == pytest.approx(expected, rel=1e-12)


def test_exponential_falls_by_the_same_factor_each_step(tmp_path):
    found = rates(tmp_path, scheduler={"type": "exponential", "final_fraction": 0.1})
    assert found == pytest.approx([0.1 ** (step / 12) for step in range(12)], rel=1e-12)


def test_warm_up_rises_linearly_before_the_schedule_begins(tmp_path):
    found = rates(tmp_path, scheduler="cosine", warmup_fraction=0.25)
    rising = [0.25, 0.5, 0.75]
    falling = [0.5 + 0.5 * math.cos(math.pi * step / 9) for step in range(9)]
    assert found == pytest.approx(rising + falling, rel=1e-12)


def test_warm_up_may_last_to_the_end(tmp_path):
    expected = [(step + 1) / 13 for step in range(12)]
    assert rates(tmp_path, warmup_fraction=1.0) == pytest.approx(expected, rel=1e-12)


def test_plateau_lowers_the_rate_once_nothing_improves(tmp_path):
    plateau = {"type": "plateau", "factor": 0.1, "patience": 1}
    trained(
        tmp_path,
        validation=labelled(2),
        optimizer="own_plug_ins:Watched",
        scheduler=plateau,
        num_epochs=6,
        batch_size=6,
        learning_rate=1e-300,  # nothing is learned: no epoch is better than the first
    )
    found = [rate / 1e-300 for rate, _, _ in Watched.notes]
    assert found == pytest.approx([1.0, 1.0, 1.0, 0.1, 0.1, 0.01], rel=1e-6)


def test_plateau_needs_a_validation_set(tmp_path):
    with pytest.raises(MetatrainError, match=r"training.scheduler: 'plateau' follows the errors"):
        trained(tmp_path, scheduler="plateau")


def test_the_table_says_the_rate_that_was_used(tmp_path):
    found = rates(tmp_path, warmup_fraction=0.5, scheduler="cosine")
    lines = (tmp_path / CSV().file).read_text().splitlines()[1:]
    assert [float(line.split(",")[1]) / 1e-4 for line in lines] == pytest.approx(found[2::3])
