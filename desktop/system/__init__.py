"""The machine as the tray sees it: sleep, power, metered networks, and each system's own ways."""
