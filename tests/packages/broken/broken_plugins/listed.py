"""Its options are no dataclass."""

from ada_linear import LinearTrainer, __authors__, __maintainers__, __model__

__all__ = ["__authors__", "__maintainers__", "__model__", "__trainer__"]


class Listed(LinearTrainer):
    """Says its options by their names."""

    Hypers = ("penalties",)


__trainer__ = Listed
