import dataclasses

import pytest

from kit.config import Experiment, SplitConfig, TrainConfig
from kit.errors import UsageError
from kit.training import fit
from kit.training.stopping import early_stop_in_words, stopped_early


def rows(*accuracies):
    return [
        {"step": 3 * n, "epoch": n, "validation_accuracy": a, "validation_loss": 0.5}
        for n, a in enumerate(accuracies, 1)
    ]


@pytest.mark.parametrize(
    ("accuracies", "patience", "stops"),
    [
        ((), 1, False),
        ((0.5,), 1, False),
        ((0.5, 0.6), 1, False),
        ((0.5, 0.5), 1, True),  # no better
        ((0.5, 0.4, 0.3), None, False),
        ((0.5, 0.6, 0.5, 0.5), 2, True),
        ((0.5, 0.6, 0.5, 0.5), 3, False),
        ((0.5, 0.6, 0.5, 0.7), 2, False),
    ],
)
def test_when_it_stops(accuracies, patience, stops):
    assert stopped_early(rows(*accuracies), patience) is stops


def test_it_says_so_in_one_line():
    experiment = Experiment(train=TrainConfig(epochs=9, patience=2))
    assert early_stop_in_words(rows(0.5, 0.6, 0.5, 0.5), experiment) == (
        "stopped after epoch 4 of 9: no better validation score for 2 epochs; epoch 2 is the best"
    )
    assert early_stop_in_words(rows(0.5, 0.6, 0.5), experiment) is None
    assert early_stop_in_words(rows(*[0.5] * 9), experiment) is None


class StopError(Exception):
    pass


def losses(run):
    return [(row["train_loss"], row["validation_loss"]) for row in run.metrics()]


def test_a_run_stops_and_is_finished(experiment, tmp_path):
    """It is the same training, cut off, also after an interruption; a finished one is found."""
    config = experiment(epochs=12, patience=2)

    def stop(progress):
        if progress.epoch == 2:
            raise StopError

    long = losses(fit(experiment(epochs=12), runs=tmp_path))
    with pytest.raises(StopError):
        fit(config, runs=tmp_path, progress=stop)
    run = fit(config, runs=tmp_path)
    short = losses(run)
    assert 2 < len(short) < 12
    assert short == long[: len(short)]
    assert stopped_early(run.metrics(), 2)
    assert not stopped_early(run.metrics()[:-1], 2)
    assert run.finished()
    steps = []
    assert fit(config, runs=tmp_path, progress=steps.append) == run
    assert steps == []


def test_without_validation_there_is_no_patience(experiment, tmp_path):
    config = dataclasses.replace(
        experiment(patience=2), split=SplitConfig(by="random", validation_fraction=0.0)
    )
    with pytest.raises(UsageError, match=r"TrainConfig.patience is 2.*validation_fraction"):
        fit(config, runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
