import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import TinyEmbedder, tiny_settings, write

from pipeline import rag
from pipeline.index import index
from pipeline.lib.config import Settings
from pipeline.lib.errors import BadRecordError, UsageError
from pipeline.retrieval import tune
from pipeline.retrieval.chroma import Hit
from pipeline.retrieval.search import Wanted
from pipeline.retrieval.truth import BUFFER, Truth
from pipeline.retrieval.tune import Labelled, Measured


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = tiny_settings(tmp_path)
    write(tmp_path, "20260101-soup.md", "lentil soup")
    write(tmp_path, "20261120-pump.md", "pump leaks")
    write(tmp_path, "20261120-valve.md", "valve sticks")
    index(settings, False, TinyEmbedder())
    return settings


def queries(settings: Settings, *lines: object) -> Path:
    path = settings.home / "queries.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def hits(*documents: str) -> list[Hit]:
    """Found in this order, each a bit less similar than the one before."""
    return [Hit(f"{name}#{rank}", "", {"document": name}, 0.55 - rank / 10) for rank, name in enumerate(documents)]


def of(measured: list[Measured], n: int, similarity: float) -> Measured:
    return next(each for each in measured if (each.n, each.similarity) == (n, similarity))


def test_the_numbers_are_those_of_documents_by_hand():
    answers = {"one": hits("b", "a", "a", "c"), "two": hits("d")}
    questions = [Labelled(query="one", relevant=["a", "x"]), Labelled(query="two", relevant=["d"])]

    def ask(question: str, wanted: Wanted) -> list[Hit]:
        return answers[question][: wanted.n]

    measured = tune.measure(questions, {"all": Wanted(10)}, ask)
    assert {each.n for each in measured} == set(tune.COUNTS)
    everything = of(measured, 10, -1.0)
    assert everything.recall == (0.5 + 1) / 2
    assert everything.precision == pytest.approx((1 / 3 + 1) / 2, abs=1e-4)
    assert everything.mrr == (0.5 + 1) / 2
    strict = of(measured, 10, 0.5)
    assert (strict.recall, strict.precision, strict.mrr) == (0.5, 0.5, 0.5)
    assert tune.recommended(measured).n == 3


def test_of_equals_fewer_passages_are_recommended_whatever_the_time():
    def one(n: int, milliseconds: float) -> Measured:
        return Measured("all", n, 0.3, 0.8, 0.8, 0.9, milliseconds, milliseconds)

    assert tune.recommended([one(10, 1), one(3, 9), one(5, 1)]).n == 3


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0.01, 1))
def test_a_percentile_has_its_share_at_or_below_it(values: list[float], share: float):
    found = tune._percentile(values, share)
    assert sum(each <= found for each in values) >= share * len(values) - 1e-9
    assert found in values


def test_questions_may_name_documents_by_path_or_id(settings: Settings):
    pump = next(each for each in Truth(settings.layout).read(BUFFER).values() if "pump" in each.path)
    path = queries(
        settings,
        {"query": "pump leaks", "relevant": [pump.id, pump.path]},
        {"query": "lentil soup", "relevant": ["documents/20260101-soup.md"]},
    )
    told = rag.tune(settings, path, TinyEmbedder())
    assert (told["questions"], told["problems"]) == (2, [])
    best = told["recommended"]
    assert (best["filter"], best["n"], best["recall"], best["precision"], best["mrr"]) == ("all", 1, 1.0, 1.0, 1.0)
    assert 0 < best["median_ms"] <= best["p95_ms"]
    recent = [each for each in told["measured"] if each["filter"] == "since 2026-10-21"]
    assert {each["recall"] for each in recent} == {0.5}


def test_bad_rows_are_named_and_the_rest_is_measured(settings: Settings):
    path = queries(
        settings,
        {"query": "pump leaks", "relevant": ["documents/20261120-pump.md", "documents/gone.md"]},
        {"query": "pump"},
        {"query": "", "relevant": ["x"]},
    )
    told = rag.tune(settings, path, TinyEmbedder())
    assert told["questions"] == 1
    assert {place.rpartition("line ")[2] for each in told["problems"] for place in each["places"]} == {"1", "2", "3"}


def test_a_file_without_a_usable_question_is_refused(settings: Settings):
    with pytest.raises(UsageError, match="no question"):
        rag.tune(settings, queries(settings, {"query": "pump", "relevant": ["gone"]}), TinyEmbedder())
    with pytest.raises(UsageError, match="no file"):
        rag.tune(settings, settings.home / "missing.jsonl", TinyEmbedder())
    (settings.home / "queries.jsonl").write_text("{]\n")
    with pytest.raises(BadRecordError, match="line 1"):
        rag.tune(settings, settings.home / "queries.jsonl", TinyEmbedder())
