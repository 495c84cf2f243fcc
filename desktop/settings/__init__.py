"""What the user decides and the tray keeps: settings, policy, the key, the first run."""
