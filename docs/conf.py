"""Sphinx: the site of these pages and of the reference, built without a network.

python -m sphinx -W --keep-going -d build/doctrees docs build/site
"""

import re
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))
import reference_pages

import kit

project = "kit"
author = "The kit maintainers"
release = kit.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

# Markdown. Links to headings are as on the repository's host.
myst_heading_anchors = 4
nb_execution_mode = "off"  # tests/test_notebook.py executes them
# Without a widget on a page, no script of one; with it, from another host.
nb_ipywidgets_js: dict[str, dict[str, str]] = {}

# Docstrings: Google's sections, and Markdown's single backticks.
default_role = "code"
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Source", "Example"]
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
python_maximum_signature_line_length = 80

html_theme = "pydata_sphinx_theme"
html_title = "kit"
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
html_context = {"default_mode": "auto"}
html_sidebars = {"tutorial": [], "changelog": []}  # they have no pages below them
html_theme_options = {
    "logo": {"text": "kit"},
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "show_prev_next": False,
    "footer_start": [],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
html_static_path = ["_static"]
html_css_files = ["site.css"]


_EITHER = re.compile(
    r"~?(?:jaxtyping\.)?(\w+)\[~?jaxlib\._jax\.Array, ('[^']*')\] \| "
    r"~?(?:jaxtyping\.)?\1\[~?(?:numpy\.)?ndarray, \2\]"
)
_WITH_LENGTH = re.compile(r"^tuple\[(.+), int \| ~?(?:jaxtyping\.)?Int\[Array, ''\]\]$")


def shorter(*event: Any) -> tuple[str, str] | None:
    """Write "a JAX or a NumPy array" as one type, and what `kit.dsp.jit.by_clip` returns."""
    if event[-2] is None:
        return None
    arguments, result = (
        _EITHER.sub(r"\1[Array, \2]", text or "").replace("jaxlib._jax.Array", "Array")
        for text in event[-2:]
    )
    return arguments, _WITH_LENGTH.sub(r"\1", result)


def setup(app: Sphinx) -> None:
    """Write the pages of the reference before Sphinx looks for pages."""
    reference_pages.write(Path(app.srcdir) / "reference")
    app.connect("autodoc-process-signature", shorter)
