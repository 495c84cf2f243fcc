"""Other names of PowerShell's own commands: what is said of a command here holds for its aliases.

Of Microsoft's "Using aliases" and what `Get-Alias` lists in Windows PowerShell 5.1. Those of which nothing is said
here are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_OF: Final[Mapping[str, str]] = {
    # Where the next command stands, and what is there.
    "set-location": "cd chdir sl", "push-location": "pushd", "pop-location": "popd", "get-location": "gl pwd",
    "get-childitem": "dir gci ls", "get-item": "gi", "get-itemproperty": "gp", "get-content": "cat gc type",
    "copy-item": "copy cp cpi", "move-item": "mi move mv", "rename-item": "ren rni", "new-item": "ni",
    "set-item": "si", "clear-item": "cli", "remove-item": "del erase rd ri rm rmdir",
    "set-itemproperty": "sp", "copy-itemproperty": "cpp", "move-itemproperty": "mp", "rename-itemproperty": "rnp",
    "remove-itemproperty": "rp", "clear-itemproperty": "clp",
    # What runs or names something else.
    "invoke-expression": "iex", "invoke-command": "icm", "start-process": "saps start", "set-alias": "sal",
    "new-alias": "nal", "enter-pssession": "etsn", "new-pssession": "nsn",
    # Services, and the machine's own description.
    "start-service": "sasv", "stop-service": "spsv", "get-wmiobject": "gwmi", "set-wmiinstance": "swmi",
    "remove-wmiobject": "rwmi", "invoke-wmimethod": "iwmi", "invoke-cimmethod": "icim",
    # Of a pipeline.
    "get-member": "gm", "group-object": "group", "measure-object": "measure", "select-object": "select",
    "select-string": "sls", "sort-object": "sort", "tee-object": "tee", "where-object": "where", "get-process": "ps",
    "write-output": "write",
}  # fmt: skip

ALIASES: Final[Mapping[str, str]] = {alias: name for name, aliases in _OF.items() for alias in aliases.split()}


def command_of(name: str) -> str:
    """The command that a name in small letters is for PowerShell: itself, where it is no alias known here."""
    return ALIASES.get(name, name)
