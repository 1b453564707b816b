"""Passages, measurements and opinions as tables for people."""

from typing import Any

import typer

from pipeline.commands.common import show_table

_WIDTH = 100  # characters of a passage that are shown


def show_passages(result: dict[str, Any]) -> None:
    """One block a passage."""
    for each in result["passages"]:
        typer.echo(f"{each['similarity']:.3f}  {each['path']} ({each['date']}, quality {each['quality_score']:.2f})")
        typer.echo(f"       {_short(each['text'])}")
    typer.echo(f"{len(result['passages'])} passages in {result['ms']:.0f} ms")


def show_tuning(result: dict[str, Any]) -> None:
    """For each filter and count the best similarity, then what is recommended."""
    best: dict[tuple[str, int], dict[str, Any]] = {}
    for each in result["measured"]:
        key = (each["filter"], each["n"])
        if key not in best or each["f1"] > best[key]["f1"]:
            best[key] = each
    rows = [
        (
            each["filter"],
            each["n"],
            _threshold(each["similarity"]),
            *(f"{each[name]:.1%}" for name in ("recall", "precision", "f1")),
            f"{each['mrr']:.3f}",
            *(f"{each[name]:.1f}" for name in ("median_ms", "p95_ms")),
        )
        for each in best.values()
    ]
    columns = ("documents", "n", "similarity", "recall", "precision", "F1", "MRR", "median ms", "p95 ms")
    show_table(columns, rows)
    told = result["recommended"]
    typer.echo(
        f"recommended: retrieval.history = {told['n']}, retrieval.similarity = {told['similarity']:g}, "
        f"documents: {told['filter']}; "
        f"recall {told['recall']:.1%}, precision {told['precision']:.1%}, MRR {told['mrr']:.3f}, "
        f"median {told['median_ms']:.1f} ms, p95 {told['p95_ms']:.1f} ms on {result['questions']} questions"
    )
    _show_problems(result["problems"])


def show_hot(result: dict[str, Any]) -> None:
    """Passages, then questions."""
    typer.echo(f"{result['accesses']} accesses, {result['cached']} of them answered without Chroma")
    rows = [(each["accesses"], each["path"], each["id"]) for each in result["passages"]]
    show_table(("accesses", "document", "passage"), rows)
    asked = [
        (each["accesses"], each["cached"], f"{each['ms']:.1f}", _short(each["text"] or each["query"]))
        for each in result["questions"]
    ]
    show_table(("accesses", "cached", "mean ms", "question"), asked)
    _show_problems(result["problems"])


def show_rate(result: dict[str, Any]) -> None:
    """One line a version, and all together."""
    rows = [(version, *_rated(each)) for version, each in result["versions"].items()]
    show_table(
        ("version", "up", "down", "of these edited", "satisfied", "95 % interval"), [*rows, ("all", *_rated(result))]
    )
    _show_problems(result["problems"])


def _rated(each: dict[str, Any]) -> tuple[Any, ...]:
    if each["rate"] is None:
        return each["up"], each["down"], each["edited"], None, None
    low, high = each["interval"]
    return each["up"], each["down"], each["edited"], f"{each['rate']:.1%}", f"{low:.1%} to {high:.1%}"


def _threshold(similarity: float) -> str:
    return "any" if similarity <= -1 else f"{similarity:g}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"


def _show_problems(problems: list[dict[str, Any]]) -> None:
    for each in problems:
        typer.echo(f"left out: {each['count']} × {each['reason']} ({', '.join(each['places'])})", err=True)
