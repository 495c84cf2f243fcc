#!/usr/bin/env bash
# Installs the packages for Linux in bare Debian roots, uses them as their users would, upgrades them while they work, and
# removes them; then those judge them who judge packages: tests/installers/test_packages.py.
#
#   sudo scripts/packages.sh [PYTEST ARGUMENT ...]       RELEASES="bookworm trixie"
#
# Needs root, the network, the Debian packages that are named below, and about 4 GB below $BARE (default /var/tmp), where
# the roots stay; each is made once. Package sources and certificates are those of this machine.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "Only root may make a root folder: run it with sudo." >&2; exit 1; }
missing=''
while read -r program package; do
    command -v "$program" >/dev/null || missing="$missing $package"
done <<'END'
debootstrap debootstrap
dpkg-deb dpkg
rpmbuild rpm
Xvfb xvfb
dbus-daemon dbus
xdotool xdotool
openbox openbox
lintian lintian
rpmlint rpmlint
desktop-file-validate desktop-file-utils
appstreamcli appstream
piuparts piuparts
END
[ -z "$missing" ] || { echo "What this needs is missing: apt-get install$missing" >&2; exit 1; }
place=${BARE:-/var/tmp}/kubiya-packages
scripts=/usr/share/debootstrap/scripts
mkdir -p "$place"
for release in ${RELEASES:=bookworm trixie}; do
    root=$place/$release
    [ ! -d "$root" ] || continue
    echo "== A bare $release"
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 -E '/debian/?$')
    rm -rf --one-file-system "$root.new"
    debootstrap --variant=minbase "$release" "$root.new" "$mirror" \
        "$([ -e "$scripts/$release" ] && echo "$scripts/$release" || echo "$scripts/sid")" >"$root.log" 2>&1 \
        || { tail -5 "$root.log" >&2; exit 1; }
    mkdir -p "$root.new/etc/apt/apt.conf.d"
    grep -lsiE 'proxy|ssl|https' /etc/apt/apt.conf.d/* | xargs -r cp -t "$root.new/etc/apt/apt.conf.d/" || true
    mv "$root.new" "$root"
done
.venv/bin/python scripts/freeze.py
KUBIYA_TEST_PACKAGES="$place" RELEASES="$RELEASES" exec .venv/bin/python -m pytest "${@:-tests/installers/test_packages.py}"
