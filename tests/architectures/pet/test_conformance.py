"""PET in the conformance suite, with each kind of cutoff, layer and normalisation."""

from metatrain.testing import GraphModelTests

SMALL = {
    "cutoff": 4.0,
    "d_pet": 8,
    "d_node": 12,
    "d_head": 6,
    "d_feedforward": 8,
    "num_heads": 2,
    "num_attention_layers": 1,
}

BRIEF = {"num_epochs": 2}


class TestDefaults(GraphModelTests):
    architecture = "pet"
    training_hypers = BRIEF
    model_hypers = SMALL


class TestOwnCutoffs(GraphModelTests):
    architecture = "pet"
    training_hypers = BRIEF
    model_hypers = SMALL | {"num_neighbors_adaptive": 5.0, "zbl": True}


class TestGridOfCutoffs(GraphModelTests):
    architecture = "pet"
    training_hypers = BRIEF
    model_hypers = SMALL | {"num_neighbors_adaptive": 5.0, "adaptive_cutoff_method": "grid"}


class TestResidual(GraphModelTests):
    architecture = "pet"
    training_hypers = BRIEF
    model_hypers = SMALL | {
        "d_node": 8,
        "cutoff_function": "Cosine",
        "featurizer_type": "residual",
        "transformer_type": "PostLN",
        "normalization": "LayerNorm",
        "activation": "SiLU",
    }


class TestLongRange(GraphModelTests):
    architecture = "pet"
    training_hypers = BRIEF
    model_hypers = SMALL | {"long_range": {"enable": True}}


class TestLongRangeBesideTheRest(GraphModelTests):
    architecture = "pet"
    training_hypers = BRIEF
    model_hypers = SMALL | {
        "long_range": {"enable": True},
        "num_neighbors_adaptive": 5.0,
        "featurizer_type": "residual",
        "zbl": True,
    }
