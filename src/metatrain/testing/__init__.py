"""The conformance suite: what every architecture has to fulfil, as tests to subclass.

.. code-block:: python

    from metatrain.testing import GraphModelTests

    class TestMine(GraphModelTests):
        architecture = "mine"
        model_hypers = {"num_layers": 1}
"""

from metatrain.testing.architecture import ArchitectureTests
from metatrain.testing.graph_model import GraphModelTests

__all__ = ["ArchitectureTests", "GraphModelTests"]
