"""Options of PET, named as in published metatrain."""

from dataclasses import dataclass

from metatrain.errors import MetatrainError
from metatrain.hypers import hyper
from metatrain.nn import LongRangeHypers


@dataclass(frozen=True)
class PetHypers:
    """Options under ``architecture.model``."""

    cutoff: float = hyper(4.5, "radius of the neighborhood [length unit of the data]", above=0.0)
    num_neighbors_adaptive: float | None = hyper(
        None,
        "number of neighbors that each atom's own cutoff, at most the cutoff, aims at; "
        "null: one cutoff for all",
        above=0.0,
    )
    adaptive_cutoff_method: str = hyper(
        "solver",
        "how an atom's own cutoff is found: as a root, or as a mean over a grid of radii",
        choices=("solver", "grid"),
    )
    cutoff_function: str = hyper(
        "Bump", "how pairs fade out: Bump or Cosine, in upper or lower case"
    )
    cutoff_width: float = hyper(0.5, "thickness of the shell in which pairs fade out", above=0.0)
    cutoff_width_adaptive: float = hyper(
        1.0, "thickness of the shell in which neighbors fade out when they are counted", above=0.0
    )
    d_pet: int = hyper(128, "width of the tokens of pairs; a multiple of num_heads", minimum=1)
    d_node: int = hyper(256, "width of the states of atoms", minimum=1)
    d_head: int = hyper(128, "width of the readouts' hidden layers", minimum=1)
    d_feedforward: int = hyper(256, "hidden width of the feed-forward networks", minimum=1)
    num_heads: int = hyper(8, "attention heads", minimum=1)
    num_attention_layers: int = hyper(
        2, "attention blocks of each message-passing layer", minimum=1
    )
    num_gnn_layers: int = hyper(2, "message-passing layers", minimum=1)
    normalization: str = hyper(
        "RMSNorm", "norm in the attention blocks", choices=("RMSNorm", "LayerNorm")
    )
    activation: str = hyper(
        "SwiGLU",
        "activation of the feed-forward networks in the attention blocks",
        choices=("SwiGLU", "SiLU"),
    )
    attention_temperature: float = hyper(1.0, "what attention scores are divided by", above=0.0)
    transformer_type: str = hyper(
        "PreLN", "norms before or after attention and network", choices=("PreLN", "PostLN")
    )
    featurizer_type: str = hyper(
        "feedforward",
        "whether the last layer alone is read (feedforward) or each one (residual)",
        choices=("feedforward", "residual"),
    )
    zbl: bool = hyper(False, "add the ZBL repulsion at short distances")
    long_range: LongRangeHypers = hyper(LongRangeHypers, "long-range interactions")
    system_conditioning: bool = hyper(False, "tell the model of charge and spin of each system")
    max_charge: int = hyper(10, "largest absolute charge with system_conditioning", minimum=0)
    max_spin_multiplicity: int = hyper(
        10, "largest spin multiplicity with system_conditioning", minimum=1
    )

    def __post_init__(self) -> None:
        if self.d_pet % self.num_heads:
            raise MetatrainError(
                f"architecture.model.num_heads: {self.num_heads} heads do not divide d_pet, "
                f"{self.d_pet}; use a d_pet that is a multiple of num_heads, such as "
                f"{-(-self.d_pet // self.num_heads) * self.num_heads}."
            )
        if self.cutoff_width > self.cutoff:
            raise MetatrainError(
                f"architecture.model.cutoff_width: {self.cutoff_width} exceeds the cutoff, "
                f"{self.cutoff}; use a width of at most that."
            )
        if self.cutoff_function.lower() not in ("bump", "cosine"):
            raise MetatrainError(
                f"architecture.model.cutoff_function: found {self.cutoff_function!r}, expected "
                "'Bump' or 'Cosine'."
            )
        # 4 radii per width: a grid of more than this is a slip
        if self.adaptive_cutoff_method == "grid" and self.cutoff_width_adaptive < self.cutoff / 250:
            raise MetatrainError(
                f"architecture.model.cutoff_width_adaptive: {self.cutoff_width_adaptive} makes a "
                f"grid of very many radii; use at least {self.cutoff / 250:g}, or the method "
                "'solver'."
            )
