"""What is typed is found among the commands, and the work grows as they do."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as some

from desktop.models.commands import SHOWN, CommandIndex, NamedCommand
from desktop.notices.action import Action

NAMES = ("Overview", "Executions", "Settings", "Pause › For 1 hour", "Proxy", "Köln zählen", "Quit")


def command(title: str, *, target: str = "", about: str = "", ends: bool = False) -> NamedCommand:
    return NamedCommand(title=title, action=Action.PAGE, target=target or title, about=about, ends=ends)


def titles(found: Sequence[NamedCommand]) -> list[str]:
    return [one.title for one in found]


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("over", "Overview"),
        ("OVER", "Overview"),
        ("hour pause", "Pause › For 1 hour"),
        ("stngs", "Settings"),
        ("koln", "Köln zählen"),
        ("ZAHLEN", "Köln zählen"),
        ("network", "Proxy"),
    ],
)
def test_words_are_found_in_any_order_and_case_without_accents_and_with_letters_left_out(
    typed: str, first: str
) -> None:
    index = CommandIndex([command(name, about="For the network." if name == "Proxy" else "") for name in NAMES])
    assert titles(index.find(typed))[0] == first


def test_what_begins_with_it_is_above_what_holds_it_and_that_is_above_what_is_about_it() -> None:
    index = CommandIndex([command("A", about="stop it"), command("Nonstop"), command("Do stop"), command("Stop")])
    assert titles(index.find("stop")) == ["Stop", "Do stop", "Nonstop", "A"]


def test_every_word_must_be_there() -> None:
    index = CommandIndex([command(name) for name in NAMES])
    assert index.find("pause tomorrow") == []
    assert index.find("zzz") == []


def test_those_used_last_are_first_and_what_ends_the_work_is_last() -> None:
    commands = [command("Quit", ends=True), command("One"), command("Two"), command("Three")]
    index = CommandIndex(commands, recent=[(Action.PAGE, "Three"), (Action.PAGE, "Two"), (Action.PAGE, "gone")])
    assert titles(index.find("")) == ["Three", "Two", "One", "Quit"]
    again = CommandIndex([command("Page one"), command("Page two")], recent=[(Action.PAGE, "Page two")])
    assert titles(again.find("page")) == ["Page two", "Page one"]


@given(typed=some.text(max_size=400), names=some.lists(some.text(max_size=400), max_size=20))
def test_whatever_is_typed_is_only_text(typed: str, names: list[str]) -> None:
    commands = [command(name, target=str(number)) for number, name in enumerate(names)]
    found = CommandIndex(commands).find(typed)
    assert len({one.key for one in found}) == len(found) <= len(commands)
    assert CommandIndex(commands).find("") == commands


def took(index: CommandIndex, typed: str) -> float:
    """The least of several, in seconds of this process."""
    best = float("inf")
    for _ in range(7):
        begun = time.process_time()
        index.find(typed)
        best = min(best, time.process_time() - begun)
    return best


@pytest.mark.parametrize("typed", ["", "number 7", "s" * 100, "stn agnt"])
def test_twice_as_many_commands_take_twice_as_long(typed: str) -> None:
    def index(count: int) -> CommandIndex:
        made = CommandIndex(
            command(f"Task number {n}: look after the system's " + "s" * 60, target=str(n), about="agent")
            for n in range(count)
        )
        made.find("x")  # their texts are made once
        return made

    half, whole = index(5_000), index(10_000)
    assert len(whole.find("")) == SHOWN
    assert took(whole, typed) < 3 * took(half, typed) + 0.002


def test_a_longer_title_takes_no_longer_than_its_limit() -> None:
    short, long = (CommandIndex([command("s" * 200 * times)] * 200) for times in (1, 1_000))
    for index in (short, long):
        index.find("x")
    assert took(long, "sq" * 20) < 3 * took(short, "sq" * 20) + 0.002
