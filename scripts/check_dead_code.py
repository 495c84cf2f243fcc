"""Code that nothing calls, by vulture. What a library calls by its name is named here, with who calls it.

Usage: python scripts/check_dead_code.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from vulture import Vulture

ROOT: Final = Path(__file__).resolve().parent.parent

FIELDS_OF_A_WIRE: Final = (
    "worker_core/control_plane/models.py",
    "worker_core/playground/wire.py",
    "worker_core/snapshot.py",
    "desktop/notices/release_index.py",
)
"""Their fields are what stands in JSON, read or not."""

CALLED_BY_NAME: Final = {
    "Qt": "*Event headerData focusNextPrevChild paint highlightBlock loadResource nativeEventFilter "
    "expandingDirections itemAt",
    "asyncio, of its event loop": "set_debug _timer_handle_cancelled",
    "asyncio, of a protocol": "connection_made get_buffer buffer_updated eof_received connection_lost "
    "pause_writing resume_writing",
    "login1, over D-Bus": "prepare_for_sleep",
    "click": "format_commands format_epilog list_ path_",
    "html.parser": "handle_data handle_endtag handle_starttag parse_marked_section",
    "temporalio, of workflows": "add_message mark_as_done get_state",
    "temporalio, of converters": "from_payload to_payload",
    "temporalio, of slot suppliers": "mark_slot_used release_slot reserve_slot try_reserve_slot",
    "claude-agent-sdk, of a transport": "end_input is_ready read_messages",
    "mcp, of a factory of clients": "auth",
    "mcp, of a store of tokens": "set_tokens get_client_info set_client_info client_info",
    "uvicorn": "capture_signals force_exit should_exit",
    "starlette": "stream_response",
    "sqlite3": "row_factory",
    "the kernel of Windows (JOBOBJECT_EXTENDED_LIMIT_INFORMATION)": "ActiveProcessLimit JobMemoryLimit LimitFlags "
    "PerJobUserTimeLimit",
    "msgspec: arguments of a tool, told to a child": "old_text new_text replace_all",
    "the style sheet, by the name of a colour": "accent_hover accent_soft danger danger_soft on_danger",
    "code in colours, likewise": "code_*",
    "whoever reads the exit code": "USAGE",
    "Qt, as long as it lives": "_watcher",
    "build.spec": "collected of_a_program",
    "tarfile": "uid gid uname gname",
    "tempfile": "tempdir",
    "unittest.mock, of a stand-in": "side_effect return_value",
    "typing, of a dictionary": "vital",
    "inspect, of a signature": "__annotations__",
    "importlib, of a module": "__path__ __spec__",
    "tests": "is_whole pending_timers scripted_model temporal_pid set_outage placeholders",
}


def main() -> int:
    """Non-zero where something is found; says what."""
    vulture = Vulture(ignore_names=" ".join(CALLED_BY_NAME.values()).split())
    vulture.scavenge([ROOT / part for part in ("worker_core", "desktop", "installers", "scripts")])
    wires = {ROOT / name for name in FIELDS_OF_A_WIRE}
    found = [
        item
        for item in vulture.get_unused_code(min_confidence=60)
        if not (item.typ == "variable" and Path(item.filename).resolve() in wires)
    ]
    for item in found:
        print(item.get_report())
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
