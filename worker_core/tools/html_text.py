"""The readable text of an HTML page, with headings, list items and links as in Markdown.

Run as a program it reads a page from its input (the address in the first line, as JSON, then the page in UTF-8) and
prints title and text as JSON. It imports nothing of ours: it runs in the sandbox, in a process of its own, since a page
can keep Python's parser busy for seconds, and with it whoever shares the interpreter.
"""

from __future__ import annotations

import json
import re
import sys
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
LONGEST_TEXT = 4_000_000
"""Characters; a page of many links with long addresses grows."""


def text_of(html: str, *, url: str) -> tuple[str, str]:
    """(title, text). `url` is what links are relative to. Nothing that is malformed stops it.

    The parser takes quadratic time for what never ends (a tag, a comment). So it is fed in pieces, a piece that is not
    understood soon is dropped, and after some seconds what has been read is all there is.
    """
    reader = _Reader(url)
    deadline = time.monotonic() + _LIMIT_SECONDS
    at = 0
    while at < len(html) and time.monotonic() < deadline and reader.length < LONGEST_TEXT:
        end = html.find(">", at + _PIECE, at + 2 * _PIECE) + 1 or at + 2 * _PIECE
        reader.take(html[at:end])
        reader.drop_what_does_not_end()
        at = end
    reader.take("", last=True)
    if at < len(html):
        reader.parts.append("\n[... the rest of the page takes too long to read, or is too long ...]")
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
        self.length = 0
        """Characters of the parts."""

    def _say(self, text: str) -> None:
        if self.length >= LONGEST_TEXT:
            return
        self.parts.append(text)
        self.length += len(text)

    def take(self, piece: str, *, last: bool = False) -> None:
        try:
            self.feed(piece)
            if last:
                self.close()
        except Exception:  # noqa: BLE001 - what the parser cannot make sense of is left out, and the next piece read
            self.rawdata = ""

    def parse_marked_section(self, i: int, report: int = 1) -> int:  # noqa: ARG002 - the parser's own signature
        """As browsers do: `<![` begins a comment, whatever follows. The parser itself knows a few words, and raises."""
        return self.parse_bogus_comment(i)

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
            self._say("\n")
        elif tag == "a":
            self._links.append((str(dict(attrs).get("href") or ""), len(self.parts)))
        elif tag == "img":
            if alt := (dict(attrs).get("alt") or "").strip():
                self._say(f"[image: {alt}]")
        elif tag in {"td", "th"}:
            self._say(" | ")
        elif tag in _BLOCKS:
            self._say("\n" if tag in {"li", "tr", "dt", "dd"} else "\n\n")
            if tag == "pre":
                self._pre += 1
            elif tag == "li":
                self._say("- ")
            elif tag[0] == "h" and tag[1:].isdigit():
                self._say("#" * int(tag[1:]) + " ")

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
                self._say("\n\n")

    def _end_link(self, href: str, begin: int) -> None:
        words = " ".join("".join(self.parts[begin:]).split())
        if not words or not href or href.startswith(("#", "javascript:", "data:")):
            return
        try:
            target = urljoin(self._url, href.strip())
        except ValueError:
            return
        if len(target) <= _LONGEST_LINK and target.startswith(("http://", "https://", "mailto:")):
            self._say(f" <{target}>")

    def handle_data(self, data: str) -> None:
        if self._in_title and not self.parts:
            self.title.append(data)
        elif not self._skipping and not self._in_title:
            if self._pre:
                self._say(data)
            elif data.strip():
                begin = " " if data[0].isspace() else ""
                end = " " if data[-1].isspace() else ""
                self._say(f"{begin}{' '.join(data.split())}{end}")
            elif self.parts and not self.parts[-1].endswith((" ", "\n")):
                self._say(" ")


def main() -> None:
    """Standard input to standard output."""
    address, page = sys.stdin.buffer.readline(), sys.stdin.buffer.read()
    title, text = text_of(page.decode("utf-8", "replace"), url=json.loads(address))
    sys.stdout.buffer.write(json.dumps({"title": title, "text": text}).encode())


if __name__ == "__main__":
    main()
