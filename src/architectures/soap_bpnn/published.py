"""Published checkpoints of SOAP-BPNN, in the terms of our model."""

import dataclasses
from collections.abc import Iterable

import torch
from torch import Tensor

from architectures.soap_bpnn.hypers import SoapBpnnHypers
from metatrain.errors import MetatrainError
from metatrain.hypers import restored
from metatrain.log import logger
from metatrain.published import Published

VERSION = 9
"""The one version of published checkpoints that is known."""

_EXPANSION = {
    "expansion.radial.values": "radial.spliner.spline_values",
    "expansion.radial.derivatives": "radial.spliner.spline_derivatives",
    "expansion.radial.spacing": "radial.spliner.spline_spacing",
    "expansion.channels.embedding.weight": "species.embedding.weight",
}
_LONG_RANGE = {"charges": "charges_map", "inner": "out_projection.0", "outer": "out_projection.2"}
_REPULSION = {"prior.radii": "additive_models.1.covalent_radii"}
_OF_TARGETS = ("heads", "last_layers", "basis_calculators")
_WITHOUT_MEANING = ("_mts_helper", "species_to_species_index", "additive_models.1.species_to_index")


def scalar_part(published: Published) -> Published:
    """The same model with its scalar targets alone, which are those that ours can have."""
    published.check_version("soap_bpnn", oldest=VERSION, newest=VERSION)
    targets = published.dataset_info.targets
    scalars = {name: target for name, target in targets.items() if target.is_scalar}
    tensors = [name for name in targets if name not in scalars]
    if not scalars:
        raise MetatrainError(
            f"has targets that are tensors alone ({', '.join(tensors)}), which soap_bpnn cannot "
            "predict yet."
        )
    if tensors:
        logger.warning("left out %s: soap_bpnn cannot predict tensors yet", ", ".join(tensors))
    unused = [f"{part}.{name}." for part in _OF_TARGETS for name in tensors]
    unused += [f"long_range_featurizer.{kind}_calculator." for kind in ("ewald", "p3m", "direct")]
    heads = published.hypers.get("heads") or {}
    return dataclasses.replace(
        published,
        hypers=published.hypers | {"heads": {t: heads[t] for t in scalars if t in heads}},
        dataset_info=dataclasses.replace(published.dataset_info, targets=scalars),
        weights={
            name: value
            for name, value in published.weights.items()
            if not name.startswith(tuple(unused)) and not name.endswith(_WITHOUT_MEANING)
        },
    )


def hypers_of(published: Published) -> SoapBpnnHypers:
    """The options of a published model, after a look whether it has weights for them.

    A model of options that somebody made up could be of any size.
    """
    hypers: SoapBpnnHypers = restored(SoapBpnnHypers, published.hypers)
    num_types = len(published.dataset_info.atomic_types)
    num_features = (hypers.soap.max_radial + 1) ** 2  # of one channel and l = 0 alone
    layers, neurons = hypers.bpnn.num_hidden_layers, hypers.bpnn.num_neurons_per_layer
    network = (num_features + (layers - 1) * neurons) * neurons if layers else 0
    wanted = num_types * network if hypers.legacy else num_types * num_features + network
    if wanted > sum(value.numel() for value in published.weights.values()):
        raise MetatrainError("is damaged: its weights are too few for its options.")
    return hypers


def weights_of(
    published: Published, hypers: SoapBpnnHypers, names: Iterable[str], order: Tensor
) -> dict[str, Tensor]:
    """The published weights as our model has them.

    :param published: the scalar part
    :param hypers: its options
    :param names: of the tensors of our model
    :param order: the :func:`published_order` of our invariants
    """
    targets = list(published.dataset_info.targets)
    theirs = {name: _published_name(name, hypers, targets) for name in names}
    differing = sorted(published.weights.keys() ^ set(theirs.values()))
    if differing:
        raise MetatrainError(
            f"is damaged: {differing[0]!r} is among its weights or its options, and not in both."
        )
    weights = {name: published.weights[their] for name, their in theirs.items()}
    for name, value in weights.items():
        if _is_over_invariants(name, hypers) and value.shape[-1:] == order.shape:
            weights[name] = value[..., order]
    return weights


def published_order(radial_counts: list[int], num_channels: int) -> Tensor:
    """For each of our invariants its place in the published order.

    There, an index q of the density runs fastest through the channels, here through the
    radial functions.

    :param radial_counts: number of radial functions of each l
    :param num_channels: number of density channels
    :return: (F,)
    """
    places, offset = [], 0
    for count in radial_counts:
        q = torch.arange(num_channels * count).view(count, num_channels).T.flatten()
        places.append((offset + q[:, None] * len(q) + q[None, :]).flatten())
        offset += len(q) ** 2
    return torch.cat(places)


def _is_over_invariants(name: str, hypers: SoapBpnnHypers) -> bool:
    """Whether the last dimension of one of our tensors runs over the invariants."""
    part, *rest = name.split(".")
    if part == "networks":
        return int(rest[2]) <= hypers.bpnn.layernorm
    return part == "center_encoding" or (part == "readouts" and hypers.bpnn.num_hidden_layers == 0)


def _published_name(name: str, hypers: SoapBpnnHypers, targets: list[str]) -> str:
    """The published name of one of our tensors.

    :param targets: names of the targets, in the order of our readouts
    """
    if name in _EXPANSION:
        return f"soap_calculator.calculator.{_EXPANSION[name]}"
    if name in _REPULSION:
        return _REPULSION[name]
    part, *rest = name.split(".")
    if part == "long_range":
        return f"long_range_featurizer.{_LONG_RANGE[rest[0]]}.{rest[1]}"
    if part == "networks":
        return _published_network(rest, hypers)
    if part == "readouts":
        index, _, group, layer, kind = rest
        target = targets[int(index)]
        if hypers.heads.get(target) == "mlp" and layer == "0":
            return f"heads.{target}.module_list.{group}.0.{kind}"
        return f"last_layers.{target}.{target}___0.module_map.module_list.{group}.{kind}"
    return name


def _published_network(rest: list[str], hypers: SoapBpnnHypers) -> str:
    _, group, layer, kind = rest
    # The published layer norm is a module beside the network, ours its first layer.
    number = int(layer) - hypers.bpnn.layernorm
    module = "layernorm" if number < 0 else "bpnn"
    place = f"{module}.module_list.{group}" if hypers.legacy else f"{module}_for_tensors"
    return f"{place}.{kind}" if number < 0 else f"{place}.{number}.{kind}"
