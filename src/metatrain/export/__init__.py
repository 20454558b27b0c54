"""From a network to the TorchScript model that metatomic engines load, with proof."""
