"""What the frozen program begins with."""

from worker_core.cli import main

main()
