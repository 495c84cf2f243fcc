"""What the pages show, kept apart from how they show it: plain stores, and Qt models over them."""
