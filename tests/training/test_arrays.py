import dataclasses

import numpy as np
import pytest

from kit.config import Conv1DConfig, FeatureConfig, SegmentConfig, SplitConfig, TrainConfig
from kit.errors import ConfigError, KitError, UsageError
from kit.training import fit_arrays, restore, track_log_probabilities
from kit.training.arrays import label_names

MODEL = Conv1DConfig(channels=(8,), kernel_size=3, dense=8, dropout=0.1, norm_momentum=0.5)
TRAIN = TrainConfig(epochs=8, batch_size=8, learning_rate=3e-2)
N = 40


def data(seed=0, frames=24, dtype=np.float32):
    """Two classes that differ in the level of one band, and a group for each four items."""
    y = np.arange(N) % 2
    x = np.random.default_rng(seed).normal(-40, 5, (N, frames, 6))
    x[y == 1, :, 3] += 12
    groups = [f"artist {i % 2} {i // 8}" for i in range(N)]
    return x.astype(dtype), y, groups


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    x, y, groups = data()
    return fit(tmp_path_factory.mktemp("arrays"), x, y, groups=groups)


def fit(runs, x, y, **more):
    return fit_arrays(x, y, model=MODEL, train=TRAIN, runs=runs, **more)


def test_a_run_like_any_other(run):
    x, y, groups = data()
    assert run.folder.parent.name == "arrays"
    assert run.finished()
    assert run.experiment().segments.frames == 24  # a whole item
    assert run.experiment().split.by == "group"
    assert run.facts()["kind"] == "arrays"
    assert run.facts()["kept_apart"]["values"] == 10
    parts = run.split()
    assert parts["track_id"].tolist() == [f"{i:02d}" for i in range(N)]
    assert (parts["label"] == y.astype(str)).all()
    sides = parts.assign(group=groups).groupby("group")["part"].nunique()
    assert (sides == 1).all()
    restored = restore(run.folder)
    assert (restored.labels, restored.n_mels, restored.from_arrays) == (("0", "1"), 6, True)
    scores = track_log_probabilities(restored.segment_scores(x, np.full(N, 24, np.int32)).segments)
    test = (parts["part"] == "test").to_numpy()
    assert (scores.argmax(1) == y)[test].mean() > 0.8


def test_the_same_arrays_are_the_same_run(run):
    runs = run.folder.parent.parent
    x, y, groups = data()
    assert fit(runs, x, y, groups=groups) == run
    assert fit(runs, x.tolist(), y.tolist(), groups=np.array(groups)) != run  # float64
    others = (
        (data(1)[0], y, groups),
        (x, 1 - y, groups),
        (x, y, [g[::-1] for g in groups]),
    )
    for other in others:
        assert fit(runs, other[0], other[1], groups=other[2]) != run


class StopError(Exception):
    pass


def test_interrupted_and_resumed_ends_the_same(run, tmp_path):
    x, y, groups = data()

    def stop(progress):
        if progress.step == 7:
            raise StopError

    with pytest.raises(StopError):
        fit(tmp_path, x, y, groups=groups, progress=stop)
    again = fit(tmp_path, x, y, groups=groups)
    one, two = (
        [{**row, "seconds": 0, "segments_per_s": 0} for row in r.metrics()] for r in (run, again)
    )
    assert one == two


def test_a_memory_map_and_integers(tmp_path):
    x, y, groups = data(dtype=np.int8)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    run = fit(tmp_path / "runs", mapped, y, groups=groups)
    assert fit(tmp_path / "runs", x, y, groups=groups) == run


def test_items_of_several_lengths(tmp_path):
    """What lies behind the valid frames is never read, whatever it is."""
    x, y, groups = data()
    frames = np.full(N, 24)
    frames[::3] = 10
    x[::3, 10:] = np.nan
    run = fit(tmp_path, x, y, groups=groups, frames=frames)
    assert run.experiment().segments.frames == 10
    zeros = np.nan_to_num(x)
    assert fit(tmp_path, zeros, y, groups=groups, frames=frames) == run


def test_without_groups_each_item_is_its_own_and_copies_stay_together(tmp_path):
    x, y, _ = data()
    x[20:] = x[:20]
    run = fit(tmp_path, x, y, split=SplitConfig(test_fraction=0.3))
    assert run.experiment().split == SplitConfig(by="track", test_fraction=0.3)
    parts = run.split()["part"].to_numpy()
    np.testing.assert_array_equal(parts[:20], parts[20:])


def test_the_front_end_that_made_them(tmp_path):
    x, y, groups = data()
    features = FeatureConfig(n_frames=24, clip_s=1.0, least_s=None)
    frontend = dataclasses.replace(features.frontend, n_mels=6)
    features = dataclasses.replace(features, frontend=frontend)
    run = fit(tmp_path, x, y, groups=groups, features=features)
    restored = restore(run.folder)
    assert not restored.from_arrays
    assert restored.experiment.features == features
    with pytest.raises(ConfigError, match="24 frames of 128 mel bands, and x has 24 of 6"):
        fit(tmp_path, x, y, features=FeatureConfig(n_frames=24, clip_s=1.0))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": np.zeros((N, 24))}, r"x has shape \(40, 24\); give \(n, frames, n_mels\)"),
        ({"x": np.zeros((0, 24, 6))}, r"x has shape \(0, 24, 6\)"),
        ({"x": np.zeros((N, 24, 6), complex)}, "x holds complex128; give floats or integers"),
        ({"y": [0, 1]}, "y has 2 entries for 40 items in x"),
        ({"y": [0.5] * N}, r"y has 0\.5; give labels as names or as integers"),
        ({"y": np.zeros((N, 2), int)}, r"y has shape \(40, 2\)"),
        ({"y": ["a"] * N}, "1 label"),
        ({"labels": ["a"]}, "y has 1, which is not an index of the 1 labels"),
        ({"labels": ["a", "b", "c"]}, "no item has the label 'c'"),
        ({"groups": ["a"]}, "groups has 1 entries for 40 items"),
        ({"groups": ["a", "b"] * 20}, "label '0' has only 1 group"),
        ({"frames": [3] * N + [4]}, "frames has 41 entries"),
        ({"frames": [25] * N}, r"frames\[0\] is 25; it must lie between 1 and 24"),
        ({"frames": [2.0] * N}, "give one integer an item"),
        (
            {"frames": [24] * (N - 1) + [3], "segments": SegmentConfig(frames=8)},
            r"x\[39\] has 3 valid frames, fewer than a segment \(SegmentConfig.frames is 8\)",
        ),
        ({"segments": SegmentConfig(frames=25)}, "SegmentConfig.frames is 25"),
        ({"name": "a/b"}, "Experiment.name"),
    ],
)
def test_bad_input_is_named_before_anything_is_written(tmp_path, change, words):
    x, y, _ = data()
    given = {"x": x, "y": y, **change}
    with pytest.raises(UsageError, match=words) as caught:
        fit(tmp_path / "runs", given.pop("x"), given.pop("y"), **given)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_values_that_are_not_finite_are_named(tmp_path):
    x, y, _ = data()
    x[7, 3, 2] = np.inf
    with pytest.raises(KitError, match=r"x\[7\] has values that are not finite"):
        fit(tmp_path / "runs", x, y)


@pytest.mark.parametrize(
    ("y", "labels", "names", "order"),
    [
        ([10, 9, 10], None, ["10", "9", "10"], ("9", "10")),
        ([1, 0], ["b", "a"], ["a", "b"], ("b", "a")),
        (["x", "b", "x"], None, ["x", "b", "x"], ("b", "x")),
        (np.array(["x", "b"]), ["x", "b"], ["x", "b"], ("x", "b")),
    ],
)
def test_labels_keep_their_order(y, labels, names, order):
    assert label_names(y, labels) == (names, order)
