"""What a night learns from, and how."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from pipeline.lib.sections.values import Kept, Listed, Section, split


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

    hours: float = Field(
        24, gt=0, description="how far back a night looks at least, however lately a source was harvested"
    )
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
    keep: Annotated[list[Kept], BeforeValidator(split)] = Field([], description="classes that are not replaced")


class Dataset(Section):
    """Rewrites → training rows."""

    min_failures_to_train: int = Field(5, ge=1, description="fewer new rewrites: nothing to do tonight")
    replay: float = Field(1.0, ge=0, description="good answers mixed in, per rewrite, so that nothing is forgotten")
    rehearsal: Listed | None = Field(
        None,
        description="files of questions like those the base was made for; its own right answers are replayed, so that"
        " what nobody asks for is not forgotten; none = rehearsal.jsonl beside the base model, if there is one",
    )
    rehearsal_share: float = Field(0.5, ge=0, description="of these answers mixed in, per rewrite")
    holdout: Listed | None = Field(
        None,
        description="files of questions never trained on; none = holdout.jsonl beside the base model, if there is one",
    )
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
