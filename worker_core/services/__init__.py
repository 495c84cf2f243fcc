"""The worker as a service: what is written for systemd, launchd and Windows, and what systemd hears."""
