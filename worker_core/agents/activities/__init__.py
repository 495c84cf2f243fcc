"""Activities of an execution: everything that touches the world. Not replayed."""
