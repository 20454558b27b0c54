"""Runs on a device that does not exist."""

from ada_linear import LinearModel, __authors__, __maintainers__, __trainer__

__all__ = ["__authors__", "__maintainers__", "__model__", "__trainer__"]


class Nowhere(LinearModel):
    """Would run on an engine of brass."""

    __supported_devices__ = ("analytical_engine",)


__model__ = Nowhere
