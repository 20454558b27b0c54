"""Options and targets that GAP cannot do are refused in one line."""

import pytest

from architectures.gap import Gap, GapHypers, GapTrainer, GapTrainingHypers
from metatrain.data.target import DatasetInfo, Target
from metatrain.errors import MetatrainError
from metatrain.hypers import restored


def made_for(**target):
    return Gap(GapHypers(), DatasetInfo("angstrom", [14], {"y": Target("y", **target)}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"krr": {"degree": 0}}, "krr.degree: found 0, expected at least 1"),
        ({"krr": {"num_sparse_points": 0}}, "num_sparse_points: found 0, expected at least 1"),
        (
            {"soap": {"basis": {"radial": {"type": "Spline"}}}},
            "radial.type: found 'Spline', expected one of 'Gto'",
        ),
        ({"soap": {"basis": {"type": "Explicit"}}}, "basis.type: found 'Explicit', expected one"),
        ({"soap": {"density": {"type": "DiracDelta"}}}, "density.type: found 'DiracDelta'"),
        ({"soap": {"density": {"center_atom_weight": 0}}}, "center_atom_weight: found 0"),
        ({"soap": {"density": {"scaling": {"exponent": 0.5}}}}, "exponent: found 0.5"),
        ({"soap": {"basis": {"radial": {"max_radial": 16}}}}, "max_radial: found 16"),
        ({"soap": {"density": {"width": 0.01}}}, "density.width: 0.01 is less than a hundredth"),
        ({"soap": {"cutoff": {"smoothing": {"type": "Step"}}}}, "smoothing.type: found 'Step'"),
        (
            {"soap": {"cutoff": {"radius": 0.5}}},
            "smoothing.width: 1.0 is more than the radius, 0.5",
        ),
    ],
)
def test_options_of_the_model(options, message):
    with pytest.raises(MetatrainError, match=message) as caught:
        restored(GapHypers, options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regularizer": 0}, "regularizer: found 0.0, expected a number above 0"),
        ({"regularizer_forces": -1.0}, "regularizer_forces: found -1.0"),
        ({"atomic_baseline": {"energy": "isolated"}}, "atomic_baseline.energy: found 'isolated'"),
    ],
)
def test_options_of_the_trainer(options, message):
    with pytest.raises(MetatrainError, match=message):
        restored(GapTrainingHypers, options)


def test_a_baseline_of_no_target():
    hypers = GapTrainingHypers(atomic_baseline={"enrgy": 0.0})
    with pytest.raises(MetatrainError, match="enrgy: no such target; did you mean 'energy'"):
        GapTrainer.complete_hypers(hypers, {"energy": Target("energy")})


def test_a_repulsion_without_an_energy():
    with pytest.raises(MetatrainError, match="zbl: there is no energy"):
        Gap.complete_hypers(GapHypers(zbl=True), {"y": Target("y")})


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"sample_kind": "atom"}, "targets.y: has values per atom, and gap learns sums"),
        ({"reduction": "mean"}, "targets.y: is a mean over atoms, and gap learns sums"),
        ({"rank": 1}, "targets.y: is a Cartesian tensor, and gap learns scalars only"),
        ({"irreps": ((1, 1),)}, "targets.y: is a spherical tensor, and gap learns scalars only"),
    ],
)
def test_targets_that_are_no_sums(target, message):
    with pytest.raises(MetatrainError, match=message) as caught:
        made_for(**target)
    assert "\n" not in str(caught.value)


def test_expected_errors_follow_that_of_the_energy_unless_they_are_given():
    hypers = GapTrainingHypers(regularizer=1e-3)
    assert hypers.error_of_forces == pytest.approx(1e-2)
    assert hypers.error_of_strain == pytest.approx(3e-2)
    given = GapTrainingHypers(regularizer_forces=0.5)
    assert (given.error_of_forces, given.error_of_strain) == (0.5, 1.5)


def test_the_options_that_published_metatrain_has_are_taken():
    soap = {
        "cutoff": {"radius": 5.5, "smoothing": {"type": "ShiftedCosine", "width": 1.0}},
        "density": {
            "type": "Gaussian",
            "center_atom_weight": 1.0,
            "width": 0.2,
            "scaling": {"type": "Willatt2018", "rate": 1.0, "scale": 2.0, "exponent": 7.0},
        },
        "basis": {
            "type": "TensorProduct",
            "max_angular": 6,
            "radial": {"type": "Gto", "max_radial": 7},
        },
    }
    krr = {"degree": 2, "num_sparse_points": 900}
    hypers = restored(GapHypers, {"soap": soap, "krr": krr, "zbl": False})
    assert hypers.soap.basis.radial.max_radial == 7
    assert hypers.krr.num_sparse_points == 900
