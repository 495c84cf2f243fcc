"""A filter for system calls that tools do not need, as the kernel's classic BPF.

Numbers are those of the kernel's own tables (`asm/unistd_64.h`, `asm-generic/unistd.h`); the layout of `seccomp_data`
and the return values are in seccomp(2). What is refused fails with EPERM, so that programs go on where they can.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Mapping, Sequence

from worker_core.basics.quick_dataclass import dataclass

_LOAD_WORD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JUMP_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_JUMP_ANY_BIT = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K

ALLOW = 0x7FFF0000
KILL = 0x80000000
_ERRNO = 0x00050000
EPERM = _ERRNO | 1
ENOSYS = _ERRNO | 38
IGNORED = _ERRNO | 0
"""The call succeeds and does nothing."""

UNSUPPORTED = _ERRNO | 95
"""EOPNOTSUPP: as of a file system that cannot do it."""

ANSWERED = 0x7FC00000
"""SECCOMP_RET_USER_NOTIF: who holds the listener answers it; ENOSYS where nobody does."""

_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16

X32_BIT = 0x40000000
NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET."""

NEW_TIME = 0x80
"""CLONE_NEWTIME: for unshare(2) only, in clone(2) these bits are the exit signal."""

TERMINAL_INJECTIONS = (0x5412, 0x541C)
"""TIOCSTI, TIOCLINUX."""

SOCKET_FAMILIES = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6, AF_NETLINK. Vsock, for one, would leave the network namespace."""

SOCKET_LEVEL = 1
SOCKET_BUFFERS = (7, 8)
"""SO_SNDBUF and SO_RCVBUF, which are wishes that the kernel cuts anyhow (socket(7)): with buffers of the size that it
gives by itself, what they may hold is known by their number."""

REFUSED: Mapping[str, tuple[int, int]] = {
    # name: (x86-64, arm64)
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "setns": (308, 268),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "vhangup": (153, 58),
}
REFUSED_BESIDE_OTHERS: Mapping[str, tuple[int, int]] = {
    # Where processes have no namespaces of their own: what belongs to all processes of the machine.
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "fanotify_init": (300, 262),
}
UNSUPPORTED_BESIDE_OTHERS: Mapping[str, tuple[int, int]] = {
    # By path, Landlock does not look at them.
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
}
ONLY_X86 = {"iopl": 172, "ioperm": 173, "modify_ldt": 154, "uselib": 134, "_sysctl": 156}

_SPECIAL: Mapping[str, tuple[int, int]] = {
    "clone": (56, 220),
    "clone3": (435, 435),
    "unshare": (272, 97),
    "ioctl": (16, 29),
    "socket": (41, 198),
    "setsockopt": (54, 208),
}
_SPECIAL_BESIDE_OTHERS: Mapping[str, tuple[int, int]] = {
    "socketpair": (53, 199),
    "connect": (42, 203),
    "listen": (50, 201),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "truncate": (76, 45),
    "prlimit64": (302, 261),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
}
_MACHINES: Mapping[str, tuple[int, int]] = {
    # as `platform.machine()` says: (AUDIT_ARCH_*, column above)
    "x86_64": (0xC000003E, 0),
    "aarch64": (0xC00000B7, 1),
}


class Sockets(enum.Enum):
    """Which sockets a process may make that shares the machine's network."""

    NONE = enum.auto()
    """But for pairs, and what asks the kernel for its own addresses."""

    ANSWERED = enum.auto()
    """TCP, and who holds the filter's listener connects it."""

    ALL = enum.auto()
    """But for Unix sockets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideOthers:
    """A process without namespaces of its own: what those would keep it from is refused here.

    It makes no Unix socket: one with a path answers whoever may write to it, and the worker's own control socket does.
    """

    sockets: Sockets
    truncates: bool
    """It may cut files by their path. Not before Landlock looks at that (version 3)."""


def program(machine: str, *, beside_others: BesideOthers | None = None) -> bytes:
    """The filter for a machine; empty where it is not known, and the namespaces alone hold.

    Args:
        machine: as `platform.machine()` names it.
        beside_others: where there are no namespaces.

    """
    if machine not in _MACHINES:
        return b""
    audit_name, column = _MACHINES[machine]
    special = {name: numbers[column] for name, numbers in {**_SPECIAL, **_SPECIAL_BESIDE_OTHERS}.items()}
    code: list[bytes] = [
        _step(_LOAD_WORD, _ARCHITECTURE),
        _step(_JUMP_EQUAL, audit_name, then=1),
        # A program of another architecture would bring other numbers.
        _step(_RETURN, KILL),
        _step(_LOAD_WORD, _NUMBER),
    ]
    if column == 0:
        code += [_step(_JUMP_AT_LEAST, X32_BIT, otherwise=1), _step(_RETURN, EPERM)]
    code += _verdict([special["clone3"]], ENOSYS)  # its flags are out of sight; libc falls back
    code += _only_for(special["clone"], _if_argument_has(0, NEW_NAMESPACES))
    code += _only_for(special["unshare"], _if_argument_has(0, NEW_NAMESPACES | NEW_TIME))
    code += _only_for(special["ioctl"], _if_argument_is(1, TERMINAL_INJECTIONS))
    if beside_others is None:
        code += _only_for(special["socket"], _unless_argument_is(0, SOCKET_FAMILIES))
    else:
        code += _beside_others(beside_others, special, column)
    buffers = [_argument(2), *_verdict(SOCKET_BUFFERS, IGNORED)]
    of_sockets = [_argument(1), *_only_for(SOCKET_LEVEL, buffers), _step(_RETURN, ALLOW)]
    code += _only_for(special["setsockopt"], of_sockets)
    refused = {numbers[column] for numbers in REFUSED.values()} | (set(ONLY_X86.values()) if column == 0 else set())
    return b"".join([*code, *_verdict(sorted(refused), EPERM), _step(_RETURN, ALLOW)])


_UNIX, _INET, _INET6, _NETLINK = SOCKET_FAMILIES
_STREAM, _SEQUENCED = 1, 5
_KIND = 0xF
"""Of a socket's type: the rest are SOCK_CLOEXEC and SOCK_NONBLOCK."""

_ANY_TCP, _TCP = 0, 6
_ROUTE = 0
"""NETLINK_ROUTE: which addresses this machine has, for getaddrinfo and getifaddrs. Changing them takes a capability."""

_FAST_OPEN = 0x20000000
"""MSG_FASTOPEN: it connects without connect(2)."""

_OF_ONE_PROCESS = (
    ("prlimit64", 0), ("setpriority", 1), ("ioprio_set", 1), ("sched_setparam", 0), ("sched_setscheduler", 0),
    ("sched_setaffinity", 0), ("sched_setattr", 0),
)  # fmt: skip
"""Which argument names the process; 0 is whoever calls. Of a user's other processes the kernel would change them."""


def _beside_others(how: BesideOthers, special: Mapping[str, int], column: int) -> list[bytes]:
    code: list[bytes] = []
    # A pair of datagram sockets sends to any path that it names; the other kinds do not.
    of_streams = [_step(_AND, _KIND), *_verdict((_STREAM, _SEQUENCED), ALLOW)]
    code += _only_for(special["socketpair"], [_argument(1), *of_streams, _step(_RETURN, EPERM)])
    netlink = _only_for(_NETLINK, _unless_argument_is(2, (_ROUTE,)))
    match how.sockets:
        case Sockets.ALL:
            code += _only_for(special["socket"], _unless_argument_is(0, (_INET, _INET6, _NETLINK)))
        case Sockets.NONE:
            code += _only_for(special["socket"], [_argument(0), *netlink, _step(_RETURN, EPERM)])
        case Sockets.ANSWERED:
            # Neither UDP nor raw packets, and no other protocol (MPTCP, SCTP) that Landlock does not take for TCP.
            tcp = [
                _argument(1), _step(_AND, _KIND), _step(_JUMP_EQUAL, _STREAM, then=1), _step(_RETURN, EPERM),
                *_unless_argument_is(2, (_ANY_TCP, _TCP)),
            ]  # fmt: skip
            families = [*_only_for(_INET, tcp), *_only_for(_INET6, tcp), *netlink]
            code += _only_for(special["socket"], [_argument(0), *families, _step(_RETURN, EPERM)])
    if how.sockets is not Sockets.ALL:
        connected = ANSWERED if how.sockets is Sockets.ANSWERED else EPERM
        code += _verdict([special["connect"]], connected) + _verdict([special["listen"]], EPERM)
        for name, flags in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
            code += _only_for(special[name], _if_argument_has(flags, _FAST_OPEN))
    if not how.truncates:
        code += _verdict([special["truncate"]], EPERM)
    for name, process in _OF_ONE_PROCESS:
        code += _only_for(special[name], _unless_argument_is(process, (0,)))
    for refused, verdict in ((REFUSED_BESIDE_OTHERS, EPERM), (UNSUPPORTED_BESIDE_OTHERS, UNSUPPORTED)):
        code += _verdict([numbers[column] for numbers in refused.values()], verdict)
    return code


def _step(what: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    """One `struct sock_filter`; jumps count the steps that are left out."""
    return struct.pack("=HBBI", what, then, otherwise, value)


def _only_for(number: int, body: Sequence[bytes]) -> list[bytes]:
    return [_step(_JUMP_EQUAL, number, otherwise=len(body)), *body]


def _verdict(values: Iterable[int], verdict: int) -> list[bytes]:
    """For these values of what was loaded last; the others go on."""
    return [step for value in values for step in _only_for(value, [_step(_RETURN, verdict)])]


def _argument(index: int) -> bytes:
    """The lower half, which is all that flags, commands and families have (both machines are little-endian)."""
    return _step(_LOAD_WORD, _ARGUMENTS + 8 * index)


def _if_argument_has(index: int, bits: int) -> list[bytes]:
    return [_argument(index), _step(_JUMP_ANY_BIT, bits, otherwise=1), _step(_RETURN, EPERM), _step(_RETURN, ALLOW)]


def _if_argument_is(index: int, values: Sequence[int]) -> list[bytes]:
    return [_argument(index), *_verdict(values, EPERM), _step(_RETURN, ALLOW)]


def _unless_argument_is(index: int, values: Sequence[int]) -> list[bytes]:
    return [_argument(index), *_verdict(values, ALLOW), _step(_RETURN, EPERM)]
