"""The wire to the Kubiya control plane: one client, one session per queue, one outbox for events."""
