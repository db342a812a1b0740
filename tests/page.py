"""A page as a browser's parser sees it."""

from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "img", "source", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Elements, attributes and text; fails on tags that do not nest."""

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.source = Path(path).read_text(encoding="utf-8")
        self.elements, self.open, self.words = [], [], []
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def policy(self):
        (meta,) = [m for m in self.all("meta") if m.get("http-equiv")]
        assert meta["http-equiv"] == "Content-Security-Policy"
        return dict(part.strip().split(" ", 1) for part in meta["content"].split(";"))


def watched(page):
    """A page of Chromium that notes its requests and errors, and what its policy forbids."""
    page.requests, page.errors = [], []
    page.on("request", lambda one: page.requests.append(one.url))
    page.on("pageerror", lambda one: page.errors.append(str(one)))
    page.add_init_script(
        "window.refused = []; document.addEventListener('securitypolicyviolation',"
        " (event) => window.refused.push(event.effectiveDirective));"
    )
    return page
