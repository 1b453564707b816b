"""What answers cost, and that none is paid twice."""

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipeline.backends.providers.interface import Answer, Options, ProviderError
from pipeline.backends.providers.ledger import Budget, BudgetSpentError, Ledger
from pipeline.backends.providers.registry import Model
from pipeline.lib.errors import DiskError

MODEL = Model("a", "openai", "http://there", "m", (), price_in=1.0, price_out=2.0)
ASKED = [{"role": "user", "content": "?"}]
ANSWER = Answer("yes", 1000, 500)


def pay(ledger: Ledger, asked: str = "?", model: Model = MODEL, answer: Answer = ANSWER, **options: Any) -> Answer:
    return ledger.answer(model, [{"role": "user", "content": asked}], Options(**options), lambda: answer)


def unpaid() -> Answer:
    raise AssertionError("asked again")


def test_the_same_question_is_paid_once_and_remembered_by_the_next_process(tmp_path: Path):
    first = Ledger(tmp_path / "answers", "20261120", Budget())
    assert pay(first) == ANSWER
    first.close()
    second = Ledger(tmp_path / "answers", "20261120", Budget(calls=1))
    assert second.answer(MODEL, ASKED, Options(), unpaid) == ANSWER
    assert (second.spent.calls, second.spent.tokens, second.spent.money) == (1, 1500, 0.002)
    second.close()


def test_another_seed_option_model_or_address_is_another_question(tmp_path: Path):
    ledger = Ledger(tmp_path / "answers", "20261120", Budget())
    elsewhere = Model("a", "openai", "http://elsewhere", "m", ())
    answers = [
        pay(ledger, answer=Answer("1")),
        pay(ledger, answer=Answer("2"), seed=1),
        pay(ledger, answer=Answer("3"), temperature=0.5),
        pay(ledger, "!", answer=Answer("4")),
        pay(ledger, model=elsewhere, answer=Answer("5")),
    ]
    assert [each.text for each in answers] == ["1", "2", "3", "4", "5"]
    ledger.close()


def test_the_question_itself_is_not_kept(tmp_path: Path):
    ledger = Ledger(tmp_path / "answers", "20261120", Budget())
    pay(ledger, "the secret question")
    ledger.close()
    assert b"secret" not in (tmp_path / "answers").read_bytes()


@pytest.mark.parametrize("budget", [Budget(calls=7), Budget(tokens=7 * 508), Budget(money=7.5 * 0.001008)])
def test_many_at_a_time_never_spend_more_than_there_is(budget: Budget):
    ledger, asked = Ledger(None, "20261120", budget), []

    def ask() -> Answer:
        asked.append(1)
        time.sleep(0.002)
        return Answer("yes", 8, 500)

    def one(number: int) -> bool:
        try:
            ledger.answer(MODEL, [{"role": "user", "content": str(number)}], Options(max_tokens=500), ask)
        except BudgetSpentError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        paid = sum(pool.map(one, range(40)))
    assert paid == len(asked) == ledger.spent.calls
    assert paid == 7
    assert ledger.over in ("calls", "tokens", "money")
    ledger.close()


def test_who_waits_for_another_call_goes_on_when_that_was_cheaper_than_feared():
    ledger = Ledger(None, "20261120", Budget(tokens=150))
    begun, end = threading.Event(), threading.Event()

    def slowly() -> Answer:
        begun.set()
        end.wait(5)
        return Answer("a", 1, 1)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ledger.answer, MODEL, ASKED, Options(max_tokens=100), slowly)
        assert begun.wait(5)
        second = pool.submit(ledger.answer, MODEL, ASKED, Options(max_tokens=101), lambda: Answer("b", 1, 1))
        time.sleep(0.05)
        assert not second.done()
        end.set()
        assert (first.result().text, second.result().text) == ("a", "b")
    ledger.close()


def test_nobody_waits_for_ever_for_a_call_whose_row_cannot_be_written(tmp_path: Path):
    ledger = Ledger(tmp_path / "answers", "20261120", Budget(tokens=150))
    ledger._rows.execute("PRAGMA max_page_count = 1")  # no more pages than it has: the disk is full
    begun, end = threading.Event(), threading.Event()

    def slowly() -> Answer:
        begun.set()
        end.wait(5)
        return Answer("a" * 100_000, 1, 1)

    answers: list[Answer] = []

    def wait() -> None:
        answers.append(ledger.answer(MODEL, ASKED, Options(max_tokens=101), lambda: Answer("b", 1, 1)))

    waiting = threading.Thread(target=wait, daemon=True)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ledger.answer, MODEL, ASKED, Options(max_tokens=100), slowly)
        assert begun.wait(5)
        waiting.start()
        time.sleep(0.05)
        end.set()
        with pytest.raises(DiskError, match="full"):
            first.result(5)
    waiting.join(5)
    assert [each.text for each in answers] == ["b"]
    ledger.close()


def test_a_call_that_failed_counts_and_is_made_again():
    ledger = Ledger(None, "20261120", Budget())

    def fails() -> Answer:
        raise ProviderError("no")

    with pytest.raises(ProviderError):
        ledger.answer(MODEL, ASKED, Options(), fails)
    assert pay(ledger) == ANSWER
    assert ledger.spent.calls == 2
    ledger.close()


def test_a_call_that_was_not_answered_in_time_is_paid_as_if_it_had_been():
    ledger = Ledger(None, "20261120", Budget(tokens=500))

    def silent() -> Answer:
        raise ProviderError("no answer", may_be_billed=True)

    with pytest.raises(ProviderError):
        ledger.answer(MODEL, ASKED, Options(max_tokens=300), silent)
    assert ledger.spent.tokens == 8 + 300
    with pytest.raises(BudgetSpentError):
        pay(ledger, max_tokens=300)
    ledger.close()


def test_servers_that_do_not_count_are_counted_for():
    ledger = Ledger(None, "20261120", Budget())
    pay(ledger, "x" * 300, answer=Answer("y" * 30))
    assert ledger.spent.tokens == 8 + 100 + 1 + 10
    ledger.close()


def test_that_a_reply_was_cut_is_remembered_in_files_from_before_as_well(tmp_path: Path):
    with sqlite3.connect(tmp_path / "answers") as rows:
        rows.execute(
            "CREATE TABLE calls (key TEXT NOT NULL, at REAL NOT NULL, day TEXT NOT NULL, model TEXT NOT NULL,"
            " text TEXT, tokens_in INTEGER, tokens_out INTEGER, tokens INTEGER NOT NULL, money REAL NOT NULL)"
        )
        rows.execute("INSERT INTO calls VALUES ('k', ?, '20261120', 'm', 'old', 1, 1, 2, 0.5)", (time.time(),))
    rows.close()
    cut = Answer("and then", 1000, 500, cut=True)
    for _ in range(2):
        ledger = Ledger(tmp_path / "answers", "20261120", Budget())
        assert pay(ledger, answer=cut) == cut
        assert ledger.spent.calls == 2
        ledger.close()


def test_what_is_older_than_a_week_is_forgotten(tmp_path: Path):
    ledger = Ledger(tmp_path / "answers", "20261120", Budget())
    pay(ledger)
    ledger.close()
    with sqlite3.connect(tmp_path / "answers") as rows:
        rows.execute("UPDATE calls SET at = at - 8 * 24 * 3600")
    rows.close()
    ledger = Ledger(tmp_path / "answers", "20261121", Budget())
    assert pay(ledger, answer=Answer("anew")).text == "anew"
    ledger.close()


def test_a_file_that_is_none_of_ours_is_a_clear_error(tmp_path: Path):
    (tmp_path / "answers").write_text("not a database, and long enough to be taken for one" * 50)
    with pytest.raises(DiskError, match="answers"):
        Ledger(tmp_path / "answers", "20261120", Budget())


def test_parts_of_a_budget_are_not_more_than_the_whole():
    assert Budget(10, None, 3.0).part(4) == Budget(2.5, None, 0.75)
