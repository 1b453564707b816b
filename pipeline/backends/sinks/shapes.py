"""How rows become Prometheus families. A value that is none was not measured: it has no sample, never a zero."""

from collections.abc import Iterable, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

Samples = Iterable[Sequence[Any]]  # label values, then the value


def counter(name: str, meaning: str, labels: Sequence[str], samples: Samples) -> CounterMetricFamily:
    """A total over the store. `name` is without its `_total`."""
    family = CounterMetricFamily(name, meaning, labels=labels)
    for *values, value in samples:
        family.add_metric([str(each) for each in values], float(value or 0))
    return family


def gauge(name: str, meaning: str, labels: Sequence[str], samples: Samples) -> GaugeMetricFamily:
    """What holds now."""
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for *values, value in samples:
        if value is not None:
            family.add_metric([str(each) for each in values], float(value))
    return family
