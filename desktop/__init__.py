"""The tray application: it draws what `worker_core` publishes, and steers it."""
