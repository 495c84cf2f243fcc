from __future__ import annotations

import base64
import json
import os
import random
import shlex
import string
import threading
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.growth import LINEAR, costs_as_much, twice_the_length_costs
from worker_core.logs.redaction import LONGEST, MASK, Redactor

secrets = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Z"]), min_size=6, max_size=40).filter(
    lambda text: "*" not in text
)
surroundings = st.text(st.characters(codec="ascii", categories=["L", "N", "Zs"]), max_size=20)


def encodings(secret: str) -> list[str]:
    data = secret.encode()
    return [
        secret,
        json.dumps(secret)[1:-1],
        quote(secret, safe=""),
        shlex.quote(secret).strip("'"),
        data.hex(),
        base64.b64encode(data).decode().rstrip("="),
    ]


@given(secrets, surroundings, surroundings)
def test_a_secret_is_masked_in_every_encoding(secret: str, before: str, after: str) -> None:
    redactor = Redactor()
    redactor.add(secret)
    for form in encodings(secret):
        if form not in before + after:
            assert form not in redactor.mask(f"{before} {form} {after}")


@given(secrets, st.binary(max_size=5), st.binary(max_size=5))
def test_a_secret_inside_a_larger_base64_text_is_masked(secret: str, before: bytes, after: bytes) -> None:
    if len(secret.encode()) < 9:
        return  # fewer characters are left of it than are masked
    redactor = Redactor()
    redactor.add(secret)
    whole = base64.b64encode(before + secret.encode() + after).decode()
    assert MASK in redactor.mask(whole)


@given(st.lists(secrets, min_size=1, max_size=3), surroundings, st.data())
def test_a_secret_that_is_split_over_pieces_never_leaks(known: list[str], text: str, data: st.DataObject) -> None:
    redactor = Redactor()
    for secret in known:
        redactor.add(secret)
    whole = text.join(["", *known, data.draw(st.sampled_from(known))[:5], ""])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    stream = redactor.stream()
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    said = "".join(stream.feed(piece) for piece in pieces) + stream.flush()
    assert said == redactor.mask(whole)


@given(st.text(), surroundings)
def test_a_text_without_secrets_comes_through_unchanged(text: str, more: str) -> None:
    redactor = Redactor()
    redactor.add("\ue000\ue001" * 8)
    if "\ue000" in text or "://" in text or "earer" in text.lower() or "uthoriz" in text.lower():
        return
    stream = redactor.stream()
    first = stream.feed(text)
    assert text.startswith(first)
    assert len(text) - len(first) < LONGEST
    assert first + stream.feed(more) + stream.flush() == text + more


def test_nothing_is_held_back_where_no_secret_can_begin() -> None:
    redactor = Redactor()
    redactor.add("secret-value")
    stream = redactor.stream()
    assert stream.feed("a plain sentence. ") == "a plain sentence. "
    assert stream.feed("sec") == ""
    assert stream.feed("ond") == "second"


def test_a_longer_secret_that_begins_with_a_shorter_one_is_masked_whole() -> None:
    redactor = Redactor()
    redactor.add("abcdef")
    redactor.add("abcdefghij")
    stream = redactor.stream()
    said = stream.feed("x abcdef") + stream.feed("ghij y") + stream.flush()
    assert said == f"x {MASK} y"


def test_short_values_are_left_alone() -> None:
    redactor = Redactor()
    redactor.add("12345")
    assert redactor.mask("port 12345") == "port 12345"


def test_each_line_of_a_multi_line_secret_is_masked() -> None:
    redactor = Redactor()
    redactor.add("-----BEGIN KEY-----\nMIIEvQIBADANBg\n-----END KEY-----\n")
    assert "MIIEvQ" not in redactor.mask("line: MIIEvQIBADANBg")


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("git clone https://me:s3cr3tpw@host/x", "s3cr3tpw"),
        ("Authorization: Bearer abc.def.ghi", "abc.def.ghi"),
        ("headers={'Authorization': 'UserKey tok-1234'}", "tok-1234"),
        ("curl -H 'authorization: basic dXNlcjpwYXNz'", "dXNlcjpwYXNz"),
    ],
)
def test_credentials_are_masked_by_their_place(text: str, hidden: str) -> None:
    assert hidden not in Redactor().mask(text)


SLOW = "KUBIYA_SLOW_TESTS"


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "count",
    [500, pytest.param(10_000, marks=pytest.mark.skipif(not os.environ.get(SLOW), reason=f"minutes: set {SLOW}=1"))],
)
def test_random_secrets_in_five_encodings_split_at_every_boundary(count: int) -> None:
    chance = random.Random(count)
    alphabet = string.ascii_letters + string.digits + "/+=_-.:é\"'$&"
    for _ in range(count):
        secret = "".join(chance.choices(alphabet, k=chance.randint(8, 40)))
        redactor = Redactor()
        redactor.add(secret)
        data = secret.encode()
        forms = [secret, base64.b64encode(data).decode().rstrip("="), quote(secret, safe=""), json.dumps(secret)[1:-1],
                 shlex.quote(secret).strip("'")]  # fmt: skip
        for form in forms:
            for cut in range(1, len(form)):
                stream = redactor.stream()
                said = stream.feed(f"<{form[:cut]}") + stream.feed(f"{form[cut:]}>") + stream.flush()
                assert form not in said
                assert MASK in said


def test_twice_as_many_secrets_cost_twice_as_much() -> None:
    def known(count: int) -> None:
        redactor = Redactor()
        for number in range(count):
            redactor.add(f"secret-number-{number:06}")
        assert redactor.mask("a secret-number-000047 b") == f"a {MASK} b"

    assert twice_the_length_costs(known, int, length=250) < LINEAR


def test_what_an_execution_declared_is_forgotten_with_it() -> None:
    redactor = Redactor()
    redactor.add("shared-by-two", "of-one-alone", owner="one")
    redactor.add("shared-by-two", owner="two")
    redactor.add("of-one-alone-and-more", owner="two")
    redactor.forget("one")
    assert redactor.mask("shared-by-two of-one-alone of-one-alone-and-more") == f"{MASK} of-one-alone {MASK}"
    redactor.forget("two")
    assert redactor.mask("shared-by-two of-one-alone-and-more") == "shared-by-two of-one-alone-and-more"
    redactor.forget("three")


def test_what_the_process_knows_is_not_forgotten_with_an_execution() -> None:
    redactor = Redactor()
    redactor.add("key-of-the-worker")
    redactor.add("key-of-the-worker", owner="one")
    redactor.forget("one")
    assert redactor.mask("key-of-the-worker") == MASK


def test_secrets_come_and_go_while_others_are_looked_for() -> None:
    redactor = Redactor()
    redactor.add("stays-all-the-time")
    wrong: list[str] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            said = redactor.mask("stays-all-the-time " * 50)
            if said != f"{MASK} " * 50:
                wrong.append(said)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(100):
        redactor.add(*(f"stays-all-{number}-{other}" for other in range(10)), owner=str(number))
        redactor.forget(str(number - 1))
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_secrets_that_overlap_leave_nothing_between_them() -> None:
    redactor = Redactor()
    redactor.add("abcdefgh", "efghijkl")
    assert redactor.mask("<abcdefghijkl>") == f"<{MASK}>"


@pytest.mark.parametrize("beginning", ["", "secret-number-"])
def test_masking_is_linear_in_secrets_and_in_text(beginning: str) -> None:
    """Ten times as many secrets cost little more; they are looked for all at once."""
    chance = random.Random(1)

    def known(number: int) -> Redactor:
        redactor = Redactor()
        redactor.add(*(beginning + "".join(chance.choices(string.ascii_letters, k=40)) for _ in range(number)))
        return redactor

    text = f"The quick brown fox {beginning} jumps over the lazy dog.\n" * 1_000
    few, many = known(300), known(3_000)
    assert costs_as_much(lambda: many.mask(text), lambda: few.mask(text)) < LINEAR
    assert twice_the_length_costs(many.mask, lambda length: text[:length], length=20_000) < LINEAR


def test_a_piece_costs_the_same_however_long_the_stream_is() -> None:
    redactor = Redactor()
    redactor.add(*(f"secret-number-{number:06}" for number in range(3_000)))

    def act(text: str) -> None:
        stream = redactor.stream()
        for at in range(0, len(text), 12):
            stream.feed(text[at : at + 12])

    assert twice_the_length_costs(act, lambda length: "secret-number- and more " * (length // 24)) < LINEAR
