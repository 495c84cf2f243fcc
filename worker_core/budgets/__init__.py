"""What executions may spend on this machine: what was spent, which limits hold, and the question for more."""
