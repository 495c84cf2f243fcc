"""Sentences that know what they are made of, so that a face can say them in another language.

English travels as plain text, as it always did: logs, terminal and wire read nothing else. Beside it, a view keeps the
templates and their values (`said`). Whoever has a template in his language says that; what he does not know, a newer
worker's say, is said in English.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Final, Self

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.whole_text import whole

_PLACE: Final = re.compile(r"{(\w+)}")


@dataclass(frozen=True, slots=True)
class Phrase:
    """One sentence, or a part of one."""

    text: str
    """In English, with `{name}` where a value stands: what a catalogue knows it by."""

    values: Mapping[str, str | int | float | tuple[Phrase, ...]] = field(default_factory=dict, hash=False)
    """Names and what is no number to anybody (ports, statuses, ids) as text; counts and measures as numbers, which each
    language writes in its own way; what is itself to be translated as a sentence. Empty: the text has no places.
    """


class Worded(str):
    """Text in English, with what it is made of. For the views of a snapshot, where `settle` takes it apart, and for
    errors: nothing that is encoded holds one.
    """

    __slots__ = ("said",)
    said: tuple[Phrase, ...]

    def __new__(cls, said: Sequence[Phrase]) -> Self:
        made = super().__new__(cls, english(said))
        made.said = tuple(said)
        return made

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (self.said,)


def worded(text: str, /, **values: str | float) -> Worded:
    """`text`, with `{name}` replaced by `values`.

    Args:
        text: written out at the call, since `scripts/languages.py` collects it for the catalogues.
        values: see `Phrase.values`; a `Worded` is translated, any other text is not.
    """
    return Worded((Phrase(text, {name: _value(value) for name, value in values.items()}),))


def joined(*sentences: str) -> Worded:
    """One behind the other, with a space between; empty ones are left out. Plain text stays as it is."""
    return Worded([part for one in sentences for part in _parts(one)])


def again(text: str, said: Sequence[Phrase]) -> str:
    """The sentence that a view has taken apart; plain text, where it was never one."""
    return Worded(said) if said else text


def told(text: str, said: object) -> str:
    """`text`, with what it is made of where that makes the same text.

    Args:
        text: in English.
        said: as it came over the control socket, whatever the other side sent.
    """
    from worker_core.basics import typed_json  # what merely says a sentence reads no JSON

    try:
        made = again(text, typed_json.convert(said or (), tuple[Phrase, ...]))
    except ValueError:
        return text
    return made if made == text else text


def without(text: str, end: str) -> str:
    """`text` without the sentence at its end, and the space before it."""
    if not end or not text.endswith(end):
        return text
    if isinstance(text, Worded):
        for number in range(len(text.said)):
            if english(text.said[number:]) == end:
                return Worded(text.said[:number])
    return text.removesuffix(end).rstrip()


def settle(view: Any, name: str) -> None:
    """Called behind `__init__` of a view: plain English stands in its field `name` from then on, and what that is made
    of in `said`. What is there of another text, as `replace` leaves it, is dropped.
    """
    text = getattr(view, name)
    if isinstance(text, Worded):
        object.__setattr__(view, name, str(text))
        object.__setattr__(view, "said", text.said)
    elif view.said and english(view.said) != text:
        object.__setattr__(view, "said", ())


def english(said: Sequence[Phrase]) -> str:
    """As it is logged."""
    return " ".join(filled(one.text, one.values, _in_english) for one in said)


def in_english(plain: Any) -> Any:
    """What JSON is made of, for whoever reads English: without what its sentences are made of."""
    match plain:
        case dict():
            return {name: in_english(value) for name, value in plain.items() if name != "said"}
        case list() | tuple():
            return [in_english(one) for one in plain]
        case _:
            return plain


def filled(text: str, values: Mapping[str, Any], show: Callable[[Any], str]) -> str:
    """A template with its values. Nothing in it is a format but `{name}`; a name that has no value stays."""
    if not values:
        return text
    return _PLACE.sub(lambda place: show(values[place[1]]) if place[1] in values else place[0], text)


def _in_english(value: str | float | Sequence[Phrase]) -> str:
    match value:
        case str():
            return value
        case int() | float():
            return f"{value:g}" if isinstance(value, float) else f"{value:,}"
        case _:
            return english(value)


def _value(value: str | float) -> str | float | tuple[Phrase, ...]:
    match value:
        case Worded():
            return value.said
        case str():
            return whole(value)
        case _:
            return value


def _parts(sentence: str) -> Sequence[Phrase]:
    if isinstance(sentence, Worded):
        return sentence.said
    return (Phrase(whole(sentence)),) if sentence else ()
