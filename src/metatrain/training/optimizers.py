"""Optimizers: frozen dataclasses that build a torch optimizer."""

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch

from metatrain.errors import MetatrainError
from metatrain.hypers import hyper


def _without_compiler(kind: type[torch.optim.Adam]) -> type[torch.optim.Adam]:
    """The same optimizer, which does not import ``torch._dynamo``.

    torch wraps these methods to tell its compiler to leave them alone. To say so, the wrappers
    import it, which takes a second before the first step.
    """
    told = ("add_param_group", "state_dict", "load_state_dict", "zero_grad")
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in told}
    step = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), methods | {"step": step})


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba, 2014); weight decay is an L2 penalty.

    :param beta1: decay of the mean gradient
    :param beta2: decay of the mean square gradient
    :param epsilon: added to the root of the mean square
    """

    optimizer: ClassVar[type[torch.optim.Adam]] = _without_compiler(torch.optim.Adam)

    beta1: float = hyper(0.9, "decay of the mean gradient", minimum=0.0)
    beta2: float = hyper(0.999, "decay of the mean square gradient", minimum=0.0)
    epsilon: float = hyper(1e-8, "added to the root of the mean square", minimum=0.0)

    def __post_init__(self) -> None:
        for name in ("beta1", "beta2"):
            if not getattr(self, name) < 1.0:
                raise MetatrainError(f"{name}: found {getattr(self, name)}, expected less than 1.")

    def __call__(
        self, parameters: Iterable[torch.nn.Parameter], learning_rate: float, weight_decay: float
    ) -> torch.optim.Optimizer:
        """The optimizer for these parameters."""
        return self.optimizer(
            parameters,
            lr=learning_rate,
            betas=(self.beta1, self.beta2),
            eps=self.epsilon,
            weight_decay=weight_decay,
            fused=True,
        )


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2017)."""

    optimizer: ClassVar[type[torch.optim.Adam]] = _without_compiler(torch.optim.AdamW)
