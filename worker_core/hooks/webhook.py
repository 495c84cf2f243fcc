"""Tells a web address of the owner's: a small JSON by POST, in the form that it takes, signed, tried a few times."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from worker_core.errors import KubiyaError
from worker_core.hooks.occasion import Told
from worker_core.key_sources import KeyInFile
from worker_core.settings.choices import NotifyFormat

log = logging.getLogger(__name__)

TRIES: Final = 3
FIRST_REST: Final = timedelta(seconds=2)
"""Before the second try; doubled before the third."""

CALL_LIMIT: Final = timedelta(seconds=10)
_PASSING: Final = frozenset({408, 425, 429})


class Webhook:
    """One address. Nothing is connected before something is told."""

    def __init__(
        self,
        url: str,
        *,
        secret: KeyInFile | None,
        ca_file: Path | None,
        form: NotifyFormat = "json",
        answers: str = "",
    ) -> None:
        """`secret` signs, where there is one; `form` is what the address takes, `answers` where one may answer."""
        self._answers = answers
        self._url = url
        self._form = form
        self._secret = secret
        self._ca_file = ca_file

    async def tell(self, told: Told) -> None:
        """Deliver, or log that it could not be delivered."""
        if why := await self.deliver(told):
            log.warning("The webhook of notify_webhook did not take %r (%s).", told.occasion, why)

    async def deliver(self, told: Told) -> str:
        """Why it could not be delivered; empty: it was. One delivery has one id, whatever the try."""
        import httpx2

        from worker_core.hooks.chat import rendered
        from worker_core.network.http import new_client

        url, content = rendered(told, self._form, url=self._url, answers=self._answers)
        body = json.dumps(content).encode()
        delivery, rest, why = str(uuid.uuid4()), FIRST_REST.total_seconds(), ""
        parts = urlsplit(url)
        async with new_client(base_url=f"{parts.scheme}://{parts.netloc}", ca_file=self._ca_file) as client:
            for attempt in range(TRIES):
                if attempt:
                    await asyncio.sleep(rest)
                    rest *= 2
                try:
                    async with asyncio.timeout(CALL_LIMIT.total_seconds()):
                        headers = self._headers(told, body, delivery)
                        async with client.stream("POST", url, content=body, headers=headers) as answer:
                            status = answer.status_code
                except (httpx2.HTTPError, httpx2.InvalidURL, OSError, KubiyaError) as error:
                    why = type(error).__name__
                    continue
                if 200 <= status < 300:
                    return ""
                why = f"it answered {status}"
                if status < 500 and status not in _PASSING:
                    break
        return why

    def _headers(self, told: Told, body: bytes, delivery: str) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "X-Kubiya-Event": told.occasion,
            "X-Kubiya-Delivery": delivery,
        }
        if self._secret is not None:
            moment = str(int(time.time()))
            signed = hmac.new(self._secret.reveal().encode(), f"{moment}.".encode() + body, hashlib.sha256)
            headers |= {"X-Kubiya-Timestamp": moment, "X-Kubiya-Signature": f"sha256={signed.hexdigest()}"}
        return headers
