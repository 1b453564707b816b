"""Days and nights of one installation, and what the model in service could do after each: held-out shares by family.

The starter's two families: sums from the first day on, texts from the fourth day on. The canary asks the hold-outs of
both every night. A night that refuses its candidate, or finds nothing to do, leaves the model as it was.
"""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.home import Home, timed
from pipeline.gate.evidence import proportion_interval
from pipeline.starter.build import HOLDOUTS

SUMS, TEXTS = "arithmetic", "text"
TEXTS_FROM = 4  # the night before which both families are asked for the first time
REQUESTS = 1500
HARVEST_MINUTES, NIGHT_MINUTES = 1.25, 5.25  # of each round; of all of them, canary and deployment not counted

Right = dict[str, bool]  # whether each held-out question was answered rightly, by what makes it one


def variables(patience: float = 1) -> dict[str, str]:
    """The settings of a benchmark's nights; patience multiplies the time they have, on a slower machine."""
    return {
        "NIGHTSCHOOL_DATASET__HOLDOUT": ",".join(f"models/starter/{name}" for name in HOLDOUTS.values()),
        "NIGHTSCHOOL_NIGHT__ROUNDS": "4",
        "NIGHTSCHOOL_HARVEST__MINUTES": str(HARVEST_MINUTES * patience),
        "NIGHTSCHOOL_NIGHT__MINUTES": str(NIGHT_MINUTES * patience),
    }


def played(home: Home, seed: int, nights: int) -> Iterator[dict[str, Any]]:
    """Play so many days and nights, and tell each one's outcome. The gateway has to be there."""
    first: Right = {}  # by the base, on day 0
    served: Right = {}
    last = None
    for night in range(1, nights + 1):
        families = [SUMS] if night < TEXTS_FROM else [SUMS, TEXTS]
        mixed = [] if families == [SUMS] else ["--families", ",".join(families)]
        home.run("starter", "day", "--requests", str(REQUESTS), "--seed", str(day_of(seed, night)), *mixed)
        code = home.night()
        story = home.run("report")
        # A night that ended before its first stage has told nothing: the report is still the last one's.
        examined = home.examined(story["run"]) if story["run"] != last else []
        before, after = answered(examined, deployed=code == 0)
        before, after = before or served, after or served
        first, served, last = first or before, after, story["run"]
        seconds, working = timed(story)
        outcome = {
            "night": night,
            "families": families,
            "exit_code": code,
            "run": story["run"],
            "before": shares(before),
            "after": shares(after),
            "day_zero": kept(first, after),
            "rounds": sum(stage == "harvest" for stage, _ in seconds),
            "drafts": home.most_drafts(),
            "rewrites": (story["dataset"] or {}).get("rewrites"),
            "generated_tokens": generated(story),
            "seconds": seconds,
            "harvest_to_deployed": working,
        }
        print(f"seed {seed}, night {night}: {told(outcome)}", file=sys.stderr, flush=True)
        yield outcome


def day_of(seed: int, night: int) -> int:
    """The seed of the traffic before a night."""
    return seed * 100 + night - 1


def generated(story: Mapping[str, Any]) -> int:
    """Tokens that the harvests of a night had generated, all its rounds together."""
    return sum(line["outputs"].get("generated_tokens", 0) for line in story["stages"] if line["stage"] == "harvest")


def answered(examined: list[dict[str, Any]], deployed: bool) -> tuple[Right, Right]:
    """What was in service before a night, and what is after it: whether each held-out question is answered rightly."""
    before = {_key(each): each["incumbent"]["passed"] is True for each in examined}
    after = {_key(each): each["candidate"]["passed"] is True for each in examined}
    return before, after if deployed else before


def shares(right: Mapping[str, bool]) -> dict[str, dict[str, Any]]:
    """Of each family: asked, passed, success, and its interval."""
    told = {}
    for family in (SUMS, TEXTS):
        of_family = [ok for key, ok in right.items() if family_of(key) == family]
        if of_family:
            passed, asked = sum(of_family), len(of_family)
            interval = [round(each, 5) for each in proportion_interval(passed, asked)]
            told[family] = {"asked": asked, "passed": passed, "success": passed / asked, "interval": interval}
    return told


def kept(first: Right, now: Right) -> dict[str, int]:
    """How many questions were right at first, and how many of those are wrong now."""
    right = [key for key, ok in first.items() if ok]
    return {"right": len(right), "wrong_now": sum(not now.get(key) for key in right)}


def family_of(key: str) -> str:
    """The family of a held-out question; its group says so."""
    return TEXTS if key.startswith(f"{TEXTS}: ") else SUMS


def _key(question: Mapping[str, Any]) -> str:
    return f"{question['group']}: {question['messages'][-1]['content']}"


def told(outcome: Mapping[str, Any]) -> str:
    """A night in one line."""
    parts = [f"{family} {each['success']:.1%}" for family, each in outcome["after"].items()]
    return f"{', '.join(parts)}; {outcome['harvest_to_deployed'] / 60:.1f} minutes, exit {outcome['exit_code']}"
