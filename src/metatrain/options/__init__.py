"""The options file: typed, complete, frozen; nothing below sees the file itself."""

from metatrain.options.complete import ArchitectureOptions, Fraction, Options, Rows
from metatrain.options.parse import parse, parse_evaluation

__all__ = ["ArchitectureOptions", "Fraction", "Options", "Rows", "parse", "parse_evaluation"]
