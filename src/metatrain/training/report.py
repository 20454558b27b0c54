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
    """One epoch as a line of the log: RMSE and, in parentheses, MAE, of training | validation."""
    parts = [f"epoch {epoch:{len(str(num_epochs))}d}/{num_epochs}"]
    for part in ("training", "validation"):
        if f"{part} loss" in metrics:
            errors = errors_of(part, metrics, show_mae=show_mae)
            parts.append(f"{part}: loss {metrics[f'{part} loss']:.4g}, {errors}")
    return " | ".join(parts)


def errors_of(part: str, metrics: dict[str, float], *, show_mae: bool) -> str:
    """Such as ``energy 1.2 (0.8) meV/atom, forces 35 (21) meV/A``."""
    errors = []
    for column, rmse in metrics.items():
        if column.startswith(part) and " RMSE" in column:
            name, _, unit = column.removeprefix(f"{part} ").partition(" RMSE")
            mae = f" ({metrics[column.replace(' RMSE', ' MAE')]:.3g})" if show_mae else ""
            errors.append(f"{name} {rmse:.4g}{mae}{unit.replace('(', '').replace(')', '')}")
    return ", ".join(errors)
