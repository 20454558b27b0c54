"""`mtt eval`: predictions and errors of a model on a data set, in constant memory."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from metatomic.torch import AtomisticModel, load_atomistic_model
from omegaconf import OmegaConf

from metatrain import checkpoint
from metatrain.data import writers
from metatrain.data.atomic_types import check_atomic_types
from metatrain.data.columns import Columns
from metatrain.data.frames import Frames
from metatrain.data.known_inputs import check_inputs
from metatrain.data.periodicity import check_periodicity
from metatrain.data.reading import Units, stream_columns
from metatrain.data.source import DataSource, TargetSource
from metatrain.data.target import DatasetInfo, Target
from metatrain.errors import MetatrainError, did_you_mean
from metatrain.evaluation import Evaluation, Predictor, prediction_key
from metatrain.files import replacing
from metatrain.hypers.mistakes import Origin, Place
from metatrain.log import live_line, logger, logging_to_console
from metatrain.metrics import MetricNames
from metatrain.options import parse_evaluation
from metatrain.options.target_type import TargetType, type_of
from metatrain.units import force_unit, stress_unit
from metatrain.workflows import export
from metatrain.workflows.checkpoints import Checkpoint
from metatrain.workflows.files import check_writable
from metatrain.workflows.machine import choose_device
from metatrain.workflows.report import shown


def evaluate(
    path: Path,
    options_path: Path,
    *,
    output: Path,
    batch_size: int,
    device: str | None,
    extensions: Path | None,
    architecture: str | None,
) -> None:
    """Predict, write and compare.

    :param path: an exported model, or a checkpoint
    :param options_path: what to predict for
    :param output: file of the predictions
    :param batch_size: systems at a time
    :param device: where to compute; ``None`` takes the model's favourite
    :param extensions: folder with the TorchScript extensions of the model
    :param architecture: ``module:Thing`` that wrote the checkpoint, if that is not installed
    """
    with logging_to_console():
        if batch_size < 1:
            raise MetatrainError(f"-b {batch_size}: a batch has at least 1 system.")
        sources = parse_evaluation(options_path)
        _check_output(output, sources)
        write = writers.find(output, None, "-o")
        model = _load(path, extensions, architecture)
        info = _info(model, sources)
        predictor = Predictor(
            model,
            info.targets,
            length_unit=info.length_unit,
            device=choose_device(
                device, model.capabilities().supported_devices, who="the model", where="-d"
            ),
            batch_size=batch_size,
        )
        evaluation = Evaluation(predictor)
        units = Units(info.length_unit, {name: t.unit for name, t in info.targets.items()})
        with write.open(output) as writer, live_line() as live:
            for source in sources:
                chunks = _of_known_systems(stream_columns(source, units), model)
                for frames in evaluation.stream(chunks):
                    writer.write(frames)
                    live.show(f"{evaluation.num_systems} systems")
        _report(evaluation, info, output)


def _check_output(output: Path, sources: tuple[DataSource, ...]) -> None:
    """Raise unless predictions and metrics can be written, and nothing is lost by that."""
    check_writable(output, "-o")
    check_writable(_metrics_file(output), "-o")
    for source in sources:
        files = {source.systems.read_from, *(t.read_from for t in source.targets.values())}
        if output.resolve() in {Path(file).resolve() for file in files}:
            raise MetatrainError(f"-o {output}: is the file that is read; name another.")


def _metrics_file(output: Path) -> Path:
    return output.with_name(f"{output.stem}_metrics.json")


def _of_known_systems(
    chunks: Iterator[tuple[Frames, Columns]], model: AtomisticModel
) -> Iterator[tuple[Frames, Columns]]:
    """The same chunks; raises at the first system with something that the model does not know."""
    types = model.capabilities().atomic_types
    # only models of ours tell what they know
    ends = getattr(model.module, "known_inputs", {})
    inputs = {name: range(first, last + 1) for name, (first, last) in ends.items()}
    periodicities = getattr(model.module, "periodicities", range(4))
    for frames, columns in chunks:
        way_out = "leave that system out, or train a model on such "
        check_atomic_types(columns, types, where="", way_out=f"{way_out}atoms")
        check_inputs(columns, inputs, where="", way_out=f"{way_out}systems")
        check_periodicity(columns, periodicities, where="", way_out="leave that system out")
        yield frames, columns


def _load(path: Path, extensions: Path | None, architecture: str | None) -> AtomisticModel:
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "there is no such file"
        raise MetatrainError(f"{path}: {found}; name an exported model (.pt) or a checkpoint.")
    if extensions is not None and not extensions.is_dir():
        raise MetatrainError(f"-e {extensions}: there is no such folder of extensions.")
    if checkpoint.is_checkpoint(path):
        saved = Checkpoint.of(path, trusted=architecture)
        described = export.describe(saved.architecture, saved.run, {})
        return export.with_metadata(saved.model(), described)
    try:
        return load_atomistic_model(path, extensions_directory=extensions and str(extensions))
    except (RuntimeError, ValueError) as error:
        raise MetatrainError(
            f"{path}: is neither an exported model nor a checkpoint, or is damaged."
        ) from error


def _info(model: AtomisticModel, sources: tuple[DataSource, ...]) -> DatasetInfo:
    """What to predict: the targets of the data set in its units, or else all of the model's."""
    capabilities = model.capabilities()
    outputs = capabilities.outputs
    trained = _trained_targets(model)
    targets: dict[str, Target] = {}
    for source in sources:
        for name, asked in source.targets.items():
            if name not in outputs:
                raise MetatrainError(
                    f"{source.key(f'targets.{name}')}: the model has no such output"
                    f"{did_you_mean(name, outputs) or ';'} it has {', '.join(outputs)}."
                )
            if name in trained:
                _check_type(source.key(f"targets.{name}.type"), asked, trained[name])
            target = Target(
                name,
                quantity=asked.quantity,
                unit=asked.unit or outputs[name].unit,
                sample_kind=asked.sample_kind,
                reduction=trained[name].reduction if name in trained else asked.reduction,
                num_properties=asked.num_subtargets,
                rank=asked.rank,
                irreps=asked.irreps,
                has_forces=asked.forces is not None,
                has_stress=asked.stress is not None or asked.virial is not None,
            )
            targets.setdefault(name, target)
    if not targets:
        targets = trained or _energies(outputs)
    return DatasetInfo(sources[0].systems.length_unit, capabilities.atomic_types, targets)


def _check_type(where: str, asked: TargetSource, trained: Target) -> None:
    """Refuse labels that turn in another way than what the model gives."""
    if (asked.rank, asked.irreps) != (trained.rank, trained.irreps):
        raise MetatrainError(
            f"{where}: is {type_of(asked)!r}, but the target of the model is "
            f"{type_of(trained)!r}; write that."
        )


def _trained_targets(model: AtomisticModel) -> dict[str, Target]:
    """The model's targets as its metadata tells; none of a model that was made elsewhere."""
    extra = model.metadata().extra
    if not extra.get("trained_with", "").startswith("metatrain"):
        return {}
    options: Any = OmegaConf.to_container(OmegaConf.create(extra["options"]))
    sets = options["training_set"]
    outputs = model.capabilities().outputs
    targets = {}
    for one in sets if isinstance(sets, list) else [sets]:
        for name, described in one["targets"].items():
            is_energy = described["quantity"] == "energy" and described["sample_kind"] == "system"
            kind = TargetType.read(described["type"], Place(Origin("options of the model")))
            targets[name] = Target(
                name,
                described["quantity"],
                outputs[name].unit,
                sample_kind=described["sample_kind"],
                reduction=described.get("reduction", "sum"),
                num_properties=described["num_subtargets"],
                rank=kind.rank,
                irreps=kind.irreps,
                has_forces=is_energy,
                has_stress=is_energy,
            )
    return targets


def _energies(outputs: dict[str, Any]) -> dict[str, Target]:
    """The energies of a model that does not tell what else its outputs are."""
    energies = {
        name: Target(name, "energy", output.unit, has_forces=True, has_stress=True)
        for name, output in outputs.items()
        if name.partition("/")[0] == "energy"
    }
    if not energies:
        raise MetatrainError(
            f"targets: is missing, and the model has no energy; name what to predict, of "
            f"{', '.join(outputs)}."
        )
    return energies


def _units(info: DatasetInfo) -> dict[str, str]:
    """Units of the predictions that were written, by their names in the file."""
    units = {}
    for name, target in info.targets.items():
        units[name] = target.unit
        if target.has_forces and target.unit:
            forces = prediction_key(name, "forces")
            units[forces] = force_unit(target.unit, info.length_unit)
        if target.has_stress and target.unit:
            stress = prediction_key(name, "stress")
            units[stress] = stress_unit(target.unit, info.length_unit)
    return units


def _report(evaluation: Evaluation, info: DatasetInfo, output: Path) -> None:
    summary: dict[str, Any] = MetricNames.of(info).summary(evaluation.errors)
    for name, of in summary.items():
        logger.info("%s", shown(name, of))
    metrics = _metrics_file(output)
    content = {
        "num_systems": evaluation.num_systems,
        "units": _units(info),
        "errors": summary,
    }
    text = json.dumps(content, indent=2)
    with replacing(metrics) as temporary:
        temporary.write_text(text + "\n")
    logger.info("%d systems; predictions: %s, metrics: %s", evaluation.num_systems, output, metrics)
