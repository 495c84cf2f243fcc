#!/usr/bin/env bash
# Of the keyring package's SecretService backend a mere `get_password` asks the Secret Service to *make* a collection where it has no
# default one: `CreateCollection`, with the alias "default". A key that nobody has stored is looked up, and the person sees an assistant
# for a new database (KeePassXC with none open), which the read waits for without end.
#
# The service here is a stand-in that keeps nothing: it offers sessions without encryption, says that there is no default collection, and
# answers what it is asked to make with a path. What it was asked is printed in order.
#
# Seen: keyring 25.7.0, SecretStorage 3.5.0, jeepney 0.9.0, Python 3.11, Linux, with dbus-daemon. Fails where it has changed.
set -euo pipefail
command -v dbus-daemon >/dev/null || { echo "dbus-daemon is missing"; exit 1; }
folder=$(mktemp -d)
bus=
trap '[ -z "$bus" ] || kill "$bus" 2>/dev/null; wait; rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check keyring==25.7.0 SecretStorage==3.5.0 jeepney==0.9.0
cat >"$folder/bus.conf" <<'CONF'
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
CONF
exec 3< <(exec dbus-daemon --config-file="$folder/bus.conf" --nofork --nopidfile --print-address 2>/dev/null)
bus=$!
read -r DBUS_SESSION_BUS_ADDRESS <&3
export DBUS_SESSION_BUS_ADDRESS
export HOME=$folder
"$folder/venv/bin/python" - <<'PROGRAM'
import threading

from jeepney import HeaderFields, MessageType, new_error, new_method_return
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection

asked: list[str] = []
service = open_dbus_connection("SESSION")
service.send_and_get_reply(message_bus.RequestName("org.freedesktop.secrets"))


def serve() -> None:
    while True:
        message = service.receive()
        if message.header.message_type is not MessageType.method_call:
            continue
        member, body = message.header.fields[HeaderFields.member], message.body
        asked.append(member)
        if member == "OpenSession" and body[0] != "plain":
            answer = new_error(message, "org.freedesktop.DBus.Error.NotSupported", "s", ("plain alone",))
        elif member == "OpenSession":
            answer = new_method_return(message, "vo", (("s", ""), "/session"))
        elif member == "ReadAlias":
            answer = new_method_return(message, "o", ("/",))
        elif member == "CreateCollection":
            answer = new_method_return(message, "oo", ("/made", "/"))
        elif member == "SearchItems":
            answer = new_method_return(message, "ao", ([],))
        elif member == "Get" and message.header.fields[HeaderFields.path] != "/made":
            answer = new_error(message, "org.freedesktop.Secret.Error.NoSuchObject", "s", ("no default collection",))
        elif member == "Get":
            answer = new_method_return(message, "v", (("b", False),))
        else:
            answer = new_error(message, "org.freedesktop.DBus.Error.UnknownMethod", "s", (member,))
        service.send(answer)


threading.Thread(target=serve, daemon=True).start()

from keyring.backends.SecretService import Keyring

found = Keyring().get_password("a service", "a name that was never stored")
print("get_password:", found, "- the service was asked:", ", ".join(asked))
raise SystemExit(0 if found is None and "CreateCollection" in asked else "It has changed.")
PROGRAM
echo "As described: a read makes a collection."
