"""The page: a run, a file or a recording, and the answer."""

import shutil
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI
from gradio.themes import Base
from starlette.types import ASGIApp

from kit.serve.gate import upload_of
from kit.serve.limits import Limits
from kit.serve.worker import refused


def page(
    runs: Mapping[str, Path], answer: Callable[[Path, Path], str], uploads: Path, limits: Limits
) -> ASGIApp:
    """Return the page as an ASGI application.

    Args:
        runs: folders of the runs by name, the chosen one first.
        answer: takes a run's folder and a file, and returns HTML.
        uploads: folder of the uploads, which are deleted after the answer.
        limits: of the files.
    """
    names = list(runs)

    def answered(payload: Any, name: Any) -> tuple[str, None]:
        file = upload_of(payload, uploads)
        if file is None:
            return refused("this is no upload of this page; drop the file again"), None
        try:
            if not isinstance(name, str) or name not in runs:
                return refused("there is no such run; reload the page"), None
            return answer(runs[name], file), None
        finally:
            shutil.rmtree(file.parent, ignore_errors=True)

    with gr.Blocks(title="kit serve", analytics_enabled=False) as blocks:
        gr.Markdown(
            f"# Which label does it have?\n{limits.in_words()} Files are deleted after the answer, "
            "and nothing leaves this machine."
        )
        run = gr.Dropdown(names, value=names[0], label="Run")
        file = gr.File(label="Drop an audio file here, or click", height=160)
        microphone = gr.Audio(
            sources=["microphone"], type="filepath", label="Or record", editable=False
        )
        shown = gr.HTML(label="Answer")
        for source in (file, microphone):
            source.async_move_resource_to_block_cache = _in_place
        for source, event in ((file, file.upload), (microphone, microphone.stop_recording)):
            event(
                answered,
                [source, run],
                [shown, source],
                api_name="predict",
                preprocess=False,  # it would leave an empty file
                show_progress_on=[shown],
                trigger_mode="multiple",
                concurrency_id="device",
                concurrency_limit=1,
            )
    own = files("kit.serve")
    script = own.joinpath("page.js").read_text(encoding="utf-8")
    return gr.mount_gradio_app(
        FastAPI(),
        blocks.queue(),
        path="",
        theme=Base(font="system-ui", font_mono="ui-monospace"),
        css=own.joinpath("page.css").read_text(encoding="utf-8"),
        head=f"<script>{script}</script>",
        max_file_size=int(limits.mib * 2**20),
        footer_links=[],
        run_history=False,
        ssr_mode=False,
    )


async def _in_place(url_or_file_path: str | Path | None) -> str | None:
    """Leave an upload where it is: Gradio would copy it, or fetch it if a request names a URL."""
    return None if url_or_file_path is None else str(url_or_file_path)
