"""SOAP-BPNN: Behler-Parrinello networks on the SOAP power spectrum.

The density of neighbors around each atom is expanded in radial functions and spherical
harmonics and contracted to invariants, the power spectrum. Normalised, they are the input of a
small network, whose output is the atom's part of the energy. Energies are exactly invariant
under rotations, inversions and the order of atoms, and see as far as one cutoff.

Choose it for a first potential of a material with few elements and some hundred to some
thousand structures: it trains in minutes on a few cores, is fast in simulations, and forgives
small data sets. Where thousands of structures are there and the last bit of accuracy counts, a
message-passing model learns more. Checkpoints of published metatrain are read in version 9 of
`soap_bpnn`.

The cost of a step grows with the number of neighbors; weights and memory grow with the third
power of the number of elements, since each has a channel of the density and a network of its
own. For more than about ten elements use `legacy: false`, which shares them.
"""

from architectures.soap_bpnn.hypers import SoapBpnnHypers
from architectures.soap_bpnn.model import SoapBpnn
from metatrain.training import GradientTrainer

__all__ = ["SoapBpnn", "SoapBpnnHypers"]

__model__ = SoapBpnn
__trainer__ = GradientTrainer
__authors__ = [("the metatrain developers", "@metatrain")]
__maintainers__ = [("the metatrain developers", "@metatrain")]
__references__ = [
    "J. Behler and M. Parrinello, Phys. Rev. Lett. 98, 146401 (2007): networks per atom",
    "A. P. Bartok, R. Kondor and G. Csanyi, Phys. Rev. B 87, 184115 (2013): SOAP",
    "F. Bigi et al., J. Chem. Phys. 157, 234101 (2022): the radial basis",
]
