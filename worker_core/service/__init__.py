"""What runs around the engine: the local control socket."""
