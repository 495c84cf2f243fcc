"""OpenTelemetry, where the standard variables of the environment ask for it: one trace per execution.

Nothing of it is imported otherwise. `spans.py` is what the rest of the worker calls, and does nothing while nobody
asks; `otel.py` is the only file that knows OpenTelemetry's own library (the extra `otel`).
"""
