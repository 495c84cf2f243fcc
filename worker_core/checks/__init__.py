"""What a worker needs on this machine, looked at: for `kubiya-worker doctor`, for the window, for diagnostics."""
