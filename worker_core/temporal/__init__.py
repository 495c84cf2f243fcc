"""Connections to Temporal, pollers, queue statistics and the data converter."""
