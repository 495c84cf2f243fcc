"""Why a call over a connection of ours has no answer. `explain` reads the names, which are those of httpx2 as well."""

from __future__ import annotations


class TransportError(Exception):
    """Of a connection, or of what came over it."""


class ConnectError(TransportError):
    """It did not come about."""


class ReadError(TransportError):
    """It broke off while an answer was read."""


class WriteError(TransportError):
    """It broke off while a request was sent."""


class ProxyError(TransportError):
    """The proxy lets nobody through; it says the status of its answer."""


class LocalProtocolError(TransportError):
    """What was to be sent is none of HTTP."""


class RemoteProtocolError(TransportError):
    """What came is none of HTTP."""


class TimeoutException(TransportError):
    """One step took too long."""


class ConnectTimeout(TimeoutException):
    """To connect."""


class ReadTimeout(TimeoutException):
    """Until the next bytes came."""


class WriteTimeout(TimeoutException):
    """Until what is sent was taken."""


class PoolTimeout(TimeoutException):
    """Until another call let its connection go."""
