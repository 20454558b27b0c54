"""What a package must define to be an architecture, and what it lacks."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import torch

from metatrain.hypers.check import unusable_fields

_PEOPLE = ("__authors__", "__maintainers__")
_CONSTANTS = ("__model__", "__trainer__", *_PEOPLE)
_TRAIN = ("model", "devices", "train_datasets", "val_datasets", "checkpoint_dir")


def shortcomings(module: Any) -> list[str]:
    """Everything that an architecture must define and does not, or not as it should.

    :param module: what the entry point of the architecture names
    """
    found = [f"{name} is missing" for name in _CONSTANTS if not hasattr(module, name)]
    found += [
        f'{name} is not a list of ("Name <email>", "@handle")'
        for name in _PEOPLE
        if not _are_people(getattr(module, name, []))
    ]
    if not _are_texts(getattr(module, "__references__", ())):
        found.append("__references__ is not a list of texts")
    for name, check in (("__model__", _lacks_of_model), ("__trainer__", _lacks_of_trainer)):
        if hasattr(module, name):
            thing = getattr(module, name)
            found += check(thing) if isinstance(thing, type) else [f"{name} is not a class"]
    return found


def _lacks_of_model(model: type) -> list[str]:
    """What a class lacks to fulfil ``ModelInterface``."""
    return [
        *_lacks_of_constants(model, "__supported_devices__", '["cuda", "cpu"]', _bad_device),
        *_lacks_of_constants(
            model, "__supported_dtypes__", "[torch.float32, torch.float64]", _bad_dtype
        ),
        *_lacks_of_methods(
            model,
            init=("model_hypers", "dataset_info"),
            of_class={"load_checkpoint": ("path",)},
            of_instance={"restart": ("dataset_info",), "export": ()},
        ),
        *_lacks_of_hypers(model),
    ]


def _lacks_of_trainer(trainer: type) -> list[str]:
    """What a class lacks to fulfil ``TrainerInterface``."""
    return [
        *_lacks_of_methods(
            trainer,
            init=("train_hypers",),
            of_class={"load_checkpoint": ("path", "train_hypers")},
            of_instance={"train": _TRAIN, "save_checkpoint": ("path",)},
        ),
        *_lacks_of_hypers(trainer),
    ]


def _lacks_of_constants(
    model: type, name: str, example: str, complaint: Callable[[Any], str]
) -> list[str]:
    """What is wrong with a list of devices or of dtypes."""
    full_name = f"{model.__name__}.{name}"
    if not hasattr(model, name):
        return [f"{full_name} is missing"]
    values = getattr(model, name)
    if not isinstance(values, list | tuple) or not values:
        return [f"{full_name} is not a list such as {example}"]
    complaints = [complaint(value) for value in values]
    return [f"{full_name} names {text}" for text in complaints if text]


def _bad_device(name: Any) -> str:
    known = "names of torch such as 'cpu', 'cuda', 'mps'"
    if not isinstance(name, str):
        return f"{name!r}, which is no text; devices have {known}"
    try:
        has_index = torch.device(name).index is not None
    except RuntimeError:
        return f"{name!r}, a device that does not exist; devices have {known}"
    return f"{name!r}; write the kind of device alone" if has_index else ""


def _bad_dtype(dtype: Any) -> str:
    # those that base_precision can ask for
    if dtype in (torch.float64, torch.float32, torch.float16):
        return ""
    return f"{dtype!r}, which is none of torch.float64, torch.float32 and torch.float16"


def _lacks_of_methods(
    cls: type,
    *,
    init: tuple[str, ...],
    of_class: dict[str, tuple[str, ...]],
    of_instance: dict[str, tuple[str, ...]],
) -> list[str]:
    """What is missing, of the wrong kind, or does not take what the hub will give."""
    found = [] if _takes(cls, init) else [f"{cls.__name__}{_shown(cls)} does not take {_row(init)}"]
    abstract: frozenset[str] = getattr(cls, "__abstractmethods__", frozenset())
    found += [f"{cls.__name__}.{name} is missing" for name in sorted(abstract)]
    for name, arguments in (of_class | of_instance).items():
        full_name = f"{cls.__name__}.{name}"
        method = getattr(cls, name, None)
        wanted = arguments if name in of_class else ("self", *arguments)
        if name in abstract:
            continue
        if method is None:
            found.append(f"{full_name} is missing")
        elif not callable(method):
            found.append(f"{full_name} is not a method")
        elif name in of_class and not inspect.ismethod(method):
            found.append(f"{full_name} is not a class method")
        elif not _takes(method, wanted):
            found.append(f"{full_name}{_shown(method)} does not take {_row(wanted)}")
    return found


def _takes(function: Callable[..., Any], arguments: tuple[str, ...]) -> bool:
    """Whether a function can be called with that many arguments, one after the other."""
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:
        # some functions made in C do not say what they take
        return True
    return True


def _shown(function: Callable[..., Any]) -> str:
    return _row(tuple(inspect.signature(function).parameters))


def _row(arguments: tuple[str, ...]) -> str:
    return f"({', '.join(arguments)})"


def _lacks_of_hypers(owner: type) -> list[str]:
    """What keeps the options of a model or trainer from being checked."""
    hypers = getattr(owner, "Hypers", None)
    name = f"{owner.__name__}.Hypers"
    if hypers is None:
        return []
    if not (isinstance(hypers, type) and dataclasses.is_dataclass(hypers)):
        return [f"{name} is not a dataclass"]
    if not hypers.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        return [f"{name} is not frozen; write @dataclass(frozen=True)"]
    return [f"{name}.{text}" for text in unusable_fields(hypers)]


def _are_texts(values: Any) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(text, str) for text in values)


def _are_people(people: Any) -> bool:
    return isinstance(people, list | tuple) and all(
        _are_texts(person) and len(person) == 2 for person in people
    )
