"""How what is wrong with a server is said: in one sentence, without secrets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from worker_core.basics.quick_dataclass import dataclass
from worker_core.errors import KubiyaError
from worker_core.mcp.configuration import ServerConfig
from worker_core.mcp.in_words import in_words
from worker_core.mcp.program import unseen
from worker_core.sandbox.launcher import Holds, Launcher

_ERROR, _NO_ANSWER = "Server returned an error response", "Unexpected content type"
"""What the SDK says of an answer over HTTP that is none of the protocol, such as a gateway's 504: the server may have
made the call."""

_REFUSED, _FAILED = 400, 500
"""Statuses from there on: a call that was refused is not made."""


class ServerTrouble(KubiyaError):
    """A server cannot be used now. `in_mid_call`: it had been asked already."""

    def __init__(self, sentence: str, *, in_mid_call: bool = False) -> None:
        super().__init__(sentence)
        self.in_mid_call = in_mid_call


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Of one server. `mask` hides secrets in what others say."""

    config: ServerConfig
    mask: Callable[[str], str]

    @property
    def name(self) -> str:
        return f"The MCP server {self.config.alias[:100]!r} ({self.config.where})"

    def sentence(self, what: str) -> str:
        return f"{self.name} {what}."

    def what(self, error: BaseException) -> str:
        """An error of somebody else's, for the middle of a sentence."""
        inner = error
        while isinstance(inner, BaseExceptionGroup):
            inner = inner.exceptions[0]
        # Libraries add lines with links to their own documentation. Masked before anything is cut.
        first = self.mask(in_words(inner, mask=self.mask) or str(inner)).strip().partition("\nFor more information")[0]
        return " ".join(first.split())[:300].rstrip(".") or type(inner).__name__

    def failed_call(self, error: Exception, *, status: int = 0) -> ServerTrouble:
        """Why a call of a server that is still there has no result.

        Args:
            error: what came of it.
            status: of the last answer over HTTP that was a refusal; 0: none.
        """
        from mcp import MCPError
        from mcp_types import CONNECTION_CLOSED, PARSE_ERROR
        from pydantic import ValidationError

        if isinstance(error, ValidationError):
            what = "answered the call with something that is no result of it"
            return ServerTrouble(self.sentence(f"{what} ({self.what(error)})"), in_mid_call=True)
        if isinstance(error, MCPError) and error.error.code == PARSE_ERROR:
            what = "answered the call with something that cannot be read"
            return ServerTrouble(self.sentence(f"{what} ({self.what(error)})"), in_mid_call=True)
        if isinstance(error, MCPError) and (
            error.error.code == CONNECTION_CLOSED
            or error.error.message.startswith(_NO_ANSWER)
            or (error.error.message.startswith(_ERROR) and not _REFUSED <= status < _FAILED)
        ):
            return ServerTrouble(self.sentence(f"broke off in mid-call ({self.what(error)})"), in_mid_call=True)
        if isinstance(error, MCPError):
            return ServerTrouble(self.sentence(f"refused the call: {self.what(error)}"))
        return ServerTrouble(self.sentence(f"broke off in mid-call ({self.what(error)})"), in_mid_call=True)

    def sign_in(self, status: int, failure: Exception | None) -> str:
        """A remote server takes no request without a token of its own. `failure`: why there is none; None: unknown."""
        asks = self.sentence(f"asks for a sign-in (HTTP {status})")
        if self.config.oauth is None:
            return f"{asks} It is there: give it a token that it takes in its headers, or client credentials in oauth."
        return f"{asks} {self.what(failure) if failure else 'It takes no token of ours'}."

    def last_words(self, lines: Sequence[str]) -> str:
        """What its process printed, as a sentence that follows another."""
        said = [self.mask(line)[:300] for line in lines]
        return f" Its last words: {' | '.join(said)}." if said else ""

    def unseen(self, launcher: Launcher, *, seen: Sequence[Path]) -> str:
        """What its configuration names and its sandbox does not show, as a sentence that follows another."""
        paths = unseen(self.config.command, seen=seen) if Holds.FILES in launcher.enforces else ()
        if not paths:
            return ""
        named = ", ".join(str(path)[:200] for path in paths[:3])
        return f" Its sandbox does not show {named}: what it is to read is named in the setting sandbox_readable."
