"""Building blocks for architectures, all fit for TorchScript and ``make_fx``."""

from metatrain.nn.atomic_types import AtomicTypeIndex
from metatrain.nn.cutoff import shifted_cosine
from metatrain.nn.graph import Graph
from metatrain.nn.grouped import Grouped, group_sizes
from metatrain.nn.laplacian_eigenstates import LaplacianEigenstates
from metatrain.nn.neighborhoods import Neighborhoods, fill_slots, neighborhoods
from metatrain.nn.spherical_harmonics import SphericalHarmonics
from metatrain.nn.spline import CubicHermiteSpline, HermiteTable

__all__ = [
    "AtomicTypeIndex",
    "CubicHermiteSpline",
    "Graph",
    "Grouped",
    "HermiteTable",
    "LaplacianEigenstates",
    "Neighborhoods",
    "SphericalHarmonics",
    "fill_slots",
    "group_sizes",
    "neighborhoods",
    "shifted_cosine",
]
