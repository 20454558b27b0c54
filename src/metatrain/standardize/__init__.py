"""Baseline, scale and prior: what is taken off the labels before a network learns them."""

from metatrain.standardize.fit import (
    choice_of_baseline,
    fit_baseline,
    fit_scale,
    residuals_per_atom,
)
from metatrain.standardize.repulsion import check_repulsion, repulsion
from metatrain.standardize.standardization import Standardization

__all__ = [
    "Standardization",
    "check_repulsion",
    "choice_of_baseline",
    "fit_baseline",
    "fit_scale",
    "repulsion",
    "residuals_per_atom",
]
