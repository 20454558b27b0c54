"""Energies that are linear in hand-made descriptors of each element's neighborhood."""

from ada_linear.model import LinearModel
from ada_linear.trainer import LinearTrainer

__model__ = LinearModel
__trainer__ = LinearTrainer
__authors__ = [("Ada Lovelace <ada@example.org>", "@ada")]
__maintainers__ = [("Ada Lovelace <ada@example.org>", "@ada")]
__references__ = ["A. A. Lovelace, Notes on the Analytical Engine (1843)"]
