"""Building blocks for architectures, all fit for TorchScript and ``make_fx``."""

from metatrain.nn.atomic_types import AtomicTypeIndex
from metatrain.nn.attention import (
    TokenLayout,
    neighborhood_attention,
    token_layout,
)
from metatrain.nn.cutoff import bump, half_cosine, shifted_cosine
from metatrain.nn.folding import Foldable, fold
from metatrain.nn.graph import Graph, with_pairs
from metatrain.nn.grouped import Grouped, group_sizes
from metatrain.nn.laplacian_eigenstates import LaplacianEigenstates
from metatrain.nn.long_range import (
    LONG_RANGE_PERIODICITIES,
    LongRangeFeatures,
    LongRangeHypers,
    LongRangePotential,
)
from metatrain.nn.neighborhoods import Neighborhoods, fill_slots, neighborhoods
from metatrain.nn.prior import NoPrior
from metatrain.nn.reversed_pairs import both_directions
from metatrain.nn.second_order import (
    gated,
    normalised,
    normalised_linear,
    silu,
    sum_and_difference,
)
from metatrain.nn.soap import (
    EmbeddedChannels,
    RadialBasis,
    SphericalExpansion,
    TypeChannels,
    power_spectrum,
)
from metatrain.nn.spherical_harmonics import SphericalHarmonics
from metatrain.nn.spline import CubicHermiteSpline, HermiteTable
from metatrain.nn.zbl import ZBL

__all__ = [
    "LONG_RANGE_PERIODICITIES",
    "ZBL",
    "AtomicTypeIndex",
    "CubicHermiteSpline",
    "EmbeddedChannels",
    "Foldable",
    "Graph",
    "Grouped",
    "HermiteTable",
    "LaplacianEigenstates",
    "LongRangeFeatures",
    "LongRangeHypers",
    "LongRangePotential",
    "Neighborhoods",
    "NoPrior",
    "RadialBasis",
    "SphericalExpansion",
    "SphericalHarmonics",
    "TokenLayout",
    "TypeChannels",
    "both_directions",
    "bump",
    "fill_slots",
    "fold",
    "gated",
    "group_sizes",
    "half_cosine",
    "neighborhood_attention",
    "neighborhoods",
    "normalised",
    "normalised_linear",
    "power_spectrum",
    "shifted_cosine",
    "silu",
    "sum_and_difference",
    "token_layout",
    "with_pairs",
]
