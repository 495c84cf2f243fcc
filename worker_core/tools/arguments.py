"""Reading a call's arguments: the model is a stranger, and told in one sentence what it got wrong."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec

from worker_core.basics import typed_json
from worker_core.errors import KubiyaError
from worker_core.tools.base import ToolResult

_Arguments = TypeVar("_Arguments", bound=msgspec.Struct)
_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")


class WrongArguments(KubiyaError):
    """The sentence says what is wrong."""


def read(model: type[_Arguments], arguments: Mapping[str, Any]) -> _Arguments:
    """The arguments as a struct. Numbers and booleans may be given as text, as some models do.

    Raises:
        WrongArguments: missing, unknown or of the wrong type, or text that cannot be written down.

    """
    for name, value in arguments.items():
        if isinstance(value, str) and _HALF_A_CHARACTER.search(value):
            raise WrongArguments(f"The argument {name[:50]!r} holds half of a character (a lone UTF-16 surrogate).")
    try:
        return typed_json.convert(dict(arguments), model, strict=False)
    except (msgspec.ValidationError, RecursionError) as error:
        takes = ", ".join(model.__struct_fields__)
        raise WrongArguments(f"The arguments are not right: {str(error)[:300]}. The tool takes: {takes}.") from None


def schema(model: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON schema that the model is shown, as one flat object."""
    return copy.deepcopy(_schema(model))


@cache
def _schema(model: type[msgspec.Struct]) -> dict[str, Any]:
    (_, components) = msgspec.json.schema_components([model])
    described = dict(components[model.__name__])
    described.pop("title", None)
    described.setdefault("required", [])
    return described


def failed(sentence: str) -> ToolResult:
    return ToolResult(succeeded=False, output="", error=sentence)
