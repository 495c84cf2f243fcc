"""The last thing before a tool: it sets the limits, hands over the network, takes the tool's variables and becomes it.

Arguments: words `name=value`, then `--` and the command.

* `variables`: descriptor of a file of `NAME=value`, each ended by a NUL. They are data until the last line of this.
* `limits`: `resource:value`, comma between; numbers of setrlimit(2). A limit that is lower already stays.
* `network`: `descriptor:port:count`. What listens on that port of 127.0.0.1 is handed over on the descriptor, a
  connected socket whose other end is the worker's, and with it, if `count` is not 0, a socket for datagrams and so many
  for connections. The worker binds these, which nobody here may, and shuts its end. Nothing of it is open in the tool.
* `groups`: descriptors of control groups' `cgroup.procs`, comma between.
* `scoped`: abstract sockets of others are out of reach (Landlock).
* `folders`: folders that the variables HOME and TMPDIR name are made.

It imports as little as it can: it runs before every call.
"""

import os
import sys

assert sys.platform != "win32", "Windows has no such limits, and no exec"


def main() -> None:
    at = sys.argv.index("--")
    given = dict(word.split("=", 1) for word in sys.argv[1:at])
    command = sys.argv[at + 1 :]
    try:
        prepare(given)
        with open(int(given["variables"]), "rb") as file:  # noqa: PTH123
            variables = dict(one.split(b"=", 1) for one in file.read().split(b"\0") if one)
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
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.exit(127 if isinstance(error, FileNotFoundError) else 126)


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
    if "scoped" in given:
        restrict()


def hand_over(pair: int, port: int, count: int) -> None:
    from _socket import AF_INET, SCM_RIGHTS, SO_REUSEADDR, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET, socket

    try:
        worker = socket(fileno=pair)
        listener = socket(AF_INET, SOCK_STREAM)
        listener.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        handed = [listener]
        if count:
            handed += [socket(AF_INET, SOCK_DGRAM), *(socket(AF_INET, SOCK_STREAM) for _ in range(count))]
        rights = b"".join(one.fileno().to_bytes(4, sys.byteorder) for one in handed)
        worker.sendmsg([b"l"], [(SOL_SOCKET, SCM_RIGHTS, rights)])
        if count:
            worker.recv(1)
    except BlockingIOError:
        pass  # the worker is busy, and binds them later
    except OSError as error:
        sys.stderr.write(f"The network of this call could not be set up ({error}); it has none.\n")
    os.closerange(pair, pair + 1)


def restrict() -> None:
    """landlock_create_ruleset(2) and landlock_restrict_self(2): LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET."""
    import ctypes

    system = ctypes.CDLL(None, use_errno=True).syscall
    rules = system(444, (ctypes.c_uint64 * 3)(0, 0, 1), ctypes.c_size_t(24), 0)
    if rules < 0 or system(446, rules, 0) != 0:
        raise OSError(ctypes.get_errno(), "abstract sockets of the machine cannot be kept from it")
    os.close(rules)


main()
