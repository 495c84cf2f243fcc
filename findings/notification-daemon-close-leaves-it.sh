#!/usr/bin/env bash
# notification-daemon says that it closed a notification, and leaves it on the screen.
#
# CloseNotification of the Desktop Notifications specification is answered, and NotificationClosed with reason 3 (closed by a call)
# follows; its window stays until somebody clicks it. Whoever takes back what is over leaves it for the person to find. One that
# expires goes: replacing it by one with a time-out of 1 ms, before it is closed, takes it away.
#
# Seen: notification-daemon 3.20.0-4+b1 (Debian 12, amd64), Xvfb 21.1.7, dbus-daemon 1.14. The package is unpacked into a temporary
# folder; needs apt-get of Debian 12, libgtk-3-0, Xvfb and dbus-daemon. Fails where it has changed.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
for needed in Xvfb dbus-run-session apt-get dpkg; do
    command -v "$needed" >/dev/null || { echo "This needs $needed."; exit 2; }
done
chmod 755 "$folder"
(cd "$folder" && apt-get -qq -o APT::Sandbox::User=root download notification-daemon=3.20.0-4+b1 && dpkg -x notification-daemon_*.deb unpacked)
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check jeepney==0.9.0 pillow==12.0.0
cat >"$folder/program.py" <<'PROGRAM'
import os
import subprocess
import sys
import time

from jeepney import DBusAddress, MatchRule, MessageType, message_bus, new_method_call
from jeepney.io.blocking import open_dbus_connection
from PIL import ImageGrab

NAME = "org.freedesktop.Notifications"
SERVER = DBusAddress("/org/freedesktop/Notifications", bus_name=NAME, interface=NAME)

reading, writing = os.pipe()
display = subprocess.Popen(["Xvfb", "-displayfd", str(writing), "-screen", "0", "800x600x24", "-noreset"],
                           pass_fds=[writing], stderr=subprocess.DEVNULL)
os.close(writing)
os.environ["DISPLAY"] = f":{os.fdopen(reading).readline().strip()}"
daemon = subprocess.Popen([sys.argv[1]], stderr=subprocess.DEVNULL)
bus = open_dbus_connection("SESSION")


def call(method, signature=None, *body):
    answer = bus.send_and_get_reply(new_method_call(SERVER, method, signature, body), timeout=30)
    assert answer.header.message_type is MessageType.method_return, answer.body
    return answer.body


def notify(replaces, expires_ms):
    return call("Notify", "susssasa{sv}i", "example", replaces, "", "A title", "", [], {}, expires_ms)[0]


def is_seen():
    return ImageGrab.grab(xdisplay=os.environ["DISPLAY"]).convert("RGB").getbbox() is not None


def becomes(seen, seconds):
    end = time.monotonic() + seconds
    while is_seen() is not seen and time.monotonic() < end:
        time.sleep(0.1)
    return is_seen() is seen


try:
    while not bus.send_and_get_reply(message_bus.NameHasOwner(NAME)).body[0]:
        assert daemon.poll() is None, "notification-daemon has ended"
        time.sleep(0.05)
    name, _, version, _ = call("GetServerInformation")
    print(f"{name} {version}")
    rule = MatchRule(type="signal", interface=NAME, member="NotificationClosed")
    bus.send_and_get_reply(message_bus.AddMatch(rule))

    one = notify(0, 0)
    assert becomes(True, 30), "nothing was shown"
    gone = notify(one, 1)
    expires = becomes(False, 30)
    print(f"replaced by one that expires after 1 ms (number {gone}): {'gone' if expires else 'still there'}")

    one = notify(0, 0)
    assert becomes(True, 30), "nothing was shown"
    with bus.filter(rule) as signals:
        call("CloseNotification", "u", one)
        closed = bus.recv_until_filtered(signals, timeout=30).body
    stays = not becomes(False, 10)
    print(f"closed by a call: NotificationClosed {closed}, after 10 s {'still there' if stays else 'gone'}")
    raise SystemExit(0 if expires and closed == (one, 3) and stays else "It has changed.")
finally:
    for process in (daemon, display):
        process.kill()
        process.wait()
PROGRAM
env -u WAYLAND_DISPLAY GDK_BACKEND=x11 NO_AT_BRIDGE=1 GSETTINGS_BACKEND=memory HOME="$folder" dbus-run-session -- \
    "$folder/venv/bin/python" "$folder/program.py" "$folder/unpacked/usr/lib/notification-daemon/notification-daemon"
echo "As described: it says closed, and stays."
