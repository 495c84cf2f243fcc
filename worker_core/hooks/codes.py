"""One-time codes: whoever answers a question from elsewhere shows by one that he was told of just this question.

A code is an HMAC over the question, with a key that this machine keeps. So nothing has to be written down for it: after
a restart the code that was given still fits; a question that is answered, over, or asked anew with other arguments has
none any more.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import os
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec

from worker_core.basics.files import write_private
from worker_core.basics.sentences import in_english
from worker_core.paths import is_private, private_directory
from worker_core.policy.questions import Asked

log = logging.getLogger(__name__)

Kind = Literal["owner", "shown", "unseen"]
"""Who was given it: a program of the owner's; somebody who was shown the whole question; somebody who was not."""

CODE_CHARACTERS: Final = 32
"""Hexadecimal: 128 bits."""

_KEY_BYTES: Final = 32


class Codes:
    """Of one engine."""

    def __init__(self, key_file: Path) -> None:
        """The key is read, or made, with the first question."""
        self._key_file = key_file
        self._key = b""
        self._made: dict[tuple[str, str, str], dict[Kind, str]] = {}

    def of(self, asked: Asked, kind: Kind) -> str:
        """The code of a question."""
        return self._codes(asked)[kind]

    def find(self, code: str, among: Collection[Asked], *, kinds: Iterable[Kind]) -> tuple[Asked, Kind] | None:
        """The question that a code belongs to; None: to none of these.

        How long it takes says nothing about codes: what is looked up is a hash of what was given.
        """
        given = _hashed(code)
        codes = {_hashed(self.of(asked, kind)): (asked, kind) for asked in among for kind in kinds}
        found = codes.get(given)
        self._forget(among)
        if found is None or not hmac.compare_digest(self.of(*found), code):
            return None
        return found

    def _codes(self, asked: Asked) -> dict[Kind, str]:
        about = _about(asked)
        if about not in self._made:
            self._made[about] = {kind: self._code(asked, kind) for kind in get_args(Kind)}
        return self._made[about]

    def _code(self, asked: Asked, kind: Kind) -> str:
        shown = hashlib.sha256(msgspec.json.encode(in_english(msgspec.to_builtins(asked.parts)))).hexdigest()
        content = msgspec.json.encode([kind, asked.execution_id, asked.call_id, *_about(asked), shown])
        return hmac.new(self._secret(), content, hashlib.sha256).hexdigest()[:CODE_CHARACTERS]

    def _forget(self, among: Collection[Asked]) -> None:
        still = {_about(asked) for asked in among}
        self._made = {about: codes for about, codes in self._made.items() if about in still}

    def _secret(self) -> bytes:
        if not self._key:
            self._key = _read(self._key_file) or self._new_key()
        return self._key

    def _new_key(self) -> bytes:
        made = os.urandom(_KEY_BYTES)
        try:
            private_directory(self._key_file.parent)
            write_private(self._key_file, made, durable=True)
        except OSError as error:
            log.warning("Codes for answers are good until this worker ends: %s.", error.strerror or error)
            return made
        return _read(self._key_file) or made  # another worker of this home may have been faster


def _read(file: Path) -> bytes:
    with contextlib.suppress(OSError):
        readable = sys.platform != "win32" and file.stat().st_mode & 0o044  # there, rights are the folder's
        if is_private(file) and not readable and len(key := file.read_bytes()) == _KEY_BYTES:
            return key
    return b""


def _about(asked: Asked) -> tuple[str, str, str]:
    return asked.id, asked.digest, asked.asked_at.isoformat()


def _hashed(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()
