"""Reading JSON from a server that may send null, a wrong type or something else altogether."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec

from worker_core.basics import foreign_json, typed_json
from worker_core.basics.sentences import worded
from worker_core.control_plane.errors import ServerTrouble
from worker_core.secrets import Secret

log = logging.getLogger(__name__)

_Model = TypeVar("_Model", bound=msgspec.Struct)


def decode(content: bytes, *, action: str, server: str) -> Any:
    """The JSON value in a body. Half characters in it are repaired: a prompt of a user may hold some.

    Raises:
        ServerTrouble: it is no JSON, or nests deeper than any answer does.
    """
    try:
        try:
            value = msgspec.json.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            value = foreign_json.loads(content)
        if foreign_json.is_too_deep(value):
            raise foreign_json.NestedTooDeep
        return value
    except (ValueError, RecursionError) as error:
        kind = worded("an HTML page") if content.lstrip()[:1] == b"<" else worded("something that is not JSON")
        if isinstance(error, foreign_json.NestedTooDeep | RecursionError):
            kind = worded("JSON that nests more than {n} levels deep", n=foreign_json.DEEPEST)
        raise ServerTrouble(
            worded(
                "{server} answered {action} with {kind}. Check the control plane URL, and what stands between.",
                server=server,
                action=action,
                kind=kind,
            )
        ) from error


@cache
def _fields(model: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """Looked up once: msgspec resolves a model's annotations anew each time, which takes longer than the reading."""
    return msgspec.structs.fields(model)


def read(model: type[_Model], raw: object, *, action: str, server: str) -> _Model:
    """`raw` as a `model`, field by field: null and wrong types give a field's default, unknown keys are ignored.

    Raises:
        ServerTrouble: `raw` is no object, or a field without default is missing, empty or of the wrong type.
    """
    if not isinstance(raw, Mapping):
        raise ServerTrouble(
            worded(
                "{server} answered {action} with JSON of the wrong kind; an object was expected.",
                server=server,
                action=action,
            )
        )
    values: dict[str, Any] = {}
    for field in _fields(model):
        found = raw.get(field.encode_name)
        if field.required and found in (None, ""):
            raise ServerTrouble(
                worded(
                    "{server} answered {action} without `{name}`, which the worker needs.",
                    server=server,
                    action=action,
                    name=field.encode_name,
                )
            )
        if found is None:
            continue
        try:
            values[field.name] = typed_json.convert(found, field.type, strict=False, dec_hook=_convert)
        except (msgspec.ValidationError, RecursionError) as error:
            if field.required:
                raise ServerTrouble(
                    worded(
                        "{server} answered {action} with a `{name}` of the wrong type.",
                        server=server,
                        action=action,
                        name=field.encode_name,
                    )
                ) from error
            log.debug("%s sent a `%s` of the wrong type in its answer to %s.", server, field.encode_name, action)
    return model(**values)


def read_list(model: type[_Model], raw: object, *, action: str, server: str, key: str = "") -> list[_Model]:
    """A list of `model`, bare or under `key`; items that are no such thing are left out.

    Raises:
        ServerTrouble: `raw` is neither a list nor an object with a list under `key`.
    """
    items = raw.get(key) if isinstance(raw, Mapping) else raw
    if not isinstance(items, list):
        raise ServerTrouble(
            worded(
                "{server} answered {action} with JSON of the wrong kind; a list was expected.",
                server=server,
                action=action,
            )
        )
    found: list[_Model] = []
    for item in items:
        try:
            found.append(read(model, item, action=action, server=server))
        except ServerTrouble as error:
            log.debug("An item was left out: %s", error.sentence)
    return found


def encode(value: object) -> bytes:
    """JSON; what JSON has no word for becomes its text."""
    return foreign_json.encode(value)


def _convert(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise msgspec.ValidationError("not a text")
