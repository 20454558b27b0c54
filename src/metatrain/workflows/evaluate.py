"""`mtt eval`: predictions and errors of a model on a data set, in constant memory."""

import json
from pathlib import Path
from typing import Any

import torch
from metatomic.torch import AtomisticModel, load_atomistic_model, pick_device

from metatrain import checkpoint
from metatrain.data import writers
from metatrain.data.reading import Units, stream_columns
from metatrain.data.source import DataSource
from metatrain.data.target import DatasetInfo, Target
from metatrain.errors import MetatrainError, did_you_mean
from metatrain.evaluation import Evaluation, Predictor
from metatrain.log import live_line, logger, logging_to_console
from metatrain.metrics import MetricNames
from metatrain.options import parse_evaluation
from metatrain.workflows import export
from metatrain.workflows.files import check_writable


def evaluate(
    path: Path,
    options_path: Path,
    *,
    output: Path,
    batch_size: int,
    device: str | None,
    extensions: Path | None,
) -> None:
    """Predict, write and compare.

    :param path: an exported model, or a checkpoint
    :param options_path: what to predict for
    :param output: file of the predictions
    :param batch_size: systems at a time
    :param device: where to compute; ``None`` takes the model's favourite
    :param extensions: folder with the TorchScript extensions of the model
    """
    with logging_to_console():
        if batch_size < 1:
            raise MetatrainError(f"-b {batch_size}: a batch has at least 1 system.")
        sources = parse_evaluation(options_path)
        check_writable(output, "-o")
        write = writers.find(output, None, "-o")
        model = _load(path, extensions)
        info = _info(model, sources)
        predictor = Predictor(
            model,
            info.targets,
            length_unit=info.length_unit,
            device=torch.device(_device(model, device)),
            batch_size=batch_size,
        )
        evaluation = Evaluation(predictor)
        units = Units(info.length_unit, {name: t.unit for name, t in info.targets.items()})
        with write.open(output) as writer, live_line() as live:
            for source in sources:
                for frames in evaluation.stream(stream_columns(source, units)):
                    writer.write(frames)
                    live.show(f"{evaluation.num_systems} systems")
        _report(evaluation, info, output)


def _load(path: Path, extensions: Path | None) -> AtomisticModel:
    if not path.is_file():
        raise MetatrainError(f"{path}: no such model; name an exported model or a checkpoint.")
    if checkpoint.is_checkpoint(path):
        model, _, _ = export.load_model(path)
        return export.in_memory(model)
    try:
        return load_atomistic_model(path, extensions_directory=extensions and str(extensions))
    except (RuntimeError, ValueError) as error:
        raise MetatrainError(
            f"{path}: is neither an exported model nor a checkpoint, or is damaged."
        ) from error


def _device(model: AtomisticModel, wanted: str | None) -> str:
    supported = model.capabilities().supported_devices
    try:
        return pick_device(supported, wanted)
    except (RuntimeError, ValueError) as error:
        raise MetatrainError(
            f"-d {wanted}: is not on this machine, or not among what the model runs on: "
            f"{', '.join(supported)}."
        ) from error


def _info(model: AtomisticModel, sources: tuple[DataSource, ...]) -> DatasetInfo:
    """What to predict, in the units of the data set: its targets, or else all energies."""
    capabilities = model.capabilities()
    outputs = capabilities.outputs
    targets: dict[str, Target] = {}
    for source in sources:
        for name, asked in source.targets.items():
            if name not in outputs:
                raise MetatrainError(
                    f"{source.where}targets.{name}: the model has no such output"
                    f"{did_you_mean(name, outputs) or ';'} it has {', '.join(outputs)}."
                )
            targets[name] = Target(
                name,
                quantity=asked.quantity,
                unit=asked.unit or outputs[name].unit,
                sample_kind=asked.sample_kind,
                reduction=asked.reduction,
                num_properties=asked.num_subtargets,
                has_forces=asked.forces is not None,
                has_stress=asked.stress is not None or asked.virial is not None,
            )
    if not targets:
        for name, output in outputs.items():
            is_energy = name.split("/")[0] == "energy"
            if is_energy:
                targets[name] = Target(
                    name, "energy", output.unit, has_forces=True, has_stress=True
                )
    return DatasetInfo(sources[0].systems.length_unit, capabilities.atomic_types, targets)


def _report(evaluation: Evaluation, info: DatasetInfo, output: Path) -> None:
    summary: dict[str, Any] = MetricNames.of(info).summary(evaluation.errors)
    for name, of in summary.items():
        logger.info("%s: RMSE %.4g, MAE %.4g %s", name, of["rmse"], of["mae"], of["unit"])
    metrics = output.with_name(f"{output.stem}_metrics.json")
    text = json.dumps({"num_systems": evaluation.num_systems, "errors": summary}, indent=2)
    checkpoint.replace_file(metrics, lambda to: to.write_text(text + "\n"))
    logger.info("%d systems; predictions: %s, metrics: %s", evaluation.num_systems, output, metrics)
