"""The readable text of an HTML page, with headings, list items and links as in Markdown."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from urllib.parse import urljoin

_SKIPPED = frozenset({"script", "style", "noscript", "template", "svg", "iframe", "object", "canvas", "head"})
_BLOCKS = frozenset(
    {"p", "div", "section", "article", "header", "footer", "main", "nav", "aside", "ul", "ol", "table", "tr", "form",
     "blockquote", "pre", "figure", "figcaption", "dl", "dt", "dd", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "li"}
)  # fmt: skip
_LONGEST_LINK = 500
_PIECE = 8_192
_LONGEST_UNFINISHED = 8_192
"""Characters of a tag or comment that is waited for."""

_LIMIT_SECONDS = 5.0


def text_of(html: str, *, url: str) -> tuple[str, str]:
    """(title, text). `url` is what links are relative to. Nothing that is malformed stops it.

    The parser takes quadratic time for what never ends (a tag, a comment). So it is fed in pieces, a piece that is not
    understood soon is dropped, and after some seconds what has been read is all there is.
    """
    reader = _Reader(url)
    deadline = time.monotonic() + _LIMIT_SECONDS
    at = 0
    while at < len(html) and time.monotonic() < deadline:
        end = html.find(">", at + _PIECE, at + 2 * _PIECE) + 1 or at + 2 * _PIECE
        reader.feed(html[at:end])
        reader.drop_what_does_not_end()
        at = end
    reader.close()
    if at < len(html):
        reader.parts.append("\n[... the rest of the page takes too long to read ...]")
    text = "\n".join(line.strip(" \t") for line in "".join(reader.parts).split("\n"))
    return " ".join("".join(reader.title).split()), re.sub(r"\n{3,}", "\n\n", text).strip()


class _Reader(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self._url = url
        self._skipping: list[str] = []
        self._in_title = False
        self._pre = 0
        self._links: list[tuple[str, int]] = []
        self.title: list[str] = []
        self.parts: list[str] = []

    def drop_what_does_not_end(self) -> None:
        if len(self.rawdata) > _LONGEST_UNFINISHED:
            self.rawdata = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title":
            self._in_title = True
        elif tag == "body":
            self._skipping.clear()  # a head that nobody closed
        elif tag in _SKIPPED:
            self._skipping.append(tag)
        elif self._skipping:
            return
        elif tag == "br":
            self.parts.append("\n")
        elif tag == "a":
            self._links.append((str(dict(attrs).get("href") or ""), len(self.parts)))
        elif tag == "img":
            if alt := (dict(attrs).get("alt") or "").strip():
                self.parts.append(f"[image: {alt}]")
        elif tag in {"td", "th"}:
            self.parts.append(" | ")
        elif tag in _BLOCKS:
            self.parts.append("\n" if tag in {"li", "tr", "dt", "dd"} else "\n\n")
            if tag == "pre":
                self._pre += 1
            elif tag == "li":
                self.parts.append("- ")
            elif tag[0] == "h" and tag[1:].isdigit():
                self.parts.append("#" * int(tag[1:]) + " ")

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        elif tag in self._skipping:
            del self._skipping[self._skipping.index(tag) :]
        elif self._skipping:
            return
        elif tag == "a" and self._links:
            self._end_link(*self._links.pop())
        elif tag in _BLOCKS:
            if tag == "pre":
                self._pre = max(0, self._pre - 1)
            if tag not in {"li", "tr", "dt", "dd"}:
                self.parts.append("\n\n")

    def _end_link(self, href: str, begin: int) -> None:
        words = " ".join("".join(self.parts[begin:]).split())
        if not words or not href or href.startswith(("#", "javascript:", "data:")):
            return
        try:
            target = urljoin(self._url, href.strip())
        except ValueError:
            return
        if len(target) <= _LONGEST_LINK and target.startswith(("http://", "https://", "mailto:")):
            self.parts.append(f" <{target}>")

    def handle_data(self, data: str) -> None:
        if self._in_title and not self.parts:
            self.title.append(data)
        elif not self._skipping and not self._in_title:
            if self._pre:
                self.parts.append(data)
            elif data.strip():
                begin = " " if data[0].isspace() else ""
                end = " " if data[-1].isspace() else ""
                self.parts.append(f"{begin}{' '.join(data.split())}{end}")
            elif self.parts and not self.parts[-1].endswith((" ", "\n")):
                self.parts.append(" ")
