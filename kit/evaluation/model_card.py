"""The model card of a run: purpose, training, results and limits.

The headings follow Mitchell et al. (2019), Model Cards for Model Reporting, as far as kit knows the
answers.
"""

import math

from kit import __version__
from kit.config import FeatureConfig, MusicnnConfig, seconds_of, to_dict
from kit.evaluation import words
from kit.evaluation.data_card import NAME as DATA_CARD
from kit.evaluation.data_card import document, items, plain, table
from kit.evaluation.words import Evaluation, measured, number, percent
from kit.models import build
from kit.shallow.recipe import SmallSetConfig
from kit.training import Restored, Run
from kit.weights.musicnn import PACKAGE

NAME = "model-card.md"
_ONE_LABEL = (
    "Every recording gets one of the labels, even music of other genres. The network was not "
    "tested on such music."
)
_SCORES = {
    "mean_average_precision": "Mean average precision",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "roc_auc": "ROC AUC, mean over labels",
    "log_loss": "Log loss",
    "brier": "Brier score",
}


def model_card(run: Run, restored: Restored, evaluation: Evaluation) -> str:
    """Return the model card of a run in Markdown, without lines for unknown facts."""
    labels = ", ".join(map(plain, restored.labels))
    several = bool(evaluation.get("several"))
    answer = "any number of these labels" if several else "one of these labels"
    use = f"To label recordings: `kit predict {run.folder.name} FILE`."
    return document(
        f"Model {plain(run.folder.name)}",
        f"Gives a recording {answer}: {labels}. Written by kit {__version__}.",
        [
            ("Model details", [items(_details(run, restored))]),
            (
                "Intended use",
                [items(["" if restored.from_arrays else use, "" if several else _ONE_LABEL])],
            ),
            ("Training data", [f"See [{DATA_CARD}]({DATA_CARD}).", items(_learning(restored))]),
            (
                "Metrics and results",
                [_scores(evaluation), _by_label(evaluation), _said(evaluation)],
            ),
            ("Calibration", [words.calibrated(evaluation)]),
            ("Caveats", [items(_caveats(evaluation))]),
            ("Licences", [items(_licences(restored))]),
        ],
    )


def _details(run: Run, restored: Restored) -> list[str]:
    experiment = restored.experiment
    name = to_dict(experiment)["model"]["name"].rpartition(":")[2]
    networks = len(run.trainings)
    if isinstance(experiment.model, SmallSetConfig):
        return [
            f"Classifiers that the recipe for small sets chose in {networks} folds, from "
            f"{', '.join(experiment.model.vectors)}.",
        ]
    outputs = experiment.train.outputs(len(restored.labels))
    network = build(experiment.model, n_mels=restored.n_mels, n_classes=outputs)
    size = sum(math.prod(leaf.shape) for leaf in network.shapes()[0].values())
    about = [f"Network: {plain(name)}, {size:,} parameters."]
    if networks > 1:
        about.append(f"{networks} networks: one for each fold and each member.")
    if not restored.from_arrays:
        about.append(_input(experiment.features, experiment.segments.frames))
    return about


def _input(features: FeatureConfig, frames: int) -> str:
    front = features.frontend
    seconds = seconds_of(frames, front)
    if features.keep == "waveform":
        return f"Input: samples at {front.sample_rate} Hz, segments of {seconds:.1f} s."
    return (
        f"Input: {front.n_mels} mel bands of audio at {front.sample_rate} Hz, windows of "
        f"{front.n_fft} samples, {front.hop_length} apart; segments of {frames} frames "
        f"({seconds:.1f} s)."
    )


def _learning(restored: Restored) -> list[str]:
    experiment = restored.experiment
    counts = ", ".join(
        f"{plain(label)} {count}"
        for label, count in zip(restored.labels, restored.train_counts, strict=True)
    )
    train = experiment.train
    passes = "" if isinstance(experiment.model, SmallSetConfig) else f"{train.epochs} epochs, "
    return [f"Training tracks: {counts}.", f"Training: {passes}seed {train.seed}."]


def _scores(evaluation: Evaluation) -> str:
    """Return the scores by track with their intervals; empty for training tracks."""
    if words.seen(evaluation, "train"):
        return ""
    track = evaluation["track"]
    main = "mean_average_precision" if evaluation.get("several") else "accuracy"
    between = {main: track["interval"], **(track.get("intervals") or {})}
    rows = (
        (
            title,
            number(track[name]),
            f"{ends[0]:.3f} to {ends[1]:.3f}" if (ends := between.get(name)) else "–",
        )
        for name, title in _SCORES.items()
        if name in track
    )
    return table((f"{track['n']} {words.noun(evaluation)}", "by track", "95% interval"), rows)


def _by_label(evaluation: Evaluation) -> str:
    each = evaluation["track"].get("per_class") or {}
    rows = (
        (plain(label), row["support"], number(row["precision"]), number(row["recall"]))
        for label, row in each.items()
    )
    return table(("Label", "tracks", "precision", "recall"), rows) if each else ""


def _said(evaluation: Evaluation) -> str:
    of = measured(evaluation)
    track = evaluation["track"]
    guess = ""
    if not evaluation.get("several"):
        label, share = plain(track["majority_label"]), percent(track["majority_accuracy"])
        guess = f"Always answering “{label}” gives {share}."
    return items([guess, words.intervals_in_words(of), words.chance(of), words.by_fold(evaluation)])


def _caveats(evaluation: Evaluation) -> list[str]:
    found = evaluation.get("baselines") or {}
    alone = (evaluation.get("kept_apart") or {}).get("alone")
    return [
        words.verdict(evaluation),
        found.get("best_in_words", ""),
        words.tried(evaluation) if evaluation.get("configurations_tried", 1) > 1 else "",
        words.apart(evaluation) if alone else "",
        "Accuracy on other collections may differ: `kit evaluate RUN --catalogue OTHER --part all` "
        "measures it.",
    ]


def _licences(restored: Restored) -> list[str]:
    model, name = restored.experiment.model, None
    if isinstance(model, SmallSetConfig) or (
        isinstance(model, MusicnnConfig) and model.transfer != "none"
    ):
        name = model.weights
    if name is None:
        return []
    found = [
        f"{name.replace('_', ' ')}: weights of the Python package {PACKAGE}, ISC licence; Pons and "
        "Serra, arXiv 1909.06654."
    ]
    if name == "MSD_musicnn":
        found.append(
            "They were trained on about 200,000 well-known songs of the Million Song Dataset, with "
            "genres among the labels. Accuracy may be too high on music from these songs."
        )
    return found
