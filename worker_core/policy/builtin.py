"""The rules that hold without a file: what guards a person's secrets, and what reaches beyond a workspace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from worker_core.basics.sentences import worded
from worker_core.paths import Paths
from worker_core.policy.patterns import WINDOWS, literal, slashed
from worker_core.policy.rules import Action, Rule

_KEYS = worded("These are keys and passwords.")
_BROWSER = worded("A browser keeps passwords and cookies there.")
_CLOUD = worded("These are credentials of a cloud or a registry.")

_SECRET_PATHS: Sequence[tuple[str, tuple[str, ...]]] = (
    (_KEYS, (
        "**/.ssh/**", "**/.gnupg/**", "**/.password-store/**", "**/Library/Keychains/**", "/Library/Keychains/**",
        "**/.local/share/keyrings/**", "**/.local/share/kwalletd/**", "**/.kde/share/apps/kwallet/**",
        "**/AppData/*/Microsoft/Credentials/**", "**/AppData/*/Microsoft/Protect/**",
        "**/AppData/*/Microsoft/Vault/**", "**/.1password/**", "**/.config/op/**", "**/.netrc", "**/_netrc",
        "**/.git-credentials", "**/.pgpass", "**/.vault-token", "**/.age/**", "**/.config/sops/**",
        "/etc/shadow*", "/etc/gshadow*", "/etc/sudoers", "/etc/sudoers.d/**", "/etc/ssh/ssh_host_*",
        "/run/secrets/**", "/var/run/secrets/**", "/run/credentials/**",
        "**/proc/*/environ", "**/proc/*/mem", "**/proc/*/fd/**", "**/proc/*/root/**",
    )),
    (_BROWSER, (
        "**/.mozilla/**", "**/.config/google-chrome*/**", "**/.config/chromium/**",
        "**/.config/BraveSoftware/**", "**/.config/microsoft-edge*/**", "**/.config/vivaldi*/**",
        "**/.config/opera*/**",
        "**/snap/firefox/**", "**/snap/chromium/**", "**/.var/app/org.mozilla.firefox/**",
        "**/Library/Application Support/Google/Chrome*/**", "**/Library/Application Support/Firefox/**",
        "**/Library/Application Support/BraveSoftware/**", "**/Library/Application Support/Microsoft Edge*/**",
        "**/Library/Application Support/Arc/**", "**/Library/Safari/**", "**/Library/Cookies/**",
        "**/AppData/*/Google/Chrome*/**", "**/AppData/*/Mozilla/**", "**/AppData/*/Microsoft/Edge*/**",
        "**/AppData/*/BraveSoftware/**",
    )),
    (_CLOUD, (
        "**/.aws/**", "**/.azure/**", "**/.config/gcloud/**", "**/.kube/**", "**/.docker/config.json", "**/.oci/**",
        "**/.config/gh/**", "**/.config/hub", "**/.npmrc", "**/.pypirc", "**/.cargo/credentials*",
        "**/.terraform.d/credentials*", "**/.config/doctl/**", "**/.config/hcloud/**", "**/.fly/**",
        "**/AppData/*/gcloud/**", "**/.boto", "**/.s3cfg", "**/.databrickscfg", "**/.config/rclone/**",
    )),
)  # fmt: skip

_KEYCHAIN_COMMANDS = (
    "security *", "secret-tool *", "keyring get *", "kwallet-query *", "kwalletcli *", "cmdkey *", "vaultcmd *",
    "gpg* --export-secret-*", "gpg* * --export-secret-*", "op read *", "op item get *", "pass show *",
    "ssh-add *", "gcore *", "gcloud auth print-*", "aws configure export-credentials *",
)  # fmt: skip

_FAR_REACHING = (
    "sudo *", "doas *", "su *", "pkexec *", "runas *", "systemctl *", "launchctl *", "service *", "crontab *",
    "at *", "batch *", "schtasks *", "reg *", "shutdown *", "reboot *", "halt *", "poweroff *", "mount *", "umount *",
    "mkfs* *", "fdisk *", "diskutil *", "dd *", "docker *", "podman *", "osascript *", "nsenter *", "unshare *",
    "chsh *", "passwd *", "useradd *", "usermod *", "visudo *", "iptables *", "nft *", "insmod *", "modprobe *",
    "kubiya-worker *", "dbus-send *", "gdbus *", "busctl *", "gsettings set *", "defaults write *",
)  # fmt: skip

_KEYCHAIN_OF_WINDOWS: Final = (
    "export-pfxcertificate *", "get-storedcredential *", "get-secret *", "get-clixmlcredential *", "rundll32 *keymgr*",
    "certutil *-exportpfx*", "certutil */exportpfx*",
)  # fmt: skip
_CHANGES: Final = (
    ("set new remove clear rename copy move", "itemproperty *"),
    ("new set remove copy move rename clear", "item *hk??:*"),
    ("new set remove copy move rename clear", "item *registry::*"),
    ("new set copy rename", "item *alias:*"),
    ("new set copy rename", "item *function:*"),
    ("register unregister set new enable disable start stop", "scheduledtask* *"),
    ("register unregister set new enable disable start stop", "scheduledjob *"),
    ("new set start stop restart suspend resume remove", "service *"),
    ("add set remove", "mppreference *"),
    ("new set remove enable disable rename", "localuser *"),
    ("new set remove add rename", "localgroup* *"),
    ("new set remove enable disable copy rename", "netfirewall* *"),
    ("get set remove register invoke", "wmi* *"),
    ("enable disable suspend resume unlock add backup", "bitlocker* *"),
    ("enable disable", "windowsoptionalfeature *"),
    ("add remove", "appxpackage *"),
)
"""Verbs of PowerShell's commands, and what they change."""

_FAR_REACHING_ON_WINDOWS: Final = (
    "sc *", "netsh *", "net *", "net1 *", "bcdedit *", "wmic *", "certutil *", "vssadmin *", "wevtutil *", "fsutil *",
    "diskpart *", "format *", "takeown *", "icacls *", "cacls *", "bitsadmin *", "mshta *", "rundll32 *", "regsvr32 *",
    "regedit *", "regini *", "installutil *", "msiexec *", "wscript *", "cscript *", "psexec *", "psexec64 *",
    "gpupdate *", "secedit *", "dism *", "pnputil *", "powercfg *", "setx *", "wsl *", "manage-bde *",
    "reagentc *", "wbadmin *", "logoff *", "auditpol *", "cmstp *", "odbcconf *", "winrm *", "winrs *",
    "start-process *runas*", "set-executionpolicy *", "enable-psremoting *", "enter-pssession *", "new-pssession *",
    "invoke-command *-co*", "invoke-command *-cn *", "invoke-cimmethod *", "set-acl *", "stop-computer *",
    "restart-computer *", "import-certificate *", "import-pfxcertificate *", "new-object *-com*",
    *(f"{verb}-{what}" for verbs, what in _CHANGES for verb in verbs.split()),
)  # fmt: skip

_METADATA_HOSTS = (
    "169.254.*", "metadata.google.internal*", "metadata.goog*", "100.100.100.200", "fd00:ec2::254", "instance-data*",
)  # fmt: skip
_LOOPBACK = ("localhost", "*.localhost", "127.*", "::1", "0.0.0.0", "::", "0", "::ffff:127.*")  # noqa: S104 - no bind
_HARMLESS_FILES = (
    "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/fd/*",
    "/dev/tty", "NUL",
)  # fmt: skip


def built_in_rules(*, own_folders: Sequence[str] = (), windows: bool = WINDOWS) -> tuple[Rule, ...]:
    """All of them.

    Args:
        own_folders: the worker's own configuration and state, `/` between parts: an agent changes no rules. The
            execution's workspace lies there too; inside it no built-in denial holds.
        windows: with the commands of Windows, whose names are other programs' elsewhere.
    """
    rules = [Rule(action=Action.DENY, path=paths, why=why) for why, paths in _SECRET_PATHS]
    if own_folders:
        rules.append(
            Rule(
                action=Action.DENY,
                path=tuple(f"{literal(folder)}/**" for folder in own_folders),
                why=OWN_FOLDERS,
            )
        )
    rules += [
        Rule(action=Action.DENY, command=_KEYCHAIN_COMMANDS, why=worded("It reads a keychain.")),
        Rule(action=Action.DENY, host=_METADATA_HOSTS, why=worded("Cloud machines give their credentials there.")),
        Rule(action=Action.ASK, command=_FAR_REACHING, why=worded("It reaches beyond the workspace.")),
        Rule(action=Action.ASK, host=_LOOPBACK, why=worded("It is a service on this machine.")),
        Rule(action=Action.ALLOW, path=_HARMLESS_FILES, why=worded("It is harmless.")),
    ]
    if windows:
        rules += [
            Rule(action=Action.DENY, command=_KEYCHAIN_OF_WINDOWS, why=worded("It reads a keychain.")),
            Rule(action=Action.ASK, command=_FAR_REACHING_ON_WINDOWS, why=worded("It reaches beyond the workspace.")),
        ]
    return tuple(rules)


def built_in_of(paths: Paths) -> tuple[Rule, ...]:
    """Those of an installation."""
    own = [slashed(str(folder.resolve())) for folder in (paths.config, paths.state, paths.runtime)]
    return built_in_rules(own_folders=own)


OWN_FOLDERS = worded("The worker keeps its rules, keys and records there.")
