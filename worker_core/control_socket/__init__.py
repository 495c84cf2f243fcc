"""How other processes of this user speak with a running worker."""
