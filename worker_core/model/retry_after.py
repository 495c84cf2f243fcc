"""When a gateway wants to be asked again."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_SECONDS: Final = 7 * 86_400.0

_THEIRS: Final = "llm_provider-"
"""LiteLLM hands headers of its provider on under this prefix."""

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)")
_IN_WORDS: Final = re.compile(
    r"(?:try again|retry|retry_?delay)\W{0,4}(?:(?:in|after|please|your|request)\W{1,4}){0,4}"
    r"((?:\d{1,9}(?:\.\d{1,9})?\s?(?:ms|s|m|h|d)(?![a-rt-z]))+|\d{1,9}(?:\.\d{1,9})?(?=\s?(?:sec|seconds?)))",
    re.IGNORECASE,
)
_KINDS: Final = ("requests", "tokens", "input-tokens", "output-tokens")


def retry_after(headers: Mapping[str, str], words: str, *, now: datetime) -> float | None:
    """Seconds until the next try, at least 0; None: the gateway does not say.

    Args:
        headers: lower-case names. Read are `retry-after-ms`, `retry-after` (seconds or a date), these with LiteLLM's
            prefix, and the `x-ratelimit-reset` family, where it is used up or there is one alone.
        words: of the refusal, which say it where headers do not (Gemini: "Please retry in 34.07s").
        now: with a time zone.
    """
    for prefix in ("", _THEIRS):
        milliseconds = _number(headers.get(f"{prefix}retry-after-ms", ""))
        if milliseconds is not None:
            return _bounded(milliseconds / 1000)
        if (seconds := _seconds_or_date(headers.get(f"{prefix}retry-after", ""), now)) is not None:
            return _bounded(seconds)
    if found := _IN_WORDS.search(words):
        said = found.group(1).replace(" ", "")
        return _bounded(_duration(said) or _number(said) or 0.0)
    resets = tuple(_resets(headers, now))
    return _bounded(max(resets)) if resets else None


def their_time(headers: Mapping[str, str]) -> datetime:
    """What the clock of whoever answered shows, as far as it says; else this machine's, which may be days off."""
    with contextlib.suppress(ValueError, TypeError, IndexError, OverflowError):
        said = parsedate_to_datetime(headers.get("date", ""))
        return said if said.tzinfo is not None else said.replace(tzinfo=UTC)
    return datetime.now(UTC)


def _resets(headers: Mapping[str, str], now: datetime) -> Iterable[float]:
    """How long until each used-up limit is there again."""
    for family in ("x-ratelimit", f"{_THEIRS}x-ratelimit", "anthropic-ratelimit", f"{_THEIRS}anthropic-ratelimit"):
        names = [(f"{family}-reset", f"{family}-remaining")]
        for kind in _KINDS:
            names += [
                (f"{family}-reset-{kind}", f"{family}-remaining-{kind}"),
                (f"{family}-{kind}-reset", f"{family}-{kind}-remaining"),
            ]
        for reset, remaining in names:
            if reset not in headers or (_number(headers.get(remaining, "0")) or 0.0) > 0:
                continue
            if (seconds := _moment(headers[reset], now)) is not None:
                yield seconds


def _moment(text: str, now: datetime) -> float | None:
    """Seconds until a time given as a duration, a date, or since the epoch (in seconds or milliseconds)."""
    number = _number(text)
    if number is None:
        return _duration(text) or _seconds_or_date(text, now)
    if number > 1e11:
        number /= 1000
    return number - now.timestamp() if number > 1e8 else number


def _seconds_or_date(text: str, now: datetime) -> float | None:
    if (number := _number(text)) is not None:
        return number
    moment = None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError):
            return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - now).total_seconds()


def _duration(text: str) -> float | None:
    """`1m30.5s` in seconds."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < 1e15 else None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_SECONDS)
