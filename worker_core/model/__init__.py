"""The model behind the gateway: what it is sent, how its answers are read, and what its refusals mean."""
