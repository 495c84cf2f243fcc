"""What a cloud says of the machine's end: spot and preemptible machines are taken away with 15 to 120 seconds' notice.

Each provider tells it on the machine's own metadata service, a link-local address that leads nowhere else:

* AWS (EC2 User Guide, "Spot Instance interruption notices"): `spot/instance-action` is 404 until two minutes before.
* Google Cloud (Compute Engine, "Preempted instances"): `instance/preempted` turns TRUE; 30 s are left, on GKE 15.
* Azure ("Scheduled Events for Linux VMs"): events of the machine's own name, 30 s before a spot machine is evicted.
"""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from worker_core.basics.quick_dataclass import dataclass

if TYPE_CHECKING:
    from httpx2 import AsyncClient

log = logging.getLogger(__name__)

Cloud = Literal["none", "aws", "gcp", "azure"]

METADATA_SERVICE: Final = "http://169.254.169.254"
ASK_EVERY: Final = timedelta(seconds=5)
"""As AWS advises."""

_LIMIT_SECONDS: Final = 4.0
_LARGEST_BYTES: Final = 256 * 1024
_GOOGLE_LEAVES: Final = timedelta(seconds=30)
_ENDS: Final = {"Preempt", "Terminate", "Reboot", "Redeploy"}
"""Azure's kinds of events after which nothing of a worker is left. `Freeze` is a pause of seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndNotice:
    """The machine will end."""

    why: str
    """As in "AWS takes this spot machine away"."""

    at: datetime | None
    """When, in UTC; None: nobody said."""


class MetadataService:
    """Asks one provider."""

    def __init__(self, cloud: Cloud, client: AsyncClient) -> None:
        self._cloud = cloud
        self._client = client
        self._token = ""
        self._machine: str | None = None

    async def ask(self) -> EndNotice | None:
        """The notice, once there is one.

        Raises:
            OSError: nobody answers, or not as documented.
        """
        match self._cloud:
            case "aws":
                return await self._ask_aws()
            case "gcp":
                return await self._ask_google()
            case "azure":
                return await self._ask_azure()
            case "none":
                return None

    async def _ask_aws(self) -> EndNotice | None:
        status, body = await self._get("/latest/meta-data/spot/instance-action", **await self._aws_token())
        if status == 401:  # the token has ended
            self._token = ""
            status, body = await self._get("/latest/meta-data/spot/instance-action", **await self._aws_token())
        if status == 404:
            return None
        found = _object(status, body)
        action = str(found.get("action", "terminate"))[:20]
        return EndNotice(why=f"AWS takes this spot machine away ({action})", at=_time(found.get("time")))

    async def _aws_token(self) -> dict[str, str]:
        if not self._token:
            name = "/latest/api/token"
            status, body = await self._get(name, method="PUT", **{"X-aws-ec2-metadata-token-ttl-seconds": "21600"})
            if status != 200:
                raise OSError(f"it gave no token (status {status})")
            self._token = body.strip()
        return {"X-aws-ec2-metadata-token": self._token}

    async def _ask_google(self) -> EndNotice | None:
        status, body = await self._get("/computeMetadata/v1/instance/preempted", **{"Metadata-Flavor": "Google"})
        if status != 200:
            raise OSError(f"it answered with status {status}")
        if body.strip().upper() != "TRUE":
            return None
        return EndNotice(why="Google Cloud takes this machine away", at=datetime.now(UTC) + _GOOGLE_LEAVES)

    async def _ask_azure(self) -> EndNotice | None:
        if self._machine is None:
            name = "/metadata/instance/compute/name?api-version=2021-02-01&format=text"
            status, body = await self._get(name, Metadata="true")
            self._machine = body.strip() if status == 200 else ""
        events = _object(*await self._get("/metadata/scheduledevents?api-version=2020-07-01", Metadata="true"))
        ending = [event for event in events.get("Events") or [] if self._ends_this(event)]
        if not ending:
            return None
        times = [at for event in ending if (at := _time(event.get("NotBefore"))) is not None]
        return EndNotice(why=f"Azure ends this machine ({ending[0]['EventType']})", at=min(times, default=None))

    def _ends_this(self, event: Any) -> bool:
        """Also where nobody says whose it is. A machine sees the events of others of its set, too."""
        if not isinstance(event, dict) or event.get("EventType") not in _ENDS:
            return False
        named = event.get("Resources")
        return not self._machine or not isinstance(named, list) or not named or self._machine in named

    async def _get(self, path: str, *, method: str = "GET", **headers: str) -> tuple[int, str]:
        from httpx2 import HTTPError

        try:
            async with (
                asyncio.timeout(_LIMIT_SECONDS),
                self._client.stream(method, path, headers=headers) as answer,
            ):
                body = b""
                async for part in answer.aiter_raw():
                    body += part
                    if len(body) > _LARGEST_BYTES:
                        raise OSError("its answer has no end")
        except (HTTPError, TimeoutError) as error:
            raise OSError(f"{type(error).__name__}: {error}") from error
        return answer.status_code, body.decode("utf-8", "replace")


async def notice_of(cloud: Cloud, *, service: str = METADATA_SERVICE, every: timedelta = ASK_EVERY) -> EndNotice:
    """Wait until the machine's end is announced. A service that does not answer is asked on, and told of once."""
    from httpx2 import AsyncClient

    said = False
    async with AsyncClient(base_url=service, trust_env=False, timeout=_LIMIT_SECONDS) as client:
        asked = MetadataService(cloud, client)
        while True:
            try:
                if (notice := await asked.ask()) is not None:
                    return notice
            except OSError as error:
                if not said:
                    said = True
                    log.warning("The metadata service of %s does not answer; it is asked on. (%s)", cloud, error)
            await asyncio.sleep(every.total_seconds())


def _object(status: int, body: str) -> dict[str, Any]:
    if status != 200:
        raise OSError(f"it answered with status {status}")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise OSError("its answer is no JSON object")
    return found


def _time(text: object) -> datetime | None:
    """As AWS writes it (ISO 8601), or Azure (RFC 1123). An event that has begun has none."""
    if not isinstance(text, str) or not text.strip():
        return None
    from email.utils import parsedate_to_datetime  # most workers are asked for no more than the word `none`

    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = read(text.strip())
        except (ValueError, TypeError, IndexError):
            continue
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    return None
