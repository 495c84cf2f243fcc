"""Folders that the owner of the machine has granted: which an execution gets, and its own copies of repositories."""
