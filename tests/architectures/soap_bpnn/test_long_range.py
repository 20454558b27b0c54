"""SOAP-BPNN with long-range features."""

from architectures.soap_bpnn import SoapBpnn
from metatrain.testing import GraphModelTests
from published_long_range import PublishedLongRangeTests

SMALL = {
    "soap": {"max_angular": 2, "max_radial": 2, "cutoff": {"radius": 4.0}},
    "bpnn": {"num_neurons_per_layer": 4},
    "long_range": {"enable": True},
}


class TestLongRangeOfANetworkPerType(GraphModelTests):
    architecture = "soap_bpnn"
    model_hypers = SMALL


class TestLongRangeOfEmbeddedTypes(GraphModelTests):
    architecture = "soap_bpnn"
    model_hypers = SMALL | {"legacy": False, "zbl": True}


class TestPublished(PublishedLongRangeTests):
    model_class = SoapBpnn
    name = "soap_bpnn/long_range_seed1"
