"""Reading a call's arguments: the model is a stranger, and told in one sentence what it got wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from worker_core.tools.base import ToolResult

_Arguments = TypeVar("_Arguments", bound=msgspec.Struct)


class WrongArguments(Exception):
    """The sentence says what is wrong."""


def read(model: type[_Arguments], arguments: Mapping[str, Any]) -> _Arguments:
    """The arguments as a struct.

    Raises:
        WrongArguments: missing, unknown or of the wrong type.

    """
    try:
        return msgspec.convert(dict(arguments), type=model)
    except msgspec.ValidationError as error:
        raise WrongArguments(f"The arguments are not right: {str(error)[:300]}.") from None


def schema(model: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON schema that the model is shown, as one flat object."""
    (_, components) = msgspec.json.schema_components([model])
    described = dict(components[model.__name__])
    described.pop("title", None)
    described.setdefault("required", [])
    return described


def failed(sentence: str) -> ToolResult:
    return ToolResult(succeeded=False, output="", error=sentence)
