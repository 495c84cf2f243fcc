"""Workflows: replayed, so without input, output, clock or chance of their own."""
