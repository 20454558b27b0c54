"""PET, the point edge transformer: flexible, fast, and invariant only as far as it has learned.

Each atom and its pairs are the tokens of a transformer; the pairs carry messages from one
neighborhood to the next. Nothing but the data tells it of rotations.
"""

from architectures.pet.hypers import PetHypers
from architectures.pet.model import Pet
from metatrain.training import trainer_with_defaults

__all__ = ["Pet", "PetHypers"]

__model__ = Pet
# as in published metatrain
__trainer__ = trainer_with_defaults(
    batch_size=16,
    num_epochs=1000,
    learning_rate=1e-4,
    grad_clip_norm=1.0,
    best_model_metric="mae_prod",
)
__authors__ = [("the metatrain developers", "@metatrain")]
__maintainers__ = [("the metatrain developers", "@metatrain")]
__references__ = [
    "S. Pozdnyakov and M. Ceriotti, NeurIPS 36, 79469 (2023): the point edge transformer",
    "A. Mazitov et al., Nat. Commun. 16, 10653 (2025): PET as a universal potential",
]
