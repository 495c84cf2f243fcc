"""What tests cannot have on Windows, and what else below wine, with the reasons: each is expected to fail there.

One that passes fails, so that the lists stay true (`make test-windows SUITE=--suite`). Wine 10.0 of Debian 13.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from typing import Any, Final

ON_WINDOWS: Final[Mapping[str, tuple[str, ...]]] = {
    "the line is one of a POSIX shell, and is read as one of Windows': a backslash stands between folders": (
        r"policy/test_lines.py::test_a_denied_command_is_found[$'r\\x6d' x]",
        r"policy/test_lines.py::test_a_denied_command_is_found[echo `echo \\`rm x\\``]",
        r"policy/test_lines.py::test_a_denied_command_is_found[echo -e 'ls\\nrm x' | sh]",
        r"policy/test_lines.py::test_a_denied_command_is_found[env -S '\\_rm\\_x']",
        r"policy/test_lines.py::test_a_denied_command_is_found[env -S '-S rm\\_x']",
    ),
    "names of programs have no case": (
        "policy/test_lines.py::test_where_files_have_no_case_programs_have_none",
        "policy/test_names.py::test_the_programs_of_a_line[$NAME x]",
    ),
    "there is no /dev, no /etc and no /tmp": (
        "policy/test_lines.py::test_what_a_process_has_open_itself_is_not_what_the_worker_has_open",
        "policy/test_rules.py::test_safe_defaults[ls -la && cat notes.txt | sort > sorted.txt 2>/dev/null-0]",
        "policy/test_rules.py::test_safe_defaults[for f in /etc/*; do cat $f; done-2]",
        "policy/test_decision.py::test_what_is_private_to_the_sandbox_needs_no_question[echo data > /tmp/notes.txt]",
        "policy/test_decision.py::test_what_is_private_to_the_sandbox_needs_no_question[cat /tmp/notes.txt]",
        "policy/test_decision.py::test_what_only_looks_private_is_asked_about[HOME=/tmp npm ci-Allowed]",
        "policy/test_decision.py::test_a_rule_about_what_is_private_holds",
        "policy/test_decision.py::test_a_server_elsewhere_has_nothing_of_its_own_here",
    ),
    "PowerShell, in which the line is run, assigns nothing so": (
        "policy/test_decision.py::test_what_only_looks_private_is_asked_about[HOME=/srv; cat ~/x-Ask]",
        "policy/test_decision.py::test_what_only_looks_private_is_asked_about[CDPATH=/srv; cd data && cat x-Ask]",
    ),
    "no shell has this name": (
        "policy/test_tools.py::test_known_shells_are_used_and_their_lines_read[/bin/sh-options0]",
    ),
    "a file that somebody reads keeps its name, and is copied and emptied": (
        "logs/test_pipeline.py::test_a_file_that_somebody_reads_rotates",
    ),
}
"""By the reason: how names of tests begin."""

BELOW_WINE: Final[Mapping[str, tuple[str, ...]]] = {
    "wine's CreateSymbolicLink makes nothing that a program sees as a link": (
        "workspaces/test_workspace.py::test_links",
        "workspaces/test_workspace.py::test_an_output_is_not_written_through_links",
        "policy/test_folders.py::test_patterns_for_names_are_the_files_that_fit",
        "policy/test_folders.py::test_a_workspace_that_is_seen_through_a_link",
        "policy/test_granted_folders.py::test_a_granted_folder_needs_no_question_and_what_lies_beside_it_does",
        "policy/test_granted_folders.py::test_paths_begin_where_the_execution_works",
        "policy/test_rules.py::test_texts_that_name_files_of_the_workspace_are_no_denial",
        "policy/test_rules.py::test_a_link_out_of_the_workspace_is_where_it_leads",
    ),
    "wine's GetFinalPathNameByHandle fails beyond 260 characters (ERROR_MORE_DATA)": (
        "workspaces/test_workspace.py::test_whatever_the_system_is_asked_for_is_asked_in_the_form_without_a_limit",
    ),
}
"""By the reason: how names of tests begin."""


def is_wine() -> bool:
    """Only wine's ntdll has a version of it."""
    windows: Any = ctypes
    return sys.platform == "win32" and hasattr(windows.WinDLL("ntdll"), "wine_get_version")


def why_it_fails(test: str) -> str:
    """Empty: it should pass."""
    if sys.platform != "win32":
        return ""
    known = {**ON_WINDOWS, **BELOW_WINE} if is_wine() else ON_WINDOWS
    return next((why for why, names in known.items() if test.removeprefix("tests/").startswith(names)), "")
