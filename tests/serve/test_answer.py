"""Answers without a server."""

import base64
import dataclasses
import io
import re

import numpy as np
import pytest
from PIL import Image

from kit.training import fit

pytest.importorskip("gradio")


@pytest.fixture(scope="module")
def attention(job, tmp_path_factory):
    """A run that weighs the segments of a track, which has no spectrogram along a file."""
    train = dataclasses.replace(job.experiment.train, loss="attention", epochs=1)
    experiment = dataclasses.replace(job.experiment, train=train)
    return fit(experiment, runs=tmp_path_factory.mktemp("attention")).folder


def test_a_run_without_a_stream_shows_the_excerpt(attention, job, tmp_path):
    from kit.serve.answer import answer

    file = tmp_path / "00.flac"
    file.write_bytes((job.music / "low/00.flac").read_bytes())
    html = answer(attention, file, 1.0)
    inside = re.search(r'srcdoc="(.*?)"', html, re.DOTALL)[1]
    data = re.search(r"data:image/png;base64,([^&]*)", inside)[1]
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        rows = np.asarray(picture.convert("L")).astype(float).mean(axis=1)
    # 16 bands up to 4000 Hz, and a tone of 200 Hz in one of the lowest two.
    assert len(rows) == 16
    assert rows.argmax() >= 14
    assert "&lt;audio id=&#34;sound&#34;" in inside


def test_an_answer_that_takes_too_long_is_given_up(job):
    from kit.serve.limits import Limits
    from kit.serve.worker import Worker

    worker = Worker(Limits(seconds=0.01))
    try:
        html = worker.answer(job.run, job.music / "low/00.flac")
    finally:
        worker.close()
    assert "00.flac took more than 0.01 s; try a shorter part of it" in html
    assert "the server was stopped" in worker.answer(job.run, job.music / "low/00.flac")
