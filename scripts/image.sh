#!/usr/bin/env bash
# Builds the image of installers/docker/Dockerfile where no registry is at hand, on a base that debootstrap makes, and
# runs it as a restricted pod would be (tests/installers/test_image.py).
#
#   sudo scripts/image.sh [PYTEST ARGUMENT ...]
#
# Needs root, debootstrap, buildah, podman and runc (all Debian's), the network, and about 5 GB below $BARE (default
# /var/tmp), where base and image stay; the base is made once. Package sources, certificates and pip's settings are those
# of this machine, while it builds.
set -euo pipefail
release=trixie
here=$(cd "$(dirname "$0")/.." && pwd)
place=${BARE:-/var/tmp}/kubiya-image
engine=(--root "$place/storage" --runroot "$place/run" --storage-driver vfs)
base=localhost/kubiya-base:$release
image=localhost/kubiya-worker:tested

[ "$(id -u)" = 0 ] || { echo "Only root may make a root folder: run it with sudo." >&2; exit 1; }
for program in debootstrap buildah podman runc; do
    command -v "$program" >/dev/null || { echo "$program is missing: apt-get install $program" >&2; exit 1; }
done
mkdir -p "$place"

if ! buildah "${engine[@]}" inspect --type image "$base" >/dev/null 2>&1; then
    echo "== A base of Debian $release"
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 -E '/debian/?$')
    scripts=/usr/share/debootstrap/scripts
    rm -rf --one-file-system "$place/base"
    debootstrap --variant=minbase "$release" "$place/base" "$mirror" \
        "$([ -e "$scripts/$release" ] && echo "$scripts/$release" || echo "$scripts/sid")" >"$place/base.log" 2>&1 \
        || { tail -5 "$place/base.log" >&2; exit 1; }
    # As Debian's own slim images leave out.
    rm -rf "$place"/base/var/cache/apt/* "$place"/base/var/lib/apt/lists/* "$place"/base/var/log/* \
        "$place"/base/usr/share/{doc,man,locale,info}/*
    container=$(buildah "${engine[@]}" from scratch)
    buildah "${engine[@]}" add --quiet "$container" "$place/base" / >/dev/null
    buildah "${engine[@]}" commit --quiet --rm "$container" "$base" >/dev/null
    rm -rf --one-file-system "$place/base"
fi

# What this machine reaches the network with. None of it stays in the image.
mkdir -p "$place/machine/apt"
{ echo "[global]"; python3 -m pip config list 2>/dev/null | sed -nE "s/^(:env:|global)\.([a-z-]+)='(.*)'$/\2 = \3/p" \
    | grep -vE '= (/|file:)' | sort -u -t= -k1,1; } >"$place/machine/pip.conf"
authorities=/etc/ssl/certs/ca-certificates.crt
if [ -e "$authorities" ]; then
    cp "$authorities" "$place/machine/authorities.pem"
    echo "cert = /run/machine/authorities.pem" >>"$place/machine/pip.conf"
fi
grep -lsiE 'proxy|ssl|https' /etc/apt/apt.conf.d/* | xargs -r cp -t "$place/machine/apt/" || true
options=(--volume "$place/machine:/run/machine:ro" --volume "$place/machine/pip.conf:/etc/pip.conf:ro")
for file in "$place"/machine/apt/*; do
    [ ! -e "$file" ] || options+=(--volume "$file:/etc/apt/apt.conf.d/$(basename "$file"):ro")
done

echo "== The image"
SECONDS=0
buildah "${engine[@]}" bud --isolation chroot --network host --layers=false --quiet "${options[@]}" \
    --build-arg "BASE=$base" --file "$here/installers/docker/Dockerfile" --tag "$image" "$here" >"$place/build.log" 2>&1 \
    || { tail -20 "$place/build.log" >&2; exit 1; }
echo "== Built after $SECONDS s"
cd "$here"
KUBIYA_TEST_IMAGE="$image" KUBIYA_TEST_ENGINE="podman ${engine[*]} --runtime runc" \
    exec .venv/bin/python -m pytest "${@:-tests/installers/test_image.py}"
