"""Evaluation: a run scored, drawn and told."""

from kit.evaluation.evaluate import evaluate

__all__ = ["evaluate"]
