"""A restored run applied to audio."""

from kit.predict.model import Model, Probabilities, load

__all__ = ["Model", "Probabilities", "load"]
