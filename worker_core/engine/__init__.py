"""One worker, assembled: its queues, what they share, how it leaves."""

import worker_core.temporal  # noqa: F401 - it decides how the SDK is imported, so it comes before all that names the SDK
