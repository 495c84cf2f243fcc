"""Leaves: they know nothing of workers."""
