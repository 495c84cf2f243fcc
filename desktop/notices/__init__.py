"""What the user is told unasked: notifications, notices in the window, new versions."""
