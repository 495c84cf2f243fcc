"""Programs that run what stands behind them: which of their words are their own.

Of the manual pages of coreutils, util-linux, findutils, procps, sudo, Bash and the programs themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker_core.basics.quick_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """How such a program reads its words."""

    values: str = ""
    """Letters of options that take a value, apart or attached."""

    long: frozenset[str] = frozenset()
    """Long options that take a value; with `=` any may."""

    before: int = 0
    """Words of its own in front of the command, such as the time of `timeout`."""

    assigns: bool = False
    """`NAME=value` may stand in front of the command."""

    joins: bool = False
    """The words are joined, and a shell reads them."""

    lines: str = ""
    """Letters of options whose value a shell reads."""

    long_lines: frozenset[str] = frozenset()
    splits: str = ""
    """Letter of the option whose value is split into the first words of the command."""

    folder: str = ""
    """Letter of the option that names the folder where the command runs."""

    long_folder: str = ""
    adds: bool = False
    """It adds words of its own to the command."""

    replaces: str = ""
    """Letters of options that name what stands for such words."""

    anywhere: bool = False
    """Its options may also stand behind its own words, and there is no command but in an option."""

    silent: str = ""
    """Letters of options with which it runs nothing."""


def listed(names: str) -> frozenset[str]:
    """Names that stand in one text."""
    return frozenset(names.split())


_PLAIN = Runner()
_SU = Runner(
    values="cgGsuw", long=listed("command session-command shell group supp-group user whitelist-environment"),
    lines="c", long_lines=listed("command session-command"), anywhere=True,
)  # fmt: skip

RUNNERS: Final[Mapping[str, Runner]] = {
    "-": _PLAIN,
    "arch": _PLAIN,
    "batch": _PLAIN,
    "builtin": _PLAIN,
    "busybox": _PLAIN,
    "caffeinate": Runner(values="tw"),
    "call": _PLAIN,
    "catchsegv": _PLAIN,
    "chpst": Runner(values="bcdefmnopstuUrR/", assigns=False),
    "chroot": Runner(before=1, long=listed("userspec groups")),
    "chrt": Runner(before=1, values="TPD", long=listed("sched-runtime sched-period sched-deadline")),
    "command": Runner(silent="vV"),
    "cpulimit": Runner(values="lpeP", long=listed("limit pid exe path")),
    "daemonize": Runner(values="acelopuE"),
    "dbus-run-session": Runner(long=listed("config-file dbus-daemon")),
    "doas": Runner(values="aCu"),
    "dumb-init": Runner(values="r", long=listed("rewrite")),
    "env": Runner(
        values="uCSa", long=listed("unset chdir split-string argv0"), assigns=True, splits="S", folder="C",
        long_folder="chdir",
    ),
    "envdir": Runner(before=1),
    "envuidgid": Runner(before=1),
    "eatmydata": _PLAIN,
    "exec": Runner(values="a"),
    "fakeroot": Runner(values="lfsib", long=listed("lib faked save-file fd-base")),
    "faketime": Runner(values="pf", before=1),
    "firejail": _PLAIN,
    "flock": Runner(before=1, values="wEc", long=listed("timeout wait conflict-exit-code command"), lines="c",
                    long_lines=listed("command")),
    "gosu": Runner(before=1),
    "ionice": Runner(values="cnpPu", long=listed("class classdata pid pgid uid")),
    "linux32": _PLAIN,
    "linux64": _PLAIN,
    "ltrace": Runner(values="aADeElnopsuUwxX", long=listed("align library output")),
    "nice": Runner(values="n", long=listed("adjustment")),
    "noglob": _PLAIN,
    "nocorrect": _PLAIN,
    "nohup": _PLAIN,
    "nsenter": Runner(values="tSGW", long=listed("target setuid setgid wdns env")),
    "numactl": Runner(values="iNCmPbwp", long=listed("interleave cpunodebind physcpubind membind preferred")),
    "parallel": Runner(joins=True, adds=True, values="jPNnaDIELSslMmUC", replaces="I"),
    "pkexec": Runner(long=listed("user")),
    "prlimit": Runner(values="po", long=listed("pid output")),
    "proxychains": Runner(values="f"),
    "proxychains4": Runner(values="f"),
    "rlwrap": Runner(values="abBcCDefgHlmMopqPQsStwz"),
    "runuser": Runner(
        values="cgGsuw", long=listed("command session-command shell group supp-group user whitelist-environment"),
        lines="c", long_lines=listed("command session-command"),
    ),
    "script": Runner(
        values="cEIOBTmo", long=listed("command echo log-in log-out log-io log-timing logging-format output-limit"),
        lines="c", long_lines=listed("command"), anywhere=True,
    ),
    "setarch": Runner(before=1),
    "setpriv": Runner(long=listed(
        "ambient-caps inh-caps bounding-set ruid euid rgid egid reuid regid groups securebits pdeathsig ptracer "
        "selinux-label apparmor-profile landlock-access landlock-rule seccomp-filter"
    )),
    "setsid": _PLAIN,
    "setuidgid": Runner(before=1),
    "softlimit": Runner(values="acdfloprstm"),
    "ssh": Runner(before=1, joins=True, values="BbcDEeFIiJLlmOoPpQRSWw"),
    "sshpass": Runner(values="pfdP"),
    "stdbuf": Runner(values="ioe", long=listed("input output error")),
    "strace": Runner(values="abeEIoOpPsSuUX", long=listed(
        "columns detach-on expr env output interruptible string-limit sort-by summary-sort-by user attach trace-path"
    )),
    "su": _SU,
    "su-exec": Runner(before=1),
    "sudo": Runner(
        values="aCcDghpRrTtUu", assigns=True, folder="D", long_folder="chdir",
        long=listed("auth-type close-from login-class chdir group host prompt chroot role command-timeout type "
                   "other-user user"),
    ),
    "systemd-run": Runner(values="puMHECt", long=listed(
        "unit property description slice uid gid nice working-directory setenv host machine on-active on-boot "
        "on-startup on-unit-active on-unit-inactive on-calendar timer-property path-property socket-property "
        "service-type"
    )),
    "taskset": Runner(before=1),
    "time": Runner(values="fo", long=listed("format output")),
    "timeout": Runner(before=1, values="ks", long=listed("kill-after signal")),
    "tini": Runner(values="pe"),
    "torify": _PLAIN,
    "torsocks": Runner(values="uapdi"),
    "toybox": _PLAIN,
    "unbuffer": _PLAIN,
    "unshare": Runner(values="RwSGl", long=listed(
        "root wd setuid setgid map-user map-group map-users map-groups propagation setgroups load-interp owner"
    )),
    "valgrind": _PLAIN,
    "watch": Runner(joins=True, values="nqs", long=listed("interval equexit")),
    "xargs": Runner(
        values="aEdILnPsJRS", adds=True, replaces="IJ",
        long=listed("arg-file delimiter max-args max-procs max-chars process-slot-var"),
    ),
    "xvfb-run": Runner(values="efnpsw", long=listed("error-file auth-file server-num xauth-protocol server-args wait")),
}  # fmt: skip

UNREAD: Final = frozenset({"bwrap", "npx", "proot", "start-stop-daemon", "uv", "uvx"})
"""They run what stands behind them, and have more options than are known here: any word may be the command."""

SHELLS: Final = frozenset({"sh", "bash", "zsh", "dash", "ksh", "mksh", "fish", "ash", "rbash", "yash"})
SHELL_VALUES: Final = listed("rcfile init-file")

FINDS: Final = {
    "find": frozenset({"-exec", "-execdir", "-ok", "-okdir"}),
    "gfind": frozenset({"-exec", "-execdir", "-ok", "-okdir"}),
    "fd": frozenset({"-x", "-X", "--exec", "--exec-batch"}),
    "fdfind": frozenset({"-x", "-X", "--exec", "--exec-batch"}),
}

FOLDER_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "git": ("-C",), "make": ("-C", "--directory"), "gmake": ("-C", "--directory"), "ninja": ("-C",),
    "tar": ("-C", "--directory"), "bsdtar": ("-C", "--directory", "--cd"), "cargo": ("-C",), "meson": ("-C",),
    "pnpm": ("-C", "--dir"), "npm": ("-C", "--prefix"), "yarn": ("--cwd",), "go": ("-C",), "just": ("-d",),
}  # fmt: skip
"""Options that name the folder in which the program sees its other words."""

PLAIN: Final = listed(
    """
    . : R [ alias apk apropos apt apt-cache apt-get ar as awk aws az b2sum base32 base64 basename bash bat bc bg
    bind black bower brew bun bundle bunzip2 bzcat bzip2 c++ cal cargo cat cc cd chattr chgrp chmod chown cksum
    clang clang++ clang-format clear cmake cmp code col column comm compgen complete composer convert corepack cp
    cpp csplit ctags curl cut cypress dash date dc dd declare deno df diff diff3 dig dircolors dirname dirs disown
    dmesg dnf docker-compose dos2unix dotnet dpkg du echo ed egrep emacs enable eslint etags ex exit expand export
    expr factor false fc ffmpeg fg fgrep file flake8 fmt fold free ftp fuser g++ gawk gcc gcloud gem getconf getent
    getopt getopts gh git glab gmake go gofmt gpg gradle gradlew grep groovy groups gunzip gzip h2load hash head
    helm help hexdump history host hostname hostnamectl http https iconv id identify ifconfig info install iostat ip
    isort java javac jest jobs join jq julia just kill killall kotlin ksh kubectl kustomize lastlog ld ldd less let
    ln local locale locate logname logout look ls lsb_release lsblk lscpu lsof lua lz4 m4 make man mapfile md5
    md5sum meson mkdir mkfifo mktemp mocha more mpstat mv mvn mypy mysql nano nc ncat nl nm node nodejs npm nproc
    nslookup ntpdate nvim objcopy objdump od openssl paste patch pathchk pdftotext perl pgrep php phpunit pidof ping
    pip pip3 pipenv pkg-config pkill pnpm poetry popd pr prettier printenv printf ps psql pstree ptx pushd pwd
    py.test pylint pyright pytest python python2 python3 rake ranlib read readarray readelf readlink readonly
    realpath redis-cli rename reset return rg rm rmdir rsync rubocop ruby ruff rustc rustup sar scala scp sed seq
    set sha1sum sha224sum sha256sum sha384sum sha512sum shasum shellcheck shift shopt shred shuf size sleep sort
    source split sqlite3 ss stat strings strip stty sum swift sync tac tail tar tee terraform test tidy top touch
    tox tput tr traceroute tree true truncate tsc tsort tty type typeset ulimit umask unalias uname unexpand uniq
    unix2dos unlink unset unxz unzip uptime users vi vim vite vmstat vue w wait wc webpack wget whatis whereis which
    who whoami xmllint xxd xz xzcat yamllint yarn yes yq yum zcat zip zipinfo zsh zstd
    """
)
"""Programs that do not run their words: what stands behind them is no command. Any other may."""
