"""`kubiya-worker` as a desktop starts it that gives its programs few open files."""

from __future__ import annotations

import resource
import sys

from worker_core.__main__ import main

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    sys.exit(main())
