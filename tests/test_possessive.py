"""What repeats for good (`(?:…)*+`) is read as it is meant, by the Python that runs this, too.

CPython before 3.11.5 reads it wrongly where what repeats can fail behind its first part: the match then has characters
that do not belong to it (gh-106052, gh-100061). An atomic group (`(?>(?:…)*)`) means the same and is right everywhere;
it remembers every round, so it is for what is bounded, and for what has nothing else.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from re import _compiler as compiler  # type: ignore[attr-defined]
from re import _constants as constants  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

from tests.support.expressions import expressions, samples
from worker_core.logs.shapes import SHAPES

TEXTS = 2_000


def possessive() -> Iterator[tuple[str, Any]]:
    """Each repetition in each expression, by itself."""
    whole = [(one.where, one.pattern, one.flags) for one in expressions() if isinstance(one.pattern, str)]
    whole += [(f"shape {one.pattern}", one.pattern, 0) for shape in SHAPES for one in (shape.whole, shape.begun)]
    seen = set[str]()
    for where, pattern, flags in whole:
        parsed = parser.parse(pattern, flags)
        for part in walk(parsed):
            if str(part) not in seen:
                seen.add(str(part))
                yield where, parser.SubPattern(parsed.state, [part])


def walk(items: Any) -> Iterator[Any]:
    """The possessive repetitions of more than one character."""
    for item in items:
        operator, value = item
        if operator is constants.POSSESSIVE_REPEAT and not compiler._simple(value[2]):
            yield item
        for inner in value if isinstance(value, tuple) else [value]:
            for one in inner if isinstance(inner, list) else [inner]:
                if isinstance(one, parser.SubPattern):
                    yield from walk(one)


def atomic(items: Any) -> Any:
    """The same, without any possessive repetition."""
    if isinstance(items, parser.SubPattern):
        return parser.SubPattern(items.state, [atomic(item) for item in items])
    if isinstance(items, list):
        return [atomic(item) for item in items]
    if isinstance(items, tuple) and items[:1] == (constants.POSSESSIVE_REPEAT,):
        least, most, repeated = items[1]
        repetition = (constants.MAX_REPEAT, (least, most, atomic(repeated)))
        return constants.ATOMIC_GROUP, parser.SubPattern(repeated.state, [repetition])
    return tuple(atomic(item) for item in items) if isinstance(items, tuple) else items


FOUND = list(possessive())


def spans(expression: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    return [found.span() for found in expression.finditer(text)]


@pytest.mark.parametrize(
    "part", [part for _, part in FOUND], ids=[f"{at} {one[0]}"[:60] for at, one in enumerate(FOUND)]
)
def test_what_repeats_for_good_is_what_an_atomic_group_finds(part: Any) -> None:
    as_it_is, meant = compiler.compile(part), compiler.compile(atomic(part))
    pieces, chance = [*samples(part), "\0"], random.Random(0)
    for _ in range(TEXTS):
        text = "".join(chance.choice(pieces) * chance.choice((1, 1, 1, 2, 5, 20)) for _ in range(chance.randint(1, 6)))
        assert spans(as_it_is, text) == spans(meant, text), text


def test_there_are_such_expressions() -> None:
    assert len(FOUND) > 5
