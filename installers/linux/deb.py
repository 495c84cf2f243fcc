"""A `.deb`, by dpkg-deb: xz, since Debian 12's own tools do not all read zstd."""

from __future__ import annotations

import hashlib
import os
import subprocess
import textwrap
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Final

from installers.linux.packages import BASE, HOMEPAGE, MAINTAINER, OF_GLIBC, Package, Part, Release, Unpackaged
from installers.linux.tree import installed_kib, settle, walk, write, write_compressed

ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
"""Debian's name for each of the kernel's."""

LIBRARIES: Final = {
    "libcrypt.so.1": "libcrypt1",
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libOpenGL.so.0": "libopengl0",
    "libwayland-client.so.0": "libwayland-client0",
    "libwayland-cursor.so.0": "libwayland-cursor0",
    "libwayland-egl.so.1": "libwayland-egl1",
    "libxcb.so.1": "libxcb1",
}
"""Debian's package of each library that may be the system's, but for those of glibc."""

_HOW: Final = {True: ("-Zxz", "-z9"), False: ("-Znone",)}
_VERSIONS: Final = f"/{BASE}/versions"

_CONFIGURED: Final = f"""#!/bin/sh
set -e
case "$1" in configure|abort-remove) {_VERSIONS} use "@VERSION@" ;; esac
"""
_SCRIPTS: Final = {
    "kubiya-worker": {
        "postinst": _CONFIGURED,
        "prerm": f"""#!/bin/sh
set -e
[ "$1" != remove ] || {_VERSIONS} remove
""",
    },
    "kubiya-worker-desktop": {
        "postinst": _CONFIGURED,
        "prerm": f"""#!/bin/sh
set -e
[ "$1" != remove ] || {_VERSIONS} stop kubiya-worker-desktop
""",
        "postrm": f"""#!/bin/sh
set -e
if [ "$1" = remove ] && [ -x {_VERSIONS} ]; then {_VERSIONS} use "@VERSION@"; fi
""",
    },
    "kubiya-worker-playground": {
        "postinst": _CONFIGURED,
        "postrm": f"""#!/bin/sh
set -e
if [ "$1" = remove ] && [ -x {_VERSIONS} ]; then {_VERSIONS} use "@VERSION@"; fi
""",
    },
}

_OVERRIDES: Final = (
    # A frozen Python program carries what it was tested with.
    "embedded-library",
    "custom-library-search-path",
    "library-not-linked-against-libc",
    "shared-library-lacks-prerequisites",
    # Frozen, it has modules without their sources, in a folder of its own; and words in libraries that name programs.
    "package-installs-python-bytecode",
    "missing-depends-on-sensible-utils",
    # Of Go, and as its makers release it.
    "statically-linked-binary",
    "hardening-no-pie",
    "hardening-no-fortify-functions",
    "unstripped-binary-or-object",
    "undeclared-elf-prerequisites",
    "no-manual-page",
    "initial-upload-closes-no-bugs",
)

_COPYRIGHT: Final = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Kubiya Worker
Upstream-Contact: {maintainer}
Source: {homepage}
Comment: The programs carry Python, and libraries in Python and C, each under
 terms of its own. Their licence texts lie beside them, below
 /{base}.

Files: *
Copyright: 2026 Kubiya
License: Apache-2.0
 On Debian systems, the Apache License 2.0 is in
 /usr/share/common-licenses/Apache-2.0.
"""


def build(root: Path, out: Path, package: Package, *, part: Part, release: Release) -> Path:
    """Make the package of what lies below `root`, to which its documents and scripts are added."""
    documents = root / "usr/share/doc" / package.name
    write(documents / "copyright", _COPYRIGHT.format(maintainer=MAINTAINER, homepage=HOMEPAGE, base=BASE))
    write_compressed(documents / "changelog", _changelog(package, release))
    overrides = "".join(f"{package.name}: {tag}\n" for tag in _OVERRIDES)
    write(root / "usr/share/lintian/overrides" / package.name, overrides)
    files = [path for path in walk(root) if path.is_file() and not path.is_symlink()]
    sums = "".join(f"{hashlib.md5(file.read_bytes()).hexdigest()}  {file.relative_to(root)}\n" for file in files)  # noqa: S324 - dpkg's own
    size = installed_kib(root)
    inside = root / "DEBIAN"
    write(inside / "md5sums", sums)
    write(inside / "control", _control(package, part=part, release=release, size=size))
    for name, script in _SCRIPTS[package.name].items():
        write(inside / name, script.replace("@VERSION@", release.version), mode=0o755)
    settle(root, epoch=release.epoch)
    made = out / f"{package.name}_{release.version}_{ARCHITECTURES[release.machine]}.deb"
    subprocess.run(
        # One thread: how many there are would change the file.
        [
            "dpkg-deb",
            "--root-owner-group",
            *_HOW[release.small],
            "--threads-max=1",
            "--build",
            root,
            made,
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(release.epoch)},
    )
    return made


def _control(package: Package, *, part: Part, release: Release, size: int) -> str:
    same = [f"{one} (= {release.version})" for one in package.needs]
    fields = {
        "Package": package.name,
        "Version": release.version,
        "Architecture": ARCHITECTURES[release.machine],
        "Maintainer": MAINTAINER,
        "Installed-Size": str(size),
        "Depends": ", ".join([*same, *_libraries(part, release), *package.deb_depends]),
        "Recommends": ", ".join(package.deb_recommends),
        "Suggests": ", ".join(package.deb_suggests),
        "Section": package.deb_section,
        "Priority": "optional",
        "Homepage": HOMEPAGE,
    }
    lines = "".join(f"{name}: {value}\n" for name, value in fields.items() if value)
    return lines + f"Description: {package.summary}\n" + _description(package)


def _libraries(part: Part, release: Release) -> list[str]:
    glibc = [f"libc6 (>= {release.glibc})"] if any(OF_GLIBC.fullmatch(one) for one in part.outside) else []
    others = [one for one in part.outside if not OF_GLIBC.fullmatch(one)]
    if unknown := sorted(set(others) - LIBRARIES.keys()):
        raise Unpackaged(f"Debian's package of {', '.join(unknown)} is not known: name it in {Path(__file__).name}.")
    return glibc + sorted(LIBRARIES[one] for one in others)


def _description(package: Package) -> str:
    """Lines begin with a space; one with a point alone stands between paragraphs."""
    paragraphs = [textwrap.fill(one, 78, initial_indent=" ", subsequent_indent=" ") for one in package.description]
    return "\n .\n".join(paragraphs) + "\n"


def _changelog(package: Package, release: Release) -> str:
    when = format_datetime(datetime.fromtimestamp(release.epoch, UTC))
    said = f"Version {release.version}; what is new stands in CHANGELOG.md of its sources."
    return f"{package.name} ({release.version}) unstable; urgency=medium\n\n  * {said}\n\n -- {MAINTAINER}  {when}\n"
