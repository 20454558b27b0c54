"""Losses, and how an options file asks for them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from metatrain import plugins
from metatrain.data.target import Target
from metatrain.errors import MetatrainError, did_you_mean
from metatrain.hypers import hyper, with_options


@dataclass(frozen=True)
class MSE:
    """Squared error."""

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Loss of each element, of the shape of ``target``."""
        return (prediction - target).square()


@dataclass(frozen=True)
class MAE:
    """Absolute error."""

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Loss of each element, of the shape of ``target``."""
        return (prediction - target).abs()


@dataclass(frozen=True)
class Huber:
    """Squared error below ``delta``, linear above: (e²/2, δ(|e| − δ/2)).

    :param delta: where it turns linear, in units of the target's scale
    """

    delta: float = hyper(1.0, "error at which the loss turns linear", above=0.0)

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Loss of each element, of the shape of ``target``."""
        error = (prediction - target).abs()
        inner = error.clamp(max=self.delta)
        return inner * (error - 0.5 * inner)


@dataclass(frozen=True)
class LossTerm:
    """One term of the loss: a loss plug-in with its options, and its weight.

    :param type: name of the loss plug-in
    :param weight: factor of this term in the sum
    :param reduction: ``"mean"`` or ``"sum"`` over the elements with a label
    :param options: the plug-in's own options
    :param gradients: terms for ``positions`` (forces) and ``strain`` (stress)
    """

    type: str = "mse"
    weight: float = 1.0
    reduction: str = "mean"
    options: dict[str, Any] = field(default_factory=dict)
    gradients: dict[str, "LossTerm"] = field(default_factory=dict)

    def build(self) -> Any:
        """The loss itself: a callable of prediction and target."""
        where = "architecture.training.loss"
        return with_options(plugins.load("losses", self.type, where), self.options, where)

    def as_container(self) -> dict[str, Any]:
        """The form that an options file has."""
        container = {"type": self.type, "weight": self.weight, "reduction": self.reduction}
        container |= self.options
        if self.gradients:
            container["gradients"] = {k: v.as_container() for k, v in self.gradients.items()}
        return container


GRADIENT_SHORTHANDS = {"forces": "positions", "stress": "strain", "virial": "strain"}


def expand(asked: Any, targets: Mapping[str, Target]) -> dict[str, LossTerm]:
    """The terms of the loss, from what stands under ``architecture.training.loss``.

    :param asked: a name for all terms; or a mapping from target to a name, or to
        ``{type, weight, reduction, gradients: {positions, strain}}`` with the plug-in's own
        options beside, and ``forces``, ``stress``, ``virial`` for the gradients
    :param targets: the targets of the training set
    :return: a term for every target, with one for each gradient the target has
    """
    where = "architecture.training.loss"
    if isinstance(asked, str):
        return {name: _term(asked, asked, target, where) for name, target in targets.items()}
    if not isinstance(asked, Mapping):
        raise MetatrainError(
            f"{where}: {asked!r} is no loss; write a name, such as 'mse', or one per target."
        )
    unknown = [name for name in asked if name not in targets]
    if unknown:
        raise MetatrainError(
            f"{where}.{unknown[0]}: no such target{did_you_mean(str(unknown[0]), targets) or ';'} "
            f"the training set has: {', '.join(targets)}."
        )
    return {
        name: _term(asked.get(name, "mse"), "mse", target, f"{where}.{name}")
        for name, target in targets.items()
    }


def _term(asked: Any, default: str, target: Target, where: str) -> LossTerm:
    given = {"type": asked} if isinstance(asked, str) else asked
    if not isinstance(given, Mapping):
        raise MetatrainError(f"{where}: {asked!r} is no loss; write a name or a mapping.")
    given = dict(given)
    asked_gradients = given.pop("gradients", {})
    if not isinstance(asked_gradients, Mapping):
        raise MetatrainError(
            f"{where}.gradients: {asked_gradients!r} is no mapping; write "
            "{positions: NAME, strain: NAME}."
        )
    asked_gradients = dict(asked_gradients)
    for shorthand, gradient in GRADIENT_SHORTHANDS.items():
        if shorthand in given:
            if gradient in asked_gradients:
                raise MetatrainError(
                    f"{where}.{shorthand}: the loss of '{gradient}' is given twice; keep one."
                )
            asked_gradients[gradient] = given.pop(shorthand)
    for gradient in asked_gradients:
        if gradient not in target.gradients:
            known = ", ".join(target.gradients) or "none"
            raise MetatrainError(
                f"{where}.gradients.{gradient}: target {target.name!r} has no such gradient in "
                f"the training set; it has: {known}."
            )
    term = _single(given, where, is_gradient=False)
    gradients = {
        name: _single(
            asked_gradients.get(name, default), f"{where}.gradients.{name}", is_gradient=True
        )
        for name in target.gradients
    }
    return replace(term, gradients=gradients)


def _single(asked: Any, where: str, *, is_gradient: bool) -> LossTerm:
    given = {"type": asked} if isinstance(asked, str) else asked
    if not isinstance(given, Mapping):
        raise MetatrainError(f"{where}: {asked!r} is no loss; write a name or a mapping.")
    options = dict(given)
    name = options.pop("type", "mse")
    weight = options.pop("weight", 1.0)
    reduction = options.pop("reduction", "mean")
    # written so that NaN fails
    if not (_is_number(weight) and 0 <= weight < math.inf):
        raise MetatrainError(f"{where}.weight: {weight!r} is no weight; use a number >= 0.")
    if reduction not in ("mean", "sum"):
        raise MetatrainError(f"{where}.reduction: {reduction!r} is unknown; use 'mean' or 'sum'.")
    loss = plugins.load("losses", name, f"{where}.type")
    known = ["type", "weight", "reduction", *getattr(loss, "__dataclass_fields__", ())]
    if not is_gradient:
        known += ["gradients", *GRADIENT_SHORTHANDS]
    for option in options:
        if option not in known:
            raise MetatrainError(
                f"{where}.{option}: unknown option of loss {name!r}"
                f"{did_you_mean(str(option), known) or ';'} allowed: {', '.join(known)}."
            )
    with_options(loss, options, where)
    return LossTerm(name, float(weight), reduction, options)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
