"""Which sinks are configured."""

from pipeline.backends.sinks.influx import Influx
from pipeline.backends.sinks.interface import Sink
from pipeline.backends.sinks.prometheus_textfile import PrometheusTextfile
from pipeline.backends.sinks.pushgateway import Pushgateway
from pipeline.lib.config import Settings


def configured(settings: Settings) -> list[Sink]:
    """The sinks in the order in which they are sent to: the last ones tell how the first ones did."""
    layout, chosen = settings.layout, settings.sinks
    found: list[Sink] = []
    if chosen.influx_url:
        found.append(Influx(layout, chosen))
    if chosen.pushgateway:
        found.append(Pushgateway(layout, chosen.pushgateway, chosen.timeout))
    if chosen.textfile:
        found.append(PrometheusTextfile(layout, chosen.textfile))
    return found
