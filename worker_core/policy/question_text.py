"""What the user is shown before he answers whether a call may run: all of it, so that nothing runs that was not seen.

Not what a log line would show. Each argument has its name; only values that this process knows as secrets are hidden;
what a reader would not see is written out (`visible`); and what does not fit is counted, can be read whole, and is
allowed by nobody who has not.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from worker_core.basics.sentences import Phrase, english, in_english, worded
from worker_core.basics.visible import visible, visible_line
from worker_core.logs.redaction import MASK, Redactor
from worker_core.policy.rules import BUILT_IN, Finding, named
from worker_core.snapshot import QuestionPart

SHOWN_CHARACTERS: Final = 6_000
SHOWN_LINES: Final = 120
SHOWN_PARTS: Final = 60
"""What a snapshot carries of one question; the rest is read when it is asked for."""

_LONGEST_NAME: Final = 100
_STEERS_A_SHELL: Final = re.compile(r"[^\w.+/=:@%,~-]")
"""Characters that separate, compute or quote: what they do must not be hidden."""


def compose(
    arguments: Mapping[str, Any],
    *,
    asking: Sequence[Finding] = (),
    workspace: str = "",
    also: Iterable[tuple[str, str]] = (),
    redactor: Redactor,
) -> tuple[QuestionPart, ...]:
    """The whole question.

    Args:
        arguments: as the model gave them.
        asking: what must be asked about; each becomes a reason.
        workspace: where the call works.
        also: names and texts of what is no argument and runs all the same, such as the steps of a workflow.
        redactor: knows the secrets.
    """
    hide = _Hider(redactor).hide
    parts = []
    for number, (name, value) in enumerate(arguments.items(), 1):
        named = hide(name)
        if len(named) > _LONGEST_NAME or "\n" in named:
            named, value = f"argument {number}", {name: value}
        parts.append(QuestionPart(name=visible_line(named), text=visible(hide(_text(value)))))
    parts += [QuestionPart(name=visible_line(name), text=visible(hide(text)), kind="runs") for name, text in also]
    if workspace:
        parts.append(QuestionPart(name="working folder", text=visible_line(hide(workspace)), kind="place"))
    if asking:
        reasons = dict(_reason(one, lambda text: visible_line(hide(text))) for one in asking)
        said = tuple(reasons.values())
        parts.append(QuestionPart(name="asked because", text="\n".join(reasons), kind="reason", said=said))
    return tuple(parts)


def shown(parts: Sequence[QuestionPart]) -> tuple[QuestionPart, ...]:
    """As much as fits; each part says how many of its characters are left out. Short parts stay whole."""
    kept = list(parts) if len(parts) <= SHOWN_PARTS else [*parts[: SHOWN_PARTS - 2], parts[-1]]
    characters = _share([len(part.text) for part in kept], SHOWN_CHARACTERS)
    lines = _share([part.text.count("\n") + 1 for part in kept], SHOWN_LINES)
    fitting = [_cut(part, characters=characters, lines=lines) for part in kept]
    if over := parts[SHOWN_PARTS - 2 : -1] if len(parts) > SHOWN_PARTS else ():
        left_out = sum(len(part.name) + len(part.text) for part in over)
        fitting.insert(-1, QuestionPart(name=f"{len(over)} more arguments", text="", left_out=left_out))
    return tuple(fitting)


def left_out(parts: Iterable[QuestionPart]) -> int:
    """Characters that are not shown."""
    return sum(part.left_out for part in parts)


def seal(parts: Sequence[QuestionPart]) -> str:
    """What one has who has read the whole, in whatever language; short enough to type."""
    return hashlib.sha256(msgspec.json.encode(in_english(msgspec.to_builtins(parts)))).hexdigest()[:6]


def written(parts: Iterable[QuestionPart]) -> list[str]:
    """Lines: each part behind its name, further lines of it indented."""
    lines = []
    for part in parts:
        text = part.text + (f" … ({part.left_out:,} more characters)" if part.left_out else "")
        first, *more = text.split("\n")
        lines += [f"{part.name}: {first}".rstrip()] if not more else [f"{part.name}:", *_indented([first, *more])]
    return lines


def rule_in_one_line(rule: str) -> str:
    """What an answer for always would write, for terminals: `[[allow]] command = "git push", tool = "shell"`."""
    blocks = (block.strip().splitlines() for block in rule.split("\n\n"))
    return "; ".join(f"{head} {', '.join(lines)}" for head, *lines in blocks)


class _Hider:
    """Hides secrets, and says so where a secret holds what a shell would act on."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def hide(self, text: str) -> str:
        parts, at = [], 0
        for start, end in sorted(self._redactor.known_in(text)):
            if end > at:
                parts += [text[at : max(at, start)], _hidden(text[start:end])]
                at = end
        return "".join([*parts, text[at:]])


def _hidden(secret: str) -> str:
    steering = sorted(set(_STEERS_A_SHELL.findall(secret)))
    if not steering:
        return MASK
    names = " ".join("blanks" if one == " " else visible_line(one) for one in steering)
    return f"<hidden: {len(secret)} characters, among them {names}>"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value or '""'
    line = json.dumps(value, ensure_ascii=False)
    return line if len(line) <= 200 else json.dumps(value, ensure_ascii=False, indent=2)


def _reason(finding: Finding, show: Callable[[str], str]) -> tuple[str, tuple[Phrase, ...]]:
    """A line, as `show` makes it fit to be seen, and what it is made of: of values that are shown the same way."""
    subject, rule = finding.subject, finding.rule
    why = subject.unclear or rule.why
    line = show(f"the {subject.kind} {subject.text}{f': {why}' if why else ''} ({finding.rule_text}, {rule.place})")
    what, by = named(subject), finding.rule_text
    place = worded("built in") if rule.file == BUILT_IN else rule.place
    told = (
        worded("{what}: {why} ({rule}, {place})", what=what, why=why, rule=by, place=place)
        if why
        else worded("{what} ({rule}, {place})", what=what, rule=by, place=place)
    )
    said = shown_values(told.said, show)
    return line, said if english(said) == line else (Phrase("{line}", {"line": line}),)


def shown_values(said: Sequence[Phrase], show: Callable[[str], str]) -> tuple[Phrase, ...]:
    """The same, with each text that stands in it as `show` makes it fit to be seen."""

    def value(of: str | float | tuple[Phrase, ...]) -> str | float | tuple[Phrase, ...]:
        match of:
            case str():
                return show(of)
            case tuple():
                return shown_values(of, show)
            case _:
                return of

    return tuple(replace(one, values={name: value(of) for name, of in one.values.items()}) for one in said)


def _share(sizes: Sequence[int], total: int) -> int:
    """What each may have at most, so that all together keep to `total`: what small ones leave goes to the others."""
    left = total
    for number, size in enumerate(sorted(sizes)):
        each = left // (len(sizes) - number)
        if size > each:
            return each
        left -= size
    return total


def _cut(part: QuestionPart, *, characters: int, lines: int) -> QuestionPart:
    text = part.text[:characters]
    if text.count("\n") >= lines:
        text = "\n".join(text.split("\n", lines)[:lines])
    return replace(part, text=text, left_out=len(part.text) - len(text))


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]
