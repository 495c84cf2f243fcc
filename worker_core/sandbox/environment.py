"""The environment of a tool process: an allow-list and what the execution declared, nothing else."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping

_INHERITED = frozenset(
    {
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TERM", "TMPDIR", "TEMP", "TMP",
        "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
        "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
        # Windows: without these, hardly any program starts.
        "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "USERPROFILE", "APPDATA", "LOCALAPPDATA",
        "PROGRAMDATA", "PROGRAMFILES", "PROGRAMFILES(X86)",
        "NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE", "USERNAME",
    }
)  # fmt: skip

_OWN = frozenset({"KUBIYA_API_KEY", "LITELLM_API_KEY", "LITELLM_MASTER_KEY", "OPENAI_API_KEY_FILE", "REDIS_PASSWORD"})
"""The worker's own: the server puts the caller's key under the first name into resolved environments."""

_STEERS_THE_LOADER = re.compile(
    r"(LD_|DYLD_|_RLD|BASH_FUNC_)|"
    r"(PYTHONSTARTUP|PYTHONHOME|PYTHONPATH|BASH_ENV|ENV|NODE_OPTIONS|SHELLOPTS|BASHOPTS)$",
    re.IGNORECASE if os.name == "nt" else 0,
)
"""Declared variables of these names would run code inside programs that never asked for it, or (SHELLOPTS=noexec) have
them run nothing and succeed."""

_PYTHON_SPEAKS_UTF8 = {"PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8"}
"""Into a pipe, Python on Windows else writes the ANSI code page, and ends at the first character that it lacks."""

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_/-]")

_LONGEST_MARK = 150

CALL_MARK = "KUBIYA_TOOL_CALL"
"""Set for every tool process, so that one that left its process group can still be found."""


def tool_environment(
    declared: Mapping[str, str],
    *,
    call_mark: str,
    inherited: Mapping[str, str] = os.environ,
    platform: str = sys.platform,
) -> dict[str, str]:
    """The variables of a tool process.

    HOME stays the user's: commands such as git and kubectl find their configuration there. The operating-system
    sandbox, where it is active, decides what of it can be read.

    Args:
        declared: variables of the execution; they win over inherited ones, but may not steer a program's loader.
        call_mark: beginning of the value of `KUBIYA_TOOL_CALL`; random characters make it this attempt's own.
        inherited: the worker's own environment.
        platform: as `sys.platform`.

    """
    base = {name: value for name, value in inherited.items() if _passes(name)}
    if "LD_LIBRARY_PATH_ORIG" in inherited:  # a frozen program's own libraries are not for its children
        base["LD_LIBRARY_PATH"] = inherited["LD_LIBRARY_PATH_ORIG"]
    if platform == "win32":
        base |= _PYTHON_SPEAKS_UTF8
    allowed = {
        name: value
        for name, value in declared.items()
        if (name.upper() if os.name == "nt" else name) not in _OWN
        and not _STEERS_THE_LOADER.match(name)
        and _is_possible(name, value)
    }
    return {**base, **allowed, CALL_MARK: f"{_begin_of_mark(call_mark)}/{os.urandom(6).hex()}"}


def is_mark_of(mark: str, execution_id: str) -> bool:
    """Whether a value of `KUBIYA_TOOL_CALL` is that an execution's: of a call, an MCP server, an agent's program."""
    return bool(execution_id) and mark.startswith(f"{_begin_of_mark(execution_id)}/")


def _begin_of_mark(text: str) -> str:
    return _NOT_PLAIN.sub("_", text)[:_LONGEST_MARK]


def _passes(name: str) -> bool:
    # Windows does not distinguish case in names and reports them in capitals.
    return name in _INHERITED or name.startswith("LC_") or (os.name == "nt" and name.upper() in _INHERITED)


def _is_possible(name: str, value: str) -> bool:
    try:
        os.fsencode(name + value)
    except UnicodeEncodeError:
        return False
    return bool(name) and "=" not in name and "\0" not in name + value
