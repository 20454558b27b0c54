"""`mtt export`: a model becomes a file that simulation engines load, and proves itself."""

import inspect
from pathlib import Path
from typing import Any

import torch
from metatomic.torch import AtomisticModel, ModelMetadata
from omegaconf import OmegaConf

from metatrain import __version__
from metatrain.checkpoint import RunRecord
from metatrain.errors import MetatrainError
from metatrain.export.process import FreshProcess
from metatrain.export.proof import prove, prove_folding
from metatrain.files import replacing
from metatrain.log import logger, logging_to_console
from metatrain.model import GraphModel
from metatrain.plugins import Architecture
from metatrain.workflows.checkpoints import Checkpoint
from metatrain.workflows.files import (
    check_extensions_folder,
    check_model_name,
)
from metatrain.workflows.metadata import read_metadata


def export(
    path: Path,
    output: Path | None,
    *,
    extensions: Path | None,
    metadata: Path | None,
    dtype: str | None,
    architecture: str | None,
) -> None:
    """Export the model of a checkpoint.

    :param path: the checkpoint
    :param output: the file to write; ``None`` takes the checkpoint's name with ``.pt``
    :param extensions: folder to collect TorchScript extensions in
    :param metadata: YAML file with what the exported model shall say of itself
    :param dtype: ``"float32"`` exports all in float32
    :param architecture: ``module:Thing`` that wrote the checkpoint, if that is not installed
    """
    with logging_to_console():
        name = path.name.removesuffix(".gz").removesuffix(".ckpt")
        saved = Checkpoint.of(path, trusted=architecture)
        _export(saved, output or Path(f"{name}.pt"), extensions, metadata, dtype)


def _export(
    saved: Checkpoint,
    output: Path,
    extensions: Path | None,
    metadata: Path | None,
    dtype: str | None,
) -> None:
    check_model_name(output)
    check_extensions_folder(extensions)
    extra = {} if metadata is None else read_metadata(metadata)
    described = describe(saved.architecture, saved.run, extra)
    with FreshProcess() as process:
        write(saved.model(), output, extensions, described, process=process, dtype=dtype)


def write(
    model: Any,
    output: Path,
    extensions: Path | None,
    metadata: ModelMetadata,
    *,
    process: FreshProcess,
    dtype: str | None = None,
) -> None:
    """Export to a file that is only there once it has proven itself in a fresh process.

    :param model: of any architecture
    :param process: started as early as may be, as it imports while the model is compiled here
    """
    with replacing(output) as temporary:
        exported = with_metadata(model, metadata, dtype)
        exported.save(temporary, collect_extensions=extensions and str(extensions))
        agreement = prove(process, temporary, exported, extensions)
        if isinstance(model, GraphModel):
            prove_folding(model)
    logger.info(
        "exported to %s; loaded in a fresh process: values agree to %.0e, forces and stress "
        "to %.0e, finite differences to %.0e",
        output,
        agreement.value,
        agreement.gradient,
        agreement.difference,
    )


def with_metadata(model: Any, metadata: ModelMetadata, dtype: str | None = None) -> AtomisticModel:
    """The model as engines will see it.

    :param model: of any architecture
    :param dtype: ``None`` leaves the choice to the architecture
    """
    exported = _exported(model, dtype)
    # All of it, not the module inside: its capabilities also name outputs as engines once did,
    # which the module inside does not know.
    return AtomisticModel(exported, metadata, exported.capabilities())


def _exported(model: Any, dtype: str | None) -> AtomisticModel:
    if dtype is None:
        return model.export()
    if "dtype" not in inspect.signature(model.export).parameters:
        raise MetatrainError(
            f"--dtype: {type(model).__name__} does not let one choose; leave it out."
        )
    return model.export(dtype=getattr(torch, dtype))


def describe(
    architecture: Architecture, run: RunRecord | None, extra: dict[str, Any]
) -> ModelMetadata:
    """What the exported model says of itself.

    :param architecture: gives authors and references
    :param run: gives what it was trained on and with, where that is known
    :param extra: what the user adds; lists are joined
    """
    references = {"architecture": list(architecture.references)}
    for kind, entries in extra.get("references", {}).items():
        references[kind] = references.get(kind, []) + list(entries)
    return ModelMetadata(
        name=extra.get("name", f"{architecture.name} trained with metatrain"),
        description=extra.get("description", ""),
        authors=list(extra.get("authors", [])) + [name for name, _ in architecture.authors],
        references=references,
        extra={
            **{str(key): str(value) for key, value in extra.get("extra", {}).items()},
            "architecture": f"{architecture.name} {architecture.version}",
            **({} if run is None else _described_run(run)),
        },
    )


def _described_run(run: RunRecord) -> dict[str, str]:
    return {
        "trained_with": f"metatrain {__version__}, torch {torch.__version__}",
        "trained_on": ", ".join(_files_of(run)),
        "options": run.options,
    }


def _files_of(run: RunRecord) -> list[str]:
    options: Any = OmegaConf.to_container(OmegaConf.create(run.options))
    sets = options["training_set"]
    sets = sets if isinstance(sets, list) else [sets]
    return list(dict.fromkeys(Path(one["systems"]["read_from"]).name for one in sets))
