"""The conformance suite: what every architecture has to fulfil, as tests to subclass.

.. code-block:: python

    from metatrain.testing import GraphModelTests

    class TestMine(GraphModelTests):
        architecture = "mine"
        model_hypers = {"num_layers": 1}

A graph model that is not trained by gradients subclasses ``ForwardTests``, any other
architecture ``ArchitectureTests``.
"""

from metatrain.testing.architecture import ArchitectureTests
from metatrain.testing.graph_model import ForwardTests, GraphModelTests

__all__ = ["ArchitectureTests", "ForwardTests", "GraphModelTests"]
