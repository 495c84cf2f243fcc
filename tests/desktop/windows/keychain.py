"""A keychain that says what it is told to say."""

from __future__ import annotations

from worker_core.secrets import KeychainError, Secret, account_of


class Keychain:
    """As `KeyringStore`; says what it is told to say."""

    def __init__(self) -> None:
        self.kept: dict[str, Secret] = {}
        self.trouble: KeychainError | None = None
        self.asked = 0

    async def name(self) -> str:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        return "A keyring"

    async def get(self, url: str) -> Secret | None:
        return self.kept.get(account_of(url))

    async def set(self, url: str, secret: Secret) -> None:
        self.kept[account_of(url)] = secret

    async def delete(self, url: str) -> bool:
        return self.kept.pop(account_of(url), None) is not None
