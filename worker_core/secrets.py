"""Secrets in memory and in the OS keychain."""

from __future__ import annotations

from typing import Final, Never


class Secret:
    """A text that prints as stars. Only `reveal()` gives it away, so that every use can be found by name."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value: Final = value

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret('****')" if self._value else "Secret('')"

    __str__ = __repr__

    def __reduce__(self) -> Never:
        raise TypeError("A Secret is not pickled: it would leave the process.")
