import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import TinyEmbedder, elsewhere, index_at, real_embedder, tiny_settings, write

from pipeline import rag
from pipeline.index import index
from pipeline.lib import jsonl
from pipeline.lib.config import Settings
from pipeline.lib.errors import ConfigurationError, NothingToDo, UsageError
from pipeline.retrieval.cache import Cache
from pipeline.retrieval.chroma import DamagedIndexError
from pipeline.retrieval.search import HISTORY, Searcher, Wanted, wanted_history


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with an index, to be copied."""
    home = tmp_path_factory.mktemp("made")
    write(home, "20261101-soup.md", "lentil soup on friday in the canteen " * 12)
    write(home, "20261120-pump.md", "the pump in hall three leaks")
    write(home, "tools/wrench.md", "the pump wrench lies in the left drawer")
    index(tiny_settings(home, tool_documents=["documents/tools/*.md"]), False, TinyEmbedder())
    return home


@pytest.fixture
def settings(made: Path, tmp_path: Path) -> Settings:
    home = Path(shutil.copytree(made, tmp_path / "home"))
    return tiny_settings(home, tool_documents=["documents/tools/*.md"])


@pytest.fixture
def searcher(settings: Settings):
    searcher = Searcher(settings, TinyEmbedder())
    yield searcher
    searcher.close()


def rebuild_at(home: Path) -> None:
    rag.rebuild(tiny_settings(home))


def paths(answer) -> list[str]:
    return list(dict.fromkeys(Path(hit.metadata["path"]).stem for hit in answer.hits))


def access(answer, **more) -> dict:
    """A line of the log about an answer."""
    hits = answer.hits
    line = {"at": time.time(), "query": "q", "key": answer.key, "version": answer.version, "ms": 20.0, "cached": False}
    return {**line, "ids": [hit.id for hit in hits], "similarities": [hit.similarity for hit in hits], **more}


def test_the_most_similar_passage_comes_first(searcher: Searcher):
    answer = searcher.search("which pump leaks", Wanted(2))
    assert paths(answer)[0] == "20261120-pump"
    assert answer.hits[0].similarity > answer.hits[1].similarity
    assert not answer.cached


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(9), ["20261120-pump", "20261101-soup"]),
        (Wanted(9, ("tools",)), ["wrench"]),
        (Wanted(9, ("historical",)), []),
        (Wanted(9, similarity=0.4), ["20261120-pump"]),
        (Wanted(9, since="2026-11-02"), ["20261120-pump"]),
        (Wanted(9, quality=0.1, since="2026-11-02"), ["20261120-pump"]),
        (Wanted(9, quality=0.5), ["20261101-soup"]),
    ],
)
def test_conditions_leave_out_what_does_not_fulfil_them(searcher: Searcher, wanted: Wanted, found: list[str]):
    assert paths(searcher.search("hall of the pump and friday", wanted)) == found


def test_the_same_question_in_other_letters_is_remembered_with_the_same_answer(searcher: Searcher):
    first = searcher.search("Which pump  leaks", Wanted(2))
    again = searcher.search("which PUMP leaks", Wanted(2))
    assert (again.cached, again.hits) == (True, first.hits)
    assert not searcher.search("which pump leaks", Wanted(3)).cached


def test_a_changed_index_is_seen_at_once_and_what_was_remembered_is_forgotten(settings: Settings, searcher: Searcher):
    assert paths(searcher.search("valve seven", Wanted(1, similarity=0.9))) == []
    write(settings.home, "20261121-valve.md", "valve seven")
    assert elsewhere(index_at, settings.home) == 0
    answer = searcher.search("valve seven", Wanted(1, similarity=0.9))
    assert (paths(answer), answer.cached) == (["20261121-valve"], False)


def test_a_rebuilt_index_is_opened_and_what_was_remembered_holds(settings: Settings, searcher: Searcher):
    searcher.search("which pump leaks", Wanted(2))
    assert elsewhere(rebuild_at, settings.home) == 0
    assert searcher.search("which pump leaks", Wanted(2)).cached
    assert paths(searcher.search("soup on friday", Wanted(1))) == ["20261101-soup"]


def test_a_hot_question_needs_neither_the_model_nor_chroma(settings: Settings, searcher: Searcher):
    answer = searcher.search("which pump leaks", Wanted(2))
    jsonl.append(settings.layout.retrieval, [access(answer)])
    embedder = TinyEmbedder()
    fresh = Searcher(settings, embedder)
    again = fresh.search("which pump leaks", Wanted(2))
    fresh.close()
    assert (again.hits, again.cached, embedder.asked) == (answer.hits, True, 0)


@pytest.mark.parametrize("stale", [{"version": "another"}, {"at": 0.0}, {"ids": ["gone#0"], "similarities": [1.0]}])
def test_a_logged_answer_that_may_not_hold_any_more_is_not_given(settings: Settings, searcher: Searcher, stale: dict):
    answer = searcher.search("which pump leaks", Wanted(2))
    jsonl.append(settings.layout.retrieval, [access(answer, **stale)])
    fresh = Searcher(settings, TinyEmbedder())
    assert not fresh.search("which pump leaks", Wanted(2)).cached
    fresh.close()


def test_only_the_passages_used_most_are_hot(settings: Settings, searcher: Searcher):
    often = searcher.search("soup", Wanted(1))
    seldom = searcher.search("pump", Wanted(1))
    jsonl.append(settings.layout.retrieval, [access(often), access(often), access(seldom)])
    few = settings.model_copy(update={"retrieval": settings.retrieval.model_copy(update={"hot": 1})})
    fresh = Searcher(few, TinyEmbedder())
    assert [fresh.search(text, Wanted(1)).cached for text in ("soup", "pump")] == [True, False]
    fresh.close()


def test_a_log_that_cannot_be_read_costs_only_the_hot_list(settings: Settings, searcher: Searcher):
    settings.layout.retrieval.write_text("no JSON\n")
    assert paths(searcher.search("which pump leaks", Wanted(1))) == ["20261120-pump"]


def test_hot_counts_accesses_and_names_bad_lines(settings: Settings, searcher: Searcher):
    answer = searcher.search("soup on friday", Wanted(1))
    lines = [access(answer), access(answer, cached=True, ms=0.2, text="soup?"), {"at": 1}]
    jsonl.append(settings.layout.retrieval, lines)
    told = rag.hot(settings)
    assert (told["accesses"], told["cached"]) == (2, 1)
    assert told["passages"][0]["path"] == "documents/20261101-soup.md"
    assert told["questions"] == [{"query": "q", "text": "soup?", "accesses": 2, "cached": 1, "ms": 10.1}]
    assert told["problems"][0]["places"] == [f"{settings.layout.retrieval} line 3"]


def test_without_accesses_there_is_no_hot_list(settings: Settings):
    with pytest.raises(NothingToDo, match="no accesses"):
        rag.hot(settings)


def test_searching_without_an_index_says_what_to_do(tmp_path: Path):
    with pytest.raises(UsageError, match="no documents are indexed"):
        rag.search(tiny_settings(tmp_path), "text", 5, None, TinyEmbedder())


def test_an_index_of_another_model_is_not_asked(settings: Settings):
    class Other(TinyEmbedder):
        name = "other"

    with pytest.raises(ConfigurationError, match="made with tiny"):
        rag.search(settings, "text", 5, None, Other())


def test_a_damaged_folder_is_named_and_a_rebuilt_one_is_used_by_whoever_met_the_damage(settings: Settings):
    folder = settings.home / settings.retrieval.folder
    (folder / "chroma.sqlite3").write_bytes(b"no database" * 1000)
    searcher = Searcher(settings, TinyEmbedder())
    for _ in range(2):
        with pytest.raises(DamagedIndexError) as caught:
            searcher.search("pump", Wanted(1))
        assert "rag rebuild" in caught.value.hint
    rag.rebuild(settings)
    assert paths(searcher.search("which pump leaks", Wanted(1))) == ["20261120-pump"]
    searcher.close()


def test_searching_by_hand_shows_what_was_found_and_leaves_no_trace_in_the_log(settings: Settings):
    told = rag.search(settings, "pump wrench", 1, "tools", TinyEmbedder())
    assert told["passages"][0]["path"] == "documents/tools/wrench.md"
    assert not settings.layout.retrieval.exists()
    with pytest.raises(UsageError, match="no collection 'toolz'"):
        rag.search(settings, "pump", 1, "toolz", TinyEmbedder())


def test_the_real_model_finds_what_was_meant_by_other_words(tmp_path: Path):
    settings = Settings(home=tmp_path)
    write(tmp_path, "20261101-canteen.md", "The canteen serves lentil soup on Fridays. Bring your own bowl.")
    write(tmp_path, "20261102-pump.md", "Replaced the seal of the pump in hall three; vibration fell.")
    index(settings, False, real_embedder())
    told = rag.search(settings, "what can I eat for lunch?", 1, None, real_embedder())
    assert told["passages"][0]["path"] == "documents/20261101-canteen.md"


def test_the_days_that_count_are_those_up_to_today(settings: Settings):
    assert wanted_history(settings, 3) == Wanted(3, HISTORY, settings.retrieval.similarity, 0, None)
    recent = settings.model_copy(update={"retrieval": settings.retrieval.model_copy(update={"days": 1})})
    assert wanted_history(recent, 3).since < time.strftime("%Y-%m-%d", time.gmtime())


class TestCache:
    @given(st.lists(st.integers(0, 9)), st.integers(0, 5))
    def test_it_never_holds_more_than_its_size_and_always_the_latest(self, keys: list[int], size: int):
        cache: Cache[int, int] = Cache(size, 60)
        for key in keys:
            cache.put(key, -key)
            assert len(cache) <= size
            assert cache.get(key) == (-key if size else None)

    def test_what_was_used_longest_ago_goes_first(self):
        cache: Cache[str, int] = Cache(2, 60)
        cache.put("a", 1)
        cache.put("b", 2)
        cache.get("a")
        cache.put("c", 3)
        assert [cache.get(key) for key in "abc"] == [1, None, 3]

    def test_what_is_too_old_is_forgotten_however_often_it_is_used(self):
        now = 0.0
        cache: Cache[str, int] = Cache(2, 60, lambda: now)
        cache.put("a", 1)
        now = 59
        assert cache.get("a") == 1
        now = 60
        assert cache.get("a") is None
        assert len(cache) == 0
