"""Errors of whole sets, and what they are called."""

import math

import pytest
import torch

from metatrain.data.target import DatasetInfo, Target
from metatrain.metrics import ErrorSums, MetricNames, gradient_name

CPU = torch.device("cpu")


def errors_of(*batches):
    errors = ErrorSums()
    for prediction, label in batches:
        errors.add("energy", torch.tensor(prediction), torch.tensor(label))
    return errors


def test_rmse_of_a_set_is_not_the_mean_of_its_batches():
    errors = errors_of(([3.0, 3.0, 3.0], [0.0, 0.0, 0.0]), ([5.0], [0.0]))
    assert errors.rmse("energy") == pytest.approx(math.sqrt((3 * 9 + 25) / 4), rel=1e-15)
    assert errors.mae("energy") == pytest.approx(3.5, rel=1e-15)


def test_batches_of_any_size_give_the_same():
    predictions, labels = torch.randn(2, 30, 3).double()
    whole, parts = ErrorSums(), ErrorSums()
    whole.add("forces", predictions, labels)
    for rows in torch.arange(30).split(7):
        parts.add("forces", predictions[rows], labels[rows])
    assert parts.rmse("forces") == pytest.approx(whole.rmse("forces"), rel=1e-14)
    assert int(parts.counts["forces"]) == 90


def test_missing_labels_count_for_nothing():
    errors = errors_of(([1.0, 2.0, 3.0], [math.nan, 0.0, math.nan]))
    assert errors.rmse("energy") == 2.0
    assert int(errors.counts["energy"]) == 1


def test_without_any_label_there_is_no_error():
    assert math.isnan(errors_of(([1.0], [math.nan])).rmse("energy"))


def test_a_prediction_of_nan_is_no_missing_label():
    errors = errors_of(([math.nan, 1.0], [0.0, 1.0]))
    assert math.isnan(errors.rmse("energy"))
    assert int(errors.counts["energy"]) == 2


def test_sums_are_kept_in_float64():
    errors = ErrorSums()
    for _ in range(1000):
        errors.add("energy", torch.full((1000,), 0.1), torch.zeros(1000))
    assert errors.mae("energy") == pytest.approx(float(torch.tensor(0.1)), rel=1e-12)


def test_what_is_saved_goes_on_being_summed():
    errors = ErrorSums.from_container(errors_of(([3.0], [0.0])).as_container(), CPU)
    errors.add("energy", torch.tensor([4.0]), torch.tensor([0.0]))
    assert errors.rmse("energy") == pytest.approx(math.sqrt(12.5))


def names_of(*targets, length_unit="angstrom"):
    return MetricNames.of(DatasetInfo(length_unit, [1], {t.name: t for t in targets}))


def test_errors_are_shown_in_mev_and_energies_per_atom():
    names = names_of(Target("energy", "energy", "eV", has_forces=True, has_stress=True))
    errors = ErrorSums()
    for name in ("energy", "forces", "stress"):
        errors.add(name, torch.tensor([0.002]).double(), torch.zeros(1))
    assert names.metrics("validation", errors) == pytest.approx(
        {
            "validation energy RMSE (meV/atom)": 2.0,
            "validation energy MAE (meV/atom)": 2.0,
            "validation forces RMSE (meV/A)": 2.0,
            "validation forces MAE (meV/A)": 2.0,
            "validation stress RMSE (meV/A^3)": 2.0,
            "validation stress MAE (meV/A^3)": 2.0,
        }
    )
    assert names.summary(errors)["forces"]["num_labels"] == 1


def test_other_units_stay_as_the_user_wrote_them():
    targets = [
        Target("mtt::gap", "", "kcal/mol", reduction="mean"),
        Target("mtt::charge", "charge", "e", "atom"),
        Target("mtt::U0", "energy", "Hartree", has_forces=True),
        Target("mtt::score", has_forces=True),
    ]
    units = names_of(*targets, length_unit="bohr").units
    assert units["mtt::gap"] == (1.0, "kcal/mol")
    assert units["mtt::charge"] == (1.0, "e")
    assert units["mtt::U0"] == (1.0, "Hartree/atom")
    assert units["mtt::U0 forces"] == (1.0, "Hartree/bohr")
    assert units["mtt::score"] == (1.0, "per atom")
    assert units["mtt::score forces"] == (1.0, "")


def test_only_the_energy_owns_the_plain_names_of_forces_and_stress():
    assert gradient_name("energy", "forces") == "forces"
    assert gradient_name("energy/pbe", "forces") == "energy/pbe forces"
