"""TrainerInterface: what the hub expects of a trainer."""

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import torch

if TYPE_CHECKING:
    from metatrain.data.dataset import Dataset
    from metatrain.model import ModelInterface


@runtime_checkable
class TrainerInterface(Protocol):
    """Fits a model to data, and saves what is needed to go on.

    A trainer need not derive from this class: whatever has these methods is a trainer.
    It may have a frozen dataclass ``Hypers``, whose fields are the options under
    ``architecture.training``.
    """

    def __init__(self, train_hypers: Any) -> None:
        """Take the options; nothing is trained yet."""

    @abstractmethod
    def train(
        self,
        model: "ModelInterface",
        devices: list[torch.device],
        train_datasets: list["Dataset"],
        val_datasets: list["Dataset"],
        checkpoint_dir: Path,
    ) -> None:
        """Train ``model`` in place, leaving in it the weights that are to be used."""

    @abstractmethod
    def save_checkpoint(self, path: Path) -> None:
        """Write all that is needed to go on training, or to use the model."""

    @classmethod
    @abstractmethod
    def load_checkpoint(cls, path: Path, train_hypers: Any) -> Self:
        """A trainer that goes on where the checkpoint was written."""
