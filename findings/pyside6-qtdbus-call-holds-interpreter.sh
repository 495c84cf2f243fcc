#!/usr/bin/env bash
# A call that waits for its answer over PySide6's QtDBus stops every thread of the program, not only the one that calls.
#
# `QDBusConnection.call` and `QDBusInterface.call` keep the interpreter's lock for as long as the service takes to answer, up to the
# call's own time limit. With `asyncCall` and an event loop the other threads go on. In a desktop program whose workers are threads, a
# login manager or keychain that answers late is then a stop of everything; and a service within the same program can never answer.
#
# Seen: PySide6-Essentials 6.11.3, jeepney 0.9.0, Python 3.11, Linux, dbus-daemon 1.14. Needs dbus-daemon. Fails where it has changed.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check PySide6-Essentials==6.11.3 jeepney==0.9.0
cat >"$folder/service.py" <<'PROGRAM'
"""Owns a name, and answers each call after half a second."""

import time

from jeepney import MessageType, message_bus, new_method_return
from jeepney.io.blocking import open_dbus_connection

bus = open_dbus_connection("SESSION")
bus.send_and_get_reply(message_bus.RequestName("org.example.Slow"))
print("there", flush=True)
while True:
    asked = bus.receive()
    if asked.header.message_type is MessageType.method_call:
        time.sleep(0.5)
        bus.send(new_method_return(asked, "s", ("well",)))
PROGRAM
cat >"$folder/caller.py" <<'PROGRAM'
import os
import subprocess
import sys
import threading
import time

from PySide6.QtCore import QCoreApplication, QEventLoop
from PySide6.QtDBus import QDBusConnection, QDBusInterface, QDBusMessage, QDBusPendingCallWatcher

application = QCoreApplication([])
service = subprocess.Popen([sys.executable, sys.argv[1]], stdout=subprocess.PIPE, text=True)
assert service.stdout.readline() == "there\n"
bus, ticks, over = QDBusConnection.sessionBus(), 0, threading.Event()


def tick() -> None:
    global ticks
    while not over.wait(0.01):
        ticks += 1


threading.Thread(target=tick, daemon=True).start()
asked = QDBusMessage.createMethodCall("org.example.Slow", "/", "org.example.Slow", "Ask")


def by_connection() -> str:
    return bus.call(asked).arguments()[0]


def by_interface() -> str:
    return QDBusInterface("org.example.Slow", "/", "org.example.Slow", bus).call("Ask").arguments()[0]


def without_waiting() -> str:
    watcher, loop = QDBusPendingCallWatcher(bus.asyncCall(asked)), QEventLoop()
    watcher.finished.connect(loop.quit)
    loop.exec()
    return watcher.reply().arguments()[0]


seen = {}
for way in (by_connection, by_interface, without_waiting):
    before = ticks
    assert way() == "well"
    seen[way.__name__] = ticks - before
    print(f"{way.__name__:16} another thread went on {seen[way.__name__]} times in half a second")
over.set()
service.kill()
service.wait()
sys.stdout.flush()
os._exit(0 if max(seen["by_connection"], seen["by_interface"]) <= 3 and seen["without_waiting"] > 10 else "It has changed.")
PROGRAM
sed -i 's/os._exit(0 if \(.*\) else "It has changed.")/raise SystemExit(0 if \1 else "It has changed.")/' "$folder/caller.py"
dbus-run-session -- "$folder/venv/bin/python" "$folder/caller.py" "$folder/service.py"
echo "As described: all threads stand still while one waits for an answer."
