"""Options of SOAP-BPNN, named as in published metatrain."""

from dataclasses import dataclass

from metatrain.errors import MetatrainError
from metatrain.hypers import hyper
from metatrain.nn import LongRangeHypers


@dataclass(frozen=True)
class CutoffHypers:
    """Where the neighborhood of an atom ends, and how softly."""

    radius: float = hyper(5.0, "radius of the neighborhood [length unit of the data]", above=0.0)
    width: float = hyper(0.5, "thickness of the shell in which pairs fade out", above=0.0)

    def __post_init__(self) -> None:
        if self.width > self.radius:
            raise MetatrainError(
                f"architecture.model.soap.cutoff.width: {self.width} exceeds the radius, "
                f"{self.radius}; use a width of at most that."
            )


@dataclass(frozen=True)
class SoapHypers:
    """Resolution of the neighbor density."""

    # beyond l = 15 the spherical harmonics lose more than 1e-5 to rounding in float32
    max_angular: int = hyper(
        6, "largest angular momentum l of the expansion", minimum=0, maximum=15
    )
    max_radial: int = hyper(7, "largest index n of the radial functions of l = 0", minimum=0)
    cutoff: CutoffHypers = hyper(CutoffHypers, "where the neighborhood of an atom ends")


@dataclass(frozen=True)
class BpnnHypers:
    """Size of the networks."""

    num_hidden_layers: int = hyper(
        2, "hidden layers; 0 (without legacy only) reads the descriptor directly", minimum=0
    )
    num_neurons_per_layer: int = hyper(32, "neurons of each hidden layer", minimum=1)
    layernorm: bool = hyper(True, "normalise the descriptor of each atom")


@dataclass(frozen=True)
class SoapBpnnHypers:
    """Options under ``architecture.model``."""

    soap: SoapHypers = hyper(SoapHypers, "the descriptor")
    legacy: bool = hyper(
        True,
        "each element its own density channel and network; without, elements are learned "
        "embeddings and all share one network",
    )
    bpnn: BpnnHypers = hyper(BpnnHypers, "the networks")
    add_lambda_basis: bool = hyper(
        True, "more basis tensors for tensor targets; no effect on scalars"
    )
    heads: dict[str, str] = hyper({}, "per target 'linear' (the default) or 'mlp' (legacy only)")
    zbl: bool = hyper(False, "add the ZBL repulsion at short distances")
    long_range: LongRangeHypers = hyper(LongRangeHypers, "long-range interactions")

    def __post_init__(self) -> None:
        if self.legacy and self.bpnn.num_hidden_layers == 0:
            raise MetatrainError(
                "architecture.model.bpnn.num_hidden_layers: 0 is not possible with legacy: true; "
                "use at least 1, or legacy: false."
            )
        for target, head in self.heads.items():
            self._check_head(target, head)

    def _check_head(self, target: str, head: str) -> None:
        if head not in ("linear", "mlp"):
            raise MetatrainError(
                f"architecture.model.heads.{target}: {head!r} is no kind of head; "
                "use 'linear' or 'mlp'."
            )
        if head == "mlp" and not self.legacy:
            raise MetatrainError(
                f"architecture.model.heads.{target}: 'mlp' needs legacy: true; use 'linear'."
            )
