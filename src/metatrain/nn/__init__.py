"""Building blocks for architectures, all fit for TorchScript and ``make_fx``."""
