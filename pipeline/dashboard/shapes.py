"""What the dashboard's API answers (`schema.py` makes a JSON schema of it).

Times are seconds since 1970 (UTC), shares are 0 to 1, null is "not known" or "not measured".
"""

from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

Json = dict[str, Any]
Severity = Literal["good", "info", "warning", "bad"]
Outcome = Literal[
    "deployed",
    "refused",
    "inconclusive",
    "awaiting",
    "rejected",
    "lapsed",
    "rolled_back",
    "nothing",
    "failed",
    "unfinished",
    "running",
]
Action = Literal["approve", "reject", "rollback"]
Only = Literal["all", "won", "lost", "same"]


class Version(TypedDict):
    """A generation, by its id (`base` is the bare base model) and the hash of its tensors (null for the base)."""

    id: str
    sha256: str | None


class ServiceStatus(TypedDict):
    """Is it alive?"""

    gateway: Literal["up", "down", "unknown"]
    reason: Annotated[str | None, Field(description="why the gateway is not up")]
    model: str
    engine: str | None
    serving: Annotated[Version | None, Field(description="what the gateway says it serves")]
    on_disk: Annotated[Version, Field(description="what `loras/current` names")]
    agree: Annotated[bool | None, Field(description="whether disk and gateway say the same")]
    waiting: Annotated[int | None, Field(description="requests in the queue")]
    interactions_lost: int | None
    last_check: Annotated[Json, Field(description="the engine's last proof that it serves what it says")]
    stages: Annotated[list[str], Field(description="what holds a lock now: `night`, `train`, …")]
    action: Annotated[str | None, Field(description="what was asked for here and is under way, in words")]


class Night(TypedDict):
    """A night and what came of it; success is the candidate's on the held-out questions."""

    run: Annotated[str, Field(description="the run that was judged: of several rounds the last")]
    at: float
    seconds: float
    outcome: Outcome
    stage: Annotated[str, Field(description="the last one that ended")]
    headline: str
    next_step: str
    questions: int | None
    success: float | None
    low: Annotated[float | None, Field(description="of the 95 % interval")]
    high: float | None
    before: Annotated[float | None, Field(description="the incumbent's success on the same questions")]
    before_low: float | None
    before_high: float | None


class Stage(TypedDict):
    """A stage that ended."""

    run: str
    stage: str
    exit_code: int
    at: float
    seconds: float
    message: str | None


class Advice(TypedDict):
    """What a person should know or do."""

    severity: Severity
    title: str
    text: str
    command: Annotated[str | None, Field(description="to be typed into a terminal")]
    action: Annotated[Action | None, Field(description="that the page offers")]
    generation: Annotated[str | None, Field(description="what the action is about")]


class EvolutionStatus(TypedDict):
    """Is it better?"""

    nights: Annotated[list[Night], Field(description="oldest first, at most the last 60")]
    nights_before: Annotated[int, Field(description="how many there were before those")]
    last_stages: Annotated[list[Stage], Field(description="of the last night, in the order in which they ended")]
    awaiting: Annotated[str | None, Field(description="the candidate that waits for a person's yes")]
    advice: Annotated[list[Advice], Field(description="the most urgent first; never empty")]
    problem: Annotated[str | None, Field(description="what could not be read")]
    version: Annotated[str, Field(description="another one whenever `/api/report` may have changed")]


class CurvePoint(TypedDict):
    """One logged step of a training."""

    step: int
    loss: float | None
    learning_rate: float | None
    grad_norm: float | None


class TrainingStatus(TypedDict):
    """The training that is under way, else the last one."""

    state: Literal["running", "done", "none"]
    run: str | None
    step: int | None
    steps: int | None
    rows: int | None
    method: str | None
    seconds: float | None
    loss: Annotated[float | None, Field(description="running: the last one; done: the mean")]
    curve: list[CurvePoint]


class StatusData(TypedDict):
    """The three cards that every update carries."""

    service_status: ServiceStatus
    evolution_status: EvolutionStatus
    training_status: TrainingStatus


class Status(TypedDict):
    """`GET /api/status`."""

    data: StatusData
    timestamp: float


class Update(TypedDict):
    """A message of `WS /ws`: at once, and whenever something of it changes."""

    type: Literal["metrics_update"]
    data: StatusData
    timestamp: float


class Line(TypedDict):
    """One line of the activity log."""

    at: float
    kind: Literal["stage", "log"]
    severity: Severity
    text: str


class Activity(TypedDict):
    """The other message of `WS /ws`: the last lines, oldest first."""

    type: Literal["activity"]
    lines: list[Line]
    timestamp: float


class Metrics(TypedDict):
    """`GET /api/metrics?days=7`: from the store, over the last days."""

    days: int
    agent: str
    week: Annotated[
        Json,
        Field(description="totals, daily, query_types, satisfaction, before, trends: as `nightschool report --days`"),
    ]
    kpis: Annotated[Json, Field(description="the newest of the 18 KPIs, and `overall_performance`; empty: none yet")]
    evolution: Annotated[Json, Field(description="of the attempts so far, how many were deployed and stayed")]
    problem: str | None
    timestamp: float


class GenerationRow(TypedDict):
    """A generation, and what may be done with it now."""

    id: str
    parent: str | None
    sha256: str | None
    created: str | None
    rows: int | None
    verdict: str | None
    reason: str | None
    held_out: float | None
    difference: Annotated[float | None, Field(description="candidate minus incumbent, on everything asked")]
    incumbent: Annotated[str | None, Field(description="what it was compared with")]
    marks: list[str]
    actions: list[Action]


class Report(TypedDict):
    """`GET /api/report?run=…`: the story of a night (default: the last), and every generation, newest first."""

    night: Annotated[Json | None, Field(description="as `nightschool report --json`; null: no night yet")]
    generations: list[GenerationRow]
    promotions: Annotated[list[Json], Field(description="the last 20 swaps of the ledger, newest first")]
    rollback: Annotated[Json | None, Field(description="the summary of the last rollback")]
    problem: str | None
    timestamp: float


class Answers(TypedDict):
    """`GET /api/answers?first=…&second=…&only=all|won|lost|same&offset=0`: answers to the same questions, 20 a page.

    Won: only the second was right; lost: only the first was.
    """

    first: str
    second: str
    only: Only
    counts: dict[Only, int]
    offset: int
    answers: list[Json]


class Done(TypedDict):
    """The answer to a POST that was carried out."""

    action: Action
    generation: str
    words: str
    result: Json


class Problem(TypedDict):
    """What is wrong, and what a person can do about it."""

    message: str
    hint: str


class Failure(TypedDict):
    """Every answer of the API other than 2xx."""

    error: Problem
