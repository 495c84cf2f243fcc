"""What an agent can do on this machine: one file per tool family, one registry."""
