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
    return choose_device(wanted, supported, who=architecture.name, where="device")


def choose_device(
    wanted: str | None, supported: list[str], *, who: str, where: str
) -> torch.device:
    """The device to compute on.

    :param wanted: ``cpu``, ``cuda:1``, or ``gpu`` for whichever there is; ``None`` takes the
        first of ``supported`` that this machine has
    :param supported: what the model runs on, best first
    :param who: what the model is called in messages
    :param where: the option that names the device
    """
    if wanted is None:
        usable = [name for name in supported if _is_present(name)]
        if not usable:
            raise MetatrainError(
                f"{where}: {who} runs on {', '.join(supported)}, and this machine has "
                f"{', '.join(_present())}."
            )
        return torch.device(usable[0])
    name, colon, number = wanted.partition(":")
    if name not in DEVICES or (colon and not number.isdecimal()):
        raise MetatrainError(
            f"{where}: {wanted!r} is unknown{did_you_mean(wanted, DEVICES) or ';'} "
            f"use one of {', '.join(DEVICES)}, or one with a number, such as 'cuda:1'."
        )
    candidates = ["cuda", "mps"] if name == "gpu" else [name]
    present = [candidate for candidate in candidates if _is_present(candidate)]
    if not present or (colon and int(number) >= _count(present[0])):
        raise MetatrainError(
            f"{where}: {wanted!r} is not on this machine; it has {', '.join(_present())}."
        )
    chosen = next((candidate for candidate in present if candidate in supported), None)
    if chosen is None:
        raise MetatrainError(
            f"{where}: {who} does not run on {wanted!r}; it runs on {', '.join(supported)}."
        )
    return torch.device(f"{chosen}{colon}{number}")


def _is_present(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.is_available()
    if device == "mps":
        return torch.backends.mps.is_available()
    return device == "cpu"


def _count(device: str) -> int:
    """How many devices of a kind this machine has."""
    return torch.cuda.device_count() if device == "cuda" else 1


def _present() -> list[str]:
    """The devices of this machine, with their numbers where there are several."""
    return [
        name if _count(name) == 1 else f"{name}:0 to {name}:{_count(name) - 1}"
        for name in ("cuda", "mps", "cpu")
        if _is_present(name)
    ]


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
