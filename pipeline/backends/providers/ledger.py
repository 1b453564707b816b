"""What a night asks of other models: each answer is paid once, and no more is asked than the budget allows.

`training_data/answers.sqlite` holds one row a call: a hash of what was asked (never the question itself), who
answered, what it said, and what it cost. The same question to the same model with the same options and seed is
answered from there, so a harvest that is killed pays nothing again. The spending of a day is the sum of its rows, so
it outlives the process too. Rows go after a week, the time for which a failure waits.
"""

import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.backends.providers.interface import Answer, Options, ProviderError
from pipeline.backends.providers.registry import Model
from pipeline.lib.errors import DiskError, NightschoolError
from pipeline.lib.records import Message, content_id

_KEPT_SECONDS = 7 * 24 * 3600.0
_KEPT_ROWS = 1_000_000
_CHARACTERS = (
    3  # in a token, at least nearly always; for servers that do not count, and to know before what a call costs
)
_MILLION = 1_000_000
_TABLE = """
CREATE TABLE IF NOT EXISTS calls (
    key TEXT NOT NULL, at REAL NOT NULL, day TEXT NOT NULL, model TEXT NOT NULL,
    text TEXT, tokens_in INTEGER, tokens_out INTEGER, tokens INTEGER NOT NULL, money REAL NOT NULL,
    cut INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS by_key ON calls (key);
CREATE INDEX IF NOT EXISTS by_day ON calls (day);
"""
_NEW_COLUMN = "ALTER TABLE calls ADD COLUMN cut INTEGER NOT NULL DEFAULT 0"  # for files of earlier versions


class BudgetSpentError(NightschoolError):
    """The next call would cost more than is left of tonight's budget."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What calls have cost; money in the currency of the prices."""

    calls: int = 0
    tokens: float = 0
    money: float = 0


@dataclass(frozen=True, slots=True)
class Budget:
    """What a night may cost; none: no limit."""

    calls: float | None = None
    tokens: float | None = None
    money: float | None = None

    def part(self, count: int) -> "Budget":
        """For one of so many that share it."""
        shares = (None if each is None else each / count for each in (self.calls, self.tokens, self.money))
        return Budget(*shares)


class Ledger:
    """Remembers and pays; safe to use from many threads."""

    def __init__(self, path: Path | None, day: str, budget: Budget) -> None:
        """Open it, and forget what is old.

        Args:
            path: the file; none: memory, for a worker that has no home folder.
            day: the night that pays, YYYYMMDD.
            budget: what all calls of that day may cost together.

        Raises:
            DiskError: it cannot be opened.
        """
        self.over: str | None = None  # what of the budget is spent
        self.remembered = 0  # answers that cost nothing this time
        self._day, self._budget = day, budget
        self._changed = threading.Condition()
        self._reserved: list[Spent] = []
        self._path = path
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._rows = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None, timeout=30)
            self._rows.execute("PRAGMA journal_mode=WAL")
            self._rows.executescript(_TABLE)
            if "cut" not in {column[1] for column in self._rows.execute("PRAGMA table_info(calls)")}:
                self._rows.execute(_NEW_COLUMN)
            self._rows.execute("DELETE FROM calls WHERE at < ?", (time.time() - _KEPT_SECONDS,))
            self._rows.execute("DELETE FROM calls WHERE rowid <= (SELECT max(rowid) FROM calls) - ?", (_KEPT_ROWS,))
            row = self._rows.execute("SELECT count(*), total(tokens), total(money) FROM calls WHERE day = ?", (day,))
            self._spent = Spent(*row.fetchone())
        except (OSError, sqlite3.Error) as error:
            raise self._broken(error) from error

    def answer(
        self, model: Model, messages: list[Message], options: Options, ask: Callable[[], Answer], *more: Any
    ) -> Answer:
        """The answer from before, or a new one, paid and written down before anybody sees it.

        Args:
            model: who is asked, for how much.
            messages, options: what is asked, and how; with the model, what makes two calls the same.
            ask: makes the call.
            more: replaces `messages` in what makes two calls the same, where those differ each time.

        Raises:
            BudgetSpentError: the call could cost more than is left, and nothing else is under way.
            ProviderError: as `ask` does; the call is counted all the same, and one that may be billed with its worst.
            DiskError: the answer cannot be kept.
        """
        key = content_id(model.key, asdict(options), list(more) or messages)
        known = self._find(key)
        if known is not None:
            return known
        worst = _cost(model, Answer("", _tokens(messages), options.max_tokens))
        self._reserve(worst)
        answer, cost = None, Spent(1)
        try:
            answer = ask()
            cost = _cost(model, counted(answer, messages))
        except ProviderError as error:
            cost = worst if error.may_be_billed else cost
            raise
        finally:
            with self._changed:
                self._reserved.remove(worst)
                self._spent = _sum(self._spent, cost)
                self._changed.notify_all()  # before what may fail: else those that wait would wait for ever
                self._write(key, model, answer, cost)
        return answer

    @property
    def spent(self) -> Spent:
        """What this day has cost so far."""
        with self._changed:
            return self._spent

    def close(self) -> None:
        """Close the file."""
        self._rows.close()

    def _find(self, key: str) -> Answer | None:
        with self._changed:
            found = self._execute(
                "SELECT text, tokens_in, tokens_out, cut FROM calls WHERE key = ? AND text IS NOT NULL", (key,)
            ).fetchone()
            self.remembered += found is not None
        if found is None:
            return None
        text, tokens_in, tokens_out, cut = found
        return Answer(text, tokens_in, tokens_out, bool(cut))

    def _reserve(self, worst: Spent) -> None:
        """Wait until the worst case fits beside what is under way."""
        with self._changed:
            while (over := self._exceeded(worst)) is not None:
                if not self._reserved:
                    self.over = over
                    raise BudgetSpentError(
                        f"the night's budget of {over} is spent", "what is left waits; see [harvest]"
                    )
                self._changed.wait()
            self._reserved.append(worst)

    def _exceeded(self, worst: Spent) -> str | None:
        for name in ("calls", "tokens", "money"):
            limit = getattr(self._budget, name)
            together = sum(getattr(each, name) for each in (self._spent, worst, *self._reserved))
            if limit is not None and together > limit:
                return name
        return None

    def _write(self, key: str, model: Model, answer: Answer | None, cost: Spent) -> None:
        said = (answer.text, answer.tokens_in, answer.tokens_out) if answer else (None, None, None)
        self._execute(
            "INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (key, time.time(), self._day, model.key, *said, cost.tokens, cost.money, bool(answer and answer.cut)),
        )

    def _execute(self, statement: str, values: tuple[Any, ...]) -> sqlite3.Cursor:
        try:
            return self._rows.execute(statement, values)
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> DiskError:
        return DiskError(
            f"cannot use {self._path}: {error}", "free some space; it may be removed, answers are paid anew"
        )


def _sum(spent: Spent, cost: Spent) -> Spent:
    return Spent(spent.calls + cost.calls, spent.tokens + cost.tokens, spent.money + cost.money)


def _cost(model: Model, answer: Answer) -> Spent:
    tokens_in, tokens_out = answer.tokens_in or 0, answer.tokens_out or 0
    money = (tokens_in * model.price_in + tokens_out * model.price_out) / _MILLION
    return Spent(1, tokens_in + tokens_out, money)


def counted(answer: Answer, messages: list[Message]) -> Answer:
    """With the tokens that the server counted, else what they probably are."""
    tokens_in = _tokens(messages) if answer.tokens_in is None else answer.tokens_in
    tokens_out = 1 + len(answer.text) // _CHARACTERS if answer.tokens_out is None else answer.tokens_out
    return replace(answer, tokens_in=tokens_in, tokens_out=tokens_out)


def _tokens(messages: list[Message]) -> int:
    return sum(8 + len(message["content"]) // _CHARACTERS for message in messages)
