"""What is said of an epoch: the number that ranks it, and its line in the log."""

import math

from metatrain.metrics import ErrorSums


def best_metric(kind: str, loss: float, errors: ErrorSums) -> float:
    """The number that decides which epoch is best; smaller is better, and NaN never is.

    What has no label in the validation set counts for nothing.

    :param kind: ``"loss"``, ``"rmse_prod"`` or ``"mae_prod"``
    :param loss: of the validation set
    :param errors: of the validation set
    """
    labelled = [name for name in errors.names if errors.counts[name] > 0]
    if not labelled:
        return math.nan
    if kind == "loss":
        return loss
    of = errors.rmse if kind == "rmse_prod" else errors.mae
    return math.prod(map(of, labelled))


def line(epoch: int, num_epochs: int, metrics: dict[str, float], *, show_mae: bool) -> str:
    """One epoch as a line of the log."""
    parts = [f"epoch {epoch:{len(str(num_epochs))}d}/{num_epochs}"]
    for part in ("training", "validation"):
        shown = [
            f"{name.removeprefix(part + ' ').replace(' RMSE', '')} {value:.4g}"
            for name, value in metrics.items()
            if name.startswith(part) and (show_mae or " MAE" not in name)
        ]
        if shown:
            parts.append(f"{part}: {', '.join(_unit_last(text) for text in shown)}")
    return " | ".join(parts)


def _unit_last(text: str) -> str:
    """``energy (meV/atom) 1.2`` as ``energy 1.2 meV/atom``."""
    if "(" not in text:
        return text
    name, rest = text.split(" (", 1)
    unit, value = rest.split(") ", 1)
    return f"{name} {value} {unit}"
