"""Starts a command with a restricted token of low integrity, and ends with its exit code.

Arguments: folders that it may write, `--`, command. Names and numbers are those of Microsoft's documentation of
`CreateRestrictedToken`, `SetTokenInformation`, `CreateProcessAsUserW` and `GetNamedSecurityInfoW`.
"""

import ctypes
import os
import subprocess
import sys
from typing import Any

DISABLE_MAX_PRIVILEGE = 0x1
TOKEN_RIGHTS = 0x0002 | 0x0001 | 0x0008 | 0x0080  # duplicate, assign primary, query, adjust default
TOKEN_INTEGRITY_LEVEL = 25
SE_GROUP_INTEGRITY = 0x20
LOW_INTEGRITY = "S-1-16-4096"
SE_FILE_OBJECT = 1
LABEL_SECURITY_INFORMATION = 0x10
SDDL_REVISION_1 = 1
CREATE_UNICODE_ENVIRONMENT = 0x400
STARTF_USESTDHANDLES = 0x100
INHERIT_HANDLES = True
INFINITE = 0xFFFFFFFF


class SidAndAttributes(ctypes.Structure):
    _fields_ = (("sid", ctypes.c_void_p), ("attributes", ctypes.c_uint32))


class StartupInfo(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_uint32), ("reserved", ctypes.c_wchar_p), ("desktop", ctypes.c_wchar_p),
        ("title", ctypes.c_wchar_p), ("numbers", ctypes.c_uint32 * 7), ("flags", ctypes.c_uint32),
        ("show", ctypes.c_uint16), ("reserved_size", ctypes.c_uint16), ("reserved2", ctypes.c_void_p),
        ("stdin", ctypes.c_void_p), ("stdout", ctypes.c_void_p), ("stderr", ctypes.c_void_p),
    )  # fmt: skip


class ProcessInformation(ctypes.Structure):
    _fields_ = (
        ("process", ctypes.c_void_p), ("thread", ctypes.c_void_p),
        ("process_id", ctypes.c_uint32), ("thread_id", ctypes.c_uint32),
    )  # fmt: skip


def label_arguments(workspace: str) -> list[str]:
    """Makes a folder, and what will be in it, writable for programs of low integrity."""
    return ["icacls", workspace, "/setintegritylevel", "(OI)(CI)L", "/q"]


def says_low(label: str) -> bool:
    """Whether a folder has this label, which holds for what is put into it, too: as a security descriptor's string, of
    Microsoft's "ACE Strings" and "SID Strings".
    """
    return any(
        ace.startswith("ML;")
        and "OI" in ace.split(";")[1]
        and "CI" in ace.split(";")[1]
        and ace.endswith((";LW", LOW_INTEGRITY))
        for ace in label.replace(")", "(").split("(")
    )


def label_of(security: Any, folder: str) -> str:
    """As `ConvertSecurityDescriptorToStringSecurityDescriptorW` writes it; empty where it cannot be read."""
    descriptor, text = ctypes.c_void_p(), ctypes.c_wchar_p()
    failed = security.GetNamedSecurityInfoW(
        ctypes.c_wchar_p(folder), SE_FILE_OBJECT, LABEL_SECURITY_INFORMATION, None, None, None, None,
        ctypes.byref(descriptor),
    )  # fmt: skip
    if failed:
        return ""
    read = security.ConvertSecurityDescriptorToStringSecurityDescriptorW(
        descriptor, SDDL_REVISION_1, LABEL_SECURITY_INFORMATION, ctypes.byref(text), None
    )
    return text.value or "" if read else ""


def make_writable(security: Any, folder: str) -> None:
    """Once per folder: icacls walks all that is in it."""
    if not says_low(label_of(security, folder)):
        subprocess.run(label_arguments(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def as_c_int(code: int) -> int:
    """An exit code as `_exit` takes it. `sys.exit` makes -1 of those of a crash, which are beyond a C int."""
    return code - (1 << 32) if code >= 1 << 31 else code


def main() -> int:
    at = sys.argv.index("--")
    folders, command = sys.argv[1:at], sys.argv[at + 1 :]
    for name in ("HOME", "TEMP"):
        os.makedirs(os.environ[name], exist_ok=True)  # noqa: PTH103 -- this starts before every call
    windows: Any = ctypes
    kernel = windows.WinDLL("kernel32", use_last_error=True)
    security = windows.WinDLL("advapi32", use_last_error=True)
    for folder in folders:
        make_writable(security, folder)

    def must(done: object) -> None:
        if not done:
            raise windows.WinError(windows.get_last_error())

    kernel.GetCurrentProcess.restype = kernel.GetStdHandle.restype = ctypes.c_void_p
    own, token, sid = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
    must(security.OpenProcessToken(ctypes.c_void_p(kernel.GetCurrentProcess()), TOKEN_RIGHTS, ctypes.byref(own)))
    must(security.CreateRestrictedToken(own, DISABLE_MAX_PRIVILEGE, 0, None, 0, None, 0, None, ctypes.byref(token)))
    must(security.ConvertStringSidToSidW(ctypes.c_wchar_p(LOW_INTEGRITY), ctypes.byref(sid)))
    label = SidAndAttributes(sid, SE_GROUP_INTEGRITY)
    size = ctypes.sizeof(label) + security.GetLengthSid(sid)
    must(security.SetTokenInformation(token, TOKEN_INTEGRITY_LEVEL, ctypes.byref(label), size))
    start, made = StartupInfo(), ProcessInformation()
    start.size, start.flags = ctypes.sizeof(start), STARTF_USESTDHANDLES
    start.stdin, start.stdout, start.stderr = (
        kernel.GetStdHandle(ctypes.c_uint32(number & 0xFFFFFFFF)) for number in (-10, -11, -12)
    )
    line = ctypes.create_unicode_buffer(subprocess.list2cmdline(command))
    must(
        security.CreateProcessAsUserW(
            token, None, line, None, None, INHERIT_HANDLES, CREATE_UNICODE_ENVIRONMENT, None, None,
            ctypes.byref(start), ctypes.byref(made),
        )
    )  # fmt: skip
    process, code = ctypes.c_void_p(made.process), ctypes.c_uint32()
    kernel.WaitForSingleObject(process, INFINITE)
    must(kernel.GetExitCodeProcess(process, ctypes.byref(code)))
    return code.value


if __name__ == "__main__":
    os._exit(as_c_int(main()))
