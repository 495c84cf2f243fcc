"""How often threads have slept and were woken: counts, which hold however loaded the machine is."""

from __future__ import annotations

from pathlib import Path


def wake_ups(pid: int) -> dict[int, int]:
    """So far, by thread; the main one has the process's number (proc(5), voluntary_ctxt_switches). Linux."""
    found = {}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        lines = (thread / "status").read_text(encoding="ascii", errors="replace").splitlines()
        found[int(thread.name)] = next(
            int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches")
        )
    return found
