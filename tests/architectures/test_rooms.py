"""What architectures share stands in ``metatrain.nn``, and trainers of their own are rare."""

from itertools import combinations
from pathlib import Path

import pytest

import architectures
from metatrain.plugins import load_architecture
from metatrain.training import GradientTrainer

ROOMS = sorted(
    path.parent for folder in architectures.__path__ for path in Path(folder).glob("*/__init__.py")
)
BLOCK = 6


def blocks_of(room: Path) -> set[tuple[str, ...]]:
    """All runs of so many lines, without blank ones and imports."""
    found = set()
    for path in room.rglob("*.py"):
        lines = [line.strip() for line in path.read_text().splitlines()]
        lines = [line for line in lines if line and not line.startswith(("from ", "import "))]
        found |= {tuple(lines[k : k + BLOCK]) for k in range(len(lines) - BLOCK + 1)}
    return found


@pytest.mark.parametrize(
    "pair", list(combinations(ROOMS, 2)), ids=lambda pair: "-".join(room.name for room in pair)
)
def test_no_two_architectures_share_a_block_of_lines(pair):
    assert not blocks_of(pair[0]) & blocks_of(pair[1])


def test_what_is_trained_by_gradients_has_no_trainer_of_its_own():
    trainers = {room.name: load_architecture(room.name, "").trainer_class for room in ROOMS}
    own = {name for name, trainer in trainers.items() if not issubclass(trainer, GradientTrainer)}
    assert own == {"gap"}
    for name in trainers.keys() - own:
        assert trainers[name].train is GradientTrainer.train
