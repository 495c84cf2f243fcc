"""Markdown as pieces, each of which is one widget: prose, code, tables, quotations and rules. No Qt here.

What a model writes is hostile: HTML stays text, and nothing is loaded because its address is in a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import field
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any, Final, Literal

from worker_core.basics.quick_dataclass import dataclass

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

SEGMENT_BLOCKS: Final = 6
"""Paragraphs, lists and the like in one widget: what streams lays out only the last of these."""

ADDRESS_SHOWN: Final = 80
"""Characters of a picture's address that are shown beside its description."""

Kind = Literal["html", "code", "table", "quote", "rule"]

_LINE_END: Final = re.compile(r"\r\n?|\n")
_BARE_LINK: Final = re.compile(r"\bhttps?://[^\s<>\"'`]{1,2000}")
_TASK: Final = re.compile(r"\[([ xX])\] ")
_OF_THEIR_OWN: Final[dict[str, Kind]] = {"table_open": "table", "blockquote_open": "quote", "hr": "rule"}


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a document: HTML, or code in a language. `start` is the character at which it begins."""

    kind: Kind
    content: str
    language: str = ""
    start: int = field(default=0, compare=False)


def segments(markdown: str, *, after: int = 0) -> list[Segment]:
    """Split a document, from a character on, at what has a widget of its own. HTML in it stays visible as text."""
    parser = _parser()
    markdown = markdown[after:]
    starts = [after, *(after + end.end() for end in _LINE_END.finditer(markdown))]
    found: list[Segment] = []
    prose: list[Token] = []

    def begin(token: Token) -> int:
        return starts[min(token.map[0], len(starts) - 1)] if token.map else after

    def close(kind: Kind = "html") -> None:
        if prose:
            html = parser.renderer.render(prose, parser.options, {})
            found.append(Segment(kind, html, start=begin(prose[0])))
            prose.clear()

    depth = blocks = 0
    own: Kind | None = None
    for token in parser.parse(markdown):
        if depth == 0 and token.type in {"fence", "code_block"}:
            close()
            language = token.info.split()[0] if token.info.split() else ""
            found.append(Segment("code", token.content.rstrip("\n"), language.lower(), start=begin(token)))
            continue
        if depth == 0 and (own := _OF_THEIR_OWN.get(token.type)) is not None:
            close()
        elif depth == 0 and token.nesting >= 0:
            blocks = blocks + 1 if prose else 1
            if blocks > SEGMENT_BLOCKS:
                close()
                blocks = 1
        depth += token.nesting
        prose.append(token)
        if depth == 0 and own is not None:
            close(own)
            own = None
    close()
    return found


# -- below --------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.core.ruler.push("bare_links", _link_bare_addresses)
    parser.core.ruler.push("task_lists", _mark_tasks)
    parser.core.ruler.push("cells", _align_cells)
    parser.add_render_rule("image", _image_as_text)
    parser.add_render_rule("heading_open", _heading)
    parser.add_render_rule("heading_close", lambda *_: "</p>")
    return parser


def _image_as_text(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """A picture's description, and its address for who wants to go there."""
    image = tokens[index]
    said = f"[{escape(image.content or 'image')}]"
    address = str(image.attrs.get("src", ""))
    inside_a_link = sum({"link_open": 1, "link_close": -1}.get(token.type, 0) for token in tokens[:index]) > 0
    if inside_a_link or not address.startswith(("http://", "https://")):
        return said
    shown = address if len(address) <= ADDRESS_SHOWN else f"{address[:ADDRESS_SHOWN]}…"
    return f'{said} <a href="{escape(address)}">{escape(shown)}</a>'


def _heading(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """A paragraph of a class: Qt gives `h1` and its like sizes that no style sheet takes away."""
    return f'<p class="{tokens[index].tag}">'


def _link_bare_addresses(state: Any) -> None:
    """Web addresses that stand in the text as they are."""
    for token in state.tokens:
        if token.type == "inline" and "://" in token.content:
            token.children = list(_linked(token.children or ()))


def _linked(children: Sequence[Token]) -> Iterator[Token]:
    links = 0
    for child in children:
        links += {"link_open": 1, "link_close": -1}.get(child.type, 0)
        if child.type != "text" or links:
            yield child
            continue
        at = 0
        for hit in _BARE_LINK.finditer(child.content):
            address = _without_what_ends_it(hit.group())
            yield _text(child, child.content[at : hit.start()])
            yield _token(child, "link_open", "a", 1, href=address)
            yield _text(child, address)
            yield _token(child, "link_close", "a", -1)
            at = hit.start() + len(address)
        yield _text(child, child.content[at:])


def _without_what_ends_it(address: str) -> str:
    """Signs at its end are the sentence's; a bracket is the address's own where it was opened there."""
    while True:
        bare = address.rstrip(".,;:!?*_~")
        for opened, closed in ("()", "[]", "{}"):
            if bare.endswith(closed) and bare.count(closed) > bare.count(opened):
                bare = bare[:-1]
        if bare == address:
            return address
        address = bare


def _mark_tasks(state: Any) -> None:
    """`[x]` at the beginning of an item of a list is a box with a tick; Qt draws one for these classes."""
    tokens = state.tokens
    for item, paragraph, inline in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if (item.type, paragraph.type, inline.type) != ("list_item_open", "paragraph_open", "inline"):
            continue
        first = inline.children[0] if inline.children else None
        if first is not None and first.type == "text" and (box := _TASK.match(first.content)):
            first.content = first.content[box.end() :]
            item.attrSet("class", "unchecked" if box[1] == " " else "checked")


def _align_cells(state: Any) -> None:
    """By an attribute: Qt forgets the sheet's borders where a cell has a style."""
    for token in state.tokens:
        if token.type in {"th_open", "td_open"} and (style := token.attrs.pop("style", "")):
            token.attrSet("align", str(style).removeprefix("text-align:"))


def _text(like: Token, text: str) -> Token:
    made = _token(like, "text", "", 0)
    made.content = text
    return made


def _token(like: Token, kind: str, tag: str, nesting: Literal[-1, 0, 1], **attributes: str) -> Token:
    return type(like)(kind, tag, nesting, attrs=dict(attributes), level=like.level)
