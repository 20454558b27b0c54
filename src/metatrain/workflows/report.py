"""The errors of a new model, from the file that was exported."""

import json
from pathlib import Path
from typing import Any

import torch
from metatomic.torch import load_atomistic_model

from metatrain.evaluation import Predictor, errors_of
from metatrain.files import replacing
from metatrain.log import logger
from metatrain.metrics import ErrorSums, MetricNames
from metatrain.workflows.parts import Parts

BATCH_SIZE = 8
CHUNK_SIZE = 1000


def shown(name: str, summary: dict[str, Any]) -> str:
    """Errors as a line of the log: ``forces: RMSE 60.1, MAE 44 meV/A``."""
    text = f"{name}: RMSE {summary['rmse']:.4g}, MAE {summary['mae']:.4g} {summary['unit']}"
    return text.rstrip()


def report(parts: Parts, device: torch.device, folder: Path) -> None:
    """Log, and write to ``report.json``, the errors on the sets that were not learned from.

    :param parts: validation and test set
    :param device: where to compute
    :param folder: of the run, with ``model.pt``
    """
    predictor = Predictor(
        load_atomistic_model(folder / "model.pt"),
        parts.info.targets,
        length_unit=parts.info.length_unit,
        device=device,
        batch_size=BATCH_SIZE,
    )
    summaries = {}
    for part in ("validation", "test"):
        columns = parts.columns[part]
        if len(columns) == 0:
            continue
        errors = ErrorSums()
        for rows in torch.arange(len(columns)).split(CHUNK_SIZE):
            some = columns.select(rows)
            errors_of(predictor(some), some, parts.info.targets, errors)
        summaries[part] = MetricNames.of(parts.info).summary(errors)
        for name, summary in summaries[part].items():
            logger.info("%s %s", part, shown(name, summary))
    with replacing(folder / "report.json") as temporary:
        temporary.write_text(json.dumps(summaries, indent=2) + "\n")
