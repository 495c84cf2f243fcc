"""The tray: pure functions from what is known to what is shown, and one file that puts it into Qt."""
