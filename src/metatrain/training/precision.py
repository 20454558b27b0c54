"""Less than full precision where it is cheap to lose: in matrix products."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from metatrain.errors import MetatrainError
from metatrain.log import logger

CHOICES = ("full", "tf32", "bf16")


def check_precision(asked: str, device: torch.device, dtype: torch.dtype) -> None:
    """Refuse a precision that would change nothing.

    :param asked: one of ``CHOICES``
    """
    if asked != "full" and dtype != torch.float32:
        raise MetatrainError(
            f"architecture.training.precision: {asked!r} is for float32; with base_precision 64 "
            "use 'full'."
        )
    if asked == "tf32" and device.type != "cuda":
        raise MetatrainError(
            f"architecture.training.precision: 'tf32' is for Nvidia GPUs, the device is {device}; "
            "use 'full'."
        )


def tell_of_precision(asked: str) -> None:
    """Say what is computed in less than full precision, if anything is.

    :param asked: one of ``CHOICES``
    """
    if asked == "bf16":
        logger.info(
            "precision bf16: in training, linear layers multiply in bfloat16; all else, and "
            "validation, is float32"
        )
    elif asked == "tf32":
        logger.info("precision tf32: matrix products are computed in TF32; all else is float32")


@contextmanager
def products_in(asked: str) -> Iterator[None]:
    """Within this context matrix products are computed in the precision asked for.

    ``"tf32"``: all those of float32, with factors that are rounded to 10 bits.
    ``"bf16"``: those of linear layers, from factors that are rounded to bfloat16; what comes
    out is float32 again, so that nothing else notices. Weights are never rounded themselves.

    :param asked: one of ``CHOICES``
    """
    if asked == "full":
        yield
    elif asked == "bf16":
        with _LinearInBfloat16():
            yield
    else:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


class _LinearInBfloat16(TorchFunctionMode):
    """Rounds what goes into linear layers to bfloat16."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Any = (),
        kwargs: Any = None,
    ) -> Any:
        given = kwargs or {}
        if func is not torch.nn.functional.linear:
            return func(*args, **given)
        rows = args[0] if args else given["input"]
        if rows.dtype != torch.float32:  # a layer in float64 is so on purpose
            return func(*args, **given)
        rounded = tree_map_only(Tensor, Tensor.bfloat16, (args, given))
        return func(*rounded[0], **rounded[1]).float()
