"""The durable agent loop: workflow definitions, their activities, the model gateway."""
