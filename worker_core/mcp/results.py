"""What a server answered, as the model reads it: texts as they are, everything else by where it was put."""

from __future__ import annotations

import base64
import binascii
import json
import mimetypes
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from worker_core.errors import KubiyaError
from worker_core.tools.base import ToolContext

if TYPE_CHECKING:
    from mcp.types import BlobResourceContents, CallToolResult, ContentBlock, ReadResourceResult, TextResourceContents

    from worker_core.mcp.listing import ResourcePage

MOST_FILES: Final = 20
LARGEST_FILE_BYTES: Final = 20 * 1024 * 1024
_LONGEST_URI: Final = 500
_LONGEST_ABOUT: Final = 300
"""Characters of what a server says of one resource."""


class Reader:
    """Turns the parts of one answer into text. Writes files, so it belongs into a thread.

    Args:
        context: of the call.
        read_resource: the name of the tool that reads what is linked to; empty: there is none.
    """

    def __init__(self, context: ToolContext, *, read_resource: str = "") -> None:
        self._context = context
        self._read_resource = read_resource
        self._files = 0

    def result(self, answer: CallToolResult, *, misfit: str = "") -> str:
        """All parts in order. `misfit`: what of the structured part is not as the server declared it, as a clause."""
        parts = [self._part(part) for part in answer.content]
        if not parts and answer.structured_content is not None:
            parts.append(json.dumps(answer.structured_content, ensure_ascii=False, indent=1))
        if misfit:
            parts.append(
                "[The tool's result is all here, but its structured part is not what its server declares "
                f"(outputSchema): {misfit}.]"
            )
        return "\n".join(parts)

    def resource(self, answer: ReadResourceResult) -> str:
        """What a resource holds; its parts may have addresses of their own."""
        contents = answer.contents
        if len(contents) == 1 and (text := getattr(contents[0], "text", None)) is not None:
            return str(text)
        return "\n".join(self._contents(one) for one in contents)

    def _part(self, part: ContentBlock) -> str:
        from mcp import types

        if isinstance(part, types.TextContent):
            return part.text
        if isinstance(part, types.ImageContent | types.AudioContent):
            return self._file(part.data, part.mime_type)
        if isinstance(part, types.EmbeddedResource):
            return self._contents(part.resource)
        how = f" Read it with {self._read_resource}." if self._read_resource else ""
        named = _joined((part.name, part.mime_type, part.description))
        return f"[A link to the resource {str(part.uri)[:_LONGEST_URI]} ({named}).{how}]"

    def _contents(self, contents: TextResourceContents | BlobResourceContents) -> str:
        from mcp import types

        if isinstance(contents, types.TextResourceContents):
            return f"[{str(contents.uri)[:_LONGEST_URI]}]\n{contents.text}"
        return self._file(contents.blob, contents.mime_type, about=str(contents.uri))

    def _file(self, data: str, mime_type: str | None, *, about: str = "") -> str:
        self._files += 1
        shown = f"{mime_type or 'a file'}{f', {about[:200]}' if about else ''}"
        if self._files > MOST_FILES or len(data) > LARGEST_FILE_BYTES * 4 // 3:
            return f"[{shown}: left out, there is too much of it]"
        try:
            content = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            return f"[{shown}: it cannot be decoded]"
        ending = mimetypes.guess_extension((mime_type or "").partition(";")[0]) or ".bin"
        call = re.sub(r"[^A-Za-z0-9_-]", "_", self._context.call_id)[:60]
        try:
            path = self._context.workspace.write(f"mcp/{call}-{self._files}{ending}", [content])
        except (OSError, KubiyaError) as error:
            return f"[{shown}: it could not be kept ({error})]"
        return f"[{shown}, {len(content)} bytes, kept in {self._context.named(path)}]"


def resource_list(page: ResourcePage) -> str:
    """A page of resources: a line each, addresses first."""
    lines = [_line(one) for one in page.listed]
    if page.next_cursor:
        lines.append(f"[There are more. Ask again with the cursor {json.dumps(page.next_cursor, ensure_ascii=False)}.]")
    return "\n".join(lines) or "(no resources)"


def _line(one: Mapping[str, Any]) -> str:
    size = one.get("size")
    about = _joined(
        (
            one.get("title") or one.get("name"),
            one.get("mimeType"),
            f"{size} bytes" if isinstance(size, int) else "",
            one.get("description"),
        )
    )
    pattern = one.get("uriTemplate")
    address = str(one.get("uri") if pattern is None else f"{pattern} (a pattern: fill in what stands in braces)")
    return f"{address[:_LONGEST_URI]}: {about}" if about else address[:_LONGEST_URI]


def _joined(words: Iterable[object]) -> str:
    said = "; ".join(" ".join(word.split()) for word in words if isinstance(word, str) and word.strip())
    return said if len(said) <= _LONGEST_ABOUT else f"{said[: _LONGEST_ABOUT - 1]}…"
