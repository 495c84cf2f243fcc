"""Text to PDF: headings, lists, code and paragraphs, in one font that has every character of it.

What cannot be drawn correctly is refused with a sentence: a page with boxes instead of letters helps nobody.
"""

from __future__ import annotations

import os
import sys
import threading
import unicodedata
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from worker_core.basics.quick_dataclass import dataclass

LONGEST_TEXT: Final = 500_000
"""Characters, about 200 pages."""

_MARGIN: Final = 56.0
_PAGE: Final = (595.28, 841.89)
"""A4, in points."""

_INDENT: Final = 16.0
_ONE_AT_A_TIME = threading.Lock()
"""The library keeps its fonts for the whole process."""

_FONT_FILES: Final = (
    "truetype/dejavu/DejaVuSans.ttf",
    "dejavu-sans-fonts/DejaVuSans.ttf",
    "TTF/DejaVuSans.ttf",
    "truetype/noto/NotoSans-Regular.ttf",
    "noto/NotoSans-Regular.ttf",
    "truetype/liberation/LiberationSans-Regular.ttf",
    "truetype/wqy/wqy-microhei.ttc",
    "Supplemental/Arial Unicode.ttf",
    "Supplemental/Arial.ttf",
    "segoeui.ttf",
    "arial.ttf",
    "msyh.ttc",
    "malgun.ttf",
    "YuGothR.ttc",
)
"""Below the folders where systems keep fonts. The first one with every character is used."""


class CannotRender(Exception):
    """The sentence says why."""


@dataclass(frozen=True, slots=True)
class _Block:
    kind: str
    """`heading1` to `heading3`, `item`, `code`, `text`, or `gap`."""

    text: str


def render(text: str, *, title: str = "") -> bytes:
    """A PDF of `text`, in which lines that begin with `#`, `-` or three back-quotes mean what they mean in Markdown.

    Raises:
        CannotRender: the text is too long, or has characters that no font here can draw.
    """
    if len(text) + len(title) > LONGEST_TEXT:
        raise CannotRender(f"The text has more than {LONGEST_TEXT} characters; make several files of it.")
    text, title = (unicodedata.normalize("NFC", one.expandtabs(4).replace("\r\n", "\n")) for one in (text, title))
    _refuse_what_needs_shaping(title + text)
    with _ONE_AT_A_TIME:
        return _drawn(text, title)


def _drawn(text: str, title: str) -> bytes:
    _keep_out_home_settings()
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfgen.canvas import Canvas

    plain, bold = _fonts(title + text)
    target = BytesIO()
    canvas = Canvas(target, pagesize=_PAGE, invariant=1)
    canvas.setTitle(title or "Document")
    page = _Page(canvas, pdfmetrics.stringWidth)
    for block in _blocks(f"# {title}\n\n{text}" if title else text):
        match block.kind:
            case "heading1" | "heading2" | "heading3":
                size = {"heading1": 20.0, "heading2": 15.0, "heading3": 12.5}[block.kind]
                page.space(size / 2)
                page.lines(block.text, font=bold, size=size)
                page.space(size / 4)
            case "item":
                page.lines(block.text, font=plain, size=10.5, indent=_INDENT, mark="-")
            case "code":
                page.lines(block.text, font="Courier" if plain == "Helvetica" else plain, size=9.0, indent=_INDENT)
            case "gap":
                page.space(7.0)
            case _:
                page.lines(block.text, font=plain, size=10.5)
    canvas.showPage()
    canvas.save()
    return target.getvalue()


class _Page:
    """Where on the page we are; a full one is followed by the next."""

    def __init__(self, canvas: Any, width_of: Any) -> None:
        self._canvas = canvas
        self._width_of = width_of
        self._y = _PAGE[1] - _MARGIN

    def space(self, points: float) -> None:
        self._y -= points

    def lines(self, text: str, *, font: str, size: float, indent: float = 0.0, mark: str = "") -> None:
        room = _PAGE[0] - 2 * _MARGIN - indent
        for number, line in enumerate(self._wrapped(text, font, size, room)):
            if self._y - size < _MARGIN:
                self._canvas.showPage()
                self._y = _PAGE[1] - _MARGIN
            self._y -= size * 1.35
            self._canvas.setFont(font, size)
            if mark and number == 0:
                self._canvas.drawString(_MARGIN + indent / 3, self._y, mark)
            self._canvas.drawString(_MARGIN + indent, self._y, line)

    def _wrapped(self, text: str, font: str, size: float, room: float) -> Iterator[str]:
        line, used = "", 0.0
        for word in _words(text):
            wide = self._width_of(word.rstrip(), font, size)
            if line and used + wide > room:
                yield line.rstrip()
                line, used = "", 0.0
            while wide > room:  # longer than a line: broken where the line ends
                fits = self._fitting(word, font, size, room)
                yield word[:fits]
                word = word[fits:]
                wide = self._width_of(word.rstrip(), font, size)
            line += word
            used += self._width_of(word, font, size)
        yield line.rstrip()

    def _fitting(self, word: str, font: str, size: float, room: float) -> int:
        low, high = 1, len(word)
        while low < high:
            middle = (low + high + 1) // 2
            if self._width_of(word[:middle], font, size) <= room:
                low = middle
            else:
                high = middle - 1
        return low


def _words(text: str) -> Iterator[str]:
    """Words with the spaces that follow them; spaces at the beginning are a word of their own."""
    start = 0
    for index in range(1, len(text)):
        if text[index] != " " and text[index - 1] == " ":
            yield text[start:index]
            start = index
    if text[start:]:
        yield text[start:]


def _blocks(text: str) -> Iterator[_Block]:
    in_code = False
    for line in text.split("\n"):
        bare = line.strip()
        if bare.startswith("```"):
            in_code = not in_code
        elif in_code:
            yield _Block("code", line.rstrip())
        elif not bare:
            yield _Block("gap", "")
        elif bare.startswith("#") and bare.lstrip("#").startswith(" ") and len(bare) - len(bare.lstrip("#")) <= 3:
            yield _Block(f"heading{len(bare) - len(bare.lstrip('#'))}", bare.lstrip("# "))
        elif bare.startswith(("- ", "* ")):
            yield _Block("item", bare[2:].strip())
        else:
            yield _Block("text", line.rstrip())


def _refuse_what_needs_shaping(text: str) -> None:
    for character in sorted(set(text)):
        if character == "\n":
            continue
        category = unicodedata.category(character)
        if category in {"Mn", "Mc", "Me"} or unicodedata.bidirectional(character) in {"R", "AL", "AN", "RLE", "RLO"}:
            raise CannotRender(
                f"The text has letters that must be joined or reordered to be read (such as {_named(character)}), "
                "which the PDF writer cannot do. Write an HTML or text file instead."
            )
        if category in {"Cc", "Cs"}:
            raise CannotRender(f"The text has a control character ({_named(character)}); leave it out.")


def _fonts(text: str) -> tuple[str, str]:
    """(plain, bold): the built-in ones for Western text, else one font of this system for both."""
    characters = set(text) - {"\n"}
    try:
        "".join(characters).encode("cp1252")
        return "Helvetica", "Helvetica-Bold"
    except UnicodeEncodeError:
        pass
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    fewest: set[str] | None = None
    for path in _font_paths():
        name = f"kubiya-{path.name}"
        try:
            font = pdfmetrics.getFont(name) if name in pdfmetrics.getRegisteredFontNames() else TTFont(name, str(path))
        except Exception:  # noqa: BLE001, S112 -- a font file that the library cannot read is not used
            continue
        missing = {one for one in characters if ord(one) not in font.face.charToGlyph}
        if not missing:
            pdfmetrics.registerFont(font)
            return name, name
        if fewest is None or len(missing) < len(fewest):
            fewest = missing
    shown = ", ".join(_named(one) for one in sorted(fewest or characters - set(map(chr, range(256))))[:5])
    raise CannotRender(
        f"No font of this machine has all characters of the text (missing: {shown}). Leave them out, install a font "
        "such as DejaVu Sans, or write a text file instead."
    )


def _font_paths() -> Iterator[Path]:
    if sys.platform == "win32":
        roots = [Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts"]
    elif sys.platform == "darwin":
        roots = [Path("/System/Library/Fonts"), Path("/Library/Fonts")]
    else:
        roots = [Path("/usr/share/fonts"), Path("/usr/local/share/fonts")]
    for file in _FONT_FILES:
        for root in roots:
            if (path := root / file).is_file():
                yield path


def _named(character: str) -> str:
    return f"{character!r} U+{ord(character):04X}"


def _keep_out_home_settings() -> None:
    """The library would execute ~/.reportlab_settings, which an agent may have written, inside the worker. It does not
    look for that file where a module of this name is there.
    """
    sys.modules.setdefault("reportlab_settings", ModuleType("reportlab_settings"))
