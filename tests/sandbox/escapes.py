"""What a hostile tool may try. `make_table` writes the table in SECURITY.md from it: python -m tests.sandbox.escapes

A script that succeeds prints the canary or ESCAPED, or changes something that the test looks at afterwards (`harms`).
`control` says when the same script succeeds without a sandbox: without that, the attempt would prove nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Control = Literal["always", "root", "user", "never"]
"""`root`, `user`: where the tests run as that. `never`: it would harm this machine, or needs one that is not like it."""

Walls = Literal["usual", "readable", "host"]
"""`readable`: the folder that holds the home folder, the worker's own folders and sockets is. `host`: the network is the
machine's."""

BEGIN, END = "<!-- escapes: begin -->", "<!-- escapes: end -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class Escape:
    group: str
    attempt: str
    script: str
    python: bool = False
    second_call: str = ""
    """Bash, in another call of the same execution."""

    control: Control = "always"
    why_no_control: str = ""
    declared: Mapping[str, str] = field(default_factory=dict)
    """Variables of the execution; `{workspace}` stands for its folder, `{name}` for a variable of the arena."""

    needs: str = ""
    """A program that not every machine has."""

    walls: Walls = "usual"
    harms: str = ""
    """Name of a check in the arena that is true when it succeeded."""


def _bash(group: str, attempt: str, script: str, **more: object) -> Escape:
    return Escape(group=group, attempt=attempt, script=script, **more)  # type: ignore[arg-type]


def _python(group: str, attempt: str, script: str, **more: object) -> Escape:
    return Escape(group=group, attempt=attempt, script=script, python=True, **more)  # type: ignore[arg-type]


_SYSCALL = """
import ctypes, os, platform
libc = ctypes.CDLL(None, use_errno=True)
column = {"x86_64": 0, "aarch64": 1}[platform.machine()]
def call(numbers, *arguments):
    given = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return libc.syscall(ctypes.c_long(numbers[column]), *given)
"""
_FETCH = """
import os, urllib.request
proxy = os.environ.get("http_proxy")
opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy} if proxy else {}))
print(opener.open(URL, timeout=10).read().decode())
"""
_UNIX = """
import os, socket
s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(PATH); print(s.recv(100).decode())
"""


def _fetch(attempt: str, url: str, **more: object) -> Escape:
    return _python("network", attempt, _FETCH.replace("URL", f'f"{url}"'), **more)


PORT = "{os.environ['PORT']}"
OWN_PROXY = "the proxy is the sandbox's own"
NO_METADATA = "there is no such service here"

ESCAPES: tuple[Escape, ...] = (
    # --- files
    _bash("files", "read an SSH key", 'cat "$REAL_HOME/.ssh/id_ed25519"'),
    _bash("files", "read cloud credentials", 'cat "$REAL_HOME/.aws/credentials"'),
    _bash("files", "read a browser's cookies", 'cat "$REAL_HOME/.mozilla/firefox/x.default/cookies.sqlite"'),
    _bash("files", "search the home folder", 'grep -r CANARY "$REAL_HOME"'),
    _bash("files", "read the worker's state folder", 'cat "$STATE/journal"'),
    _bash("files", "read /tmp of the machine", 'cat "$HOST_TMP"'),
    _bash("files", "read /dev/shm of the machine", 'cat "$HOST_SHM"'),
    _bash("files", "read /etc/shadow", "grep -q . /etc/shadow && echo ESCAPED", control="root"),
    _bash("files", "leave through `..`", 'cat "../../home/.ssh/id_ed25519"'),
    _bash(
        "files", "leave through /proc/1/root", 'cat "/proc/1/root$REAL_HOME/.ssh/id_ed25519"',
        control="never", why_no_control="what process 1 shows depends on the machine",
    ),
    _bash("files", "leave through the worker's /proc/PID/root", 'cat "/proc/$VICTIM/root$REAL_HOME/.ssh/id_ed25519"'),
    _bash("files", "leave through the worker's /proc/PID/cwd", 'cat "/proc/$VICTIM/cwd/.ssh/id_ed25519"'),
    _bash("files", "read through a symbolic link", 'ln -s "$REAL_HOME/.ssh/id_ed25519" link; cat link'),
    _bash("files", "read through a hard link", 'ln "$REAL_HOME/.ssh/id_ed25519" hard && cat hard'),
    _bash("files", "write through a symbolic link", 'ln -s "$REAL_HOME/.bashrc" rc; echo ESCAPED >>rc', harms="bashrc"),
    _bash("files", "write the shell's start file", 'echo ESCAPED >>"$REAL_HOME/.bashrc"', harms="bashrc"),
    _bash(
        "files", "put a program into autostart",
        'mkdir -p "$REAL_HOME/.config/autostart" && echo x >"$REAL_HOME/.config/autostart/x.desktop"', harms="autostart",
    ),
    _bash(
        "files", "put a unit into systemd's user folder",
        'mkdir -p "$REAL_HOME/.config/systemd/user" && echo x >"$REAL_HOME/.config/systemd/user/x.service"',
        harms="unit",
    ),
    _bash("files", "read another execution's workspace", 'cat "$OTHER/secret"'),
    _bash("files", "write another execution's workspace", 'echo ESCAPED >"$OTHER/planted"', harms="planted"),
    _bash("files", "list other executions", 'ls "$OTHER/.." | grep other && echo ESCAPED'),
    _bash(
        "files", "plant a link that the next call's walls follow",
        'ln -s "$REAL_HOME" .kubiya; ln -s "$REAL_HOME" home', second_call='cat .kubiya/.ssh/* home/.ssh/* "$HOME"/.ssh/*',
    ),
    _bash("files", "leave a start file for the next call", "echo 'echo ESCAPED' >>~/.profile", second_call=". ~/.profile"),
    _bash(
        "files", "replace a system program", "echo x >/usr/local/bin/kubiya-escape && echo ESCAPED",
        control="never", why_no_control="it would change the system",
    ),
    _bash(
        "files", "add a job for cron", "echo x >/etc/cron.d/kubiya-escape && echo ESCAPED",
        control="never", why_no_control="it would change the system",
    ),
    _python(
        "files", "open a file by its handle", _SYSCALL + """
handle = ctypes.create_string_buffer(136); handle[0:4] = (128).to_bytes(4, "little"); mount = ctypes.c_int()
if call((303, 264), -100, b".", ctypes.byref(handle), ctypes.byref(mount), 0) == 0: print("ESCAPED")
""",
    ),
    _bash("files", "make a device", "mknod zero c 1 5 && echo ESCAPED", control="root"),
    _bash(
        "files", "read the worker's state below a readable folder", 'cat "$STATE/journal"', walls="readable",
    ),
    _bash(
        "files", "read another workspace below a readable folder", 'cat "$OTHER/secret"', walls="readable",
    ),
    _bash(
        "files", "write another workspace below a readable folder", 'echo ESCAPED >"$OTHER/planted"', harms="planted",
        walls="readable",
    ),
    _python("files", "cut a file by its path", 'import os; os.truncate(os.environ["REAL_HOME"] + "/.bashrc", 0)\n', harms="cut"),
    _bash("files", "learn which files there are elsewhere", 'test -f "$REAL_HOME/.ssh/id_ed25519" && echo ESCAPED'),
    _bash("files", "change the rights of a file elsewhere", 'chmod 600 "$REAL_HOME/.bashrc" && echo ESCAPED'),
    _python("files", "attach something to a file elsewhere", """
import os
os.setxattr(os.environ["REAL_HOME"] + "/.bashrc", "user.kubiya", b"x"); print("ESCAPED")
"""),
    # --- folders of the owner's, of which one may be read and one be written
    _bash("folders", "change a file that may only be read", 'echo ESCAPED >>"$READABLE/notes"', harms="noted"),
    _bash("folders", "add a file where it may only read", 'echo x >"$READABLE/added"', harms="added"),
    _bash(
        "folders", "change a file that may only be read by a hard link",
        'ln "$READABLE/notes" "$WRITABLE/notes" && echo ESCAPED >>"$WRITABLE/notes"', harms="noted",
    ),
    _bash(
        "folders", "change a file that may only be read by moving it",
        'mv "$READABLE/notes" "$WRITABLE/" && echo ESCAPED',
    ),
    _bash(
        "folders", "read what is elsewhere by a link in a folder",
        'ln -s "$REAL_HOME/.ssh" "$WRITABLE/link"', second_call='cat "$WRITABLE/link/id_ed25519"',
    ),
    _bash(
        "folders", "read what is elsewhere by a hard link in a folder",
        'ln "$REAL_HOME/.ssh/id_ed25519" "$WRITABLE/key" && cat "$WRITABLE/key"',
    ),
    _bash("folders", "leave a folder through `..`", 'cd "$WRITABLE" && cat ../secret'),
    _bash(
        "folders", "replace a folder by a link", 'rm -rf "$WRITABLE"; ln -sT "$REAL_HOME" "$WRITABLE"', harms="replaced",
    ),
    # --- variables
    _bash(
        "variables", "run a command where bash prepares the call", "echo nothing",
        declared={"SHELLOPTS": "xtrace", "PS4": "$(echo ESCAPED >>'{REAL_HOME}/.bashrc')"}, harms="bashrc", control="user",
    ),
    _bash(
        "variables", "run a program where perl prepares the call, before the limits",
        """cat >Steered.pm <<'END'
open my $limits, "<", "/proc/self/limits"; for (<$limits>) { print "ESCAPED\n" if /^Max file size +\\S+ +unlimited/ } 1;
END
perl -e 1""",
        second_call="perl -e 1", declared={"PERL5LIB": "{workspace}", "PERL5OPT": "-MSteered"}, needs="perl",
    ),
    # --- processes
    _bash("processes", "read the worker's environment", 'tr "\\0" "\\n" <"/proc/$VICTIM/environ"'),
    _bash("processes", "search all environments", "cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -a ^SECRET=CANARY"),
    _bash("processes", "read the worker's key from its own environment", 'echo "$KUBIYA_API_KEY"'),
    _bash("processes", "see other processes", 'grep -aq victim-of-escapes "/proc/$VICTIM/cmdline" && echo ESCAPED'),
    _bash("processes", "kill the worker", 'kill -KILL "$VICTIM"', harms="victim"),
    _bash("processes", "stop the worker", 'kill -STOP "$VICTIM" && echo ESCAPED'),
    _bash(
        "processes", "kill everything", "kill -KILL -1", harms="victim",
        control="never", why_no_control="it would end everything of this user",
    ),
    _python(
        "processes", "trace the worker", _SYSCALL + """
if call((101, 117), 0x4206, int(os.environ["VICTIM"]), 0, 0) == 0: print("ESCAPED")
""",
    ),
    _python("processes", "trace at all", _SYSCALL + 'if call((101, 117), 0, 0, 0, 0) == 0: print("ESCAPED")\n'),
    _python(
        "processes", "read another process's memory", _SYSCALL + """
target = ctypes.create_string_buffer(b"ESCAPED"); found = ctypes.create_string_buffer(7)
class Piece(ctypes.Structure): _fields_ = [("at", ctypes.c_void_p), ("size", ctypes.c_size_t)]
near, far = Piece(ctypes.addressof(found), 7), Piece(ctypes.addressof(target), 7)
call((310, 270), os.getpid(), ctypes.byref(near), 1, ctypes.byref(far), 1, 0); print(found.raw.decode())
""",
    ),
    _bash(
        "processes", "survive by setsid and a double fork",
        "(setsid bash -c 'exec sleep 987' </dev/null >alive 2>&1 &) </dev/null", harms="survivor",
    ),
    _bash(
        "processes", "survive with an empty environment",
        "(env -i setsid /bin/bash -c 'exec sleep 987' </dev/null >alive 2>&1 &) </dev/null", harms="survivor",
    ),
    _bash(
        "processes", "learn names of the worker's folders from process 1",
        'tr "\\0" "\\n" </proc/1/cmdline | grep -F "$RUNTIME" && echo ESCAPED',
        control="never", why_no_control="what process 1 shows depends on the machine",
    ),
    _bash(
        "processes", "take away what the worker may use", 'prlimit --pid "$VICTIM" --nofile=9:9 && echo ESCAPED', needs="prlimit",
    ),
    _bash("processes", "let the worker wait for everybody else", 'renice 19 "$VICTIM" && echo ESCAPED', needs="renice"),
    _bash("processes", "keep capabilities", "grep -q 'CapBnd:.*[1-9a-f]' /proc/self/status && echo ESCAPED"),
    _bash("processes", "gain rights from a setuid program", "grep -q 'NoNewPrivs:.*0' /proc/self/status && echo ESCAPED"),
    _python(
        "processes", "find shared memory of the machine", _SYSCALL + """
if libc.shmget(int(os.environ["SHARED_KEY"]), 0, 0) >= 0: print("ESCAPED")
""",
    ),
    # --- kernel
    _bash("kernel", "make a user namespace", "unshare --user true && echo ESCAPED"),
    _python("kernel", "make a namespace with clone", _SYSCALL + """
child = call((56, 220), 0x10000000 | 17, 0, 0, 0, 0)
if child == 0: os._exit(0)
if child > 0: print("ESCAPED")
"""),
    _python(
        "kernel", "mount a file system", _SYSCALL + """
os.mkdir("m")
if libc.mount(b"none", b"m", b"tmpfs", ctypes.c_ulong(0), None) == 0: print("ESCAPED")
""", control="never", why_no_control="it would change the system",
    ),
    _bash(
        "kernel", "make the system writable again", "mount -o remount,rw /usr && echo ESCAPED",
        control="never", why_no_control="it would change the system",
    ),
    _bash("kernel", "change a kernel setting", "cat /proc/sys/kernel/hostname >/proc/sys/kernel/hostname && echo ESCAPED", control="root"),
    _bash(
        "kernel", "press the magic key", "test -w /proc/sysrq-trigger && echo h >/proc/sysrq-trigger && echo ESCAPED",
        control="never", why_no_control="it would print the kernel's help on the console",
    ),
    _python("kernel", "open the kernel's keyring", _SYSCALL + 'if call((250, 219), 0, -4, 1, 0, 0) >= 0: print("ESCAPED")\n'),
    _python("kernel", "load a BPF program", _SYSCALL + """
given = (1).to_bytes(4, "little") + (4).to_bytes(4, "little") * 2 + (1).to_bytes(4, "little") + bytes(112)
if call((321, 280), 0, ctypes.c_char_p((2).to_bytes(4, "little") + given[4:]), 128) >= 0: print("ESCAPED")
""", control="root"),
    _python("kernel", "use userfaultfd", _SYSCALL + 'if call((323, 282), 1) >= 0: print("ESCAPED")\n', control="root"),
    _python("kernel", "use io_uring", _SYSCALL + """
if call((425, 425), 1, ctypes.create_string_buffer(120)) >= 0: print("ESCAPED")
""", control="root"),
    _python("kernel", "watch the processor's counters", _SYSCALL + """
given = (1).to_bytes(4, "little") + (112).to_bytes(4, "little") + bytes(104)
if call((298, 241), ctypes.c_char_p(given), 0, -1, -1, 0) >= 0: print("ESCAPED")
""", control="root"),
    _python("kernel", "type into the terminal (TIOCSTI)", """
import fcntl, os, pty
child, master = pty.fork()
if child == 0:
    try:
        fcntl.ioctl(0, 0x5412, b"E"); os._exit(0)
    except OSError: os._exit(1)
if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0: print("ESCAPED")
""", control="root"),
    # --- network
    _python("network", "connect to a service on loopback", """
import os, socket
s = socket.create_connection(("127.0.0.1", int(os.environ["PORT"])), 10)
s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n"); print(s.makefile().read())
"""),
    _fetch("loopback through the proxy", f"http://127.0.0.1:{PORT}/"),
    _fetch("loopback by its name", f"http://localhost:{PORT}/"),
    _fetch("loopback as 127.1", f"http://127.1:{PORT}/"),
    _fetch("loopback as a number", f"http://2130706433:{PORT}/"),
    _fetch("loopback as 0.0.0.0", f"http://0.0.0.0:{PORT}/"),
    _fetch("loopback as an IPv4-mapped address", f"http://[::ffff:127.0.0.1]:{PORT}/"),
    _fetch("this machine's address in its network", "http://{os.environ['OWN_ADDRESS']}:" + PORT + "/"),
    _python("network", "loopback through a tunnel of the proxy", """
import os, socket
s = socket.create_connection(("127.0.0.1", 3128), 10)
s.sendall(f"CONNECT 127.0.0.1:{os.environ['PORT']} HTTP/1.1\\r\\n\\r\\nGET / HTTP/1.0\\r\\n\\r\\n".encode())
print(s.makefile().read())
""", control="never", why_no_control=OWN_PROXY),
    _python("network", "come to a port of the worker by the name of its doors", """
import os, urllib.error, urllib.request
try: print(urllib.request.urlopen(f"http://worker.kubiya.internal:{os.environ['PORT']}/", timeout=10).read().decode())
except urllib.error.HTTPError as error: print(error)
""", control="never", why_no_control=OWN_PROXY),
    _python("network", "find the way to the worker's proxy, to hand it a socket of its own", """
import os, socket
found = [f"/run/kubiya/{one}" for one in os.listdir("/run/kubiya")] if os.path.isdir("/run/kubiya") else []
found += [line.split()[-1] for line in open("/proc/net/unix") if "/" in line.split()[-1]]
found += [one for one in os.listdir("/proc/self/fd") if os.readlink(f"/proc/self/fd/{one}").startswith("socket:")]
if found: print("ESCAPED")
""", control="never", why_no_control=OWN_PROXY),
    _fetch("metadata service", "http://169.254.169.254/latest/meta-data/", control="never", why_no_control=NO_METADATA),
    _fetch("metadata service over IPv6", "http://[fd00:ec2::254]/latest/", control="never", why_no_control=NO_METADATA),
    _fetch("metadata service by its name", "http://metadata.google.internal/", control="never", why_no_control=NO_METADATA),
    _python("network", "metadata service without the proxy", """
import socket
s = socket.create_connection(("169.254.169.254", 80), 5); s.sendall(b"GET /latest/ HTTP/1.0\\r\\n\\r\\n")
if s.recv(100)[9:12] == b"200": print("ESCAPED")
""", control="never", why_no_control=NO_METADATA),
    _python("network", "send a secret by UDP, as DNS does", """
import os, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b"CANARY", (os.environ["OWN_ADDRESS"], int(os.environ["UDP_PORT"])))
""", harms="datagram"),
    _python("network", "connect with the first packet (TCP Fast Open)", """
import os, socket
s = socket.socket()
s.sendto(b"GET / HTTP/1.0\\r\\n\\r\\n", 0x20000000, ("127.0.0.1", int(os.environ["PORT"]))); print(s.makefile().read())
"""),
    _python("network", "tell a service something by a pair of sockets", """
import os, socket
socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"CANARY", os.environ["NOTIFY"])
""", harms="notified"),
    _python("network", "use the keychain over D-Bus", _UNIX.replace("PATH", 'os.environ["BUS"]')),
    _python("network", "use the SSH agent", _UNIX.replace("PATH", 'os.environ["AGENT"]')),
    _python("network", "use an abstract socket of the machine", _UNIX.replace("PATH", '"\\0" + os.environ["ABSTRACT"]')),
    _python(
        "network", "use an abstract socket with the machine's network", _UNIX.replace("PATH", '"\\0" + os.environ["ABSTRACT"]'),
        walls="host",
    ),
    _python("network", "use a socket below a readable folder", _UNIX.replace("PATH", 'os.environ["AGENT"]'), walls="readable"),
    _python("network", "open a socket to the hypervisor (vsock)", """
import socket
socket.socket(40, socket.SOCK_STREAM); print("ESCAPED")
""", control="root"),
    _python("network", "read packets of the machine", """
import socket
s = socket.socket(17, socket.SOCK_RAW); print("ESCAPED")
""", control="root"),
)  # fmt: skip


def make_table() -> str:
    from tests.sandbox import landlock_rows

    lines = [
        "| | a tool tries to | succeeds without the sandbox | in bubblewrap | in Landlock |",
        "|-|-----------------|-----------|---|---|",
    ]
    shown = {"always": "yes", "root": "yes, as root", "user": "yes, as a user", "never": "not tried"}
    for number, one in enumerate(ESCAPES, 1):
        without = shown[one.control] + (f": {one.why_no_control}" if one.why_no_control else "")
        lines.append(f"| {number} | {one.group}: {one.attempt} | {without} | no | {landlock_rows.said(one)} |")
    return "\n".join(lines)


def document() -> Path:
    return Path(__file__).parents[2] / "SECURITY.md"


def replace_table(text: str) -> str:
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{make_table()}\n{END}{after}"


if __name__ == "__main__":
    document().write_text(replace_table(document().read_text(encoding="utf-8")), encoding="utf-8")
