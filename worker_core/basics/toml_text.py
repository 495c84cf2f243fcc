"""How a text is written in TOML."""

from __future__ import annotations


def basic_string(text: str) -> str:
    """A basic string. Everything that might end it, or is not printable, is escaped; half a character becomes `?`."""
    said = []
    for character in text:
        if character in '"\\':
            said.append(f"\\{character}")
        elif character.isprintable():
            said.append(character)
        elif 0xD800 <= ord(character) <= 0xDFFF:
            said.append("?")
        else:
            said.append(f"\\U{ord(character):08x}")
    return f'"{"".join(said)}"'
