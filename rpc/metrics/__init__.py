"""Metrics for Prometheus: interceptors that count calls, and collectors that a registry asks for the counts.

They need the extra ``metrics`` (prometheus-client). ``docs/observability.md`` has a table of the metrics.
"""

try:
    import prometheus_client as _needed
except ImportError as error:
    raise ImportError(
        "rpc.metrics needs prometheus-client, which is not installed: pip install 'thrift-amqp-rpc[metrics]'"
    ) from error

from rpc.histogram import BUCKETS
from rpc.metrics.client import ClientMetrics
from rpc.metrics.families import METRICS, Metric
from rpc.metrics.worker import WorkerMetrics

del _needed

__all__ = ["BUCKETS", "METRICS", "ClientMetrics", "Metric", "WorkerMetrics"]
