"""SOAP-BPNN: Behler-Parrinello networks on the SOAP power spectrum.

A fast and data-efficient potential, exactly invariant under rotations: the neighbor
density of each atom is expanded in radial functions and spherical harmonics, contracted
to invariants, normalised, and fed to a small network. Options: :class:`SoapBpnnHypers`.
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
