#!/usr/bin/env bash
# Shows that a stock Debian needs git, make and python3, and nothing else typed than the commands of the README: makes a
# bare root of a release, clones this commit into it, and runs `make run` and `make test` there, as root.
#
#   sudo scripts/bare_debian.sh RELEASE [MAKE-TARGET ...]      RELEASE: bookworm, trixie, testing, ...
#
# Needs root, debootstrap, the network, and about 6 GB below $BARE (default /var/tmp), which stay there to be looked at; the
# next run begins anew. Package sources, certificates and pip's settings are those of this machine.
set -euo pipefail
release=${1:?name a release of Debian, such as bookworm}
shift
targets=${*:-run test}
here=$(cd "$(dirname "$0")/.." && pwd)
root=${BARE:-/var/tmp}/kubiya-bare-$release

if [ "${BARE_INSIDE:-}" != 1 ]; then
    [ "$(id -u)" = 0 ] || { echo "Only root may make a root folder: run it with sudo." >&2; exit 1; }
    command -v debootstrap >/dev/null || { echo "debootstrap is missing: apt-get install debootstrap" >&2; exit 1; }
    # Mounts and processes of its own: nothing of them is left, however this ends.
    BARE_INSIDE=1 exec unshare --mount --pid --fork --kill-child "$0" "$release" $targets
fi

mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 -E '/debian/?$')
scripts=/usr/share/debootstrap/scripts
rm -rf --one-file-system "$root"
echo "== A bare $release"
debootstrap --variant=minbase --include=git,make,python3 "$release" "$root" "$mirror" \
    "$([ -e "$scripts/$release" ] && echo "$scripts/$release" || echo "$scripts/sid")" >"$root.log" 2>&1 \
    || { tail -5 "$root.log" >&2; exit 1; }

# What this machine reaches the network with.
cp /etc/resolv.conf /etc/hosts "$root/etc/"
[ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$root/etc/"
mkdir -p "$root/etc/apt/apt.conf.d" "$root/usr/local/share/bare"
grep -lsiE 'proxy|ssl|https' /etc/apt/apt.conf.d/* | xargs -r cp -t "$root/etc/apt/apt.conf.d/" || true
authorities=/etc/ssl/certs/ca-certificates.crt
environment=(HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8)
if [ -e "$authorities" ]; then
    cp "$authorities" "$root/usr/local/share/bare/authorities.pem"
    environment+=(PIP_CERT=/usr/local/share/bare/authorities.pem)
fi
while read -r name; do environment+=("$name=${!name}"); done \
    < <(compgen -e | grep -iE '^(https?|all|no)_proxy$|^PIP_(INDEX_URL|EXTRA_INDEX_URL|DEFAULT_TIMEOUT)$' || true)

git -C "$here" bundle create -q "$root/root/source.bundle" HEAD
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"

# Its root becomes this script's own, as on a machine: below chroot(1) the kernel makes no user namespaces
# (user_namespaces(7)), so no sandbox would start.
mkdir "$root/before"
cd "$root"
pivot_root . before
umount --lazy /before
rmdir /before

inside() { env -i "${environment[@]}" "$@"; }
inside git -c advice.detachedHead=false -c init.defaultBranch=main clone -q /root/source.bundle /root/kubiya-worker
inside sh -c '. /etc/os-release && echo "== $PRETTY_NAME, $(python3 -V), $(git -C /root/kubiya-worker log -1 --format=%h)"'
for target in $targets; do
    echo "== make $target"
    SECONDS=0
    inside make -C /root/kubiya-worker "$target" || { echo "== make $target FAILED after $SECONDS s" >&2; exit 1; }
    echo "== make $target ended well after $SECONDS s"
done
