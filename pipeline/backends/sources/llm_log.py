"""The log of the `llm` command line tool: `logs.db`, in both generations of its schema.

Up to 0.31 an answer is a row of `responses`; from 0.32 on a `turn` between two nodes of a tree of `messages`. An
upgraded database holds both: old rows stay where they were.

Of two turns of one thread that answer the same message, the one on the way to the thread's tip was kept; the other gets
it as `feedback.preferred`. Where neither or both lie on that way nothing is said. A turn that only calls a tool is no
answer; it is part of what the next turn was asked.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pipeline.backends.sources import interactions, llm_responses, moments, sqlite
from pipeline.backends.sources.interface import Row
from pipeline.backends.sources.llm_messages import Tree
from pipeline.lib.errors import BadRecordError
from pipeline.lib.problems import Problems

_WANTED = (
    "id",
    "thread_id",
    "parent_message_hash",
    "tip_message_hash",
    "model",
    "resolved_model",
    "output_tokens",
    "duration_ms",
    "datetime_utc",
)
_NEEDED = {"id", "thread_id", "parent_message_hash", "tip_message_hash", "datetime_utc"}


class LlmLog:
    """See `pipeline.backends.sources.interface.Source`."""

    kind: ClassVar[str] = "llm"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = interactions.named(self.kind, [path])

    @staticmethod
    def standard_places(environ: Mapping[str, str], user_home: Path) -> list[Path]:
        """Where `llm logs path` points to."""
        folder = environ.get("LLM_USER_PATH")
        configuration = {
            Path(environ.get("XDG_CONFIG_HOME") or user_home / ".config"),
            user_home / ".config",
            user_home / "Library" / "Application Support",
        }
        folders = [Path(folder)] if folder else sorted(each / "io.datasette.llm" for each in configuration)
        return [each / "logs.db" for each in folders]

    def rows(self, since: float, until: float, problems: Problems) -> Iterator[Row]:
        """Every answer of the window, and earlier ones that were replaced in it."""
        with sqlite.opened(self.path) as database:
            turns = bool(sqlite.columns(database, "turns"))
            responses = bool(sqlite.columns(database, "responses"))
            if not turns and not responses:
                raise BadRecordError(
                    f"{self.path}: no table turns or responses",
                    "this is no log of llm, or one of a newer schema than is known here",
                )
            new = {str(row["id"]) for row in database.execute("SELECT id FROM turns")} if turns else set()
            if turns:
                yield from self._turns(database, since, until, problems)
            if responses:
                yield from llm_responses.read(database, self.path, self.name, since, until, problems, known=new)

    def _turns(self, database: sqlite3.Connection, since: float, until: float, problems: Problems) -> Iterator[Row]:
        tree = Tree(database, self.path)
        kept = _kept(_read_turns(database, self.path, problems), _tips(database, self.path), tree)
        for turn, better in kept:
            replaced = None if better is None else max(turn.at, better.at)
            if not (since <= turn.at < until or (replaced is not None and since <= replaced < until)):
                continue
            try:
                answer = tree.between(turn.tip, turn.parent)
                if not answer:
                    continue
                preferred = tree.between(better.tip, better.parent) if better else None
                feedback = interactions.said(answer, at=replaced, preferred=preferred)
                yield interactions.row(
                    self.name,
                    turn.id,
                    turn.at,
                    tree.chain(turn.parent),
                    answer,
                    feedback,
                    session=turn.thread,
                    model=turn.model,
                    latency_ms=turn.milliseconds,
                    tokens=turn.tokens,
                )
            except interactions.UNREADABLE as error:
                problems.add(interactions.why(error), f"{self.path.name} turn {turn.id}")


@dataclass(frozen=True, slots=True)
class _Turn:
    """One call of a model: it answered `parent` with what lies between that and `tip`."""

    id: str
    thread: str
    parent: str | None
    tip: str
    at: float
    model: str | None
    milliseconds: float | None
    tokens: int | None


def _read_turns(database: sqlite3.Connection, path: Path, problems: Problems) -> list[_Turn]:
    present = sqlite.require(database, path, "turns", _NEEDED, "llm")
    found = []
    for row in database.execute(sqlite.selected("turns", present, _WANTED)):
        try:
            if row["tip_message_hash"] is None:
                raise ValueError("a turn without an answer")
            found.append(
                _Turn(
                    str(row["id"]),
                    str(row["thread_id"]),
                    row["parent_message_hash"],
                    str(row["tip_message_hash"]),
                    moments.seconds(row["datetime_utc"]),
                    row["resolved_model"] or row["model"],
                    row["duration_ms"],
                    row["output_tokens"],
                )
            )
        except interactions.UNREADABLE as error:
            problems.add(interactions.why(error), f"{path.name} turn {row['id']}")
    return sorted(found, key=lambda turn: turn.at)


def _tips(database: sqlite3.Connection, path: Path) -> dict[str, str]:
    """Where each thread stands."""
    sqlite.require(database, path, "threads", {"id", "tip_message_hash"}, "llm")
    query = "SELECT id, tip_message_hash FROM threads WHERE tip_message_hash IS NOT NULL"
    return {str(row["id"]): str(row["tip_message_hash"]) for row in database.execute(query)}


def _kept(turns: list[_Turn], tips: dict[str, str], tree: Tree) -> Iterator[tuple[_Turn, _Turn | None]]:
    """Each turn with the one that was kept instead of it, if there is exactly one."""
    rivals: dict[tuple[str, str | None], list[_Turn]] = {}
    for turn in turns:
        rivals.setdefault((turn.thread, turn.parent), []).append(turn)
    for turn in turns:
        group = rivals[turn.thread, turn.parent]
        if len(group) == 1 or turn.thread not in tips:
            yield turn, None
            continue
        way = _way(tree, tips[turn.thread])
        stayed = {each.tip: each for each in group if each.tip in way}
        alone = next(iter(stayed.values())) if len(stayed) == 1 else None
        yield turn, None if turn.tip in stayed else alone


def _way(tree: Tree, tip: str) -> list[str]:
    """The way to a tip; none if it is damaged, which is said of the turns on it."""
    try:
        return tree.way(tip)
    except ValueError:
        return []
