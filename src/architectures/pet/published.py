"""Published checkpoints of PET, in the terms of our model."""

import re

import torch
from torch import Tensor

from architectures.pet.hypers import PetHypers
from metatrain.data.target import Target
from metatrain.errors import MetatrainError
from metatrain.hypers import restored
from metatrain.published import Published

OLDEST, NEWEST = 8, 16
"""Versions of published checkpoints that are known."""

# What models did before there was an option for it, where that is not the option's default.
_BEFORE_OPTIONS = {"adaptive_cutoff_method": "grid", "cutoff_function": "Cosine"}

# From our names to the published ones; each is tried, in this order.
_RENAMED = [
    (re.compile(ours), theirs)
    for ours, theirs in (
        (r"^featurizer\.layers\.(\d+)\.blocks\.(\d+)\.", r"gnn_layers.\1.trans.layers.\2."),
        (r"^featurizer\.layers\.(\d+)\.inner\.", r"gnn_layers.\1.compress.0."),
        (r"^featurizer\.layers\.(\d+)\.outer\.", r"gnn_layers.\1.compress.2."),
        (r"^featurizer\.layers\.(\d+)\.geometry\.", r"gnn_layers.\1.edge_embedder."),
        (r"^featurizer\.layers\.(\d+)\.neighbor_embedding\.", r"gnn_layers.\1.neighbor_embedder."),
        (r"^featurizer\.combinations\.(\d+)\.norm\.", r"combination_norms.\1."),
        (r"^featurizer\.combinations\.(\d+)\.inner\.", r"combination_mlps.\1.0."),
        (r"^featurizer\.combinations\.(\d+)\.outer\.", r"combination_mlps.\1.2."),
        (r"^featurizer\.node_embedding\.", "node_embedders.0."),
        (r"^featurizer\.node_embeddings\.", "node_embedders."),
        (r"^featurizer\.pair_embedding\.", "edge_embedder."),
        (r"^conditioning\.charges\.", "system_conditioning.charge_embedding."),
        (
            r"^conditioning\.spin_multiplicities\.",
            "system_conditioning.spin_multiplicity_embedding.",
        ),
        (r"^conditioning\.inner\.", "system_conditioning.project.0."),
        (r"^conditioning\.outer\.", "system_conditioning.project.2."),
        (r"^long_range\.features\.charges\.", "long_range_featurizer.charges_map."),
        (r"^long_range\.features\.inner\.", "long_range_featurizer.out_projection.0."),
        (r"^long_range\.features\.outer\.", "long_range_featurizer.out_projection.2."),
        (r"\.attention\.norm\.", ".norm_attention."),
        (r"\.attention\.inner\.", ".attention.input_linear."),
        (r"\.attention\.outer\.", ".attention.output_linear."),
        (r"\.state\.mlp\.norm\.", ".norm_center_features."),
        (r"\.state\.mlp\.", ".center_mlp."),
        (r"\.state\.", ".center_"),
        (r"\.mlp\.norm\.", ".norm_mlp."),
        (r"mlp\.inner\.", "mlp.w_in."),
        (r"mlp\.outer\.", "mlp.w_out."),
    )
]
_READOUT = re.compile(r"^readouts\.(\d+)\.layers\.(\d+)\.(node|pair)_(head|layer)\.(.+)$")
_WITHOUT_MEANING = re.compile(
    r"(^|\.)species_to_(species_)?index$|^long_range_featurizer\.\w+_calculator\."
)


def hypers_of(published: Published) -> PetHypers:
    """The options of a published model, after a look whether it has weights for them.

    A model of options that somebody made up could be of any size.
    """
    published.check_version("pet", oldest=OLDEST, newest=NEWEST)
    adapted = [name for name in published.weights if ".lora_" in name]
    if adapted:
        raise MetatrainError(
            "holds low-rank corrections of a fine-tuning, which pet cannot read; merge them into "
            "the weights with metatrain 2026.4.1."
        )
    given = dict(published.hypers)
    before = _BEFORE_OPTIONS | {"cutoff_width_adaptive": given.get("cutoff_width", 0.5)}
    hypers: PetHypers = restored(PetHypers, before | given)
    if _least_weights(hypers) > sum(value.numel() for value in published.weights.values()):
        raise MetatrainError("is damaged: its weights are too few for its options.")
    return hypers


def _least_weights(hypers: PetHypers) -> int:
    """A number that no model of these options can be below."""
    block = hypers.d_pet * (4 * hypers.d_pet + 2 * hypers.d_feedforward)
    blocks = hypers.num_gnn_layers * hypers.num_attention_layers
    readout = hypers.d_head * (hypers.d_node + hypers.d_pet + 2 * hypers.d_head)
    known = 2 * hypers.max_charge + hypers.max_spin_multiplicity
    conditioning = hypers.d_node * known * hypers.system_conditioning
    return blocks * block + readout + conditioning


def weights_of(published: Published, expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """The published weights as our model has them.

    :param published: the checkpoint
    :param expected: the weights of our model
    """
    given = {
        name.removeprefix("backend."): value
        for name, value in published.weights.items()
        if not _WITHOUT_MEANING.search(name)
    }
    targets = list(published.dataset_info.targets.values())
    theirs = {name: _published_names(name, targets) for name in expected}
    differing = sorted(given.keys() ^ {their for names in theirs.values() for their in names})
    if differing:
        raise MetatrainError(
            f"is damaged: {differing[0]!r} is among its weights or its options, and not in both."
        )
    return {name: torch.cat([given[their] for their in names]) for name, names in theirs.items()}


def _published_names(name: str, targets: list[Target]) -> list[str]:
    """The published tensors, one after the other, of which one of ours consists.

    :param targets: in the order of our readouts
    """
    if name == "prior.radii":
        return ["additive_models.1.covalent_radii"]
    readout = _READOUT.match(name)
    if readout is None:
        for ours, theirs in _RENAMED:
            name = ours.sub(theirs, name)
        return [name]
    index, layer, kind, part, rest = readout.groups()
    target = targets[int(index)]
    place = f"{'edge' if kind == 'pair' else 'node'}_{{}}.{target.name}.{layer}"
    if part == "head":
        rest = rest.replace("inner", "0").replace("outer", "2")
        return [f"{place.format('heads')}.{rest}"]
    return [f"{place.format('last_layers')}.{block}.{rest}" for block in _block_names(target)]


def _block_names(target: Target) -> list[str]:
    """The published name of each block of a target."""
    return [
        "_".join(
            [target.name]
            + [f"{name}_{value}" for name, value in zip(target.key_names, block.key, strict=True)]
        )
        for block in target.blocks
    ]
