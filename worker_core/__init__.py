"""The headless Kubiya worker: everything that is not a window."""

__version__ = "0.1.0"
