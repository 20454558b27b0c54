"""Options of the gradient trainer: what may stand under ``architecture.training``."""

from dataclasses import dataclass
from typing import Any

from metatrain.errors import MetatrainError
from metatrain.hypers import hyper
from metatrain.training.precision import CHOICES

_BASELINES = "'least_squares', 'isolated_atoms', a number, or a number per atomic type"


@dataclass(frozen=True)
class FinetuneHypers:
    """Beginning with the weights of a checkpoint rather than from nothing."""

    read_from: str | None = hyper(
        None, "checkpoint whose weights the run begins with; it has to be given"
    )
    method: str = hyper("full", "what is trained: full, all weights", choices=("full",))

    def __post_init__(self) -> None:
        if self.read_from is None:
            raise MetatrainError(
                "read_from: is missing; name the checkpoint to begin with, or remove 'finetune' to "
                "train from nothing."
            )


@dataclass(frozen=True)
class BatchBudget:
    """The size of a batch by what it costs rather than by its number of systems."""

    atoms: int | None = hyper(None, "the most atoms of a batch; null: any number", minimum=1)
    pairs: int | None = hyper(
        None,
        "the most pairs of atoms within the cutoff, each counted twice; null: any number",
        minimum=1,
    )

    def __post_init__(self) -> None:
        if self.atoms is None and self.pairs is None:
            raise MetatrainError("needs a number of atoms or of pairs, such as {atoms: 512}.")


@dataclass(frozen=True)
class GradientHypers:
    """Options that every gradient-trained architecture has."""

    batch_size: int | BatchBudget = hyper(
        8,
        "systems per training step, or the most atoms or pairs: {atoms: 512}",
        minimum=1,
        instead_of={"max_atoms_per_batch": "batch_size: {atoms: N}"},
    )
    num_epochs: int = hyper(100, "passes over the training set", minimum=1)
    learning_rate: float = hyper(1e-3, "learning rate after warm-up", above=0.0)
    warmup_fraction: float = hyper(
        0.01,
        "part of all steps in which the learning rate rises linearly",
        minimum=0.0,
        maximum=1.0,
    )
    weight_decay: float = hyper(0.0, "weight decay of the optimizer", minimum=0.0)
    grad_clip_norm: float | None = hyper(
        None, "largest norm of the gradient of all parameters together; null: no limit", above=0.0
    )
    loss: Any = hyper("mse", "a loss, or a mapping from target to loss", plugin="losses")
    optimizer: Any = hyper(
        "adam", "an optimizer, or {type: NAME} with its options beside", plugin="optimizers"
    )
    scheduler: Any = hyper(
        "cosine", "a schedule, or {type: NAME} with its options beside", plugin="schedulers"
    )
    log_interval: int = hyper(1, "epochs between two lines of the log", minimum=1)
    log_mae: bool = hyper(True, "whether the lines of the log show MAE beside RMSE")
    checkpoint_interval: int = hyper(1, "epochs between two checkpoints", minimum=1)
    scale_targets: bool = hyper(True, "whether targets are divided by their scale")
    fixed_scaling_weights: dict[str, float] = hyper(
        {}, "scales of targets that are given rather than fitted"
    )
    atomic_baseline: Any = hyper(
        {},
        "least_squares, isolated_atoms, or per target one of these, a number, or a number "
        "per atomic type",
    )
    per_structure_targets: list[str] = hyper(
        [], "targets whose loss is taken per system rather than per atom"
    )
    augmentation: bool | None = hyper(
        None,
        "whether systems are turned at random in each training step; null: for models that are "
        "not rotation-invariant by themselves",
    )
    best_model_metric: str = hyper(
        "rmse_prod",
        "what decides which epoch is best: the product of RMSEs or MAEs, or the loss",
        choices=("rmse_prod", "mae_prod", "loss"),
    )
    num_workers: int | None = hyper(
        None, "threads that prepare batches ahead; null or 0: none", minimum=0
    )
    compile: str = hyper(
        "auto",
        "whether the training step is compiled before the first one; auto: in long runs on the CPU",
        choices=("auto", "on", "off"),
    )
    precision: str = hyper(
        "full",
        "of matrix products in training: tf32 rounds what is multiplied to 10 bits (needs a CUDA GPU), "
        "bf16 what goes into linear layers to bfloat16",
        choices=CHOICES,
    )
    early_stopping_patience: int | None = hyper(
        None, "epochs without improvement after which the run ends; null: never", minimum=1
    )
    ema_decay: float | None = hyper(
        None,
        "decay of the running average of the weights that is validated and kept; null: none",
        above=0.0,
        maximum=1.0,
    )
    finetune: FinetuneHypers | None = hyper(
        None, "begin with the weights of a checkpoint; null: from nothing"
    )
    loggers: list[Any] = hyper(
        ["csv"], "loggers, each a name or {type: NAME} with its options", plugin="loggers"
    )
    seed: int | None = hyper(
        None, "seed of order and randomness in training; null: the run's", minimum=0
    )

    def __post_init__(self) -> None:
        check_baseline(self.atomic_baseline)
        if self.ema_decay == 1.0:
            raise MetatrainError(
                "ema_decay: with 1.0 the average never leaves the weights it starts from; use "
                "less, such as 0.99."
            )
        for name, scale in self.fixed_scaling_weights.items():
            if not scale > 0:
                raise MetatrainError(
                    f"fixed_scaling_weights.{name}: {scale!r} is no scale; use a number above 0."
                )


def check_baseline(asked: Any) -> None:
    """Refuse what ``atomic_baseline`` cannot be."""
    by_target = asked if isinstance(asked, dict) else {"": asked}
    for target, given in by_target.items():
        numbers = list(given.values()) if isinstance(given, dict) else [given]
        types = list(given) if isinstance(given, dict) else []
        if given in ("least_squares", "isolated_atoms") or (
            all(_is_number(number) for number in numbers)
            and all(isinstance(number, int) for number in types)
        ):
            continue
        key = f"atomic_baseline.{target}" if target else "atomic_baseline"
        raise MetatrainError(f"{key}: found {given!r}, expected {_BASELINES}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
