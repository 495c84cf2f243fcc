"""What may run, what must be asked, what never runs: decided here, from the user's file and safe defaults."""
