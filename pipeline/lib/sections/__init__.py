"""The sections of nightschool.toml: what each setting means, its default, and its range."""

from pipeline.lib.sections.judging import Canary, Deploy, Validation
from pipeline.lib.sections.learning import Dataset, Harvest, Hygiene, Train
from pipeline.lib.sections.memory import Retrieval
from pipeline.lib.sections.models import ProviderModel, Providers, Sandbox, Vm
from pipeline.lib.sections.schedule import Night, Service
from pipeline.lib.sections.serving import Engine, Model, Server
from pipeline.lib.sections.values import (
    Capability,
    Category,
    Event,
    Kept,
    Listed,
    Range,
    Seconds,
    Secret,
    Section,
    Share,
    is_this_machine,
)
from pipeline.lib.sections.watching import Dashboard, Metrics, Notify, Report, Sinks

__all__ = [
    "Canary",
    "Capability",
    "Category",
    "Dashboard",
    "Dataset",
    "Deploy",
    "Engine",
    "Event",
    "Harvest",
    "Hygiene",
    "Kept",
    "Listed",
    "Metrics",
    "Model",
    "Night",
    "Notify",
    "ProviderModel",
    "Providers",
    "Range",
    "Report",
    "Retrieval",
    "Sandbox",
    "Seconds",
    "Secret",
    "Section",
    "Server",
    "Service",
    "Share",
    "Sinks",
    "Train",
    "Validation",
    "Vm",
    "is_this_machine",
]
