"""SOAP-BPNN: Behler-Parrinello networks on the SOAP power spectrum.

A fast and data-efficient potential, exactly invariant under rotations: the neighbor
density of each atom is expanded in radial functions and spherical harmonics, contracted
to invariants, normalised, and fed to a small network. Options: :class:`Hypers`.
"""

from architectures.soap_bpnn.hypers import Hypers
from architectures.soap_bpnn.model import SoapBpnn
from metatrain.training import GradientTrainer

__all__ = ["Hypers", "SoapBpnn"]

__model__ = SoapBpnn
__trainer__ = GradientTrainer
__authors__ = [("the metatrain developers", "@metatrain")]
__maintainers__ = [("the metatrain developers", "@metatrain")]
__references__ = [
    "J. Behler, M. Parrinello, Generalized neural-network representation of high-dimensional "
    "potential-energy surfaces, Phys. Rev. Lett. 98, 146401 (2007)",
    "A. P. Bartok, R. Kondor, G. Csanyi, On representing chemical environments, "
    "Phys. Rev. B 87, 184115 (2013)",
    "F. Bigi, K. K. Huguenin-Dumittan, M. Ceriotti, D. E. Manolopoulos, A smooth basis for "
    "atomistic machine learning, J. Chem. Phys. 157, 234101 (2022)",
]
