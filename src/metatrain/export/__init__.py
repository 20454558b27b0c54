"""From a network to the TorchScript model that metatomic engines load, with proof."""

from metatrain.export.module import AtomisticExport
from metatrain.export.names import check_output_name

__all__ = ["AtomisticExport", "check_output_name"]
