"""Comparisons of runs against SciPy, statsmodels' formulas and simulation, and the command."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from kit.cli import main
from kit.errors import UsageError
from kit.evaluation.compare import COLUMNS, Scored, compare, corrected_t, mcnemar
from kit.evaluation.intervals import difference_interval

LABELS = np.array(["techno", "edm"])


def run_of(name, right, *, groups=24, folds=4, seed=0, **config):
    """A run whose answers are right where `right` is."""
    n = len(right)
    artist = np.arange(n) % groups
    label = LABELS[artist % 2]
    predicted = np.where(right, label, LABELS[1 - artist % 2])
    fold = artist % folds if folds else np.full(n, "")
    columns = ([f"t{i:03d}" for i in range(n)], label, artist, fold, predicted)
    tracks = pd.DataFrame(dict(zip(COLUMNS, map(np.asarray, columns), strict=True))).astype(str)
    held_out = 1 / folds if folds else 0.2
    return Scored(name, {"train.seed": seed, "name": name, **config}, tracks, held_out)


def test_a_run_that_is_better_on_every_artist_is_called_better():
    rng = np.random.default_rng(0)
    one, other = rng.random(240) < 0.6, rng.random(240) < 0.9
    found = compare([run_of("a", one), run_of("b", other, width=3)])
    first, second = found.rows
    assert (found.tracks, found.groups) == (240, 24)
    assert first["difference"] is None
    assert second["difference"] == pytest.approx(other.mean() - one.mean())
    assert second["difference_low"] > 0.1
    won, lost = int((other & ~one).sum()), int((one & ~other).sum())
    # Twice the lower tail of a fair coin.
    assert second["mcnemar_p"] == pytest.approx(2 * stats.binom.cdf(lost, won + lost, 0.5))
    assert found.config == {"width": [None, 3]}
    assert found.claims[0].endswith("it is better on such tracks.")
    back = compare([run_of("b", other), run_of("a", one)])
    assert back.claims[0].endswith("it is worse on such tracks.")
    assert back.rows[1]["difference_high"] == pytest.approx(-second["difference_low"], abs=0.01)


def test_few_artists_and_small_differences_make_no_claim():
    rng = np.random.default_rng(1)
    one, other = rng.random(120) < 0.7, rng.random(120) < 0.72
    assert (
        compare([run_of("a", one), run_of("b", other)]).claims[0].endswith("which one is better.")
    )
    good = rng.random(120) < 0.99
    few = compare([run_of("a", one, groups=6, folds=3), run_of("b", good, groups=6, folds=3)])
    assert few.claims[0].endswith("6 groups are too few to call one of them better.")
    same = compare([run_of("a", one), run_of("b", one)])
    assert same.claims[0].endswith("all groups of tracks score alike.")
    assert (same.rows[1]["mcnemar_p"], same.rows[1]["folds_p"]) == (1.0, None)


def test_several_runs_beside_the_first_have_wider_intervals():
    rng = np.random.default_rng(2)
    answers = [rng.random(240) < p for p in (0.6, 0.8, 0.7, 0.7)]
    two = compare([run_of(str(i), a) for i, a in enumerate(answers[:2])]).rows[1]
    four = compare([run_of(str(i), a) for i, a in enumerate(answers)]).rows[1]
    assert four["difference_low"] < two["difference_low"]
    assert four["difference_high"] > two["difference_high"]


def test_the_mean_of_seeds_is_that_of_runs_that_differ_in_nothing_else():
    rng = np.random.default_rng(3)
    runs = [run_of(f"r{s}", rng.random(96) < 0.8, seed=s, rate=0.1) for s in range(3)]
    runs.append(run_of("other", rng.random(96) < 0.8, rate=0.2))
    (said,) = compare(runs).seeds
    each = [(run.tracks["label"] == run.tracks["predicted"]).mean() for run in runs[:3]]
    assert said.startswith(f"3 runs that differ only in their seed: mean {np.mean(each):.1%}, ")
    assert f"deviation {100 * np.std(each, ddof=1):.1f} points" in said


def test_the_corrected_t_is_that_of_nadeau_and_bengio():
    gaps = np.array([0.02, 0.05, -0.01, 0.04, 0.03])
    plain = stats.ttest_1samp(gaps, 0)
    # The variance grows from 1/k to 1/k + tested / learned = 0.2 + 0.25.
    t = plain.statistic * np.sqrt(0.2 / 0.45)
    assert corrected_t(gaps, 0.2) == pytest.approx(2 * stats.t.sf(t, 4))
    assert corrected_t(np.full(5, 0.1), 0.2) is None
    assert corrected_t(np.array([0.1]), 0.2) is None


def test_folds_are_compared_only_where_both_runs_have_the_same():
    rng = np.random.default_rng(4)
    one, other = rng.random(96) < 0.6, rng.random(96) < 0.8
    assert compare([run_of("a", one), run_of("b", other)]).rows[1]["folds_p"] < 0.2
    for folds in (None, 3):
        found = compare([run_of("a", one), run_of("b", other, folds=folds)])
        assert found.rows[1]["folds_p"] is None


def test_the_interval_of_a_difference_covers_the_truth():
    rng = np.random.default_rng(5)
    groups, covered = np.repeat(np.arange(30), 4), []
    for _ in range(150):
        # The same artists are hard for both.
        skill = rng.beta(4, 2, 30)[groups]
        one, other = rng.random(120) < skill, rng.random(120) < np.minimum(skill + 0.1, 1)
        truth = np.minimum(skill + 0.1, 1).mean() - skill.mean()
        low, high = difference_interval(other, one, groups)
        covered.append(low <= truth <= high)
    assert 0.9 <= np.mean(covered) <= 1


def test_equal_answers_have_a_p_of_1():
    right = np.array([True, False, True])
    assert mcnemar(right, right) == 1.0


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([run_of("a", np.ones(8, bool))], "name two or more"),
        (
            [run_of("a", np.ones(8, bool)), run_of("b", np.ones(8, bool), groups=3)],
            "3 tracks have another label in b than in a, such as t003",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(runs, message):
    with pytest.raises(UsageError, match=message):
        compare(runs)


def test_runs_without_a_common_track_are_refused():
    one, other = run_of("a", np.ones(8, bool)), run_of("b", np.ones(8, bool))
    other.tracks["track_id"] = "x" + other.tracks["track_id"]
    with pytest.raises(UsageError, match="no track was scored by all of a, b"):
        compare([one, other])


def write(folder, right, seed):
    """Write the files of a run that `kit compare` reads."""
    scored = run_of("x", right, folds=None)
    tracks = scored.tracks
    folder.mkdir(parents=True)
    split = tracks[["track_id", "label", "group"]].assign(part="test")
    split.to_csv(folder / "split.csv", index=False)
    config = {"experiment": {"name": "x", "train": {"seed": seed}}}
    (folder / "config.json").write_text(json.dumps(config))
    rows = tracks[["track_id", "label", "predicted"]].to_dict("records")
    (folder / "evaluation.json").write_text(json.dumps({"tracks": rows}))


def test_the_command_prints_a_table_and_writes_a_figure(tmp_path, monkeypatch, capfd):
    rng = np.random.default_rng(6)
    for seed in (0, 1):
        write(tmp_path / "runs" / "x" / f"r{seed}", rng.random(96) < 0.8, seed)
    arguments = ["compare", *(str(tmp_path / "runs/x" / name) for name in ("r0", "r1"))]
    monkeypatch.setattr(sys, "argv", ["kit", *arguments, "--out", str(tmp_path / "found")])
    with pytest.raises(SystemExit) as caught:
        main()
    assert not caught.value.code
    said = capfd.readouterr().out
    assert "96 tracks of 24 groups." in said
    assert "train.seed: 0, 1" in said
    assert "2 runs that differ only in their seed" in said
    content = json.loads((tmp_path / "found" / "compare.json").read_text())
    assert [row["run"] for row in content["rows"]] == ["x/r0", "x/r1"]
    assert (tmp_path / "found" / "compare.svg").read_text().startswith("<?xml")
    (tmp_path / "runs/x/r1/evaluation.json").unlink()
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert "r1 is not evaluated; run `kit evaluate" in capfd.readouterr().err
