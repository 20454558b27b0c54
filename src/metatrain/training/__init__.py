"""The gradient trainer and what it is made of."""

from metatrain.training.defaults import trainer_with_defaults
from metatrain.training.hypers import GradientHypers
from metatrain.training.trainer import GradientTrainer

__all__ = ["GradientHypers", "GradientTrainer", "trainer_with_defaults"]
