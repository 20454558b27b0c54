"""One trainer for many architectures, each with defaults of its own."""

import dataclasses
from typing import Any

from metatrain.training.trainer import GradientTrainer


def trainer_with_defaults(**defaults: Any) -> type[GradientTrainer]:
    """The gradient trainer, with other values for options that the user does not give.

    .. code-block:: python

        __trainer__ = trainer_with_defaults(batch_size=16, learning_rate=1e-4)

    :param defaults: values by name of the option
    """
    known = {field.name: field for field in dataclasses.fields(GradientTrainer.Hypers)}
    fields = [
        (name, known[name].type, dataclasses.field(default=value, metadata=known[name].metadata))
        for name, value in defaults.items()
    ]
    hypers = dataclasses.make_dataclass(
        GradientTrainer.Hypers.__name__,
        fields,
        bases=(GradientTrainer.Hypers,),
        namespace={"__doc__": GradientTrainer.Hypers.__doc__},
        frozen=True,
    )
    body = {"Hypers": hypers, "__doc__": GradientTrainer.__doc__}
    return type(GradientTrainer.__name__, (GradientTrainer,), body)
