"""A window manager of a test's own display."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Mapping

from tests.support.tray_host import LIMIT_SECONDS, until


@contextlib.contextmanager
def openbox(environment: Mapping[str, str]) -> Iterator[None]:
    """Openbox, from the moment in which it manages windows: what is asked of the display before is lost."""
    with subprocess.Popen(
        ["openbox", "--sm-disable"],
        env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip

        def manages() -> bool:
            assert process.poll() is None, f"openbox ended with {process.returncode}"
            asked = subprocess.run(
                ["xdotool", "get_num_desktops"],
                env=environment,
                capture_output=True,
                timeout=LIMIT_SECONDS,
                check=False,
            )
            return asked.returncode == 0

        try:
            until(manages, what="a window manager")
            yield
        finally:
            process.terminate()
            process.wait(LIMIT_SECONDS)
