"""Client credentials (OAuth without a person) for a remote server: the SDK's flow, its tokens in memory alone.

The authorization server is found as the specification says (protected-resource metadata of the MCP server, RFC 9728),
but the credentials go to the one of the configuration alone: the MCP server does not choose who gets them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

import httpx2
from mcp.client.auth import OAuthFlowError, OAuthTokenError
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from worker_core.errors import KubiyaError
from worker_core.mcp.configuration import ServerConfig
from worker_core.mcp.memory import Tokens


class SignInFailed(KubiyaError):
    """No token was to be had."""


class _Storage:
    """Implements the SDK's `TokenStorage`."""

    def __init__(self, tokens: Tokens, learn_secret: Callable[[str], None]) -> None:
        self._tokens = tokens
        self._learn_secret = learn_secret

    async def get_tokens(self) -> OAuthToken | None:
        if self._tokens.kept is not None:
            self._learn(self._tokens.kept)
        return self._tokens.kept

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._learn(tokens)
        self._tokens.kept = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Nothing is registered: the credentials are given."""

    def _learn(self, tokens: OAuthToken) -> None:
        for secret in (tokens.access_token, tokens.refresh_token):
            if secret:
                self._learn_secret(secret)


class SignIn(ClientCredentialsOAuthProvider):
    """Gets a token where the server asks for one.

    Args:
        config: of the server; with `oauth`.
        tokens: those that are known.
        learn_secret: hears each token that is used, so that it is masked from then on.
        failed: hears why there is no token.
    """

    def __init__(
        self,
        config: ServerConfig,
        tokens: Tokens,
        *,
        learn_secret: Callable[[str], None],
        failed: Callable[[SignInFailed], None],
    ) -> None:
        assert config.oauth is not None
        super().__init__(
            server_url=config.url,
            storage=_Storage(tokens, learn_secret),
            client_id=config.oauth.client_id,
            client_secret=config.oauth.client_secret,
            scope=config.oauth.scope or None,
            issuer=config.oauth.issuer,
        )
        self._failed = failed
        self._issuer_named = config.oauth.issuer

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        flow = super().async_auth_flow(request)
        try:
            outgoing = await flow.__anext__()
            while True:
                response = yield outgoing
                outgoing = await flow.asend(response)
        except StopAsyncIteration:
            return
        except (OAuthFlowError, OAuthTokenError) as error:
            self._failed(SignInFailed(f"No token for it could be had from {self._issuer_named[:200]}: {error}"))
            raise
        finally:
            await flow.aclose()
