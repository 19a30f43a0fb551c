"""The fenced blocks of our documents, found and run by Sybil."""

from __future__ import annotations

import doctest
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from sybil import Document, Region, Sybil
from sybil.evaluators.doctest import DocTestEvaluator
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.abstract.doctest import DocTestStringParser
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer
from sybil.typing import Parser

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")])
"""Every document with code in it."""

_FENCE = re.compile(r"^ *```+ *(\S.*)$")


def name_of(page: Path) -> str:
    """How a test is called after its page."""
    return page.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its ``title`` if it has one, its text, and where it begins."""

    language: str
    title: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """All fenced blocks of a page, whatever their language."""
    text = page.read_text(encoding="utf-8")
    document = Document(text, str(page))
    for region in FencedCodeBlockLexer(r"[^`\n]*", mapping={"language": "language", "source": "source"})(document):
        language, _, attributes = str(region.lexemes["language"]).strip().partition(" ")
        title = re.search(r'title="([^"]*)"', attributes)
        line = text.count("\n", 0, region.start) + 1
        yield Block(language, title.group(1) if title else "", str(region.lexemes["source"]), line)


class _Python:
    """``python`` blocks, with or without a title. Those that begin with ``>>>`` are compared with their output."""

    def __init__(self) -> None:
        self._sessions = DocTestStringParser(DocTestEvaluator(doctest.ELLIPSIS))
        self._programs = PythonEvaluator()

    def __call__(self, document: Document) -> Iterable[Region]:
        lexer = FencedCodeBlockLexer(r"python(?: [^\n]*)?", mapping={"source": "source"})
        for region in lexer(document):
            source = region.lexemes["source"]
            if source.startswith(">>>"):
                for session in self._sessions(source, document.path):
                    session.adjust(region, source)
                    yield session
            else:
                region.parsed, region.evaluator = source, self._programs
                yield region


def run_python(page: Path) -> int:
    """Run the ``python`` blocks of a page in their order, as the program ``__main__``. Returns how many there were.

    Raises:
        SybilFailure: a session printed something else than the page shows.
        Exception: whatever a program raised.
    """
    parsers: list[Parser] = [_Python()]
    document = Sybil(parsers=parsers).parse(page)
    module = ModuleType("__main__")
    document.namespace = vars(module)
    examples = list(document.examples())
    main = sys.modules["__main__"]
    sys.modules["__main__"] = module  # where pydantic and Celery look for the classes of a page
    try:
        for example in examples:
            example.evaluate()
    finally:
        sys.modules["__main__"] = main  # and nothing else: what a page imported stays imported
    return len(examples)
