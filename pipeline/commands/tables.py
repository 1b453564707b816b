"""Generations and answers as tables for people."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import typer

from pipeline.commands.common import show_table
from pipeline.lib.text import visible


def show_versions(result: dict[str, Any]) -> None:
    """One line a generation."""
    rows = [
        (
            each["id"],
            each["parent"],
            _base(each),
            (each["created"] or "–")[:16].replace("T", " "),
            each["rows"],
            " ".join(part for part in (each["verdict"], _signed(each["difference"])) if part) or None,
            _share(each["held_out"]),
            ", ".join(each["marks"]),
        )
        for each in result["versions"]
    ]
    show_table(("version", "parent", "base", "created", "rows", "verdict", "held-out", "marks"), rows)


def show_comparison(result: dict[str, Any]) -> None:
    """The numbers in two columns, then the answers."""
    first, second = result["first"], result["second"]
    shown: dict[str, Callable[[Any], str | None]] = {
        "parent": str,
        "base": str,
        "rows": str,
        "preset": str,
        "steps": str,
        "supervised_tokens": str,
        "loss": "{:.4f}".format,
        "verdict": str,
        "difference": _signed,
        "held_out": _share,
    }
    rows = [
        (name.replace("_", " "), *(None if side[name] is None else words(side[name]) for side in (first, second)))
        for name, words in shown.items()
    ]
    rows.append(("right", *(result["both_right"] + result[f"only_{side}_right"] for side in ("first", "second"))))
    show_table(("", first["id"], second["id"]), rows)
    if result["questions"]:
        typer.echo(
            f"{result['questions']} questions asked of both; right on: only {first['id']} "
            f"{result['only_first_right']}, only {second['id']} {result['only_second_right']}"
        )
    else:
        typer.echo("no question was asked of both")
    show_answers(result["answers"], first["id"], second["id"])


def show_answers(rows: list[dict[str, Any]], first: str, second: str) -> None:
    """Each question with both answers. What people and models wrote is shown, never obeyed."""
    for row in rows:
        typer.echo(f"\n{visible(row['question'])}")
        for name, answer in ((first, row["first"]), (second, row["second"])):
            outcome = "right" if answer["passed"] else "wrong"
            typer.echo(f"  {name} ({outcome}): {visible(answer['text'])}")


def show_evidence(seen: dict[str, Any]) -> None:
    """What a person should know before saying yes or no."""
    verdict = seen["verdict"]
    typer.echo(f"candidate {seen['candidate']} against {seen['incumbent']}")
    typer.echo(f"verdict   {verdict['outcome'] or 'none'}: {visible(verdict['reason'] or 'the canary has not run')}")
    typer.echo(f"approval  {(seen['approval'] or {}).get('state', 'not asked for yet')}")
    show_answers(seen["answers"], seen["incumbent"], seen["candidate"])
    typer.echo("")


def show_validation(result: dict[str, Any]) -> None:
    """One line a group of questions."""
    typer.echo(f"yesterday {result['yesterday']}, today {result['today']}")
    rows = [
        (
            group,
            each["questions"],
            each["yesterday"],
            each["today"],
            _signed(each["improvement_rate"]),
            "[{:+.1%}, {:+.1%}]".format(*each["interval"]),
        )
        for group, each in result["groups"].items()
    ]
    show_table(("questions", "asked", "yesterday right", "today right", "improvement", "interval"), rows)


def show_lineage(story: dict[str, Any]) -> None:
    """The way of an interaction, a line a step."""
    typer.echo(f"interaction  {story['id']}")
    asked = story["interaction"]
    if asked:
        at = datetime.fromtimestamp(asked["at"], UTC).strftime("%Y-%m-%d %H:%M")
        typer.echo(f"asked        {at}  {asked['question']!r}")
        typer.echo(f"answered     {asked['answer']!r} by {asked['adapter'] or '–'}, {asked['signal'] or 'no failure'}")
    else:
        typer.echo("asked        not in our own log")
    for each in story["rewrites"]:
        checked = each["verified_by"] or "nobody"
        typer.echo(f"rewritten    {each['output']!r} by {each['teacher']}, verified by {checked}")
    for each in story["unsolved"]:
        typer.echo(f"not solved   {each['reason']} ({each['teacher']})")
    if not story["rewrites"] and not story["unsolved"]:
        typer.echo("harvested    never")
    for each in story["datasets"]:
        typer.echo(f"dataset      {each['run']}: {'used as' if each['used'] else 'left out,'} {each['reason']}")
    for each in story["generations"]:
        fate = [name.replace("_", " ") for name in ("promoted", "rolled_back", "current") if each[name]]
        typer.echo(
            f"trained      {each['id']}: {each['verdict'] or 'no verdict'}, {', '.join(fate) or 'never promoted'}"
        )
    if not story["generations"]:
        typer.echo("trained      by no generation that is still there")


def _base(each: dict[str, Any]) -> str | None:
    return f"{each['base']} {each['base_sha256'][:6]}" if each["base_sha256"] else None


def _signed(share: float | None) -> str | None:
    return None if share is None else f"{share:+.1%}"


def _share(share: float | None) -> str | None:
    return None if share is None else f"{share:.1%}"
