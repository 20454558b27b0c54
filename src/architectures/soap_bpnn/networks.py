"""The networks: from the invariants of an atom to its contribution to each target.

J. Behler, M. Parrinello, "Generalized neural-network representation of high-dimensional
potential-energy surfaces", Phys. Rev. Lett. 98, 146401 (2007).
"""

from torch import nn

from architectures.soap_bpnn.hypers import BpnnHypers


def atomic_network(num_features: int, hypers: BpnnHypers) -> nn.Sequential:
    """Layer norm (unless switched off) and hidden layers, without biases.

    :param num_features: F, length of the descriptor
    """
    network = nn.Sequential()
    if hypers.layernorm:
        network.append(nn.LayerNorm(num_features))
    for _ in range(hypers.num_hidden_layers):
        network.append(nn.Linear(num_features, hypers.num_neurons_per_layer, bias=False))
        network.append(nn.SiLU())
        num_features = hypers.num_neurons_per_layer
    return network


def readout(kind: str, num_features: int, num_properties: int) -> nn.Sequential:
    """From the hidden features to the P values of a target, without biases.

    :param kind: ``"linear"``, or ``"mlp"`` for one more hidden layer
    """
    layers = nn.Sequential()
    if kind == "mlp":
        layers.append(nn.Linear(num_features, num_features, bias=False))
        layers.append(nn.SiLU())
    layers.append(nn.Linear(num_features, num_properties, bias=False))
    return layers
