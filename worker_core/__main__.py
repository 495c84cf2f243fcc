"""`python -m worker_core` is `kubiya-worker`."""

from worker_core.cli import main

if __name__ == "__main__":
    main()
