"""What somebody wrote into a form, as the values that its fields take."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from worker_core.basics.sentences import worded
from worker_core.errors import KubiyaError
from worker_core.snapshot import QuestionField

LONGEST_VALUE: Final = 4000
"""Characters."""

_YES, _NO = frozenset({"true", "yes", "y", "1", "on"}), frozenset({"false", "no", "n", "0", "off"})


class WrongValues(KubiyaError):
    """A form was filled in with something that it does not take."""


def content_of(fields: Sequence[QuestionField], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values by name, each of its field's type. What is left out has its default.

    Args:
        fields: of the form.
        values: as they were given: texts, or values of JSON.

    Raises:
        WrongValues: something is missing, unknown or does not fit; the sentence says what.
    """
    known = {field.name: field for field in fields}
    if unknown := [name for name in values if name not in known]:
        raise WrongValues(
            worded(
                "The form has no field {name}. It has: {known}.",
                name=repr(str(unknown[0])[:50]),
                known=", ".join(known),
            )
        )
    content: dict[str, Any] = {}
    for field in fields:
        given = values.get(field.name)
        if given is None or given == "" or given == []:
            given = field.default
        if given is None or given == "":
            if field.required:
                raise WrongValues(
                    worded(
                        "The form's field {name} ({label}) is not filled in.", name=repr(field.name), label=field.label
                    )
                )
            continue
        content[field.name] = _READERS[field.kind](field, given)
    return content


def _wrong(field: QuestionField, wants: str) -> WrongValues:
    return WrongValues(worded("The form's field {name} takes {wants}.", name=repr(field.name), wants=wants))


def _bound(value: float) -> float:
    return int(value) if value == int(value) and abs(value) < 1e15 else value


def _text(field: QuestionField, given: Any) -> str:
    if not isinstance(given, str) or len(given) > min(field.most, LONGEST_VALUE) or len(given) < field.least:
        least, most = _bound(field.least), _bound(min(field.most, LONGEST_VALUE))
        raise _wrong(
            field,
            worded("a text of at least {least} and at most {most} characters", least=least, most=most)
            if field.least > 0
            else worded("a text of at most {most} characters", most=most),
        )
    return given


def _number(field: QuestionField, given: Any) -> float | int:
    whole = field.kind == "integer"
    try:
        number = None if isinstance(given, bool) else int(given) if whole else float(given)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or (whole and isinstance(given, float) and number != given) or not math.isfinite(number):
        raise _wrong(field, worded("a whole number") if whole else worded("a number"))
    if not field.least <= number <= field.most:
        least, most = _bound(field.least), _bound(field.most)
        raise _wrong(field, worded("a number from {least} to {most}", least=least, most=most))
    return int(number) if not whole and isinstance(given, int) else number


def _boolean(field: QuestionField, given: Any) -> bool:
    word = str(given).strip().lower()
    if word not in _YES | _NO:
        raise _wrong(field, worded("yes or no"))
    return word in _YES


def _choice(field: QuestionField, given: Any) -> str:
    if given not in field.options:
        raise _wrong(field, worded("one of {options}", options=", ".join(field.options)))
    return str(given)


def _choices(field: QuestionField, given: Any) -> list[str]:
    listed = [one.strip() for one in given.split(",")] if isinstance(given, str) else given
    if not isinstance(listed, list) or not all(one in field.options for one in listed):
        options = ", ".join(field.options)
        raise _wrong(field, worded("some of {options}, with commas between them", options=options))
    if not field.least <= len(listed) <= field.most:
        least, most = _bound(field.least), _bound(field.most)
        raise _wrong(field, worded("{least} to {most} of them", least=least, most=most))
    return [str(one) for one in listed]


_READERS: Final[Mapping[str, Callable[[QuestionField, Any], Any]]] = {
    "text": _text,
    "number": _number,
    "integer": _number,
    "boolean": _boolean,
    "choice": _choice,
    "choices": _choices,
}


def written_fields(approval_id: str, fields: Sequence[QuestionField]) -> list[str]:
    """Lines for a terminal: what is to be filled in, and how."""
    lines = []
    for field in fields:
        takes = {"boolean": "yes or no", "integer": "a whole number", "number": "a number", "text": "a text"}.get(
            field.kind, f"{'one' if field.kind == 'choice' else 'some'} of "
        )
        if field.options:
            shown = (
                option if option == words else f"{option} ({words})"
                for option, words in zip(field.options, field.shown, strict=True)
            )
            takes += ", ".join(shown)
        about = f" ({field.about})" if field.about else ""
        needed = " required;" if field.required else ""
        default = f" else {field.default}" if field.default else ""
        lines.append(f"{field.name}: {field.label}{about};{needed} {takes}{default}")
    if fields:
        sets = " ".join(f"--set {field.name}=…" for field in fields if field.required) or "[--set NAME=VALUE]"
        lines.append(f"Fill it in: kubiya-worker approvals allow {approval_id} {sets}")
    return lines
