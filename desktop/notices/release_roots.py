"""The keys that a list of releases must go back to: part of the program, so nobody on the way can put others in."""

from __future__ import annotations

from typing import Final

ROOT_KEYS: Final[tuple[str, ...]] = ()
"""Raw Ed25519 public keys, in base64. `python scripts/release_index.py new-key FILE` makes one and prints this half of
it; whoever releases puts it here once, and a second one whose other half lies in another place (`docs/releases.md`)."""
