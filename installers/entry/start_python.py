"""What the frozen program begins with."""

from worker_core.frozen_python import main

main()
