"""The gradient trainer with defaults of an architecture."""

import pytest

from metatrain.errors import MetatrainError
from metatrain.hypers import restored
from metatrain.training import GradientTrainer, trainer_with_defaults

Trainer = trainer_with_defaults(batch_size=16, grad_clip_norm=1.0)


def test_given_defaults_replace_those_of_the_trainer_and_no_others():
    hypers = restored(Trainer.Hypers, {"num_epochs": 3})
    usual = restored(GradientTrainer.Hypers, {})
    assert (hypers.batch_size, hypers.grad_clip_norm, hypers.num_epochs) == (16, 1.0, 3)
    assert hypers.learning_rate == usual.learning_rate
    assert usual.batch_size == 8


def test_options_are_checked_as_before():
    with pytest.raises(MetatrainError, match="batch_size: found 0, expected at least 1"):
        restored(Trainer.Hypers, {"batch_size": 0})
    with pytest.raises(MetatrainError, match="ema_decay"):
        restored(Trainer.Hypers, {"ema_decay": 1.0})


def test_it_is_the_same_trainer():
    assert issubclass(Trainer, GradientTrainer)
    assert list(vars(Trainer.Hypers())) == list(vars(GradientTrainer.Hypers()))


def test_an_unknown_option_is_a_mistake_of_the_author():
    with pytest.raises(KeyError, match="batchsize"):
        trainer_with_defaults(batchsize=16)
