"""Where a key comes from: a variable, a file, a credential of systemd, the keychain.

What is given must agree: where two places hold two keys, nobody can tell which one is meant.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.errors import ConfigurationError
from worker_core.paths import others_may_write
from worker_core.secrets import API_KEY_VARIABLE, NoKeychain, Secret, SecretStore, account_of, read_key

log = logging.getLogger(__name__)

LONGEST_BYTES: Final = 16_384
"""Of a key file; longer than any key is."""

CREDENTIALS_VARIABLE: Final = "CREDENTIALS_DIRECTORY"
"""Where systemd puts the credentials of a unit: systemd.exec(5), LoadCredential=."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyName:
    """What one key is called, wherever it is given."""

    variable: str
    file_variable: str
    credential: str
    """The name of its file in `CREDENTIALS_DIRECTORY`."""


API_KEY: Final = KeyName(
    variable=API_KEY_VARIABLE, file_variable=f"{API_KEY_VARIABLE}_FILE", credential="kubiya-api-key"
)
LLM_API_KEY: Final = KeyName(
    variable="LITELLM_API_KEY", file_variable="LITELLM_API_KEY_FILE", credential="litellm-api-key"
)


class GivenKey(NamedTuple):
    """A key, and where it came from, as a part of a sentence."""

    secret: Secret
    source: str


class KeyInFile(Secret):
    """What a key file says now: a rotated key is used from the next request on, without a restart.

    Where the file cannot be read any more, or holds no key, the last one that was read goes on being used.
    """

    __slots__ = ("_complaint", "_file", "_heard", "_seen")

    def __init__(self, file: Path) -> None:
        """Raises ConfigurationError: the file cannot be read, or holds no key."""
        value, self._seen = _read(file)
        super().__init__(value)
        self._file: Final = file
        self._heard: dict[Callable[[Secret], object], None] = {}
        self._complaint = ""

    def reveal(self) -> str:
        try:
            if _signature(self._file.stat()) != self._seen:
                self._take(*_read(self._file))
        except OSError as error:
            self._complain(_unreadable(self._file, error))
        except ConfigurationError as error:
            self._complain(error.sentence)
        return self._value

    def listen(self, heard: Callable[[Secret], object]) -> None:
        """Call `heard` with each new key before anybody can use it. One that listens already is not called twice."""
        self._heard[heard] = None

    def _take(self, value: str, seen: tuple[int, ...]) -> None:
        if value != self._value:
            for hear in tuple(self._heard):
                hear(Secret(value))
            log.info("The key in %s was replaced; the new one is used from now on.", self._file)
        self._value, self._seen, self._complaint = value, seen, ""

    def _complain(self, sentence: str) -> None:
        if sentence != self._complaint:
            self._complaint = sentence
            log.warning("%s The key that was read from it before goes on being used.", sentence)


def given_key(name: KeyName, environ: Mapping[str, str], file: Path | None) -> GivenKey | None:
    """The key that is given to this process; a file's before that of the variable, since it may be replaced.

    Args:
        name: which key.
        environ: usually `os.environ`; an empty variable is none.
        file: the key file that the settings name.

    Raises:
        ConfigurationError: what is given is no key, cannot be read, or is given twice and differs. The sentence does
            not repeat it.
    """
    found: list[GivenKey] = []
    if file is not None:
        found.append(GivenKey(KeyInFile(file), str(file)))
    if (folder := environ.get(CREDENTIALS_VARIABLE)) and _may_be_there(credential := Path(folder, name.credential)):
        found.append(GivenKey(KeyInFile(credential), str(credential)))
    if given := read_key(environ.get(name.variable, ""), name=name.variable):
        found.append(GivenKey(given, name.variable))
    for other in found[1:]:
        if other.secret != found[0].secret:
            raise ConfigurationError(
                worded(
                    "Two different keys are given: one in {one}, one in {other}. None was used. Take away the one that "
                    "is not meant.",
                    one=found[0].source,
                    other=other.source,
                )
            )
    return found[0] if found else None


async def resolve_api_key(
    environ: Mapping[str, str], store: SecretStore, url: str, *, file: Path | None = None
) -> GivenKey:
    """The API key for a control plane: what is given to this process, else what the keychain holds.

    Args:
        environ: usually `os.environ`.
        store: the keychain; asked only where no key is given.
        url: of the control plane.
        file: the key file that the settings name.

    Raises:
        ConfigurationError: there is none, or what there is cannot be one; the sentence says what to do.
        KeychainError: the keychain would have to be asked, and cannot be.
    """
    if given := given_key(API_KEY, environ, file):
        return given
    try:
        stored = await store.get(url)
    except NoKeychain as error:
        raise ConfigurationError(
            worded(
                "There is no API key: neither {variable} nor {file_variable} is set, and this machine has no keychain "
                "to look in.",
                variable=API_KEY_VARIABLE,
                file_variable=API_KEY.file_variable,
            )
        ).with_repair(
            f"Set {API_KEY_VARIABLE}, or name a file that holds the key in {API_KEY.file_variable}."
        ) from error
    if stored is None:
        raise ConfigurationError(worded("There is no API key for {url}.", url=account_of(url))).with_repair(
            f"Run `kubiya-worker login`, set {API_KEY_VARIABLE}, or name a file that holds the key in "
            f"{API_KEY.file_variable}."
        )
    name = worded("What the keychain holds for {url}", url=account_of(url))
    return GivenKey(read_key(stored.reveal(), name=name), "the keychain")


def _may_be_there(file: Path) -> bool:
    """Also where that cannot be told: reading it then says why."""
    try:
        return file.exists()
    except OSError:
        return True


def _read(file: Path) -> tuple[str, tuple[int, ...]]:
    """The key that a file holds, and what tells that the file has changed since."""
    try:
        # A pipe would be waited for.
        with os.fdopen(os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as stream:
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise ConfigurationError(
                    worded("The key file {file} is no plain file. Name the file that holds the key.", file=str(file))
                )
            if others_may_write(file.resolve(), found):
                raise ConfigurationError(
                    worded(
                        "Others could have written the key file {file}, so it is not believed. Look into it, then make "
                        "it yours alone (chmod go-w).",
                        file=str(file),
                    )
                )
            content = stream.read(LONGEST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(_unreadable(file, error)) from error
    if len(content) > LONGEST_BYTES:
        raise ConfigurationError(
            worded("The key file {file} is larger than {n} bytes: no key is so long.", file=str(file), n=LONGEST_BYTES)
        )
    key = read_key(
        content.decode("utf-8-sig", "surrogateescape"), name=worded("What the file {file} holds", file=str(file))
    )
    if not key:
        raise ConfigurationError(
            worded("The key file {file} is empty. Write the key into it, or name another file.", file=str(file))
        )
    return key.reveal(), _signature(found)


def _unreadable(file: Path, error: OSError) -> str:
    return worded(
        "The key file {file} cannot be read ({why}).", file=str(file), why=error.strerror or type(error).__name__
    )


def _signature(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
