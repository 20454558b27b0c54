"""Options of GAP, named as in published metatrain."""

from dataclasses import dataclass
from typing import Any

from metatrain.errors import MetatrainError
from metatrain.hypers import hyper
from metatrain.training.hypers import check_baseline


@dataclass(frozen=True)
class SmoothingHypers:
    """How pairs fade out at the cutoff."""

    type: str = hyper("ShiftedCosine", "the cutoff function", choices=("ShiftedCosine",))
    width: float = hyper(
        1.0, "thickness of the shell in which pairs fade out [length unit of the data]", above=0.0
    )


@dataclass(frozen=True)
class CutoffHypers:
    """Where the neighborhood of an atom ends, and how softly."""

    radius: float = hyper(5.0, "radius of the neighborhood [length unit of the data]", above=0.0)
    smoothing: SmoothingHypers = hyper(SmoothingHypers, "how pairs fade out")

    def __post_init__(self) -> None:
        width = self.smoothing.width
        if width > self.radius:
            raise MetatrainError(
                f"architecture.model.soap.cutoff.smoothing.width: {width} is more than the "
                f"radius, {self.radius}; use less."
            )


@dataclass(frozen=True)
class ScalingHypers:
    """How the weight of a neighbor falls with its distance."""

    type: str = hyper(
        "Willatt2018", "the weight: rate / (rate + (r / scale)^exponent)", choices=("Willatt2018",)
    )
    rate: float = hyper(1.0, "rate in the weight", above=0.0)
    scale: float = hyper(2.0, "scale in the weight [length unit of the data]", above=0.0)
    exponent: float = hyper(7.0, "exponent in the weight", minimum=1.0)


@dataclass(frozen=True)
class DensityHypers:
    """The density that stands for the neighborhood of an atom."""

    type: str = hyper("Gaussian", "what stands for a neighbor", choices=("Gaussian",))
    # without it the normalised power spectrum would jump where the last neighbor leaves
    center_atom_weight: float = hyper(1.0, "weight of the central atom itself", above=0.0)
    width: float = hyper(0.3, "width of the Gaussians [length unit of the data]", above=0.0)
    scaling: ScalingHypers = hyper(ScalingHypers, "weights of the neighbors by distance")


@dataclass(frozen=True)
class RadialHypers:
    """Radial functions."""

    type: str = hyper("Gto", "Gaussian type orbitals", choices=("Gto",))
    # of more, rounding leaves no orthonormal functions
    max_radial: int = hyper(7, "largest index n of the functions", minimum=0, maximum=15)


@dataclass(frozen=True)
class BasisHypers:
    """The functions in which the density is expanded."""

    type: str = hyper(
        "TensorProduct", "the same radial functions for every l", choices=("TensorProduct",)
    )
    max_angular: int = hyper(
        6, "largest angular momentum l of the expansion", minimum=0, maximum=15
    )
    radial: RadialHypers = hyper(RadialHypers, "the radial functions")


@dataclass(frozen=True)
class SoapHypers:
    """The descriptor."""

    cutoff: CutoffHypers = hyper(CutoffHypers, "where the neighborhood of an atom ends")
    density: DensityHypers = hyper(DensityHypers, "the density of the neighbors")
    basis: BasisHypers = hyper(BasisHypers, "the functions in which the density is expanded")

    def __post_init__(self) -> None:
        width, radius = self.density.width, self.cutoff.radius
        if width < 0.01 * radius:
            raise MetatrainError(
                f"architecture.model.soap.density.width: {width} is less than a hundredth of the "
                f"cutoff, {radius}, and no basis can show that; use more."
            )


@dataclass(frozen=True)
class KrrHypers:
    """The kernel."""

    degree: int = hyper(2, "the power of the scalar product that is the kernel", minimum=1)
    num_sparse_points: int = hyper(
        500, "environments that the kernel compares with, those of all elements together", minimum=1
    )


@dataclass(frozen=True)
class GapHypers:
    """Options under ``architecture.model``."""

    soap: SoapHypers = hyper(SoapHypers, "the descriptor")
    krr: KrrHypers = hyper(KrrHypers, "the kernel")
    zbl: bool = hyper(False, "add the ZBL repulsion at short distances")


@dataclass(frozen=True)
class GapTrainingHypers:
    """Options under ``architecture.training``."""

    regularizer: float = hyper(
        3e-5, "expected error of the energy of an atom, in units of the target's scale", above=0.0
    )
    regularizer_forces: float | None = hyper(
        None,
        "expected error of forces in the same units, and a third of that of strain derivatives "
        "per atom; null: ten times that of the energy",
        above=0.0,
    )
    atomic_baseline: Any = hyper(
        {},
        "reference value of an atom, which is not fitted: least_squares, isolated_atoms, or per "
        "target one of these, a number, or a number per atomic type",
    )

    def __post_init__(self) -> None:
        check_baseline(self.atomic_baseline)

    @property
    def error_of_forces(self) -> float:
        """The expected error of forces."""
        given = self.regularizer_forces
        return 10.0 * self.regularizer if given is None else given

    @property
    def error_of_strain(self) -> float:
        """The expected error of an atom's strain derivative: a sum over about ten neighbors."""
        return 3.0 * self.error_of_forces
