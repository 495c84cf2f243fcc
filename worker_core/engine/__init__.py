"""One worker, assembled: its queues, what they share, how it leaves."""
