"""The embedded control plane: for first runs without an account, and for tests."""
