"""Losses: their formulas, and how an options file asks for them."""

from dataclasses import dataclass

import pytest
import torch
from torch.testing import assert_close

from metatrain.data.target import Target
from metatrain.errors import MetatrainError
from metatrain.hypers import hyper
from metatrain.losses import MAE, MSE, Huber, LossTerm, expand

ENERGY = Target("energy", "energy", "eV", has_forces=True, has_stress=True)
CHARGE = Target("mtt::charge", sample_kind="atom")
BOTH = {"energy": ENERGY, "mtt::charge": CHARGE}


@dataclass(frozen=True)
class Quartic:
    """A loss of somebody else."""

    factor: float = hyper(1.0, "factor", above=0.0)

    def __call__(self, prediction, target):
        return self.factor * (prediction - target) ** 4


@pytest.mark.parametrize(
    ("loss", "value", "slope"),
    [
        (MSE(), lambda e: e * e, lambda e: 2 * e),
        (MAE(), abs, lambda e: (e > 0) - (e < 0)),
        (
            Huber(0.5),
            lambda e: e * e / 2 if abs(e) <= 0.5 else 0.5 * (abs(e) - 0.25),
            lambda e: max(-0.5, min(0.5, e)),
        ),
    ],
)
def test_values_and_gradients_are_those_of_the_formula(loss, value, slope):
    errors = [-2.0, -0.5, -0.1, 0.0, 0.3, 0.7]
    prediction = torch.tensor(errors, dtype=torch.float64) + 1.0
    prediction.requires_grad_()
    found = loss(prediction, torch.ones_like(prediction))
    found.sum().backward()
    assert_close(found.tolist(), [value(e) for e in errors], rtol=1e-14, atol=1e-15)
    assert_close(prediction.grad.tolist(), [float(slope(e)) for e in errors], rtol=1e-14, atol=0)


def test_a_name_is_the_loss_of_all_targets_and_their_gradients():
    terms = expand("mae", BOTH)
    mae = LossTerm("mae")
    assert terms["energy"] == LossTerm("mae", gradients={"positions": mae, "strain": mae})
    assert terms["mtt::charge"] == mae


@pytest.mark.parametrize(
    "asked",
    [
        {"energy": {"type": "mae", "forces": "huber", "stress": {"type": "mse", "weight": 0.1}}},
        {"energy": {"type": "mae", "forces": "huber", "virial": {"weight": 0.1}}},
        {
            "energy": {
                "type": "mae",
                "gradients": {"positions": "huber", "strain": {"type": "mse", "weight": 0.1}},
            }
        },
        {"energy": {"type": "mae", "gradients": {"positions": "huber"}, "stress": {"weight": 0.1}}},
    ],
)
def test_forces_stress_and_virial_are_short_for_gradients(asked):
    assert expand(asked, BOTH) == {
        "energy": LossTerm(
            "mae",
            gradients={"positions": LossTerm("huber"), "strain": LossTerm("mse", weight=0.1)},
        ),
        "mtt::charge": LossTerm("mse"),
    }


def test_a_name_for_one_target_leaves_the_rest_as_it_is():
    expected = LossTerm("mae", gradients={"positions": LossTerm(), "strain": LossTerm()})
    assert expand({"energy": "mae"}, BOTH) == {"energy": expected, "mtt::charge": LossTerm()}


def test_what_is_written_out_asks_for_the_same():
    asked = {"energy": {"type": "huber", "delta": 0.2, "forces": {"reduction": "sum"}}}
    terms = expand(asked, BOTH)
    written = {name: term.as_container() for name, term in terms.items()}
    assert written["energy"]["delta"] == 0.2
    assert expand(written, BOTH) == terms


def test_a_loss_of_ones_own_needs_no_packaging():
    asked = {"mtt::charge": {"type": "test_losses:Quartic", "factor": 2}}
    loss = expand(asked, BOTH)["mtt::charge"].build()
    assert float(loss(torch.tensor(3.0), torch.tensor(1.0))) == 32.0


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (3, "loss: 3 is no loss; write a name, such as 'mse', or one per target"),
        ("mze", "loss.type: 'mze' is not installed; did you mean 'mse'?"),
        ({"enrgy": "mse"}, "loss.enrgy: no such target; did you mean 'energy'?"),
        ({"energy": 10}, "loss.energy: 10 is no loss"),
        ({"energy": {"forces": 10}}, "loss.energy.gradients.positions: 10 is no loss"),
        ({"energy": {"gradients": "mae"}}, "loss.energy.gradients: 'mae' is no mapping"),
        ({"energy": {"weight": -1}}, "loss.energy.weight: -1 is no weight; use a number >= 0"),
        ({"energy": {"weight": True}}, "loss.energy.weight: True is no weight"),
        ({"energy": {"weight": float("nan")}}, "loss.energy.weight: nan is no weight"),
        ({"energy": {"reduction": "none"}}, "loss.energy.reduction: 'none' is unknown"),
        (
            {"energy": {"wieght": 2}},
            "loss.energy.wieght: unknown option of loss 'mse'; did you mean 'weight'?",
        ),
        ({"energy": {"delta": 2}}, "loss.energy.delta: unknown option of loss 'mse'"),
        (
            {"energy": {"type": "huber", "delta": 0}},
            "loss.energy.delta: found 0.0, expected a number above",
        ),
        (
            {"energy": {"type": "huber", "delta": "big"}},
            "loss.energy.delta: found 'big', expected a number",
        ),
        (
            {"energy": {"stress": "mse", "virial": "mse"}},
            "virial: the loss of 'strain' is given twice",
        ),
        ({"energy": {"gradients": {"cell": "mse"}}}, "gradients.cell: target 'energy' has no such"),
        (
            {"mtt::charge": {"forces": "mse"}},
            "has no such gradient in the training set; it has: none",
        ),
        ({"energy": {"forces": {"forces": "mse"}}}, "unknown option of loss 'mse'"),
        ({"energy": {"type": "math:sqrt"}}, "sqrt> is no plug-in"),
    ],
)
def test_a_mistake_is_told_in_one_line(asked, message):
    with pytest.raises(MetatrainError) as caught:
        expand(asked, BOTH)
    assert message in str(caught.value)
    assert str(caught.value).startswith("architecture.training.loss")
    assert "\n" not in str(caught.value)
