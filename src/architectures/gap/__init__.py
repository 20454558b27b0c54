"""GAP: a sparse kernel model of the energy of each atom, fitted by one linear solve.

The energy of an atom is a sum of kernels between its SOAP power spectrum and those of a
few environments of the training set. Energies, forces and stress determine the
coefficients together, by regularised least squares. Energies are exactly invariant under
rotations, inversions and the order of atoms, and see as far as one cutoff.

Choose it for tens to some hundred structures of few elements: there is nothing to tune for long,
one fit takes seconds to minutes, and small data sets suffice. It needs no GPU. With thousands of
structures a network learns more, and costs less in simulations.

The fit takes time and memory that grow with the square of `num_sparse_points`, and time that
grows with the number of forces and their pairs; a prediction costs the power spectrum of each
atom and a product with each sparse point of its element. The power spectrum grows with the
square of the number of elements.
"""

from architectures.gap.hypers import GapHypers, GapTrainingHypers
from architectures.gap.model import Gap
from architectures.gap.trainer import GapTrainer

__all__ = ["Gap", "GapHypers", "GapTrainer", "GapTrainingHypers"]

__model__ = Gap
__trainer__ = GapTrainer
__authors__ = [("the metatrain developers", "@metatrain")]
__maintainers__ = [("the metatrain developers", "@metatrain")]
__references__ = [
    "A. P. Bartok, M. C. Payne, R. Kondor and G. Csanyi, Phys. Rev. Lett. 104, 136403 (2010): GAP",
    "A. P. Bartok, R. Kondor and G. Csanyi, Phys. Rev. B 87, 184115 (2013): SOAP",
    "F. Musil et al., J. Chem. Phys. 154, 114109 (2021): the radial basis",
]
