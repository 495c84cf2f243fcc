"""What a server sends, as messages: repaired where it can be, and an answer that cannot be read is an answer as well.

Who waits for an answer hears at once that it cannot be read. The SDK's own reading leaves it waiting.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from worker_core.basics import foreign_json

if TYPE_CHECKING:
    from mcp_types import JSONRPCError, JSONRPCMessage, RequestId

_SEARCHED: Final = 4096
"""Bytes at each end of a message in which its id is looked for."""

_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""A pair of halves, a half, or any other escape: taken one by one, so that two backslashes are one of them."""

_CUT: Final = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3}|u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?)?\Z")
"""An escape that the end of a piece cuts off, or that may be half of a pair."""

_ID: Final = re.compile(r'"id"\s{0,9}:\s{0,9}(?:"([^"\\]{1,200})"|(\d{1,15})\b)')


def read_message(line: bytes | str, *, waiting: Collection[RequestId]) -> JSONRPCMessage | None:
    """A message; None where it is none, such as a line of a log.

    Args:
        line: as it came.
        waiting: ids of requests that are not answered yet.
    """
    from mcp_types import jsonrpc_message_adapter

    text = line if isinstance(line, str) else line.decode("utf-8", "replace")
    if not text.lstrip().startswith("{"):
        return None
    try:
        return jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValueError:
        pass
    try:
        return jsonrpc_message_adapter.validate_python(foreign_json.loads(text), by_name=False)
    except ValueError as error:
        why = error if isinstance(error, foreign_json.NestedTooDeep) else "its answer is no message of the protocol"
    found = _id_in(text, waiting)
    return None if found is None else unreadable(found, str(why))


def unreadable(request_id: RequestId, why: str) -> JSONRPCError:
    """The answer in the place of one that cannot be read."""
    from mcp_types import PARSE_ERROR, ErrorData, JSONRPCError

    return JSONRPCError(jsonrpc="2.0", id=request_id, error=ErrorData(code=PARSE_ERROR, message=why))


class Repaired:
    """A stream of JSON's bytes without half characters, which strict readers refuse together with all the rest: neither
    raw ones nor those that are escaped.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = b""

    def feed(self, piece: bytes) -> bytes:
        """What is sure to be whole; an escape at the end waits for the next piece."""
        content = self._rest + self._decoder.decode(piece).encode()
        self._rest = b""
        if b"\\" not in content:
            return content
        at = 0
        while cut := _CUT.search(content, at):
            at = cut.start()
            # Behind an odd number of backslashes, this one ends an escape instead of beginning one.
            if (at - len(content[:at].rstrip(b"\\"))) % 2 == 0:
                content, self._rest = content[:at], content[at:]
                break
            at += 1
        return _ESCAPE.sub(_replaced, content)

    def flush(self) -> bytes:
        """The rest, at the end."""
        rest, self._rest = self._rest + self._decoder.decode(b"", final=True).encode(), b""
        return _ESCAPE.sub(_replaced, rest)


def _replaced(escape: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if escape["half"] else escape[0]


def _id_in(text: str, waiting: Collection[RequestId]) -> RequestId | None:
    """Which request a broken text answers, if it looks like an answer."""
    from mcp.shared.dispatcher import coerce_request_id

    ends = text[:_SEARCHED] + text[-_SEARCHED:]
    if '"jsonrpc"' not in ends or not ('"result"' in ends or '"error"' in ends):
        return None
    for found in _ID.finditer(ends):
        request_id: RequestId = coerce_request_id(found[1]) if found[1] is not None else int(found[2])
        if request_id in waiting:
            return request_id
    return None
