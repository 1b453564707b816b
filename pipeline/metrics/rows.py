"""The rows of the store, one class a table (`schema.py` has the tables).

Numbers, names and times only: what people wrote stays in `logs/interactions/`, where it can be revoked. `at` is in
seconds since 1970 (UTC), None is "not measured", never zero. `agent` is `model.name`: one model with its lineage.
"""

from dataclasses import dataclass, fields
from typing import Any, Literal

QueryType = Literal["trained", "tools", "history", "both"]
Status = Literal["trained", "nothing", "failed", "refused", "inconclusive", "deployed", "rolled_back"]


@dataclass(frozen=True, slots=True)
class QueryMetric:
    """A request that was answered, or failed. `error` is the kind of error, `history` and `tools` count passages."""

    interaction_id: str
    at: float
    agent: str
    adapter: str | None = None
    latency_ms: float | None = None
    first_token_ms: float | None = None
    tokens: int | None = None
    confidence: float | None = None
    success: bool | None = None
    error: str | None = None
    history: int = 0
    tools: int = 0

    @property
    def query_type(self) -> QueryType:
        """What the answer was made from, besides what the model has learned."""
        if self.history and self.tools:
            return "both"
        return "tools" if self.tools else "history" if self.history else "trained"


@dataclass(frozen=True, slots=True)
class FeedbackMetric:
    """What somebody, or a check, said about an answer. `comment` and `edited`: whether there is one."""

    interaction_id: str
    at: float
    agent: str
    thumb: Literal[-1, 1] | None = None
    comment: bool = False
    edited: bool = False
    success: bool | None = None


@dataclass(frozen=True, slots=True)
class EvolutionMetric:
    """One night's attempt to become better: written again by each of its stages, the later ones know more.

    `evolution_type` is the training method (`sft`, `dpo`, `kto`), `improvement` the difference of the two performances
    (shares, 0 to 1, of the same held-out questions), `efficiency` is improvement an hour.
    """

    agent: str
    run: str
    evolution_type: str
    status: Status
    started_at: float
    seconds: float
    generation: str | None = None
    performance_before: float | None = None
    performance_after: float | None = None
    improvement: float | None = None
    efficiency: float | None = None
    samples: int | None = None
    loss: float | None = None
    cpu_percent: float | None = None
    memory_used_mb: float | None = None
    gpu_memory_used_mb: float | None = None
    network_mb: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class KpiSnapshot:
    """The 18 KPIs of a model after a night or a day. Shares are 0 to 1, what was not measured is None."""

    agent: str
    at: float
    run: str | None = None
    held_out_success: float | None = None
    functionality: float | None = None
    quality: float | None = None
    instruction_following: float | None = None
    safety: float | None = None
    performance: float | None = None
    live_success_rate: float | None = None
    satisfaction_rate: float | None = None
    error_rate: float | None = None
    latency_ms: float | None = None
    first_token_ms: float | None = None
    tokens_per_second: float | None = None
    confidence: float | None = None
    rewrite_success_rate: float | None = None
    retention: float | None = None
    improvement: float | None = None
    training_loss: float | None = None
    efficiency: float | None = None

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The KPIs, in their order."""
        return tuple(each.name for each in fields(cls) if each.name not in ("agent", "at", "run"))

    def measured(self) -> dict[str, float]:
        """Those that are known."""
        values: dict[str, Any] = {name: getattr(self, name) for name in self.names()}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Strategy:
    """How often a way of answering a kind of failure was tried, and how often its check was passed. Totals."""

    agent: str
    pattern: str
    strategy: str
    attempts: int
    successes: int
    at: float


@dataclass(frozen=True, slots=True)
class SystemEvent:
    """Something that happened: a stage that ended, a server that began. `details` is JSON."""

    at: float
    kind: str
    name: str
    severity: Literal["info", "warning", "error"] = "info"
    run: str | None = None
    exit_code: int | None = None
    seconds: float | None = None
    message: str | None = None
    details: str | None = None


@dataclass(frozen=True, slots=True)
class ResourceSample:
    """What a process and the machine used at a moment of a stage. `network_*_mb` count since the stage began."""

    at: float
    run: str
    stage: str
    cpu_percent: float | None = None
    memory_used_mb: float | None = None
    gpu_memory_used_mb: float | None = None
    network_sent_mb: float | None = None
    network_received_mb: float | None = None


Row = QueryMetric | FeedbackMetric | EvolutionMetric | KpiSnapshot | Strategy | SystemEvent | ResourceSample
