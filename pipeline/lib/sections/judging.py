"""What decides whether a candidate serves."""

from pydantic import Field

from pipeline.lib.sections.values import Category, Listed, Section, Share


class Canary(Section):
    """Candidate against incumbent."""

    tasks: str | None = Field(
        None, description="your canary tasks; none = canary.jsonl in this folder, or the 20 that ship with the starter"
    )
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
