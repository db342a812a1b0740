"""A restored run applied to audio: one track, many files, a mix."""

from kit.predict.inputs import inputs_of
from kit.predict.many import Prediction, predictions
from kit.predict.model import Model, Probabilities, load

__all__ = ["Model", "Prediction", "Probabilities", "inputs_of", "load", "predictions"]
