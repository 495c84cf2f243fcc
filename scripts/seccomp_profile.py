"""Writes the seccomp profile for pods in which bubblewrap is to work, from the worker's own list of refused calls.

Container engines refuse what bubblewrap is made of: new namespaces and mounts in them. This profile lets those through,
and refuses whatever else tools are refused, to the worker too. Tools have the worker's whole filter besides.

Usage: .venv/bin/python scripts/seccomp_profile.py
"""

from __future__ import annotations

import json
from pathlib import Path

from worker_core.sandbox.seccomp import ONLY_X86, REFUSED

PROFILE = Path(__file__).resolve().parent.parent / "installers" / "kubernetes" / "seccomp" / "kubiya-worker.json"
OF_BUBBLEWRAP = {"mount", "umount2", "pivot_root", "sethostname"}
OLD = ("create_module", "get_kernel_syms", "lookup_dcookie", "nfsservctl", "query_module", "stime", "sysfs", "ustat")
"""Besides: what only old or privileged programs ask of a kernel."""

_VSOCK = 40
_EPERM = 1


def profile() -> str:
    """As container engines read it (the OCI's runtime specification, `linux.seccomp`)."""
    refused = sorted({*REFUSED, *ONLY_X86, *OLD} - OF_BUBBLEWRAP)
    never = {"action": "SCMP_ACT_ERRNO", "errnoRet": _EPERM}
    of_virtual_machines = {"index": 0, "value": _VSOCK, "op": "SCMP_CMP_EQ"}
    text = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []},
        ],
        "syscalls": [
            {"names": refused, **never},
            {"names": ["socket"], **never, "args": [of_virtual_machines]},
        ],
    }
    return json.dumps(text, indent=2) + "\n"


if __name__ == "__main__":
    PROFILE.write_text(profile(), encoding="utf-8")
