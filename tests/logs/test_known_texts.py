from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.growth import LINEAR, costs_as_much, twice_the_length_costs
from worker_core.logs.known_texts import HEAD, KnownTexts

# Few letters, so that texts begin like others, lie in others and overlap; and some beyond Latin-1.
texts = st.text("abé日", min_size=HEAD, max_size=16)
sets = st.lists(texts, max_size=8, unique=True)
places = st.lists(st.one_of(texts, st.text("abé日😀", max_size=9)), max_size=8)


def found_naively(known: list[str], text: str) -> list[tuple[int, int]]:
    return [
        (start, start + max(lengths))
        for start in range(len(text))
        if (lengths := [len(one) for one in known if text.startswith(one, start)])
    ]


def begun_naively(known: list[str], text: str) -> int:
    return next(
        (
            start
            for start in range(len(text))
            if any(len(one) > len(text) - start and one.startswith(text[start:]) for one in known)
        ),
        len(text),
    )


@given(sets, sets, places, st.data())
def test_it_finds_what_a_look_at_every_place_finds(
    known: list[str], gone: list[str], parts: list[str], data: st.DataObject
) -> None:
    index = KnownTexts()
    index.add(known)
    index.add(gone)
    index.add(known)
    index.remove(gone)
    index.remove(known)
    text = "".join([*parts, *(data.draw(st.sampled_from(known))[:cut] for cut in (9, 5) if known)])
    assert sorted(set(index.find(text))) == found_naively(known, text)
    assert index.begun_at(text) == begun_naively(known, text)
    assert bool(index) == bool(known)


def test_what_was_added_twice_is_removed_twice() -> None:
    index = KnownTexts()
    index.add(["secret-1", "secret-1"])
    index.remove(["secret-1"])
    assert index.find("a secret-1") == [(2, 10)]
    index.remove(["secret-1"])
    assert index.find("a secret-1") == []
    assert not index


def test_a_text_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="6 characters"):
        KnownTexts().add(["12345"])


chance = random.Random(1)


def words(number: int, *, beginning: str = "") -> list[str]:
    return [beginning + "".join(chance.choices(string.ascii_letters, k=40)) for _ in range(number)]


def index_of(known: list[str]) -> KnownTexts:
    index = KnownTexts()
    index.add(known)
    return index


ORDINARY = "The quick brown fox jumps over the lazy dog, number 0123456789abcdef.\n" * 300


@pytest.mark.parametrize("beginning", ["", "secret-number-", "a" * 24])
def test_the_number_of_texts_hardly_counts(beginning: str) -> None:
    """Sixteen times as many cost less than three times as much."""
    text = ORDINARY + (beginning + " ") * 100
    few, many = (index_of(words(number, beginning=beginning)) for number in (250, 4_000))
    assert costs_as_much(lambda: many.find(text), lambda: few.find(text)) < LINEAR


@pytest.mark.parametrize(
    "run",
    ["a", "ab", "secret-number-", "0123456789abcdef", "é日", "secre", "aaaaaaaaaaab"],
)
def test_it_is_linear_in_the_text(run: str) -> None:
    nested = ["a" * length for length in range(HEAD, 65)] + ["a" * length + "b" for length in range(HEAD, 64)]
    index = index_of([*words(500), *words(500, beginning="secret-number-"), *nested])
    assert twice_the_length_costs(index.find, lambda length: run * (length // len(run))) < LINEAR
    assert twice_the_length_costs(index.begun_at, lambda length: run * (length // len(run))) < LINEAR


def test_adding_and_removing_is_linear() -> None:
    def act(known: list[str]) -> None:
        index_of(known).remove(known)

    assert twice_the_length_costs(act, lambda n: words(n, beginning="secret-number-"), length=100) < LINEAR
