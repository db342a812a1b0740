"""The page as a browser's parser sees it: one file, nothing fetched, nothing that can run."""

import base64
import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from kit.config import Experiment, SplitConfig, TrainConfig, to_dict
from kit.errors import KitError
from kit.evaluation.metrics import hits, mistakes
from kit.evaluation.report import write_figures, write_report
from kit.evaluation.section import Section, Table
from kit.files import write_json
from kit.plots.html import picture
from kit.plots.style import new_figure
from tests.page import Page

from .conftest import HOSTILE, evaluation, rows


def decode(uri):
    head, data = uri.split(",", 1)
    assert head.endswith(";base64")
    return base64.b64decode(data, validate=True)


def size_of(uri):
    """The width and height of an embedded image, pixels or points; fails if it is damaged."""
    if uri.startswith("data:image/svg+xml;"):
        root = ElementTree.fromstring(decode(uri))
        assert not [e for e in root.iter() if e.tag.endswith(("script", "text"))]
        return tuple(float(root.attrib[key].removesuffix("pt")) for key in ("width", "height"))
    image = Image.open(io.BytesIO(decode(uri)))
    image.load()
    return image.size


def spectrogram(track_id):
    return np.random.default_rng(int(track_id[5:])).uniform(-80, 0, (1280, 128)).astype(np.float32)


def write(run, result, epochs=5, **change):
    nothing = {"audio_of": lambda track: None, "spectrogram_of": None}
    return write_report(run, result, rows(epochs), **(nothing | change))


@dataclass
class Full:
    """A page with everything on it, and what it was made of."""

    folder: Path
    result: dict
    path: Path
    page: Page


@pytest.fixture(scope="module")
def full(clips):
    result = evaluation(("edm", "techno"), 40)
    path = write(
        clips / "runs" / "one",
        result,
        audio_of=lambda track: clips / track["path"],
        spectrogram_of=spectrogram,
    )
    return Full(clips, result, path, Page(path))


def chosen(result):
    return [*mistakes(result["tracks"]), *hits(result["tracks"])]


def test_the_page_is_one_file_that_fetches_and_runs_nothing(full):
    page = full.page
    names = {tag for tag, _ in page.elements}
    assert not names & {"script", "link", "iframe", "object", "embed", "form", "base"}
    for tag, attributes in page.elements:
        assert not [a for a in attributes if a.startswith("on") or a == "style"], (tag, attributes)
        for key in ("src", "href", "srcset", "data", "poster", "action"):
            if key in attributes:
                assert attributes[key].startswith("#" if tag == "a" else "data:")
    # The only addresses are in a hostile title, as text; base64 may have two slashes by chance.
    words = re.sub(r"base64,[A-Za-z0-9+/=]*", "", page.source)
    assert words.count("//") == words.count("https://example.com") > 0


def test_the_policy_allows_this_style_and_embedded_media_only(full):
    page = full.page
    css = re.search(r"<style>(.*?)</style>", page.source, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    assert page.policy == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "img-src": "data:",
        "media-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert "url(" not in css
    assert "@import" not in css


def test_hostile_text_is_text(tmp_path, clips):
    labels = ('"><script>x</script>', "</style><b>", "Тёмная", "d$$", "<i>e")
    result = evaluation(labels, 20) | {"run": HOSTILE}
    for track in result["tracks"]:
        track["title"] = track["artists"] = HOSTILE
    page = Page(write(tmp_path, result, audio_of=lambda track: clips / track["path"]))
    assert "<script" not in page.source
    assert "<img src=https" not in page.source
    assert page.source.count("</style>") == 1
    assert page.text.count(HOSTILE) >= 2 + 2 * 10
    assert page.all("audio")[0]["aria-label"] == HOSTILE
    assert all(name in page.text for name in labels)


def test_the_words_say_what_was_right_and_what_guessing_gives(full):
    text, track = full.page.text, full.result["track"]
    assert f"{track['correct']} of 40 test tracks right" in text
    assert f"label, “techno”, gives {track['majority_accuracy']:.1%}" in text
    assert f"That is {track['accuracy']:.1%}" in text
    assert f"{track['macro_f1']:.3f}" in text
    assert "best checkpoint, step 40" in text
    assert "The best epoch is 4 of 5" in text


@pytest.mark.parametrize(
    ("interval", "verdict", "part", "words"),
    [
        ([0.6, 0.9], "The network is better than guessing.", "test", "of 10 test tracks right"),
        ([0.4, 0.6], "Too few tracks to tell this from guessing.", "all", "of 10 tracks right"),
        ([0.1, 0.2], "The network is worse than guessing.", "test", "of 10 test tracks right"),
        (None, "Too few tracks to tell this from guessing.", "test", "of 10 test tracks right"),
    ],
)
def test_the_headline_names_the_part_and_compares_with_guessing(
    tmp_path, interval, verdict, part, words
):
    result = evaluation(("edm", "techno"), 10) | {"part": part}
    result["track"] |= {"interval": interval, "majority_accuracy": 0.5, "groups": 12}
    text = Page(write(tmp_path, result)).text
    assert verdict in text
    assert words in text


def learned(n, train, validation):
    """An evaluation of all tracks of the training catalogue, or of one of its parts."""
    result = evaluation(("edm", "techno"), n, sharpness=5.0)
    unseen = n - train - validation
    result |= {"seen": {"train": train, "validation": validation, "unseen": unseen}}
    return result | {"part": "all"}


SUCCESS = "The network is better than guessing."


def test_training_tracks_are_not_praised_and_unseen_ones_are_counted_apart(tmp_path):
    result = learned(36, 27, 3)
    alone = evaluation(("edm", "techno"), 6, seed=3)
    result["unseen"] = {level: alone[level] for level in ("track", "segment")}
    for i, track in enumerate(result["tracks"]):
        track["part"] = "train" if i < 27 else "test" if i < 33 else "validation"
    path = write(tmp_path, result)
    assert path.name == "report-all.html"
    assert not (tmp_path / "report.html").exists()
    page = Page(path)
    words = "27 of these 36 tracks were used for training: this does not measure accuracy"
    assert page.source.index(words) < page.source.index("<svg")
    few = alone["track"]
    assert f"Unseen tracks alone: {few['correct']} of 6 right, {few['accuracy']:.1%}" in page.text
    assert "On the unseen tracks alone" in page.text
    assert "On all 36 tracks, of which 27 were used for training" in page.text
    assert f"accuracy {few['accuracy']:.1%}" in page.all("svg")[0]["aria-label"]
    # The matrix and the right answers are of unseen tracks, and learned ones have no interval.
    support = [sum(row) for row in few["confusion"]]
    assert f"of {support[0]} tracks of edm" in page.all("img")[0]["alt"]
    assert page.text.count("95% interval – –") == 1
    right = [t["part"] for t in hits(result["tracks"][27:])]
    assert page.source.count('</span> <b class="yes">') == len(right) <= 4
    assert SUCCESS not in page.text


def test_a_part_that_was_learned_from_has_no_scale_and_no_verdict(tmp_path):
    result = learned(20, 20, 0) | {"part": "train", "unseen": None}
    for track in result["tracks"]:
        track["part"] = "train"
    page = Page(write(tmp_path, result))
    assert "All 20 tracks were used for training: this does not measure accuracy" in page.text
    assert SUCCESS not in page.text
    assert "95% interval" not in [a.get("aria-label", "")[:12] for a in page.all("svg")]
    assert not [a for a in page.all("figure") if a.get("class") == "scale"]
    assert "Right answers on training tracks are not shown." in page.text


def test_validation_tracks_chose_the_checkpoint(tmp_path):
    result = learned(20, 0, 20) | {"part": "validation", "unseen": None}
    text = Page(write(tmp_path, result)).text
    assert "of 20 validation tracks right" in text
    assert "Validation tracks chose the checkpoint, so this accuracy is somewhat" in text
    assert SUCCESS not in text


def test_another_collection_is_named(tmp_path):
    apart = {"alone": 36, "in_words": "36 of 36 tracks have no artist"}
    result = learned(20, 0, 0) | {"another_collection": True, "kept_apart": apart}
    text = Page(write(tmp_path, result)).text
    assert "This is another collection: none of its tracks was used for training." in text
    assert SUCCESS in text
    assert text.count("36 of 36 tracks have no artist") == 1
    assert "The split of the training catalogue 36 of 36" in text


def test_the_page_says_what_the_split_kept_apart(tmp_path):
    unknown = "36 of 36 tracks have no artist: each stands for itself"
    result = evaluation(("edm", "techno"), 10)
    page = Page(write(tmp_path, result | {"kept_apart": {"alone": 36, "in_words": unknown}}))
    assert page.text.count(unknown) == 2  # as a warning in front, and with the split
    known = "Split by artist: 9 artists, none on both sides"
    page = Page(write(tmp_path, result | {"kept_apart": {"alone": 0, "in_words": known}}))
    assert page.text.count(known) == 1


def test_the_intervals_are_over_the_groups_of_the_split(tmp_path):
    result = evaluation(("edm", "techno"), 20) | {"grouped_by": "artist"}
    text = Page(write(tmp_path, result)).text
    assert "Intervals are over 20 groups of artists." in text
    assert "permutations are at least as accurate (p = 0.0" in text
    few = evaluation(("edm", "techno"), 10) | {"grouped_by": "speaker"}
    text = Page(write(tmp_path, few)).text
    assert "10 groups of the column “speaker”: too few for a claim, which needs 12" in text
    assert SUCCESS not in text
    assert "and fewer than 12 are too few" in text


def test_labels_that_would_be_told_apart_as_one_are_named(tmp_path):
    result = evaluation(("edm", "house", "techno"), 60)
    best = result["track"]["merges"][0]
    said = "“{}” and “{}”".format(*best["labels"])
    assert f"{said} ({best['accuracy']:.1%}, 95% interval" in Page(write(tmp_path, result)).text


def test_arrays_have_no_players(tmp_path):
    result = evaluation(("edm", "techno"), 20)
    page = Page(write(tmp_path, result, audio_of=None, spectrogram_of=spectrogram))
    assert page.all("audio") == []
    assert "clips" not in page.text
    assert "audio" not in page.text
    assert len(page.all("img")) == 3 + len(chosen(result))


def test_every_image_decodes_and_has_words(full):
    page = full.page
    images = page.all("img")
    assert len(images) == 3 + len(chosen(full.result))
    for attributes in [*images, *page.all("source")]:
        uri = attributes.get("src") or attributes["srcset"]
        width, height = size_of(uri)
        # The thumbnails of spectrograms alone are pixels, and have the size of their card.
        assert uri.startswith("data:image/svg+xml;") == ("width" in attributes)
        if "width" in attributes:
            ratio = int(attributes["width"]) / int(attributes["height"])
            assert ratio == pytest.approx(width / height, rel=0.01)
    assert all(attributes["alt"] for attributes in images)
    alt = images[0]["alt"]
    assert "tracks of edm: " in alt
    assert " as techno" in alt


def test_the_chosen_tracks_play_the_bytes_of_their_files(full):
    tracks = chosen(full.result)
    for track, attributes in zip(tracks, full.page.all("audio"), strict=True):
        assert attributes["preload"] == "none"
        assert "controls" in attributes
        assert attributes["src"].startswith("data:audio/wav;base64,")
        assert decode(attributes["src"]) == (full.folder / track["path"]).read_bytes()
    n = len(tracks)
    assert f"It embeds {n} of {n} clips (limit 24 MiB)." in full.page.text


@pytest.mark.parametrize("room", [0, 100_000])
def test_the_page_stays_below_its_limit(full, room):
    """A clip takes 27 kB; `room` is what the limit leaves for sound."""
    tracks = chosen(full.result)
    silent = full.path.stat().st_size - sum(len(a["src"]) for a in full.page.all("audio"))
    limit_mib = (silent + 4000 + room) / 2**20
    path = write(
        full.folder / "runs" / "two",
        full.result,
        audio_of=lambda track: full.folder / track["path"],
        spectrogram_of=spectrogram,
        limit_mib=limit_mib,
    )
    assert path.stat().st_size <= limit_mib * 2**20
    page = Page(path)
    sources = [a["src"] for a in page.all("audio")]
    inside = [s.startswith("data:") for s in sources]
    assert inside == [i < room // 27_000 for i in range(len(tracks))]
    for track, src in zip(tracks, sources, strict=True):
        if not src.startswith("data:"):
            assert (path.parent / unquote(src)).resolve() == (full.folder / track["path"]).resolve()
    assert page.policy["media-src"] == "data: 'self' file:"
    assert f"{inside.count(False)} play from their files" in page.text
    assert f"(limit {limit_mib:g} MiB)" in page.text


def test_what_is_missing_is_said(tmp_path):
    result = evaluation(("edm", "techno"), 20)
    for i, track in enumerate(result["tracks"]):
        track["path"] = f"gone/{i}.wav" if i % 2 else ""

    def audio(track):
        return tmp_path / track["path"] if track["path"] else None

    def features(track_id):
        raise KitError(f"no features of {track_id}")

    page = Page(write(tmp_path, result, audio_of=audio, spectrogram_of=features))
    assert page.all("audio") == []
    assert "The audio file is missing or cannot be read: " in page.text
    assert "The catalogue names no audio file." in page.text
    assert "no spectrogram" in page.text
    n = len(chosen(result))
    assert f"It embeds 0 of {n} clips (limit 24 MiB); {n} are missing." in page.text
    assert len(page.all("img")) == 3


def test_a_track_without_tags_goes_by_its_file_or_its_id(tmp_path):
    result = evaluation(("edm", "techno"), 20)
    for i, track in enumerate(result["tracks"]):
        # An artist that was no valid UTF-8 must not stop the page.
        track |= {
            "title": float("nan"),
            "artists": "caf\udce9" if i % 3 else None,
            "path": f"a/name__less_{i}.wav" if i % 2 else "",
        }
    titles = [
        f"name less {int(t['track_id'][5:])}" if t["path"] else t["track_id"]
        for t in chosen(result)
    ]
    page = Page(write(tmp_path, result))
    assert all(title in page.text for title in titles)
    assert "caf?" in page.text


def test_no_mistakes_and_no_hits_are_said(tmp_path):
    result = evaluation(("edm", "techno"), 10, sharpness=50.0)
    text = Page(write(tmp_path, result, epochs=0)).text
    assert "Every answer is right." in text
    assert "metrics.jsonl has no epoch." in text
    # A true label that is not among the five most probable ones still gets its bar.
    labels = tuple("abcdefgh")
    result = evaluation(labels, 1)
    p = {name: (8 - i) / 36 for i, name in enumerate(labels)}
    result["tracks"][0] |= {"label": "h", "predicted": "a", "probability": 8 / 36}
    result["tracks"][0]["probabilities"] = p
    page = Page(write(tmp_path, result))
    assert "Every answer is wrong." in page.text
    assert len(page.all("li")) == len(page.all("a")) + 1 + 5
    assert page.all("li")[-1]["class"] == "is-yes"


def test_configuration_and_split_are_shown(tmp_path):
    experiment = Experiment(
        name="mine", train=TrainConfig(epochs=77), split=SplitConfig(by="label boss")
    )
    # As a run writes it: the experiment and more beside it.
    write_json(tmp_path / "config.json", {"experiment": to_dict(experiment), "sources": {"t": "h"}})
    result = evaluation(("edm", "techno"), 10)
    result["split"] = {"train": {"edm": 31, "techno": 7}, "test": {"techno": 5}}
    page = Page(write(tmp_path, result))
    assert "epochs 77" in page.text
    assert "n_mels 128" in page.text
    assert sum(a.get("class") == "changed" for a in page.all("tr")) == 3  # name, by, epochs
    # "validation" has no counts here, so it has no column.
    assert "edm 31 0 31" in page.text
    assert "techno 7 5 12" in page.text
    assert "all 38 5 43" in page.text
    assert "shuffled before" not in page.text


def test_folds_that_leak_are_named_in_front(tmp_path):
    split = SplitConfig(fold_column="fold", allow_leaks=True)
    write_json(tmp_path / "config.json", {"experiment": to_dict(Experiment(split=split))})
    words = "Folds of the column fold: 3 of the 9 groups by artist have tracks in several of them"
    known = {"kept_apart": {"alone": 0, "in_words": words}}
    page = Page(write(tmp_path, evaluation(("edm", "techno"), 10) | known))
    assert page.text.count(words) == 2  # as a warning in front, and with the split


def test_a_control_is_named(tmp_path):
    write_json(
        tmp_path / "config.json", to_dict(Experiment(split=SplitConfig(shuffle_labels=True)))
    )
    text = Page(write(tmp_path, evaluation(("edm", "techno"), 4))).text
    assert "this run is a control" in text


def test_tables_have_headers_and_sections_have_names(full):
    page = full.page
    headers = page.all("th")
    assert headers
    assert all(a["scope"] in ("row", "col") for a in headers)
    ids = {a["id"] for _, a in page.elements if "id" in a}
    assert all(a["aria-labelledby"] in ids for a in page.all("section"))
    assert page.all("html") == [{"lang": "en"}]


def test_the_same_evaluation_gives_the_same_page(full):
    again = write(
        full.path.parent,
        full.result,
        audio_of=lambda track: full.folder / track["path"],
        spectrogram_of=spectrogram,
    )
    assert again.read_text(encoding="utf-8") == full.page.source


def test_figures_are_written_as_files(tmp_path):
    paths = write_figures(tmp_path, evaluation(("edm", "techno"), 10), rows(3))
    stems = ("confusion", "roc", "curves")
    assert [p.name for p in paths] == [f"{stem}.{end}" for stem in stems for end in ("png", "svg")]
    for path in paths:
        if path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        else:
            assert Image.open(io.BytesIO(path.read_bytes())).format == "PNG"


def test_the_contents_list_every_section_and_lead_there(tmp_path):
    drawn = picture(lambda theme: new_figure(1, 1, theme), "what it shows")
    table = Table("Changes", ("what", "by"), (("<b>", "1"),))
    part = Section("confounds", "What it <leans> on", "Said.", (drawn,), (table,), "A note.")
    result = evaluation(("edm", "techno"), 10) | {"made_with": MADE_WITH}
    page = Page(write(tmp_path, result, sections=[part]))
    headings = [section["aria-labelledby"] for section in page.all("section")]
    assert [a["href"] for a in page.all("a")] == [f"#{name}" for name in headings]
    assert {"confounds", "ranking", "reproduce"} < set(headings)
    assert [a["id"] for a in page.all("h2")] == headings
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert page.text.count("What it <leans> on") == 2  # in the contents, and above the section
    assert page.source.index("confounds") < page.source.index('alt="what it shows"')


def test_a_mistake_under_doubtful_labels_is_not_shown_again(tmp_path):
    result = evaluation(("edm", "techno"), 10)
    wrong = mistakes(result["tracks"])
    assert len(wrong) > 1
    for shown, said in ((wrong[:1], "; 1 more are under"), (wrong, "All wrong answers are under")):
        section = Section("doubtful", "Doubtful labels", "Said.", tracks=tuple(shown))
        page = Page(write(tmp_path, result, sections=[section]))
        assert said in page.text
        cards = len(wrong) + len(hits(result["tracks"]))
        assert page.source.count('<li class="card">') == cards


def test_tables_of_statistics_are_folded_and_the_headline_is_not(full):
    source = full.page.source
    outside = re.sub(r"<details>.*?</details>", "", source, flags=re.DOTALL)
    assert outside.count("<caption>") == 1
    assert "On the test part, not used for training" in outside
    assert source.count("<details>") == source.count("<summary>") >= 2


MADE_WITH = {
    "python": "3.11.7",
    "platform": "Linux-6",
    "device": "cpu",
    "versions": {"kit": "0.1.0", "jax": "0.10.2"},
    "train": "kit train 'data/my music' --train.epochs 3",
    "evaluate": "kit evaluate runs/train/one",
}


def test_the_page_says_how_the_run_is_made_again(tmp_path):
    result = evaluation(("edm", "techno"), 10)
    result |= {"made_with": MADE_WITH, "configurations_tried": 3}
    for name in ("data-card.md", "model-card.md"):
        (tmp_path / name).write_text("# Card")
    page = Page(write(tmp_path, result))
    assert f"{MADE_WITH['train']} {MADE_WITH['evaluate']}" in page.text
    assert "Python 3.11.7, kit 0.1.0, jax 0.10.2; Linux-6, cpu." in page.text
    assert "3 configurations in this folder of runs were scored on these test tracks" in page.text
    links = [a["href"] for a in page.all("a") if not a["href"].startswith("#")]
    assert links == ["data-card.md", "model-card.md"]
    arrays = MADE_WITH | {"train": None, "evaluate": None}
    page = Page(write(tmp_path, result | {"made_with": arrays}))
    assert "kit.fit_arrays with the options of config.json" in page.text


def test_an_unwritable_folder_is_a_kit_error(tmp_path):
    (tmp_path / "runs").write_text("a file, not a folder")
    with pytest.raises(KitError, match="cannot write"):
        write(tmp_path / "runs", evaluation(("edm", "techno"), 10))
