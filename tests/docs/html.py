"""Just enough of an HTML reader to see what the built pages show."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Page(HTMLParser):
    """The table rows, cards, headings and outside resources of one page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        """Cells of each table row, as text."""
        self.cards: list[tuple[str, str]] = []
        """Text and link of each card in a grid."""
        self.headings: list[tuple[str, str]] = []
        """Tag and text of each heading."""
        self.loaded: list[str] = []
        """Where scripts, styles and images come from."""
        self._open: list[tuple[str, dict[str, str]]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag in {"script", "img", "iframe"} and "src" in said:
            self.loaded.append(said["src"])
        if tag == "link" and said.get("rel") in {"stylesheet", "preconnect", "preload", "icon"}:
            self.loaded.append(said["href"])
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")
        elif tag in {"h1", "h2", "h3", "h4"}:
            self.headings.append((tag, ""))
        elif tag == "li" and self._inside("grid cards"):
            self.cards.append(("", ""))
        elif tag == "a" and self.cards and self._inside("grid cards"):
            self.cards[-1] = (self.cards[-1][0], said["href"])
        if tag not in _VOID:
            self._open.append((tag, said))

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        tags = [tag for tag, _ in self._open]
        if "td" in tags or "th" in tags:
            self.rows[-1][-1] += data
        if self.headings and self.headings[-1][0] in tags and not self._inside("headerlink"):
            tag, text = self.headings[-1]
            self.headings[-1] = (tag, text + data)
        if self.cards and self._inside("grid cards"):
            text, link = self.cards[-1]
            self.cards[-1] = (" ".join(f"{text} {data}".split()), link)

    def _inside(self, name: str) -> bool:
        return any(name in said.get("class", "") for _, said in self._open)
