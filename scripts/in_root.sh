#!/usr/bin/env bash
# Holds a root folder for tests until it is ended: an overlay on a bare root, with processes and mounts of its own.
# /tmp is this machine's, so that sockets and files of tests are at the same place on both sides.
#
#   in_root.sh LOWER UPPER WORK       enter it with nsenter --target PID --mount --pid --root --wd
set -euo pipefail
lower=$1 upper=$2 work=$3
mkdir -p "$upper" "$work/of-overlay" "$work/root"
root=$work/root
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work/of-overlay" "$root"
cp /etc/resolv.conf /etc/hosts "$root/etc/"
mkdir -p "$root/usr/local/share/bare"
[ ! -e /etc/ssl/certs/ca-certificates.crt ] || cp /etc/ssl/certs/ca-certificates.crt "$root/usr/local/share/bare/authorities.pem"
for file in $(grep -lsiE 'proxy|ssl|https' "$root"/etc/apt/apt.conf.d/*); do
    sed -i 's|"/[^"]*/ca-certificates.crt"|"/usr/local/share/bare/authorities.pem"|' "$file"
done
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount --bind /tmp "$root/tmp"
mount -t tmpfs tmpfs "$root/run"
# Its root becomes this process's own: below chroot(1) the kernel makes no user namespaces, so no sandbox would start.
mkdir -p "$root/before"
cd "$root"
pivot_root . before
umount --lazy /before
rmdir /before
echo ready
exec sleep infinity
