"""The last thing before a tool: it sets the limits, hands over the network, takes the tool's variables and becomes it.

Arguments: words `name=value`, then `--` and the command.

* `variables`: descriptor of a file of `NAME=value`, each ended by a NUL. They are data until the last line of this.
* `limits`: `resource:value`, comma between; numbers of setrlimit(2). A limit that is lower already stays.
* `network`: `descriptor:port:count`. What listens on that port of 127.0.0.1 is handed over on the descriptor, a
  connected socket whose other end is the worker's, and with it, if `count` is not 0, a socket for datagrams and so many
  for connections. The worker binds these, which nobody here may, and shuts its end. Nothing of it is open in the tool.
* `groups`: descriptors of what enters control groups, comma between; with this thread, which is the only one.
* `scope`: descriptor of rules of Landlock about what is in reach; put on first.
* `walls`, `filter`, `leash`: descriptors of rules of Landlock about files, of a system-call filter, and of a pipe. A
  child of this process puts them on and becomes the tool; the process itself stays as its keeper (keeper.py).
* `answers`: a connected socket on which the filter's listener is handed over.
* `order`: `go:words:content`, in the place of `variables` and the command. One byte comes out of the first descriptor
  when the other two are filled: whether there is something to read, the folder, the number of words of the command,
  these and the variables, each ended by a NUL; and what the tool may read.
* `folders`: folders that the variables HOME and TMPDIR name are made.

It imports as little as it can: it runs before every call.
"""

import os
import sys

assert sys.platform != "win32", "Windows has no such limits, and no exec"


def main() -> None:
    at = sys.argv.index("--")
    given = dict(word.split("=", 1) for word in sys.argv[1:at])
    command: list[str] | list[bytes] = sys.argv[at + 1 :]
    try:
        prepare(given)
        if "leash" in given:
            # What its keeper may not reach is not the call's: then all that it may reach can be killed at once.
            keep(int(given["leash"]), scoped="scope" in given and is_out_of_reach(os.getppid()))
            confine(given)
        if "order" in given:
            command, declared = wait(*map(int, given["order"].split(":")))
        else:
            declared = content(int(given["variables"])).split(b"\0")
        variables = dict(one.split(b"=", 1) for one in declared if one)
        for name in (b"HOME", b"TMPDIR") if "folders" in given else ():
            os.makedirs(variables[name], exist_ok=True)  # noqa: PTH103
    except (OSError, ValueError) as error:
        sys.stderr.write(f"The call was not started: {error}.\n")
        sys.exit(126)
    from _signal import SIG_DFL, SIGPIPE, SIGXFSZ, signal  # type: ignore[import-not-found,unused-ignore]

    # Python ignores these; the tool is not to inherit that.
    signal(SIGPIPE, SIG_DFL)
    signal(SIGXFSZ, SIG_DFL)
    try:
        os.execvpe(command[0], command, variables)  # noqa: S606 -- it becomes the tool
    except OSError as error:
        sys.stderr.write(f"{os.fsdecode(command[0])}: {error.strerror}\n")
        sys.exit(127 if isinstance(error, FileNotFoundError) else 126)


def content(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        return file.read()


def wait(go: int, words: int, given: int) -> tuple[list[bytes], list[bytes]]:
    """The command and its variables. There is none where the worker has gone."""
    if not os.read(go, 1):
        sys.exit(0)
    reads, folder, count, *rest = content(words).split(b"\0")
    if reads:
        os.dup2(given, 0)
    for descriptor in (go, given):
        os.close(descriptor)
    os.chdir(folder)
    return rest[: int(count)], rest[int(count) :]


def prepare(given: dict[str, str]) -> None:
    for group in map(int, given["groups"].split(",") if "groups" in given else ()):
        try:  # noqa: SIM105 -- contextlib takes a millisecond
            os.write(group, b"0")
        except OSError:
            pass  # the watcher is alone
        os.close(group)
    if "network" in given:
        hand_over(*map(int, given["network"].split(":")))
    import resource

    for one in given["limits"].split(",") if "limits" in given else ():
        number, value = map(int, one.split(":"))
        _, most = resource.getrlimit(number)
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(number, (value, value))
    if "scope" in given:
        put_on(int(given["scope"]), "what others have cannot be kept from it")


def hand_over(pair: int, port: int, count: int) -> None:
    from _socket import AF_INET, SO_REUSEADDR, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET, socket

    try:
        listener = socket(AF_INET, SOCK_STREAM)
        listener.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        handed = [listener]
        if count:
            handed += [socket(AF_INET, SOCK_DGRAM), *(socket(AF_INET, SOCK_STREAM) for _ in range(count))]
        give(pair, [one.fileno() for one in handed])
        if count:
            os.read(pair, 1)
    except BlockingIOError:
        pass  # the worker is busy, and binds them later
    except OSError as error:
        no_network(error)
    os.closerange(pair, pair + 1)


def give(pair: int, descriptors: list[int]) -> None:
    from _socket import SCM_RIGHTS, SOL_SOCKET, socket

    worker = socket(fileno=os.dup(pair))
    rights = b"".join(one.to_bytes(4, sys.byteorder) for one in descriptors)
    worker.sendmsg([b"l"], [(SOL_SOCKET, SCM_RIGHTS, rights)])
    worker.close()


def no_network(error: OSError) -> None:
    sys.stderr.write(f"The network of this call could not be set up ({error}); it has none.\n")


def kernel(what: str, name: str, *arguments: object) -> int:
    """A call of the kernel's, by the name of its wrapper or by its number.

    Raises:
        OSError: it failed.

    """
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = int(library.syscall(int(name), *words) if name.isdecimal() else getattr(library, name)(*words))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what} ({os.strerror(ctypes.get_errno())})")
    return result


def put_on(rules: int, failed: str) -> None:
    """PR_SET_NO_NEW_PRIVS, landlock_restrict_self(2)."""
    kernel(failed, "prctl", 38, 1, 0, 0, 0)
    kernel(failed, "446", rules, 0)
    os.close(rules)


def is_out_of_reach(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except OSError:
        return True
    return False


def keep(leash: int, *, scoped: bool) -> None:
    """Returns in the child alone. PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG: prctl(2)."""
    from _signal import SIG_BLOCK, SIG_SETMASK, SIGCHLD, SIGIO, SIGKILL, pthread_sigmask, sigwait, valid_signals

    kernel("it cannot be kept", "prctl", 36, 1, 0, 0, 0)
    before = pthread_sigmask(SIG_BLOCK, valid_signals())
    keeper = os.getpid()
    tool = os.fork()
    if tool == 0:
        kernel("it cannot be kept", "prctl", 1, SIGKILL, 0, 0, 0)
        if os.getppid() != keeper:
            os._exit(137)
        pthread_sigmask(SIG_SETMASK, before)
        os.close(leash)
        return
    from fcntl import F_SETFL, F_SETOWN, fcntl

    null = os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.closerange(3, leash)
    os.closerange(leash + 1, 1 << 20)
    fcntl(leash, F_SETOWN, keeper)
    fcntl(leash, F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    status = None
    while status is None and not is_let_go(leash):
        sigwait((SIGCHLD, SIGIO))
        while (ended := waited(os.WNOHANG)) is not None and ended[0] > 0:
            status = ended[1] if ended[0] == tool else status
    while True:
        for process_id in (-1,) if scoped else children_of(keeper):
            try:  # noqa: SIM105 -- contextlib takes a millisecond
                os.kill(process_id, SIGKILL)
            except OSError:
                pass
        if (ended := waited(0)) is None:
            break
        status = ended[1] if ended[0] == tool else status
    code = os.waitstatus_to_exitcode(status or 0)
    os._exit(code if code >= 0 else 128 - code)


def is_let_go(leash: int) -> bool:
    try:
        return os.read(leash, 1) == b""
    except BlockingIOError:
        return False


def waited(how: int) -> tuple[int, int] | None:
    """None: there are no children."""
    try:
        return os.waitpid(-1, how)
    except ChildProcessError:
        return None


def children_of(parent: int) -> list[int]:
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdecimal():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                    if int(file.read().rpartition(b")")[2].split()[1]) == parent:
                        found.append(int(name))
            except (OSError, IndexError, ValueError):
                pass
    return found


def confine(given: dict[str, str]) -> None:
    """PR_CAPBSET_DROP, capset(2), Landlock, seccomp(2) with SECCOMP_FILTER_FLAG_NEW_LISTENER."""
    import ctypes

    for capability in range(64):
        try:
            kernel("", "prctl", 24, capability, 0, 0, 0)
        except OSError:
            break
    version_3 = (ctypes.c_uint32 * 2)(0x20080522, 0)
    kernel("its capabilities cannot be dropped", "capset", version_3, (ctypes.c_uint32 * 6)())
    put_on(int(given["walls"]), "its walls cannot be set up")
    with open(int(given["filter"]), "rb") as file:  # noqa: PTH123
        steps = file.read()

    class Program(ctypes.Structure):
        _fields_ = (("count", ctypes.c_ushort), ("steps", ctypes.c_char_p))

    program = ctypes.byref(Program(len(steps) // 8, steps))
    number, failed = {"x86_64": "317", "aarch64": "277"}[os.uname().machine], "its system calls cannot be filtered"
    if "answers" not in given:
        kernel(failed, number, 1, 0, program)
        return
    pair = int(given["answers"])
    try:
        listener = kernel("it cannot be listened to", number, 1, 8, program)
    except OSError as error:
        kernel(failed, number, 1, 0, program)
        no_network(error)
    else:
        give(pair, [listener])
        os.close(listener)
    os.close(pair)


main()
