"""The built site: links lead somewhere, all public names are there, nothing comes from elsewhere.

`just docs` builds the site and runs these tests.
"""

import ast
import functools
import html
import http.server
import importlib
import os
import re
import threading
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path

import pytest

import kit
from kit.cli.app import COMMANDS

# Attributes whose address a browser requests by itself.
LOADED = ("src", "srcset", "data", "poster", "action")


class Page(HTMLParser):
    """The ids of a page, its links to click, and the addresses that it loads."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.loads = set(), set(), set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("id", "name"):
                self.ids.add(value)
            elif name in LOADED or (name == "href" and tag == "link"):
                self.loads.add(value or "")
            elif name == "href":
                self.links.add(value or "")
            elif name == "style":
                self.loads.update(re.findall(r"url\((.+?)\)", value or ""))


@pytest.fixture(scope="module")
def site():
    """The folder of the built site."""
    if "KIT_SITE" not in os.environ:
        pytest.skip("KIT_SITE is not set: `just docs` builds the site and runs this")
    return Path(os.environ["KIT_SITE"]).resolve()


@pytest.fixture(scope="module")
def pages(site):
    """Each page of the site by its path; the theme's own templates are not pages."""
    found = (path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts)
    return {path: Page(path) for path in found}


def is_elsewhere(address):
    parts = urllib.parse.urlsplit(address)
    return bool(parts.netloc) or parts.scheme not in ("", "data")


def test_no_page_loads_anything_from_another_host(site, pages):
    assert len(pages) > 40
    assert not {(p.name, a) for p, page in pages.items() for a in page.loads if is_elsewhere(a)}
    for path in site.rglob("*.css"):
        loaded = re.findall(r"@import\s+['\"]?([^'\";]+)|url\(['\"]?([^'\")]+)", path.read_text())
        assert not [a for a in map("".join, loaded) if is_elsewhere(a)], path


def test_every_link_leads_somewhere(pages):
    for path, page in pages.items():
        for link in page.links | page.loads:
            parts = urllib.parse.urlsplit(link)
            if is_elsewhere(link) or parts.scheme:
                continue
            there = path.parent / urllib.parse.unquote(parts.path) if parts.path else path
            assert there.is_file(), (path.name, link)
            if parts.fragment and there.suffix == ".html":
                anchor = urllib.parse.unquote(parts.fragment)
                assert anchor in pages[there.resolve()].ids, (path.name, link)


def test_every_public_name_is_in_the_reference(site, pages):
    stated = set().union(*(p.ids for path, p in pages.items() if path.parent.name == "reference"))
    rooms = {path.parent for path in Path(kit.__file__).parent.glob("*/__init__.py")}
    public = {"kit": kit.__all__}
    for room in rooms - {Path(kit.__file__).parent / "cli"}:
        for statement in ast.parse((room / "__init__.py").read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.Assign) and statement.targets[0].id == "__all__":
                public[f"kit.{room.name}"] = importlib.import_module(f"kit.{room.name}").__all__
    assert len(public) > 12
    for module, names in public.items():
        for name in names:
            value = getattr(importlib.import_module(module), name)
            known = {f"{module}.{name}"} | (
                {f"kit.{name}"} if getattr(kit, name, None) is value else set()
            )
            is_module = f"kit.{name}" in public or name == "predict"
            assert known & stated or is_module or name == "__version__", (module, name)


def test_every_command_is_in_the_reference(site):
    text = html.unescape((site / "reference" / "commands.html").read_text(encoding="utf-8"))
    for name, line in COMMANDS.items():
        assert f"usage: kit {name} [" in text
        assert line in text.replace("’", "'")


@pytest.fixture(scope="module")
def address(site):
    """The address of the site on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format, *args):
            pass

    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("name", ["index", "tutorial", "reference/dsp-front-end", "dft"])
def test_a_browser_asks_no_other_host(chromium, address, name):
    page = chromium.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{address}/{name}.html", wait_until="networkidle")
    assert page.locator("h1").first.inner_text()
    assert not [a for a in asked if not a.startswith((address, "data:"))]
    assert not said
    for width in (420, 760, 1200):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_search_finds_a_function_without_a_network(chromium, address):
    page = chromium.new_page()
    page.route("**/*", lambda r: r.continue_() if r.request.url.startswith(address) else r.abort())
    page.goto(f"{address}/search.html?q=melspectrogram")
    found = page.locator("#search-results a", has_text="kit.dsp.melspectrogram")
    found.first.wait_for(timeout=20_000)
    page.close()
