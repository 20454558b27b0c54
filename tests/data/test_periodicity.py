"""Systems that are periodic in a way that a model cannot treat."""

import pytest

from metatrain.data.periodicity import check_periodicity
from metatrain.errors import MetatrainError
from metatrain.testing import systems


def test_the_first_system_that_cannot_be_treated_is_named() -> None:
    columns = systems.columns_of([systems.molecule(), systems.crystal(), systems.chain()])
    with pytest.raises(MetatrainError) as caught:
        check_periodicity(columns, (0, 3), where="test_set: ", way_out="leave that system out")
    assert str(caught.value) == (
        "test_set: testing, system 2: is periodic in 1 of 3 directions, but the model takes "
        "systems periodic in 0 or 3 only; leave that system out."
    )


def test_systems_that_can_be_treated_pass() -> None:
    columns = systems.columns_of(systems.everything())
    check_periodicity(columns, range(4), where="", way_out="")
