"""A look at the author's code before the first step: what cannot be exported is not trained."""

import inspect
import os
import re
import textwrap
import warnings
from pathlib import Path

import torch
from torch import Tensor

import metatrain
from metatrain.errors import MetatrainError
from metatrain.model import GraphModel
from metatrain.nn.graph import Graph

_LOCATION = re.compile(r'File "(.+?)", line (\d+)')
_NOT_THE_AUTHORS = tuple(
    f"{Path(str(package.__file__)).parent}{os.sep}" for package in (torch, metatrain)
)


def check_scriptable(model: GraphModel) -> None:
    """Refuse a model that TorchScript cannot compile, and so could not be exported.

    It takes one to three tenths of a second, and a mistake would else be found after the training.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.script(model)
    except MemoryError:
        raise
    # TorchScript raises whatever it likes
    except Exception as error:
        said = str(error)
        # what is wrong stands before the first place; places and excerpts of the code follow
        reason = " ".join(said.partition('File "')[0].split()).rstrip(":. ")
        raise MetatrainError(
            f"{type(model).__name__}: cannot be compiled by TorchScript, and so not be exported"
            f"{_place(said)}: {textwrap.shorten(reason, 300)}; annotate arguments and containers "
            "(graph: Graph, Dict[str, Tensor]), see docs/new-architecture.md of metatrain."
        ) from error


def check_values(model: GraphModel, graph: Graph) -> None:
    """Refuse a model whose ``forward`` does not give (N, V) values for each target that is named.

    Gradients stay switched on: features may themselves be derivatives.

    :param graph: some system of the training set
    """
    model.eval()
    targets = inspect.signature(model.forward).parameters.get("targets")
    if targets is not None and targets.default is not None:
        raise MetatrainError(
            f"{type(model).__name__}: the parameter 'targets' of forward has no default; it needs "
            "None, which means all of them."
        )
    values = model(graph)
    for name, target in model.dataset_info.targets.items():
        expected = (len(graph.types), target.num_values)
        if not isinstance(values, dict) or name not in values:
            found = (
                f"only {', '.join(values)}" if isinstance(values, dict) and values else "nothing"
            )
            raise MetatrainError(
                f"{type(model).__name__}: forward gave {found}, expected values {expected} for "
                f"{name!r}, per atom."
            )
        shape = tuple(values[name].shape)
        if shape != expected:
            raise MetatrainError(
                f"{type(model).__name__}: forward gave {shape} for {name!r}, expected {expected}: "
                "one row per atom, and no sum."
            )
    if model.takes_targets():
        names = list(values)
        for wanted in ([], names, *([name] for name in names)):
            _check_targets(model, graph, wanted, values)


def _check_targets(
    model: GraphModel, graph: Graph, wanted: list[str], values: dict[str, Tensor]
) -> None:
    """Refuse a ``forward`` that gives other targets than those named, or other values of them.

    :param values: of all targets
    """
    what = f"{type(model).__name__}: forward with targets={wanted}"
    found = model(graph, wanted)
    if set(found) != set(wanted):
        raise MetatrainError(
            f"{what} gave {', '.join(found) or 'nothing'}, expected the targets that are named."
        )
    for name in wanted:
        if not values[name].allclose(found[name], equal_nan=True):
            raise MetatrainError(f"{what} gave other values of {name!r} than without 'targets'.")


def _place(said: str) -> str:
    """Where in the author's code that is, from the innermost call outwards."""
    found = _LOCATION.findall(said)
    theirs = [each for each in found if not each[0].startswith(_NOT_THE_AUTHORS)]
    return "".join(f", {path}:{line}" for path, line in (theirs or found)[:1])
