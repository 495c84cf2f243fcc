"""An `.rpm`, by rpmbuild: the format's own tool, which Debian has as well."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import textwrap
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from installers.freezing.layout import ROOT
from installers.linux.packages import BASE, HOMEPAGE, LICENCE, MAINTAINER, OF_GLIBC, Package, Part, Release
from installers.linux.tree import settle, walk, write

_BEFORE_ALL: Final = 631_152_000
"""1990: rpm reads no earlier day in a list of changes."""

_VERSIONS: Final = f"/{BASE}/versions"
_SCRIPTS: Final = {
    "kubiya-worker": f"""%post
{_VERSIONS} use "%{{version}}"

%preun
if [ "$1" = 0 ]; then {_VERSIONS} remove; fi
""",
    "kubiya-worker-desktop": f"""%post
{_VERSIONS} use "%{{version}}"

%preun
if [ "$1" = 0 ]; then {_VERSIONS} stop kubiya-worker-desktop; fi

%postun
if [ "$1" = 0 ] && [ -x {_VERSIONS} ]; then {_VERSIONS} use "%{{version}}"; fi
""",
    "kubiya-worker-playground": f"""%post
{_VERSIONS} use "%{{version}}"

%postun
if [ "$1" = 0 ] && [ -x {_VERSIONS} ]; then {_VERSIONS} use "%{{version}}"; fi
""",
}

OF_THE_SYSTEM: Final = {
    *("usr", "usr/bin", "usr/lib", "usr/lib/systemd", "usr/lib/systemd/system", "usr/share", "usr/share/man/man1"),
    *(f"usr/share/{name}" for name in ("applications", "doc", "icons", "man")),
}
"""Folders of the distribution's own base packages; every other one is owned, so that none stays behind."""

_MACROS: Final = """%global __os_install_post %{nil}
%global debug_package %{nil}
%global _build_id_links none
%global _buildhost localhost
%global use_source_date_epoch_as_buildtime 1
%global clamp_mtime_to_source_date_epoch 1
%global source_date_epoch_from_changelog 0
"""


def build(root: Path, out: Path, package: Package, *, part: Part, release: Release) -> Path:
    """Make the package of what lies below `root`, to which its licence is added."""
    write(root / "usr/share/licenses" / package.name / "LICENSE", (ROOT / "LICENSE").read_bytes())
    settle(root, epoch=release.epoch)
    with tempfile.TemporaryDirectory(prefix="kubiya-rpm-") as folder:
        top = Path(folder)
        spec = top / f"{package.name}.spec"
        write(spec, _spec(root, package, part=part, release=release))
        subprocess.run(
            ["rpmbuild", "-bb", "--quiet", "--target", release.machine, "--define", f"_topdir {top}", spec],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(release.epoch), "LC_ALL": "C.UTF-8"},
        )
        [built] = (top / "RPMS" / release.machine).glob("*.rpm")
        return Path(shutil.move(built, out / built.name))


def _spec(root: Path, package: Package, *, part: Part, release: Release) -> str:
    same = [f"{one} = %{{version}}-%{{release}}" for one in package.needs]
    fields = [
        ("Name", package.name),
        ("Version", release.version),
        ("Release", "1"),
        ("Summary", package.summary[0].upper() + package.summary[1:]),
        ("License", LICENCE),
        ("URL", HOMEPAGE),
        ("Vendor", MAINTAINER),
        ("Packager", MAINTAINER),
        ("Group", "Applications/System"),
        ("AutoReqProv", "no"),
        *(("Requires", one) for one in [*same, *_libraries(part, release), *package.rpm_requires]),
        *(("Recommends", one) for one in package.rpm_recommends),
        *(("Suggests", one) for one in package.rpm_suggests),
    ]
    day = datetime.fromtimestamp(max(release.epoch, _BEFORE_ALL), UTC).strftime("%a %b %d %Y")
    text = "\n\n".join(textwrap.fill(one, 78) for one in package.description)
    return (
        f"{_MACROS}%global _binary_payload {'w9.xzdio' if release.small else 'w.ufdio'}\n"
        + "".join(f"{name}: {value}\n" for name, value in fields)
        + f"\n%description\n{text}\n\n%install\ncp -a {root}/. %{{buildroot}}/\n\n{_SCRIPTS[package.name]}\n"
        + f"%files\n{_files(root)}\n%changelog\n* {day} {MAINTAINER} - {release.version}-1\n"
        + f"- Version {release.version}; what is new stands in CHANGELOG.md of its sources.\n"
    )


def _libraries(part: Part, release: Release) -> list[str]:
    """By the libraries' own names, which every distribution with rpm provides."""
    glibc = [f"libc.so.6(GLIBC_{release.glibc})(64bit)"] if any(OF_GLIBC.fullmatch(one) for one in part.outside) else []
    return glibc + sorted(f"{one}()(64bit)" for one in part.outside if not OF_GLIBC.fullmatch(one))


def _files(root: Path) -> str:
    lines = ""
    for path in walk(root):
        name = path.relative_to(root).as_posix()
        if name in OF_THE_SYSTEM:
            continue
        kind = ""
        if not path.is_symlink():
            kind = f"%attr({path.stat().st_mode & 0o777:04o},root,root) " + ("%dir " if path.is_dir() else "")
            kind += "%license " if name.startswith("usr/share/licenses/") and path.is_file() else ""
            kind += "%doc " if name.startswith("usr/share/man/") and path.is_file() else ""
        lines += f'{kind}"/{name.replace("%", "%%")}"\n'
    return lines
