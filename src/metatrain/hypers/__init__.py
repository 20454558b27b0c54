"""Options as frozen dataclasses: how they are declared, and how they are checked."""

from metatrain.hypers.check import build, plain, restored, with_options
from metatrain.hypers.field import hyper

__all__ = ["build", "hyper", "plain", "restored", "with_options"]
