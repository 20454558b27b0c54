"""Predictions of an exported model, and how far they are from the labels."""

from metatrain.evaluation.evaluate import Evaluation, errors_of, prediction_key
from metatrain.evaluation.predict import Predictions, Predictor

__all__ = ["Evaluation", "Predictions", "Predictor", "errors_of", "prediction_key"]
