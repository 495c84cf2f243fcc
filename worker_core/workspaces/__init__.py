"""Folders of executions: made, opened without following links, swept."""
