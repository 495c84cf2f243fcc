"""Programs of the owner's at turns of a worker's life, and who is told that something waits or failed.

They are named by the owner's settings alone: nothing that a server, an agent or a workspace says becomes a hook.
"""
