"""What models cost, where their gateway does not say: a table that the owner of the machine writes.

["kubiya/claude-sonnet-4"]
input = 3.0        # US dollars for a million tokens
output = 15.0
cached = 0.3       # read from a cache; by default as input
cache_written = 3.75   # written into a cache; by default as input
"""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.errors import ConfigurationError
from worker_core.model.answer import Usage
from worker_core.settings import text_file

log = logging.getLogger(__name__)

_MILLION: Final = 1_000_000
_UNREAD: Final = object()


class BrokenPrices(ConfigurationError):
    """The file cannot be used; the sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars for a million tokens."""

    input: float
    output: float
    cached: float
    cache_written: float

    def of(self, usage: Usage) -> float:
        fresh = max(0, usage.prompt_tokens - usage.cached_tokens - usage.cache_creation_tokens)
        dollars = fresh * self.input + usage.completion_tokens * self.output
        dollars += usage.cached_tokens * self.cached + usage.cache_creation_tokens * self.cache_written
        return dollars / _MILLION


class Prices:
    """The file as it is now: read again whenever it changed. A model's own name comes before a pattern with `*`."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._stamp: object = _UNREAD
        self._prices: Mapping[str, Price] = {}

    def priced(self, usage: Usage, *models: str) -> tuple[Usage, bool]:
        """The usage with its cost, and whether that is known: by the gateway's word, else by the table.

        Args:
            usage: of one request.
            models: its names, the one that was asked for first.
        """
        if usage.cost or not usage.total_tokens:
            return usage, True
        price = self.of(*models)
        return (usage, False) if price is None else (replace(usage, cost=price.of(usage)), True)

    def of(self, *models: str) -> Price | None:
        """None: it is not known."""
        try:
            prices = self.current()
        except BrokenPrices as error:
            log.error("%s No model's price is known until it is repaired.", error)
            return None
        for model in filter(None, models):
            if model in prices:
                return prices[model]
        fitting = [pattern for pattern in prices for model in models if "*" in pattern and fnmatchcase(model, pattern)]
        return prices[max(fitting, key=len)] if fitting else None

    def current(self) -> Mapping[str, Price]:
        """All that the file has.

        Raises:
            BrokenPrices: it cannot be read or used.
        """
        try:
            found = self.file.stat()
            stamp: object = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            stamp = None
        if stamp != self._stamp:
            self._prices = {}
            try:
                text, _ = text_file.read(self.file, what="price file")
            except text_file.Unreadable as error:
                raise BrokenPrices(error.said) from error
            self._prices = parse(text, file=str(self.file))
            self._stamp = stamp
        return self._prices


def parse(text: str, *, file: str) -> Mapping[str, Price]:
    """The prices of a file's text, by model.

    Raises:
        BrokenPrices: it is no TOML, or holds what is no price.
    """
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BrokenPrices(
            worded("The price file {file} is not valid TOML: {why}.", file=file, why=str(error))
        ) from error
    return {model: _price(value, model=model, file=file) for model, value in raw.items()}


def _price(value: Any, *, model: str, file: str) -> Price:
    wrong = BrokenPrices(
        worded(
            'The price file {file} says of {model} what is no price. It takes a table ["NAME"] with input and output, '
            "and cached and cache_written where they differ: numbers, US dollars for a million tokens.",
            file=file,
            model=repr(model),
        )
    )
    if not isinstance(value, Mapping) or not {"input", "output"} <= value.keys():
        raise wrong
    if value.keys() - {"input", "output", "cached", "cache_written"}:
        raise wrong
    for amount in value.values():
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount < _MILLION:
            raise wrong
    return Price(**{"cached": value["input"], "cache_written": value["input"], **value})
