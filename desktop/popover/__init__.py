"""The popover at the tray's icon: where it lies, what it has, and which click brings it."""
