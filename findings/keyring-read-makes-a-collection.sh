#!/usr/bin/env bash
# A mere read with keyring has the Secret Service make a new collection, and ask its person about it.
#
# Where a Secret Service has no default collection, keyring's backend asks it to create one before it looks: `get_password` of an
# entry that nobody stored calls CreateCollection and runs the prompt that comes back, and where that is dismissed it raises InitError.
# KWallet shows its assistant for a new wallet then, KeePassXC the one for a new database, and the program that only looked waits for
# it. The answer, that there is no such entry, is to be had by SearchItems, which asks nobody.
#
# Seen: keyring 25.7.0, SecretStorage 3.5.0, jeepney 0.9.0, Python 3.11, Linux, dbus-daemon 1.14; with KWallet 5.103.0 and KeePassXC
# 2.7.4, too. Here a service that notes what it is asked stands for them. Needs dbus-daemon. Fails where it has changed.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
export HOME=$folder XDG_CONFIG_HOME=$folder XDG_DATA_HOME=$folder
unset PYTHON_KEYRING_BACKEND
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check keyring==25.7.0 SecretStorage==3.5.0 jeepney==0.9.0
cat >"$folder/service.py" <<'PROGRAM'
"""A Secret Service without a collection. Says which calls came; every prompt is dismissed by its person."""

from jeepney import DBusAddress, HeaderFields, MessageType, message_bus, new_error, new_method_return, new_signal
from jeepney.io.blocking import open_dbus_connection

SECRET = "org.freedesktop.Secret"
PROMPT = DBusAddress("/org/freedesktop/secrets/prompt/1", interface=f"{SECRET}.Prompt")

bus = open_dbus_connection("SESSION")
bus.send_and_get_reply(message_bus.RequestName("org.freedesktop.secrets"))
print("there", flush=True)
while True:
    asked = bus.receive()
    if asked.header.message_type is not MessageType.method_call:
        continue
    member = asked.header.fields[HeaderFields.member]
    if member in ("CreateCollection", "Prompt", "SearchItems"):
        print(member, flush=True)
    match member:
        case "OpenSession" if asked.body[0] == "plain":
            answer = new_method_return(asked, "vo", (("s", ""), "/org/freedesktop/secrets/session/1"))
        case "OpenSession":
            answer = new_error(asked, "org.freedesktop.DBus.Error.NotSupported")
        case "ReadAlias":
            answer = new_method_return(asked, "o", ("/",))
        case "SearchItems":
            answer = new_method_return(asked, "aoao", ([], []))
        case "CreateCollection":
            answer = new_method_return(asked, "oo", ("/", PROMPT.object_path))
        case "Prompt":
            bus.send(new_method_return(asked))
            answer = new_signal(PROMPT, "Completed", "bv", (True, ("o", "/")))
        case _:  # no such collection
            answer = new_error(asked, "org.freedesktop.DBus.Error.UnknownObject", "s", ("no such object",))
    bus.send(answer)
PROGRAM
cat >"$folder/reader.py" <<'PROGRAM'
import subprocess
import sys
from contextlib import closing

service = subprocess.Popen([sys.executable, sys.argv[1]], stdout=subprocess.PIPE, text=True)
assert service.stdout.readline() == "there\n"

import keyring
import keyring.errors
import secretstorage

with closing(secretstorage.dbus_init()) as bus:
    found = list(secretstorage.search_items(bus, {"service": "example", "username": "nobody"}))
print(f"SearchItems:           {len(found)} entries")
try:
    read = repr(keyring.get_password("example", "nobody"))
except keyring.errors.InitError as error:
    read = f"InitError: {error}"
print(f"keyring.get_password:  {read}")
service.terminate()
calls = service.stdout.read().split()
service.wait()
print(f"the service was asked: {', '.join(calls)}")
same = calls == ["SearchItems", "CreateCollection", "Prompt"] and read.startswith("InitError")
raise SystemExit(0 if found == [] and same else "It has changed.")
PROGRAM
"$folder/venv/bin/pip" list --disable-pip-version-check 2>/dev/null | grep -i -E '^(keyring|secretstorage|jeepney) '
dbus-run-session -- "$folder/venv/bin/python" "$folder/reader.py" "$folder/service.py"
echo "As described: a read of what nobody stored has a collection made."
