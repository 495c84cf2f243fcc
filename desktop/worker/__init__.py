"""The worker that the window shows: one in this process, or one that runs already."""
