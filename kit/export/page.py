"""A run as one page that answers for files in the browser, and needs no network."""

import base64
import gzip
import json
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from kit import __version__
from kit.export.runtime import PACKAGE, Runtime
from kit.plots.html import policy, render

LONGEST_MIN = 15
"""Minutes of the longest file that a page decodes: a browser decodes a file as a whole."""

# Before the rest of the script, which may fail where a browser lacks something.
_SAY_WHY = """addEventListener("error", (event) => {
  document.getElementById("status").textContent =
    `This browser cannot run the page: ${event.message}`;
});
"""


def to_html(model: bytes, about: dict[str, Any], title: str, card: str, runtime: Runtime) -> str:
    """Return the page of a run."""
    own = files("kit.export")
    css, js = (own.joinpath(f"page.{e}").read_text(encoding="utf-8") for e in ("css", "js"))
    script = _SAY_WHY + _with_exports(_for_files(runtime.script)) + js
    return render(
        "kit.export",
        "page.html.j2",
        {
            "title": title,
            "about": json.dumps(about | {"longest_s": 60 * LONGEST_MIN}),
            "labels": about["labels"],
            "card": card,
            "own_css": Markup(css),
            "script": Markup(script),
            "policy": policy(style=css, script=script, local=True),
            "model": _packed(model),
            "program": _packed(runtime.program),
            "longest_min": LONGEST_MIN,
            "runtime": PACKAGE.replace("@", " "),
            "kit": __version__,
        },
    )


def _for_files(module: str) -> str:
    """Return onnxruntime-web for a page that is opened as a file.

    It resolves its own address against `location.origin`. For a file, Firefox gives "null" there,
    which is no address.
    """
    origin = "location.origin"
    assert module.count(origin) == 1, "another version of onnxruntime-web"
    return module.replace(origin, f'({origin}==="null"?void 0:{origin})')


def _with_exports(module: str) -> str:
    """Return a module with its exports in `window.onnxruntime`: no script can import a page's own.

    Args:
        module: it ends with one statement `export{NAME as EXPORT,…}` and a comment.
    """
    code, _, listed = module.rpartition("export{")
    pairs = [pair.split(" as ") for pair in listed.partition("}")[0].split(",")]
    named = ",".join(f"{outside}:{inside}" for inside, outside in pairs)
    return f"{code}window.onnxruntime={{{named}}};\n"


def _packed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, 6, mtime=0)).decode("ascii")
