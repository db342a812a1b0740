"""The data card and the model card of a small run, against its files and its numbers."""

import hashlib
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from kit.catalogue import load
from kit.evaluation import evaluate
from kit.evaluation.data_card import data_card, document, items, plain, table
from kit.evaluation.model_card import model_card
from kit.shallow.recipe import small_set
from kit.training import Run, restore


@pytest.fixture(scope="module")
def scored(job, tmp_path_factory):
    """The small job's run, its network, its catalogue and its evaluation."""
    run = Run(shutil.copytree(job.run, tmp_path_factory.mktemp("cards") / "run"))
    return SimpleNamespace(
        run=run,
        network=restore(run.folder),
        catalogue=load(job.catalogue),
        result=evaluate(run, report=False),
    )


def rows_of(text):
    """The cells of every row of every table, by the first cell."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return {cells[0]: cells[1:] for cells in lines}


def test_the_data_card_counts_tracks_and_groups(scored):
    text = data_card(scored.run, scored.result, scored.catalogue)
    split = scored.run.split()
    rows = rows_of(text)
    assert rows["Label"] == ["train", "validation", "test", "all"]
    for label in ("high", "low"):
        of = split[split["label"] == label]
        parts = [of[of["part"] == part] for part in ("train", "validation", "test")]
        assert rows[label] == [f"{len(p)} ({p['group'].nunique()})" for p in (*parts, of)]
    assert rows["all"][-1] == f"16 ({split['group'].nunique()})"
    digest = hashlib.sha256((scored.run.folder / "split.csv").read_bytes()).hexdigest()
    assert digest in text
    assert "The label of each track is the name of a folder" in text
    assert "Formats: FLAC (16 files)." in text
    assert "Sample rates: 8000 Hz (16 files)." in text
    assert "1.3 to 1.3 s a file" in text
    assert "## Rights" not in text  # nothing is known of them
    assert "## Left out" not in text


def test_what_was_stated_of_rights_is_in_the_data_card(scored):
    catalogue = replace(scored.catalogue, notices=("Audio of *one* owner.",))
    text = data_card(scored.run, scored.result, catalogue)
    assert "## Rights\n\n- Audio of \\*one\\* owner." in text


def test_a_genre_tag_is_named_only_where_it_is_the_label_of_each_track(scored):
    table_ = scored.catalogue.table.assign(path="x.flac", genre=scored.catalogue.table["label"])
    text = data_card(scored.run, scored.result, replace(scored.catalogue, table=table_))
    assert "is its genre tag" in text
    table_.loc[0, "genre"] = "jazz"
    text = data_card(scored.run, scored.result, replace(scored.catalogue, table=table_))
    assert "The label of each track" not in text


def test_without_a_catalogue_there_is_no_audio(scored):
    text = data_card(scored.run, scored.result, None)
    assert text.startswith("# Data of run\n\n16 items of 2 labels.")
    assert "## Audio" not in text


def test_the_model_card_has_the_numbers_of_the_evaluation(scored):
    text = model_card(scored.run, scored.network, scored.result)
    track = scored.result["track"]
    rows = rows_of(text)
    assert rows["Accuracy"][0] == f"{track['accuracy']:.3f}"
    low, high = track["intervals"]["log_loss"]
    assert rows["Log loss"] == [f"{track['log_loss']:.3f}", f"{low:.3f} to {high:.3f}"]
    recall = track["per_class"]["low"]["recall"]
    assert rows["low"] == ["2", f"{track['per_class']['low']['precision']:.3f}", f"{recall:.3f}"]
    # Two convolutions of the tiny network and two dense layers, with their norms.
    assert "Network: conv1d, " in text
    assert "16 mel bands of audio at 8000 Hz" in text
    assert f"Training tracks: high {scored.network.train_counts[0]}" in text
    assert "[data-card.md](data-card.md)" in text
    assert "## Calibration" not in text  # too few tracks
    assert "## Licences" not in text


def test_the_number_of_parameters_is_that_of_the_checkpoint(scored):
    from flax import nnx  # as in kit.cli.models: counted on the module, not on kit's network

    options = scored.network.experiment.model
    module = options.build(scored.network.n_mels, 2, rngs=nnx.Rngs(0))
    leaves = nnx.to_flat_state(nnx.state(module, nnx.Param))
    count = sum(leaf.size for _, leaf in leaves)
    assert f" {count:,} parameters." in model_card(scored.run, scored.network, scored.result)


def test_published_weights_come_with_their_licence_and_their_songs(scored):
    network = replace(scored.network, experiment=small_set("data/mine"))
    text = model_card(scored.run, network, scored.result)
    assert "MSD musicnn: weights of the Python package musicnn==0.1.0, ISC licence" in text
    assert "Million Song Dataset" in text


def test_markdown_shows_text_from_outside_as_it_is():
    assert plain("a|b\n*c* [d](e) <f> `g` #h\\") == (
        "a\\|b \\*c\\* \\[d\\](e) \\<f\\> \\`g\\` \\#h\\\\"
    )
    assert items(["", "one", ""]) == "- one"
    assert table(("a", "b"), [(1, 2)]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"
    text = document("T", "lede", [("none", ["", ""]), ("some", ["x"])])
    assert text == "# T\n\nlede\n\n## some\n\nx\n"
