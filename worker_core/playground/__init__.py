"""The embedded control plane, Temporal dev server and model gateway: for first runs and for tests."""
