"""`mtt train`: from an options file to an exported model and its errors."""

import dataclasses
import json
import random
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from metatrain import __version__, checkpoint
from metatrain.data.dataset import Dataset
from metatrain.data.known_inputs import check_inputs, overlooked
from metatrain.data.periodicity import check_periodicity
from metatrain.data.target import DatasetInfo
from metatrain.errors import Interrupted, MetatrainError, Terminated
from metatrain.export.process import FreshProcess
from metatrain.files import replacing
from metatrain.hypers.mistakes import located
from metatrain.log import logger, logging_to_console, logging_to_file
from metatrain.options import Options, parse
from metatrain.seeds import stream_seed
from metatrain.workflows.files import (
    check_extensions_folder,
    check_model_name,
    check_writable,
    new_run_folder,
)
from metatrain.workflows.machine import bits_of, negotiate_device, negotiate_dtype
from metatrain.workflows.parts import Parts, log_census, read_parts
from metatrain.workflows.restart import FineTuning, Restart, beginning


def train(
    options_path: Path,
    output: Path,
    extensions: Path | None,
    restart: str | None,
    overrides: list[str],
) -> None:
    """Train, export, and report.

    :param options_path: the options file
    :param output: the exported model; the checkpoint beside it has the same name
    :param extensions: folder to collect TorchScript extensions in
    :param restart: a checkpoint to go on from, or ``"auto"`` for the newest
    :param overrides: ``KEY=VALUE`` that replace what stands in the options file
    """
    with logging_to_console():
        options = parse(options_path, overrides)
        check_model_name(output)
        check_writable(output.with_suffix(".ckpt"), "-o")
        check_extensions_folder(extensions)
        with _lines_told(options):
            _train(options, output, extensions, restart)


def _train(options: Options, output: Path, extensions: Path | None, restart: str | None) -> None:
    start = beginning(restart, options)
    if start is not None:
        options = start.completed(options)
    unbroken = start if isinstance(start, Restart) else None
    plugin = options.architecture.plugin
    device = negotiate_device(options.device, plugin)
    dtype = negotiate_dtype(options.base_precision, plugin)
    seed = _seed(options, unbroken)

    folder = new_run_folder()
    with logging_to_file(folder / "train.log"), _lines_told(options):
        logger.info("metatrain %s, %s; this run is in %s", __version__, plugin.name, folder)
        for note in options.notes:
            logger.warning("%s", note)
        parts = read_parts(options, seed, None if unbroken is None else unbroken.run)
        if options.print_stats:
            choice = getattr(options.architecture.training, "atomic_baseline", {})
            if isinstance(start, FineTuning):
                # a trained model brings a baseline, which moves to where it fits best
                choice = {}
            log_census(parts, choice)
        if start is None:
            options = _with_model_for(options, parts.info)
        options = _completed(options, parts.info, seed=seed, device=device, dtype=dtype)
        options.write(folder / "options.yaml")
        with replacing(folder / "split.json") as temporary:
            temporary.write_text(json.dumps(parts.splits))
        logger.info("seed %d, device %s, %s", seed, device, str(dtype).removeprefix("torch."))
        run = checkpoint.RunRecord(
            architecture={
                "name": plugin.name,
                "package": plugin.package,
                "version": plugin.version,
            },
            options=options.complete_yaml(),
            splits=parts.splits,
            num_systems=parts.num_systems,
            fingerprints=parts.fingerprints,
        )
        with checkpoint.recording(run, folder), _going_on_from(folder):
            model = _fit(options, parts, _Resources(device, dtype, seed, folder), start)
            with FreshProcess() as process:
                # It takes half a second to import metatomic; meanwhile the process does the same.
                from metatrain.workflows import export  # noqa: PLC0415

                described = export.describe(plugin, run, {})
                export.write(model, folder / "model.pt", extensions, described, process=process)
            _copy(folder, output)
            if options.final_eval:
                from metatrain.workflows.report import report  # noqa: PLC0415

                report(parts, device, folder)
        logger.info("exported model: %s", output)


@contextmanager
def _lines_told(options: Options) -> Iterator[None]:
    """Within this context errors about options that are found late have their lines, too."""
    try:
        yield
    except MetatrainError as error:
        told = located(options.place, error)
        if told is error:
            raise
        raise told from error


@contextmanager
def _going_on_from(folder: Path) -> Iterator[None]:
    """Within this context a signal tells of the newest checkpoint of the run, if there is one."""
    try:
        yield
    except KeyboardInterrupt as stop:
        for name in ("model.ckpt", "last.ckpt"):
            if (folder / name).exists():
                number = signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT
                raise Interrupted(number, folder / name) from stop
        raise


def _copy(folder: Path, output: Path) -> None:
    """Put the exported model, and the checkpoint beside it, where the user wants them."""
    if output.resolve() == (folder / "model.pt").resolve():
        return
    for name in ("model.pt", "model.ckpt"):
        with replacing(output.with_suffix(Path(name).suffix)) as temporary:
            shutil.copyfile(folder / name, temporary)


@dataclasses.dataclass(frozen=True)
class _Resources:
    device: torch.device
    dtype: torch.dtype
    seed: int
    folder: Path


def _seed(options: Options, restart: Restart | None) -> int:
    if options.seed is not None:
        return options.seed
    if restart is not None:
        return int(restart.options["seed"])
    return random.SystemRandom().randrange(2**31)


def _with_model_for(options: Options, info: DatasetInfo) -> Options:
    """The options with those of a new model completed for its targets."""
    architecture = options.architecture
    complete = getattr(architecture.plugin.model_class, "complete_hypers", None)
    if complete is None:
        return options
    model = complete(architecture.model, info.targets)
    return options.resolved(architecture=dataclasses.replace(architecture, model=model))


def _completed(
    options: Options, info: DatasetInfo, *, seed: int, device: torch.device, dtype: torch.dtype
) -> Options:
    """The options with what only the data, the machine and the run could say."""
    plugin, training = options.architecture.plugin, options.architecture.training
    if getattr(training, "seed", seed) is None:
        training = dataclasses.replace(training, seed=seed)
    if hasattr(plugin.trainer_class, "complete_hypers"):
        training = plugin.trainer_class.complete_hypers(training, info.targets)
    architecture = dataclasses.replace(
        options.architecture,
        training=training,
        atomic_types=tuple(info.atomic_types),
    )
    return options.resolved(
        architecture=architecture, seed=seed, device=str(device), base_precision=bits_of(dtype)
    )


def _fit(
    options: Options, parts: Parts, resources: _Resources, start: Restart | FineTuning | None
) -> Any:
    """The trained model; its checkpoint is ``model.ckpt`` in the run's folder."""
    plugin = options.architecture.plugin
    torch.manual_seed(stream_seed(resources.seed, "initialisation"))
    if start is None:
        model = plugin.model_class(options.architecture.model, parts.info)
        trainer = plugin.trainer_class(options.architecture.training)
    else:
        model, trainer = start.parts(parts.info, options.architecture.training)
    inputs: dict[str, Any] = getattr(model, "requested_inputs", dict)()
    _check_systems(parts, model)
    for overseen in overlooked(parts.columns["training"], inputs):
        logger.warning("the systems differ in %s, which the model does not look at", overseen)
    datasets = {
        part: [
            Dataset(
                columns,
                parts.info.targets,
                resources.dtype,
                length_unit=parts.info.length_unit,
                neighbor_lists=getattr(model, "requested_neighbor_lists", list),
                inputs=inputs,
            )
        ]
        for part, columns in parts.columns.items()
        if len(columns)
    }
    trainer.train(
        model,
        [resources.device],
        datasets["training"],
        datasets.get("validation", []),
        resources.folder,
    )
    trainer.save_checkpoint(resources.folder / "model.ckpt")
    checkpoint.seal(resources.folder / "model.ckpt")
    return model


def _check_systems(parts: Parts, model: Any) -> None:
    """Refuse systems that the model cannot treat, or whose charge it does not know, in any part."""
    leave_out = "leave that system out"
    way_out = f"{leave_out}, or raise the largest one in architecture.model"
    for part, columns in parts.columns.items():
        where = f"{part}_set: "
        check_inputs(columns, getattr(model, "inputs", {}), where=where, way_out=way_out)
        periodicities = getattr(model, "periodicities", range(4))
        check_periodicity(columns, periodicities, where=where, way_out=leave_out)
