"""HTTP habits of the control plane: who may call, how bodies are read, how answers and errors look."""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from worker_core.basics import typed_json
from worker_core.playground.context import Context, Crash, Problem
from worker_core.secrets import Secret

log = logging.getLogger(__name__)

Handler = Callable[[Context, Request], Awaitable[Response]]
T = TypeVar("T")

MAX_BODY_BYTES = 64 * 1024 * 1024
_NAME = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?")
_SCHEMES = ("Bearer", "UserKey", "Baerer")
_HINT = "Send `Authorization: Bearer <key>` with the key that `kubiya-worker playground serve` prints."


def reply(value: Any, status: int = 200, *, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(value), status, headers=headers, media_type="application/json")


def nothing() -> Response:
    """204 with an empty body."""
    return Response(status_code=204)


def endpoint(context: Context, handler: Handler, *, public: bool = False) -> Callable[..., Awaitable[Response]]:
    """Wrap a handler with authentication and with the error answers of the control plane (facts: protocol, 1.3)."""

    async def run(request: Request) -> Response:
        try:
            if not public:
                authenticate(context.api_key, request)
            return await handler(context, request)
        except Problem as problem:
            return reply({"detail": problem.detail}, problem.status)
        except Crash as crash:
            log.debug("500: %s", crash)
        except Exception:
            log.exception("The playground failed on %s %s.", request.method, request.url.path)
        return PlainTextResponse("Internal Server Error", 500)

    run.__name__ = getattr(handler, "__name__", "handler")
    return run


def stranger(headers: Mapping[str, str]) -> str:
    """Why a request does not come from a program that was told where this is; empty where it may.

    A browser sends the name in its address bar as `Host`, so a page whose name was made to mean this machine (DNS
    rebinding) gives itself away; and it sends `Origin` with whatever a page asks of another place. Nothing of ours is
    a page.
    """
    host = headers.get("host", "")
    if _NAME.fullmatch(host) is None:
        return f"This control plane is 127.0.0.1, and not {host or 'nameless'!r}."
    if headers.get("origin", f"http://{host}") != f"http://{host}":
        return "This control plane does not serve web pages of other places."
    return ""


def token_of(request: Request) -> str | None:
    """The credential of a request, in any of the forms of facts: protocol, 1.1."""
    header = request.headers.get("authorization")
    if not header:
        return request.headers.get("userkey")
    scheme, space, rest = header.partition(" ")
    if not space:
        return header
    return rest.strip() if scheme in _SCHEMES else None


def authenticate(key: Secret, request: Request) -> None:
    """Let the one key in.

    Raises:
        Problem: 401, with an object as `detail`.
    """
    token = token_of(request)
    if token is None:
        message = "Authorization header is required"
    elif hmac.compare_digest(token.encode(), key.reveal().encode()):
        return
    else:
        message = "Invalid or expired authentication token"
    raise Problem(401, {"error": "Unauthorized", "message": message, "hint": _HINT})


async def body(request: Request, kind: type[T], *, optional: bool = False) -> T:
    """The request's JSON body as `kind`.

    Args:
        request: its body is read to the end.
        kind: what msgspec can decode.
        optional: an empty body counts as `{}`.

    Raises:
        Problem: 422 with FastAPI's list of errors, 413 for a body above 64 MiB.
    """
    raw = bytearray()
    async for piece in request.stream():
        raw += piece
        if len(raw) > MAX_BODY_BYTES:
            raise Problem(413, "The request body is larger than 64 MiB.")
    if not raw.strip():
        if not optional:
            raise _invalid("missing", ["body"], "Field required")
        raw = bytearray(b"{}")
    try:
        return typed_json.decode(raw, kind)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `")
        path: list[str | int] = ["body"]
        path += [part.strip("[]") for part in where.rstrip("`").replace("[", ".[").split(".") if part.strip("$")]
        missing = "missing required field" in text
        if missing:
            path.append(text.split("`")[1])
        raise _invalid("missing" if missing else "value_error", path, text) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _invalid("json_invalid", ["body", 0], f"JSON decode error: {error}") from error


def integer(request: Request, name: str, default: int, *, lowest: int = 0, highest: int = 1000) -> int:
    """An integer of the query string, cut to the range.

    Raises:
        Problem: 422, it is no integer.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        return min(max(int(text), lowest), highest)
    except ValueError as error:
        raise _invalid("int_parsing", ["query", name], "Input should be a valid integer") from error


def _invalid(kind: str, where: list[str | int], message: str) -> Problem:
    return Problem(422, [{"type": kind, "loc": where, "msg": message, "input": None}])


def unprocessable(where: str, message: str) -> Problem:
    """422 for a body that has the right types and a wrong value."""
    return _invalid("value_error", ["body", where], message)


async def http_error(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    """404 and 405 of the router, in JSON."""
    assert isinstance(error, HTTPException)
    return reply({"detail": error.detail}, error.status_code, headers=dict(error.headers or {}))
