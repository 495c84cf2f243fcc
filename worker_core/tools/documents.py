"""`file_generation`: JSON, CSV, PDF and text files in the workspace."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

import msgspec

from worker_core.basics.quick_dataclass import dataclass
from worker_core.policy.rules import Subject
from worker_core.policy.subjects import Reader
from worker_core.tools import arguments
from worker_core.tools.arguments import WrongArguments
from worker_core.tools.base import Tool, ToolContext, ToolResult, ToolSpec
from worker_core.tools.configuration import Configuration
from worker_core.tools.report import write_and_report

LARGEST_BYTES = 20 * 1024 * 1024

_Path = Annotated[
    str, msgspec.Meta(description="Path inside the workspace; the ending is added where it is missing.", min_length=1)
]


class JsonArguments(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    path: _Path
    data: Annotated[Any, msgspec.Meta(description="What to write: any JSON value.")]


class CsvArguments(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    path: _Path
    rows: Annotated[
        list[list[Any] | dict[str, Any]],
        msgspec.Meta(description="The rows: lists of cells, or objects with a cell for each column."),
    ]
    columns: Annotated[
        list[str] | None, msgspec.Meta(description="Names for the first line; those of the objects by default.")
    ] = None


class TextArguments(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    path: _Path
    content: Annotated[str, msgspec.Meta(description="The whole text.")]


class PdfArguments(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    path: _Path
    content: Annotated[
        str,
        msgspec.Meta(
            description="The text. Lines that begin with #, ## or ### are headings, with - list items; code stands "
            "between lines of three back-quotes."
        ),
    ]
    title: Annotated[str, msgspec.Meta(description="Shown above the text.")] = ""


def _json(asked: JsonArguments) -> bytes:
    data = asked.data
    if isinstance(data, str):  # models like to send JSON as text
        try:
            decoded = msgspec.json.decode(data)
        except (msgspec.DecodeError, RecursionError):
            decoded = data
        data = decoded if isinstance(decoded, dict | list) else data
    return msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n"


def _csv(asked: CsvArguments) -> bytes:
    columns = asked.columns
    if columns is None:
        columns = list(dict.fromkeys(key for row in asked.rows if isinstance(row, dict) for key in row)) or None
    target = io.StringIO(newline="")
    writer = csv.writer(target, lineterminator="\n")
    if columns:
        writer.writerow(columns)
    for number, row in enumerate(asked.rows, 1):
        if isinstance(row, dict):
            if extra := [key for key in row if key not in (columns or ())]:
                raise WrongArguments(f"Row {number} has {extra[0][:100]!r}, which is not among the columns.")
            row = [row.get(column) for column in columns or ()]
        elif columns and len(row) != len(columns):
            raise WrongArguments(f"Row {number} has {len(row)} cells, but there are {len(columns)} columns.")
        writer.writerow([_cell(value) for value in row])
    return target.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return msgspec.json.encode(value).decode()


def _pdf(asked: PdfArguments) -> bytes:
    from worker_core.tools import pdf

    try:
        return pdf.render(asked.content, title=asked.title)
    except pdf.CannotRender as error:
        raise WrongArguments(str(error)) from None


def _text(asked: TextArguments) -> bytes:
    return asked.content.encode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    ending: str
    switch: str
    model: type[msgspec.Struct]
    make: Callable[[Any], bytes]
    description: str


_KINDS: Mapping[str, _Kind] = {
    "generate_json_file": _Kind(
        ending=".json",
        switch="enable_json_generation",
        model=JsonArguments,
        make=_json,
        description="Write data as a JSON file into the workspace.",
    ),
    "generate_csv_file": _Kind(
        ending=".csv",
        switch="enable_csv_generation",
        model=CsvArguments,
        make=_csv,
        description="Write rows as a CSV file into the workspace.",
    ),
    "generate_pdf_file": _Kind(
        ending=".pdf",
        switch="enable_pdf_generation",
        model=PdfArguments,
        make=_pdf,
        description="Write a text as a PDF file into the workspace.",
    ),
    "generate_text_file": _Kind(
        ending=".txt",
        switch="enable_txt_generation",
        model=TextArguments,
        make=_text,
        description="Write a text file into the workspace.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentTool:
    """Makes one kind of file. `folder` is a folder of the workspace that all of them go into."""

    name: str
    folder: str = ""

    @property
    def spec(self) -> ToolSpec:
        kind = _KINDS[self.name]
        where = f" It goes into the folder {self.folder!r}." if self.folder else ""
        return ToolSpec(
            name=self.name,
            description=f"{kind.description}{where} A file that is there is replaced.",
            parameters=arguments.schema(kind.model),
        )

    def subjects(self, arguments_: Mapping[str, Any], reader: Reader) -> Iterable[Subject]:
        asked: Any = arguments.read(_KINDS[self.name].model, arguments_)
        yield from reader.path(asked.path, folder=self.folder)
        yield from reader.sent({name: value for name, value in arguments_.items() if name != "path"})

    async def run(self, arguments_: Mapping[str, Any], context: ToolContext) -> ToolResult:
        kind = _KINDS[self.name]
        try:
            asked: Any = arguments.read(kind.model, arguments_)
            content = await asyncio.to_thread(kind.make, asked)
        except WrongArguments as error:
            return arguments.failed(str(error))
        except ImportError:
            return arguments.failed(
                "PDF files cannot be written here: the Python package reportlab is not installed. Write a text file, "
                "or install it beside the worker."
            )
        if len(content) > LARGEST_BYTES:
            return arguments.failed(f"The file would take {len(content)} bytes; {LARGEST_BYTES} are the limit.")
        path: str = asked.path
        if not path.lower().endswith(kind.ending):
            path += kind.ending
        return await write_and_report(f"{self.folder}/{path}" if self.folder else path, content, context)


def make(configuration: Configuration) -> dict[str, Tool]:
    folder = configuration.folder("output_directory").strip("/")
    return {
        name: DocumentTool(name=name, folder=folder)
        for name, kind in _KINDS.items()
        if configuration.switch(kind.switch, default=True)
    }
