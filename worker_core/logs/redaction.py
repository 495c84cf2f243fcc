"""Masking: secret values, in every form they are likely to be printed in, become stars before a text leaves.

What is masked: values that were registered, in the forms of `forms.py`, also where a line break was put into them; and
what looks like a credential, by the shapes of `shapes.py`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from itertools import accumulate, chain
from threading import Lock
from typing import Any

from worker_core.basics.foreign_json import DEEPEST, TOO_DEEP
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.whole_text import whole
from worker_core.key_sources import KeyInFile
from worker_core.logs.forms import LONGEST, SHORTEST, forms_of, without_line_breaks
from worker_core.logs.known_texts import KnownTexts
from worker_core.logs.shapes import View, hidden_in
from worker_core.secrets import Secret

__all__ = ["LONGEST", "MASK", "SHORTEST", "Redactor", "StreamRedactor", "masked_data"]

MASK = "***"

_LINE_BREAKS = re.compile(r"[\r\n]")
_ESCAPED_TOO = re.compile(r"[\r\n]|(?<!\\)\\+[rn]")
_ESCAPED_OR_CUT = re.compile(r"[\r\n]|(?<!\\)\\+(?:[rn]|\Z)")

_Span = tuple[int, int]


class Redactor:
    """Knows the secrets of a process, and of each execution on it. Safe to use from any thread."""

    def __init__(self) -> None:
        self._known = KnownTexts()
        self._values: dict[str, _Value] = {}
        self._lock = Lock()

    def add(self, *secrets: str | Secret, owner: str = "") -> None:
        """Mask values from now on, in all their forms. Those shorter than SHORTEST characters are left alone.

        Args:
            secrets: many at once cost less than one after the other.
            owner: an execution, with which they are forgotten. By default they are known as long as the process lives.
        """
        for secret in secrets:
            if isinstance(secret, KeyInFile):
                secret.listen(self.add)
        values = {secret.reveal() if isinstance(secret, Secret) else secret for secret in secrets}
        forms = {value: forms_of(value) for value in values if value not in self._values}
        with self._lock:
            new = {value: _Value(forms.get(value) or forms_of(value)) for value in values if value not in self._values}
            self._known.add(chain.from_iterable(one.forms for one in new.values()))
            self._values |= new
            for value in values:
                self._values[value].owners.add(owner)

    def forget(self, owner: str) -> None:
        """An execution is over: what it alone declared is no secret of this process any more."""
        with self._lock:
            for one in self._values.values():
                one.owners.discard(owner)
            gone = {value: one for value, one in self._values.items() if not one.owners}
            self._known.remove(chain.from_iterable(one.forms for one in gone.values()))
            for value in gone:
                del self._values[value]

    def mask(self, text: str) -> str:
        """The text with every secret replaced."""
        if len(text) < SHORTEST:
            return text
        spans = [*self.known_in(text), *hidden_in(text)]
        return _Rendering().add(text, _united(spans), upto=len(text)) if spans else text

    def stream(self) -> StreamRedactor:
        """A masker for a text that comes in pieces."""
        return StreamRedactor(self)

    def known_in(self, text: str) -> list[_Span]:
        """Start and end of registered values; they may overlap."""
        if not self._known:
            return []
        found = self._found(text, without_line_breaks(text), _LINE_BREAKS)
        if "\\n" in text or "\\r" in text:
            found += self._found(text, _ESCAPED_TOO.sub("", text), _ESCAPED_TOO)
        return found

    def known_begun_at(self, text: str) -> int:
        """Where the first ending begins that a registered value may continue."""
        if not self._known:
            return len(text)
        begun = self._begun_at(text, without_line_breaks(text), _LINE_BREAKS)
        if "\\" in text:
            begun = min(begun, self._begun_at(text, _ESCAPED_OR_CUT.sub("", text), _ESCAPED_OR_CUT))
        return begun

    def _begun_at(self, text: str, joined: str, breaks: re.Pattern[str]) -> int:
        begun = self._known.begun_at(joined)
        return len(text) if begun == len(joined) else _in_whole(text, breaks, [begun])[0]

    def _found(self, text: str, joined: str, breaks: re.Pattern[str]) -> list[_Span]:
        found = self._known.find(joined)
        if not found or len(joined) == len(text):
            return found
        starts = _in_whole(text, breaks, (start for start, _ in found))
        lasts = _in_whole(text, breaks, (end - 1 for _, end in found))
        return [(start, last + 1) for start, last in zip(starts, lasts, strict=True)]


@dataclass(slots=True)
class _Value:
    forms: frozenset[str]
    owners: set[str] = field(default_factory=set)


def masked_data(value: Any, mask: Callable[[str], str], depth: int = 0) -> Any:
    """JSON-like data with every text in it masked, keys too, as whole text; what nests too deep is left out.

    Data is masked before it is written as JSON, not after: a secret could begin within an escape.
    """
    match value:
        case str():
            return mask(whole(value))
        case Mapping() | list() | tuple() | set() | frozenset() if depth >= DEEPEST:
            return TOO_DEEP
        case Mapping():
            return {mask(whole(str(key))): masked_data(one, mask, depth + 1) for key, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [masked_data(one, mask, depth + 1) for one in value]
        case None | bool() | int() | float():
            return value
        case _:
            return mask(whole(str(value)))


class StreamRedactor:
    """Holds back an ending that could be the beginning of a secret, and nothing else."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._begin()

    def _begin(self) -> None:
        self._text = ""
        """What is held back, and in front of it what was sent and still says what it means."""

        self._goes_before = False
        self._rendering = _Rendering()

    def feed(self, piece: str) -> str:
        """What may leave now."""
        text = self._text + piece
        view = View(text, goes_before=self._goes_before)
        spans = _united([*self._redactor.known_in(text), *view.hidden])
        cut = max(min(self._redactor.known_begun_at(text), view.begun_at), self._rendering.sent)
        # A longer secret may begin with a shorter one, or overlap with it.
        cut = next((max(start, self._rendering.sent) for start, end in spans if start < cut < end), cut)
        said = self._rendering.add(text, spans, upto=cut)
        dropped = view.needed_for(cut)
        self._text = text[dropped:]
        self._goes_before = self._goes_before or dropped > 0
        self._rendering.shift(dropped)
        return said

    def flush(self) -> str:
        """The rest, at the end of the text."""
        text = self._text
        spans = _united([*self._redactor.known_in(text), *View(text, goes_before=self._goes_before).hidden])
        rest = self._rendering.add(text, spans, upto=len(text))
        self._begin()
        return rest


class _Rendering:
    """Of a text, part by part: one mask for secrets that touch."""

    def __init__(self) -> None:
        self.sent = 0
        """Characters of the text that were rendered."""

        self._masked_to = -1

    def add(self, text: str, spans: Iterable[_Span], *, upto: int) -> str:
        """The next part. `upto` lies in no span."""
        parts, at = [], self.sent
        for start, end in spans:
            if at < end <= upto:
                parts.append(text[at:start])
                if max(at, start) != self._masked_to:
                    parts.append(MASK)
                at = self._masked_to = end
        parts.append(text[at:upto])
        self.sent = upto
        return "".join(parts)

    def shift(self, dropped: int) -> None:
        """The first characters of the text are gone."""
        self.sent -= dropped
        self._masked_to -= dropped


def _united(spans: list[_Span]) -> list[_Span]:
    """Sorted, and those that overlap made one."""
    if len(spans) < 2:
        return spans
    spans.sort()
    united = [spans[0]]
    for start, end in spans[1:]:
        first, last = united[-1]
        if start < last:
            united[-1] = (first, max(last, end))
        else:
            united.append((start, end))
    return united


def _in_whole(text: str, breaks: re.Pattern[str], places: Iterable[int]) -> list[int]:
    """Where the characters stand in `text` that have these places in it without its line breaks."""
    found = [match.span() for match in breaks.finditer(text)]
    lengths = [0, *accumulate(end - start for start, end in found)]
    # The place, without breaks, of the character behind each break.
    behind = [start - before for (start, _), before in zip(found, lengths, strict=False)]
    return [place + lengths[bisect_right(behind, place)] for place in places]
