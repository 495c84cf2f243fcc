"""The way out of a sandbox, through one door that knows the rules."""
