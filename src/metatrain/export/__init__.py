"""From a network to the TorchScript model that metatomic engines load, with proof."""

from metatrain.export.module import AtomisticExport

__all__ = ["AtomisticExport"]
