"""The story of one night for a terminal: a first line in plain words, a table of numbers, the next step."""

from typing import Any

from pipeline.lib.text import visible


def show(story: dict[str, Any]) -> None:
    """Print how it ended, the table, and what to do next; text of others is shown, never obeyed."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    # A hash is never cut: the second column keeps the room for it.
    columns = Column("what", max_width=24), Column("numbers", overflow="fold")
    table = Table(*columns, title=f"Night {story['run']}", title_justify="left", min_width=76)
    for name, text in _rows(story):
        table.add_row(Text(visible(name)), Text(visible(text)))
    console = Console(highlight=False, width=None if Console().is_terminal else 100)
    console.print(Text(story["headline"], "bold"))
    console.print(table)
    console.print(Text(f"next: {story['next_step']}"))


def _rows(story: dict[str, Any]) -> list[tuple[str, str]]:
    verdict, dataset, generation = story["verdict"], story["dataset"], story["generation"]
    harvested = story["outputs"].get("harvest", {})
    rows = []
    if harvested:
        rows.append(
            (
                "harvested",
                f"{harvested.get('failures')} failures in the window, {_worked_on(story)} tries to answer them, "
                f"{harvested.get('left')} left for want of time; "
                f"today {harvested.get('rewrites')} better answers, {harvested.get('unsolved')} unsolved",
            )
        )
    rows += _trouble(story["harvest"] or {})
    rows += _steered((story["harvest"] or {}).get("steering"))
    if dataset:
        rows.append(
            (
                "dataset",
                f"{dataset['new']} new of {dataset['rewrites']} rewrites + {dataset['replay']} good answers replayed",
            )
        )
        rows += [(name, counted) for name in ("dropped", "removed") if (counted := _counted(dataset.get(name)))]
    if generation:
        metrics = generation["metrics"]
        rows.append(
            (
                "trained",
                f"{metrics['steps']} steps, {metrics['supervised_tokens']} answer tokens, loss {metrics['loss']:.4f}",
            )
        )
    if verdict and "suites" in verdict:
        holdout = verdict["suites"]["holdout"]
        rows += [
            (f"held-out {when}", _share(holdout, side))
            for when, side in (("before", "incumbent"), ("after", "candidate"))
        ]
    if verdict:
        rows.append(("verdict", f"{verdict['outcome']}: {verdict['reason']}"))
    if story["deployment"]:
        watch = story["deployment"]["watch"]
        rows.append(("watched", f"{watch['health']}: {watch['reason']}; {watch.get('requests', 0)} live requests"))
    server = story["server"]
    rows.append(
        ("serving", f"{server['adapter']} sha256 {server['adapter_sha256'] or '–'}" if server else "server is down")
    )
    rows += [(line["stage"], _ending(line)) for line in story["stages"]]
    return rows


def _trouble(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Sources that could not be read, or not all of them."""
    unread = [f"{name}: {error}" for name, error in manifest.get("unreadable", {}).items()]
    lines = [
        f"{name}: {each['count']} × {each['reason']} ({each['places'][0]})"
        for name, problems in manifest.get("problems", {}).items()
        for each in problems
    ]
    return [("not read", line) for line in [*unread, *lines]]


def _steered(steering: dict[str, Any] | None) -> list[tuple[str, str]]:
    """What past nights taught this one: the strategies that differ from the default, and what came of them."""
    if not steering or not steering["learned_from"]:
        return []
    expected, default = steering["expected"], steering["default"]
    taught = (
        f"{steering['learned_from']} earlier tries; {steering['solved']} of {steering['failures']} failures solved "
        f"with {steering['drafts']} drafts; expected: {expected['solved']:.0f} with {expected['drafts']}, "
        f"by default {expected['default_solved']:.0f} with {expected['default_drafts']}"
    )
    return [
        ("past nights taught", taught),
        *(
            (
                f"{each['label']}  ({each['length']} words)",
                f"{each['samples']} samples at {each['temperature']:g}, not {default['samples']} at "
                f"{default['temperature']:g}; solved {_rate(each['after'])} of {each['failures']}, "
                f"before {_rate(each['before'])}",
            )
            for each in steering["patterns"]
            if (each["samples"], each["temperature"]) != (default["samples"], default["temperature"])
        ),
    ]


def _rate(rates: dict[str, float] | None) -> str:
    return "–" if rates is None else f"{rates['rate']:.0%} [{rates['low']:.0%}, {rates['high']:.0%}]"


def _counted(counts: dict[str, int] | None) -> str:
    return ", ".join(f"{count} × {name}" for name, count in sorted((counts or {}).items()))


def _worked_on(story: dict[str, Any]) -> int:
    """Of all rounds."""
    return sum(line["outputs"].get("worked_on", 0) for line in story["stages"] if line["stage"] == "harvest")


def _share(holdout: dict[str, Any], side: str) -> str:
    if holdout[side]["success"] is None:
        return "no hold-out"
    low, high = holdout[side]["interval"]
    return f"{holdout[side]['success']:.1%}  [{low:.1%}, {high:.1%}] of {holdout['n']}, asked of the server"


def _ending(line: dict[str, Any]) -> str:
    message = f"  {line['message']}" if line.get("message") else ""
    return f"{line['seconds']:.1f} s  exit {line['exit_code']}{message}"
