"""Who is told, and what is counted."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from pipeline.lib.sections.values import Event, Listed, Range, Secret, Section, Share, is_domain, is_this_machine, split


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
    events: Annotated[list[Event], BeforeValidator(split)] = Field(
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
            if not name or strange or not is_domain(domain):
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
