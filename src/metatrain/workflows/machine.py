"""Device and precision: what the user wants, the architecture can, and the machine has."""

import torch

from metatrain.errors import MetatrainError, did_you_mean
from metatrain.plugins import Architecture

DEVICES = ("cpu", "cuda", "mps", "gpu")
DTYPES = {16: torch.float16, 32: torch.float32, 64: torch.float64}


def negotiate_device(wanted: str | None, architecture: Architecture) -> torch.device:
    """The device to compute on.

    :param wanted: ``device`` of the options file; ``None`` takes the architecture's
        favourite among those of the machine
    """
    supported = list(architecture.model_class.__supported_devices__)
    usable = [name for name in supported if _is_present(name)]
    if wanted is None:
        if not usable:
            raise MetatrainError(
                f"device: {architecture.name} runs on {', '.join(supported)}, and this machine "
                f"has {', '.join(_present())}."
            )
        return torch.device(usable[0])
    name = wanted.split(":")[0]
    if name not in DEVICES:
        raise MetatrainError(
            f"device: {wanted!r} is unknown{did_you_mean(name, DEVICES) or ';'} "
            f"use one of {', '.join(DEVICES)}."
        )
    candidates = ["cuda", "mps"] if name == "gpu" else [name]
    present = [candidate for candidate in candidates if _is_present(candidate)]
    if not present:
        raise MetatrainError(
            f"device: {wanted!r} is not on this machine; it has {', '.join(_present())}."
        )
    chosen = next((candidate for candidate in present if candidate in supported), None)
    if chosen is None:
        raise MetatrainError(
            f"device: {architecture.name} does not run on {wanted!r}; "
            f"it runs on {', '.join(supported)}."
        )
    return torch.device(wanted if name == chosen else chosen)


def _is_present(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.is_available()
    if device == "mps":
        return torch.backends.mps.is_available()
    return device == "cpu"


def _present() -> list[str]:
    return [name for name in ("cuda", "mps", "cpu") if _is_present(name)]


def negotiate_dtype(wanted: int | None, architecture: Architecture) -> torch.dtype:
    """The precision to compute in.

    :param wanted: ``base_precision`` of the options file, in bits; ``None`` takes the
        architecture's favourite
    """
    supported = list(architecture.model_class.__supported_dtypes__)
    if wanted is None:
        return supported[0]
    if DTYPES[wanted] not in supported:
        bits = sorted(bits for bits, dtype in DTYPES.items() if dtype in supported)
        raise MetatrainError(
            f"base_precision: {architecture.name} does not compute in {wanted} bits; "
            f"it does in {' and '.join(map(str, bits))}."
        )
    return DTYPES[wanted]


def bits_of(dtype: torch.dtype) -> int:
    """``base_precision`` of a dtype."""
    return next(bits for bits, other in DTYPES.items() if other == dtype)
