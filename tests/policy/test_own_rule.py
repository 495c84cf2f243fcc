"""The rule of "always" as its user changed it: it is written only if it is one, and fits the call in question."""

from __future__ import annotations

import pytest

from worker_core.policy.own_rule import LONGEST, NotThatRule, read_rules
from worker_core.policy.question_text import rule_in_one_line

PUSH = '[[allow]]\ncommand = "git push [*]"\ntool = "shell"\nalways = true'
TWO = f'{PUSH}\n\n[[allow]]\npath = "/srv/e1/notes [[]1].txt"\ntool = "shell"\nalways = true'
KEYS = '[[allow]]\npath = "/home/me/.ssh/config"\ntool = "read_file"\nalways = true\noverride = true'


def read(text: str, *, proposed: str = PUSH, tool: str = "shell") -> int:
    return len(read_rules(text, proposed=proposed, tool=tool, workspace="/srv/e1"))


@pytest.mark.parametrize(
    ("text", "proposed", "count"),
    [
        (PUSH, PUSH, 1),
        (PUSH.replace("[*]", "*"), PUSH, 1),
        ("[[allow]]\ncommand = ['ls', 'git *']\nalways = true", PUSH, 1),
        (TWO, TWO, 2),
        (TWO, PUSH, 2),
        (f'{PUSH}\n[[allow]]\npath = "<workspace>"\nalways = true', TWO, 2),
        (f'{PUSH}\n[[allow]]\npath = "notes*"\nalways = true', TWO, 2),
    ],
)
def test_narrower_or_wider_it_fits(text: str, proposed: str, count: int) -> None:
    assert read(text, proposed=proposed) == count


@pytest.mark.parametrize(
    ("text", "proposed", "fault"),
    [
        ("[[allow", PUSH, "broken"),
        ("[[alow]]\ncommand = '*'", PUSH, "broken"),
        ("[[allow]]\ncommand = 7", PUSH, "broken"),
        ("command = '*'\nalways = true", PUSH, "broken"),
        ("#" * (LONGEST + 1), PUSH, "broken"),
        (PUSH, "[[allow]]\ncommand = ***\nalways = true", "broken"),
        (f"{PUSH}\n[[deny]]\ntool = 'x'", PUSH, "other"),
        (f"{PUSH}\n[[ask]]\ntool = 'x'", PUSH, "other"),
        (f"{PUSH}\n[budget]\nexecution.tokens = 5", PUSH, "other"),
        (f"{PUSH}\n[budget]", PUSH, "other"),
        (PUSH.replace("always = true", ""), PUSH, "weak"),
        (f"{PUSH}\noverride = true", PUSH, "override"),
        (KEYS.replace("config", "*"), KEYS, "override"),
        (KEYS.replace("config", "***"), KEYS.replace("config", "***"), "override"),
        (KEYS.replace('tool = "read_file"\n', ""), KEYS, "override"),
        ("# nothing", PUSH, "misses"),
        (PUSH.replace("push", "pull"), PUSH, "misses"),
        (PUSH.replace('"shell"', '"python"'), PUSH, "misses"),
        (PUSH.replace("[*]", "[*] x"), PUSH, "misses"),
        (PUSH, TWO, "misses"),
        (f'{PUSH}\n[[allow]]\npath = "<outside>"\nalways = true', TWO, "misses"),
    ],
)
def test_what_it_may_not_be(text: str, proposed: str, fault: str) -> None:
    with pytest.raises(NotThatRule) as error:
        read(text, proposed=proposed)
    assert error.value.fault == fault
    assert error.value.sentence.endswith(".")


def test_one_that_overrides_stays_as_it_was_shown() -> None:
    assert read(f"# mine\n{KEYS}\nwhy = 'asked'", proposed=KEYS, tool="read_file") == 1
    assert read(KEYS.replace("config", "*").replace("override = true", ""), proposed=KEYS, tool="read_file") == 1


def test_in_a_terminal_it_is_one_line() -> None:
    assert rule_in_one_line(PUSH) == '[[allow]] command = "git push [*]", tool = "shell", always = true'
    assert rule_in_one_line(TWO).count("; [[allow]] path") == 1
