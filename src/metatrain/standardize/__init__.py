"""Baseline and scale: what is taken off the labels before a network learns them."""

from metatrain.standardize.fit import (
    choice_of_baseline,
    fit_baseline,
    fit_scale,
    residuals_per_atom,
)
from metatrain.standardize.standardization import Standardization

__all__ = [
    "Standardization",
    "choice_of_baseline",
    "fit_baseline",
    "fit_scale",
    "residuals_per_atom",
]
