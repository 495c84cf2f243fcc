"""What can go wrong on the wire, one class per remedy, one sentence per error.

Statuses and the three shapes of `detail` are those of protocol, sections 1.3 and 12.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from worker_core.basics import foreign_json
from worker_core.basics.sentences import worded
from worker_core.errors import ExitCode, KubiyaError

TEXT_LIMIT = 200
"""Characters of a server's own words that are repeated in a sentence."""

RETRY_AFTER_LIMIT_SECONDS = 600.0


class ControlPlaneError(KubiyaError):
    """A call to the control plane failed.

    Attributes:
        status: the HTTP status, or None where no answer came.
        retryable: whether the same call may succeed later without anybody changing anything.
        retry_after_seconds: what the server asked for, else None.
    """

    exit_code = ExitCode.UNEXPECTED

    def __init__(
        self,
        sentence: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.retryable = retryable
        self.retry_after_seconds = retry_after_seconds


class CredentialsRefused(ControlPlaneError):
    """401 or 403, or a key that cannot be one."""

    exit_code = ExitCode.CREDENTIALS_REFUSED


class NotFound(ControlPlaneError):
    """404: no such thing in the key's organization."""


class QueueNotFound(NotFound):
    """The worker queue does not exist, or belongs to another organization."""

    exit_code = ExitCode.QUEUE_UNUSABLE


class Rejected(ControlPlaneError):
    """The server understood the request and will never accept it (400, 409, 410, 422 ...)."""


class QueueInactive(Rejected):
    """The worker queue exists, but its status is not `active`."""

    exit_code = ExitCode.QUEUE_UNUSABLE


class ServerTrouble(ControlPlaneError):
    """5xx, a redirect, or a success whose content is not what was promised. Retryable unless told otherwise."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, sentence: str, *, status: int | None = None, retry_after_seconds: float | None = None) -> None:
        super().__init__(sentence, status=status, retryable=True, retry_after_seconds=retry_after_seconds)


class AnswerTooLong(ControlPlaneError):
    """A success that is longer than this program reads. Asking again would bring the same."""

    exit_code = ExitCode.UNREACHABLE


class Unreachable(ControlPlaneError):
    """No answer: name resolution, connection, TLS, proxy or time-out."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, retryable=True)


class RateLimited(ControlPlaneError):
    """429. The control plane sends none itself, a proxy in front of it may."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, sentence: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(sentence, status=429, retryable=True, retry_after_seconds=retry_after_seconds)


def from_status(
    status: int,
    *,
    action: str,
    server: str,
    said: str,
    retry_after_seconds: float | None = None,
    location: str = "",
) -> ControlPlaneError:
    """The error for an HTTP status that is not the expected one.

    Args:
        status: the HTTP status.
        action: what was wanted, as a noun phrase: `the heartbeat`.
        server: host name (and port) that answered.
        said: the server's words, as `words()` gives them.
        retry_after_seconds: see `retry_after()`.
        location: target of a redirect.
    """
    quoted = f": {said.rstrip('.')}" if said else ""
    if status == 401:
        return CredentialsRefused(
            worded("The control plane {server} refused the API key (401){quoted}.", server=server, quoted=quoted),
            status=status,
        ).with_repair("Run `kubiya-worker login` with a valid key.")
    if status == 403:
        return CredentialsRefused(
            worded(
                "The control plane {server} does not allow {action} with this API key (403){quoted}.",
                server=server,
                action=action,
                quoted=quoted,
            ),
            status=status,
        ).with_repair("Use a key of the right organization: `kubiya-worker login`.")
    if status == 404:
        return NotFound(
            worded(
                "The control plane {server} does not know what {action} is about (404){quoted}. Check the id, and that "
                "the key belongs to the same organization.",
                server=server,
                action=action,
                quoted=quoted,
            ),
            status=status,
        )
    if status == 429:
        return RateLimited(
            worded(
                "The control plane {server} asks for fewer requests (429); {action} is tried again later.",
                server=server,
                action=action,
            ),
            retry_after_seconds=retry_after_seconds,
        )
    if status >= 500 or status == 408:
        return ServerTrouble(
            worded(
                "The control plane {server} failed on {action} ({status}){quoted}. If this goes on, look at its "
                "status.",
                server=server,
                action=action,
                status=str(status),
                quoted=quoted,
            ),
            status=status,
            retry_after_seconds=retry_after_seconds,
        )
    if status < 400:
        what = str(status)
        if location:
            what = worded("{status} to {location}", status=str(status), location=location[:TEXT_LIMIT])
        return ServerTrouble(
            worded(
                "{server} answered {action} with {what} instead of a result. Check the control plane URL, and whether "
                "a network log-in page is in between.",
                server=server,
                action=action,
                what=what,
            ),
            status=status,
        )
    return Rejected(
        worded(
            "The control plane {server} did not accept {action} ({status}){quoted}. A newer kubiya-worker may be "
            "needed if this was not your input.",
            server=server,
            action=action,
            status=str(status),
            quoted=quoted,
        ),
        status=status,
    )


def words(content: bytes, *, hide: str = "") -> str:
    """The server's own words in a response body, on one line, at most 200 characters, `hide` blanked out.

    `detail` may be a string, an object with `message` or `error`, or a list of
    `{loc, msg}`; an HTML page is only named.
    """
    text = _detail(content)
    if hide:
        text = text.replace(hide, "****")
    text = " ".join(text.split())
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"


def _detail(content: bytes) -> str:
    try:
        body = foreign_json.loads(content)
    except ValueError:
        text = content[: 4 * TEXT_LIMIT].decode("utf-8", "replace").strip()
        return "an HTML page" if text.startswith("<") else text
    detail = body.get("detail", body) if isinstance(body, Mapping) else body
    match detail:
        case str():
            return detail
        case Mapping():
            found = detail.get("message") or detail.get("error") or ""
            return found if isinstance(found, str) else ""
        case Sequence():
            return "; ".join(_complaint(item) for item in detail[:3])
        case _:
            return ""


def _complaint(item: object) -> str:
    if not isinstance(item, Mapping):
        return str(item)
    place = item.get("loc")
    where = ".".join(str(part) for part in place) if isinstance(place, list | tuple) else ""
    return f"{where}: {item.get('msg', '')}" if where else str(item.get("msg", ""))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a `Retry-After` header, 0 to 600; None where there is none or it is a date."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), RETRY_AFTER_LIMIT_SECONDS)
