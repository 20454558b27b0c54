"""Does not say who maintains it."""

from ada_linear import __authors__, __model__, __trainer__

__all__ = ["__authors__", "__model__", "__trainer__"]
