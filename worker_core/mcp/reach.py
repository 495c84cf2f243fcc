"""Which MCP servers are reached over the network: what the settings `network` and `mcp_hosts` allow."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Hashable
from dataclasses import field

from worker_core.basics.quick_dataclass import dataclass
from worker_core.network.names import NAMES
from worker_core.network.reachable import (
    AddressRefused,
    Network,
    NetworkPolicy,
    is_public,
    normal_host,
    own_addresses,
    resolve,
)
from worker_core.settings import Settings

RESOLVE_LIMIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """A name is resolved once and its addresses are checked; the connection then goes to the checked address, so that a
    name server that answers differently a moment later changes nothing.
    """

    policy: NetworkPolicy = field(default_factory=NetworkPolicy)
    hosts: tuple[str, ...] = ()
    """Reached whatever the policy says, in the form of `network_allow`: the user's own servers, on this machine too."""

    resolve: Callable[[str, int], list[str]] = resolve

    async def address(self, host: str, port: int, *, through_proxy: bool = False, asker: Hashable = "") -> str:
        """Where to connect to.

        Args:
            host: name or address.
            port: of the server.
            through_proxy: a proxy resolves the name: then one that is not known here is passed on as it is.
            asker: who waits in line where name servers say nothing.

        Raises:
            AddressRefused: it may not be reached; the sentence says which setting would allow it.
            OSError: the name cannot be resolved.
        """
        name = normal_host(host)
        is_own = self._names(name, port)
        if not is_own:
            try:
                self.policy.check_host(name, port)
            except AddressRefused as error:
                sentence = "The setting `network` is off." if self.policy.network is Network.OFF else error.sentence
                raise AddressRefused(f"{sentence} {_how_to_allow(name, port)}") from None
        try:
            async with asyncio.timeout(RESOLVE_LIMIT_SECONDS):
                found = await NAMES.look_up(lambda: self.resolve(name, port), asker=asker)
        except (OSError, UnicodeError, TimeoutError) as error:
            if through_proxy:
                return name
            raise OSError(f"The name {name} cannot be resolved.") from error
        checked = [ipaddress.ip_address(one.partition("%")[0]) for one in found]
        if not is_own and self.policy.network is not Network.HOST:
            own = await asyncio.to_thread(own_addresses)
            # One bad address among good ones is how rebinding begins: none is used then.
            if not checked or not all(is_public(one, own=own) for one in checked):
                raise AddressRefused(
                    f"{name} is not on the public internet (it is this machine, its network, or a cloud's metadata "
                    f"service). {_how_to_allow(name, port)}"
                )
        if through_proxy:
            return name
        return str(min(checked, key=lambda one: one.version))  # IPv4 first: it works in more places

    def _names(self, name: str, port: int) -> bool:
        try:
            NetworkPolicy(network=Network.ALLOW_LIST, hosts=self.hosts).check_host(name, port)
        except AddressRefused:
            return False
        return True


def reach_of(settings: Settings) -> Reach:
    """What the settings allow."""
    policy = NetworkPolicy(network=Network(settings.network), hosts=settings.network_allow)
    return Reach(policy=policy, hosts=settings.mcp_hosts)


def _how_to_allow(name: str, port: int) -> str:
    shown = name if port in {80, 443} else f"{name}:{port}"
    return f"If it is a server of your own, put {shown!r} into the setting `mcp_hosts`."
