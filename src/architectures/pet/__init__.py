"""PET, the point edge transformer: flexible, fast, and invariant only as far as it has learned.

Each atom and its pairs are the tokens of a transformer; the pairs carry messages from one
neighborhood to the next. Nothing but the data tells it of rotations: training turns systems at
random, and what is left of a dependence shrinks with the errors.

Choose it where there are thousands of structures or many elements, and accuracy counts; from a
few hundred structures a model that is invariant by itself learns more. A published model is a
good beginning for a small data set (`finetune`); checkpoints of published metatrain are read
from version 8 to 16 of `pet`.

The cost of a layer grows with the square of an atom's number of neighbors, in time and memory,
and hardly with the number of elements; `num_neighbors_adaptive` bounds it in dense systems.
Atoms of similar numbers of neighbors are treated together, in parts of some thousand atoms and
pairs, so that little is padded and tensors stay in the cache; on a GPU all at once.
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
    # two thirds of a step are matrix products, and the rest is written by hand
    compile="off",
)
__authors__ = [("the metatrain developers", "@metatrain")]
__maintainers__ = [("the metatrain developers", "@metatrain")]
__references__ = [
    "S. Pozdnyakov and M. Ceriotti, NeurIPS 36, 79469 (2023): the point edge transformer",
    "A. Mazitov et al., Nat. Commun. 16, 10653 (2025): PET as a universal potential",
]
