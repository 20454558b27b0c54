"""The gradient trainer and what it is made of."""

from metatrain.training.hypers import GradientHypers
from metatrain.training.trainer import GradientTrainer

__all__ = ["GradientHypers", "GradientTrainer"]
