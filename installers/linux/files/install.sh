#!/bin/sh
# Installs Kubiya Worker for you alone, without root, or removes it. It can also be run from where it was unpacked:
# programs/kubiya-worker.
#
#   ./install.sh [--prefix FOLDER]              into ~/.local, or FOLDER; over an older version, also while it runs
#   ./install.sh --uninstall [--prefix FOLDER]  remove the programs; what they keep stays, unless --purge is added
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
prefix=${HOME:-}/.local
[ ! -e "$here/installed-files" ] || prefix=${here%/lib/kubiya-worker} # the copy that it leaves for --uninstall
uninstall='' purge=''
while [ $# -gt 0 ]; do
    case $1 in
        --prefix) prefix=${2:?--prefix needs a folder} && shift ;;
        --prefix=*) prefix=${1#--prefix=} ;;
        --uninstall) uninstall=1 ;;
        --purge) purge=1 ;;
        *)
            sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
            case $1 in -h | --help) exit 0 ;; *) exit 2 ;; esac
            ;;
    esac
    shift
done
case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac
case $prefix in # a desktop file would read them otherwise
    *[\"\`\$\\%\&\|]*) echo "A prefix with one of \" \` \$ \\ % & | cannot be used: $prefix" >&2 && exit 2 ;;
esac
home=$prefix/lib/kubiya-worker
list=$home/installed-files

remove_listed() {
    while IFS= read -r name; do
        rm -f "$prefix/$name"
        (cd "$prefix" && rmdir -p "$(dirname -- "$name")" 2>/dev/null) || true
    done <"$1"
}

if [ -n "$uninstall" ]; then
    [ -d "$home" ] || { echo "Kubiya Worker is not installed in $prefix." >&2; exit 3; }
    tray=$prefix/bin/kubiya-worker-desktop
    if [ -x "$tray" ] && "$tray" --has-login-entry; then "$tray" --remove-login-entry; fi
    if [ -n "$purge" ]; then
        "$home/versions" stop
        "$prefix/bin/kubiya-worker" purge --yes
    fi
    "$home/versions" remove
    remove_listed "$list"
    rm -rf "$home"
    rmdir "$prefix/lib" "$prefix" 2>/dev/null || true
    echo "Kubiya Worker is removed from $prefix."
    [ -n "$purge" ] || echo "Your settings and workspaces are still there; with --purge, they would be gone too."
    exit 0
fi

[ -d "$here/programs" ] || { echo "There is nothing to install beside $0: unpack the archive anew." >&2; exit 3; }
version=$(cat "$here/VERSION")
mkdir -p "$home/packaged" "$prefix/bin"
rm -rf "$home/packaged/$version"
cp -R "$here/programs" "$home/packaged/$version"
for script in versions install.sh; do
    cp "$here/$script" "$home/$script.new" && mv -f "$home/$script.new" "$home/$script"
done
"$home/versions" use "$version"
rm -rf "$home/packaged"

: >"$list.new"
for program in kubiya-worker kubiya-worker-desktop; do
    if [ -e "$home/$program" ]; then
        ln -sf "../lib/kubiya-worker/$program" "$prefix/bin/$program"
        echo "bin/$program" >>"$list.new"
    fi
done
(cd "$here" && find share -type f) | while IFS= read -r name; do
    mkdir -p "$(dirname -- "$prefix/$name")"
    case $name in
        *.desktop) sed -E "s|^Exec=/usr/([^ ]*)|Exec=\"$prefix/\1\"|; s|=/usr/|=$prefix/|" "$here/$name" >"$prefix/$name" ;;
        *) cp "$here/$name" "$prefix/$name" ;;
    esac
    echo "$name" >>"$list.new"
done
if [ -e "$list" ]; then # what an older version had, and this one has not
    grep -vxF -f "$list.new" "$list" >"$list.gone" || true
    remove_listed "$list.gone"
    rm -f "$list.gone"
fi
mv -f "$list.new" "$list"

echo "Kubiya Worker $version is installed in $prefix."
case :$PATH: in *":$prefix/bin:"*) ;; *) echo "Add $prefix/bin to PATH, or start $prefix/bin/kubiya-worker." ;; esac
for other in "$home"/[0-9]*/; do
    other=$(basename "$other")
    [ "$other" = "$version" ] || echo "Version $other still runs. Restart it to use this one; then: $home/versions sweep"
done
echo "To remove it: $home/install.sh --uninstall"
