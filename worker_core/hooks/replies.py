"""What an answer from elsewhere looks like: one line of JSON, alone or as the message of a topic of ntfy."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any, Final, Literal, cast

from worker_core.basics import foreign_json
from worker_core.basics.quick_dataclass import dataclass

LONGEST_BYTES: Final = 8_192
"""Of a line. ntfy's longest message is 4,096."""

_CODE: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_SIGNATURE: Final = re.compile(r"(?:sha256=)?([0-9a-f]{64})", re.ASCII)
_SEAL: Final = re.compile(r"[0-9a-f]{6}", re.ASCII)
_NAMES: Final = frozenset({"answer", "code", "signature", "seal"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What somebody answered: to which question, its code says."""

    answer: Literal["allow", "deny"]
    code: str
    signature: str = ""
    """Empty: there is none."""

    seal: str = ""
    """Of a question that had to be read whole (`approvals show`)."""


class NotAReply(ValueError):
    """It is no answer, whatever else it is."""


def read_line(line: bytes) -> Reply | None:
    """A line of a stream; None: it says nothing, as ntfy's `open` and `keepalive` do.

    ntfy's objects have `event`, and what somebody sent as `message` (docs.ntfy.sh/subscribe/api/#json-message-format).

    Raises:
        NotAReply: it is none.
    """
    if not line.strip():
        return None
    said = _object(line)
    match said.get("event"):
        case None:
            return _reply(said)
        case "message":
            message = said.get("message")
            return read_reply(message if isinstance(message, str) else "")
        case str():
            return None
        case _:
            raise NotAReply("its event is no text")


def read_reply(text: str) -> Reply:
    """The answer itself.

    Raises:
        NotAReply: it is none.
    """
    return _reply(_object(text.encode("utf-8", "replace")))


def signature(secret: str, *, answer: str, code: str) -> str:
    """What shows that whoever answers has the secret. It is not that of any notice: what is signed there begins with a
    time.

    Args:
        secret: of `notify_webhook_secret_file`.
        answer: `allow` or `deny`.
        code: of the question.
    """
    return hmac.new(secret.encode(), f"{answer}.{code}".encode(), hashlib.sha256).hexdigest()


def _object(text: bytes) -> dict[str, Any]:
    if len(text) > LONGEST_BYTES:
        raise NotAReply("it is too long")
    try:
        said = foreign_json.loads(text)
    except ValueError:
        raise NotAReply("it is no JSON") from None
    if not isinstance(said, dict):
        raise NotAReply("it is no object")
    return said


def _reply(said: dict[str, Any]) -> Reply:
    if not said.keys() <= _NAMES or not all(isinstance(value, str) for value in said.values()):
        raise NotAReply("it has other members")
    answer, code = said.get("answer"), said.get("code", "")
    if answer not in {"allow", "deny"} or _CODE.fullmatch(code) is None:
        raise NotAReply("it has no answer, or no code")
    signed = _SIGNATURE.fullmatch(given) if (given := said.get("signature", "")) else None
    if given and signed is None:
        raise NotAReply("its signature is none")
    seal = said.get("seal", "")
    if seal and _SEAL.fullmatch(seal) is None:
        raise NotAReply("its seal is none")
    return Reply(answer=cast(Any, answer), code=code, signature=signed[1] if signed else "", seal=seal)
