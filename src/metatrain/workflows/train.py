"""`mtt train`: from an options file to an exported model and its errors."""

import dataclasses
import functools
import json
import random
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from metatomic.torch import load_atomistic_model
from omegaconf import OmegaConf

from metatrain import __version__, checkpoint
from metatrain.data.dataset import Dataset
from metatrain.data.target import DatasetInfo
from metatrain.errors import Interrupted, MetatrainError
from metatrain.evaluation import Predictor, errors_of
from metatrain.log import logger, logging_to_console, logging_to_file
from metatrain.metrics import ErrorSums, MetricNames
from metatrain.options import Options, parse
from metatrain.seeds import stream_seed
from metatrain.workflows import export
from metatrain.workflows.files import (
    check_extensions_folder,
    check_is_checkpoint,
    check_model_name,
    check_writable,
    new_run_folder,
    newest_checkpoint,
)
from metatrain.workflows.machine import bits_of, negotiate_device, negotiate_dtype
from metatrain.workflows.parts import Parts, log_census, read_parts

EVALUATION_BATCH_SIZE = 8


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
        _train(options, output, extensions, restart)


def _train(options: Options, output: Path, extensions: Path | None, restart: str | None) -> None:
    start = None if restart is None else _Start.of(restart, options)
    plugin = options.architecture.plugin
    device = negotiate_device(options.device, plugin)
    dtype = negotiate_dtype(options.base_precision, plugin)
    seed = _seed(options, start)

    folder = new_run_folder()
    with logging_to_file(folder / "train.log"):
        logger.info("metatrain %s, %s; this run is in %s", __version__, plugin.name, folder)
        for note in options.notes:
            logger.warning("%s", note)
        parts = read_parts(options, seed, None if start is None else start.run)
        if options.print_stats:
            log_census(parts)
        options = _completed(options, parts.info, seed=seed, device=device, dtype=dtype)
        options.write(folder / "options.yaml")
        (folder / "split.json").write_text(json.dumps(parts.splits))
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
        )
        with checkpoint.recording(run), _going_on_from(folder / "model.ckpt"):
            model = _fit(options, parts, _Resources(device, dtype, seed, folder), start)
            export.write(model, folder / "model.pt", extensions, export.describe(plugin, run, {}))
            _copy(folder, output)
            if options.final_eval:
                _report(parts, device, folder)
        logger.info("exported model: %s", output)


@contextmanager
def _going_on_from(path: Path) -> Iterator[None]:
    """Within this context Ctrl-C tells of the trained model, once it is there."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if not path.exists():
            raise
        raise Interrupted(signal.SIGINT, path) from stop


def _copy(folder: Path, output: Path) -> None:
    """Put the exported model, and the checkpoint beside it, where the user wants them."""
    if output.resolve() == (folder / "model.pt").resolve():
        return
    for name in ("model.pt", "model.ckpt"):
        copy = functools.partial(shutil.copyfile, folder / name)
        checkpoint.replace_file(output.with_suffix(Path(name).suffix), copy)


@dataclasses.dataclass(frozen=True)
class _Resources:
    device: torch.device
    dtype: torch.dtype
    seed: int
    folder: Path


@dataclasses.dataclass(frozen=True)
class _Start:
    """Where a restarted run goes on.

    :param path: the checkpoint
    :param run: the run that wrote it
    :param options: its complete options
    """

    path: Path
    run: checkpoint.RunRecord
    options: dict[str, Any]

    @classmethod
    def of(cls, restart: str, options: Options) -> "_Start":
        """Read the checkpoint, and check that it belongs to the options."""
        path = newest_checkpoint() if restart == "auto" else Path(restart)
        check_is_checkpoint(path)
        run = checkpoint.run_record(path, checkpoint.load(path))
        if run.architecture["name"] != options.architecture.name:
            raise MetatrainError(
                f"--restart {path}: is a checkpoint of {run.architecture['name']!r}, but the "
                f"options ask for {options.architecture.name!r}."
            )
        stored: Any = OmegaConf.to_container(OmegaConf.create(run.options))
        given = options.as_container()
        _check_unchanged(
            given["architecture"]["model"],
            stored["architecture"]["model"],
            "architecture.model",
            f"in the run of --restart {path}; a restart needs the same model",
        )
        for name in ("validation_set", "test_set"):
            if isinstance(given[name], float) or isinstance(stored[name], float):
                _check_unchanged(
                    given[name],
                    stored[name],
                    name,
                    f"in the run of --restart {path}, whose split is used again; a new split "
                    "needs a new run",
                )
        return cls(path, run, stored)


def _check_unchanged(now: Any, before: Any, where: str, reason: str) -> None:
    """Refuse options that differ from those of the run that is restarted."""
    is_same_kind = isinstance(now, dict) and isinstance(before, dict)
    before, now = (_flat(before), _flat(now)) if is_same_kind else ({"": before}, {"": now})
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            raise MetatrainError(
                f"{where}{key}: is {now.get(key)!r}, but {before.get(key)!r} {reason}."
            )


def _flat(section: Any, key: str = "") -> dict[str, Any]:
    """A nested section as one level, with keys such as ``.soap.cutoff.radius``."""
    if not isinstance(section, dict):
        return {key: section}
    flat: dict[str, Any] = {}
    for name, value in section.items():
        flat |= _flat(value, f"{key}.{name}")
    return flat


def _seed(options: Options, start: _Start | None) -> int:
    if options.seed is not None:
        return options.seed
    if start is not None:
        return int(start.options["seed"])
    return random.SystemRandom().randrange(2**31)


def _completed(
    options: Options, info: DatasetInfo, *, seed: int, device: torch.device, dtype: torch.dtype
) -> Options:
    """The options with what only the data, the machine and the run could say."""
    hypers, trainer = options.architecture.training, options.architecture.plugin.trainer_class
    if getattr(hypers, "seed", seed) is None:
        hypers = dataclasses.replace(hypers, seed=seed)
    if hasattr(trainer, "complete_hypers"):
        hypers = trainer.complete_hypers(hypers, info.targets)
    architecture = dataclasses.replace(
        options.architecture, training=hypers, atomic_types=tuple(info.atomic_types)
    )
    return options.resolved(
        architecture=architecture, seed=seed, device=str(device), base_precision=bits_of(dtype)
    )


def _fit(options: Options, parts: Parts, resources: _Resources, start: _Start | None) -> Any:
    """The trained model; its checkpoint is ``model.ckpt`` in the run's folder."""
    plugin = options.architecture.plugin
    torch.manual_seed(stream_seed(resources.seed, "initialisation"))
    if start is None:
        model = plugin.model_class(options.architecture.model, parts.info)
        trainer = plugin.trainer_class(options.architecture.training)
    else:
        logger.info("going on from %s", start.path)
        model = plugin.model_class.load_checkpoint(start.path).restart(parts.info)
        trainer = plugin.trainer_class.load_checkpoint(start.path, options.architecture.training)
    requests: list[Any] = getattr(model, "requested_neighbor_lists", list)()
    datasets = {
        part: [
            Dataset(
                columns,
                parts.info.targets,
                resources.dtype,
                length_unit=parts.info.length_unit,
                neighbor_lists=requests,
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
    return model


def _report(parts: Parts, device: torch.device, folder: Path) -> None:
    """Errors of the exported file on the sets it did not learn from."""
    predictor = Predictor(
        load_atomistic_model(folder / "model.pt"),
        parts.info.targets,
        length_unit=parts.info.length_unit,
        device=device,
        batch_size=EVALUATION_BATCH_SIZE,
    )
    report = {}
    for part in ("validation", "test"):
        columns = parts.columns[part]
        if len(columns) == 0:
            continue
        errors = ErrorSums()
        for rows in torch.arange(len(columns)).split(1000):
            some = columns.select(rows)
            errors_of(predictor(some), some, parts.info.targets, errors)
        report[part] = MetricNames.of(parts.info).summary(errors)
        for name, summary in report[part].items():
            logger.info(
                "%s %s: RMSE %.4g, MAE %.4g %s",
                part,
                name,
                summary["rmse"],
                summary["mae"],
                summary["unit"],
            )
    text = json.dumps(report, indent=2)
    (folder / "report.json").write_text(text + "\n")
