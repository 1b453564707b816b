"""When nights are played."""

from pydantic import Field

from pipeline.lib.sections.values import Seconds, Secret, Section


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
