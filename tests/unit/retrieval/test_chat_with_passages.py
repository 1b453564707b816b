"""The gateway, in this process, before an engine that says what it was asked."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tiny import TinyEmbedder, elsewhere, tiny_settings, write

from pipeline.backends.engines.chat import Completion, Request
from pipeline.backends.engines.interface import EngineError, UpstreamError
from pipeline.gateway.app import Gateway
from pipeline.gateway.interaction_log import InteractionLog
from pipeline.gateway.self_check import SelfCheck
from pipeline.gateway.traffic import Traffic
from pipeline.index import index
from pipeline.lib import jsonl
from pipeline.lib.config import Settings

QUESTION = "which pump leaks"
ASKED = [{"role": "user", "content": QUESTION}]
PUMP, SOUP, WRENCH = "the pump in hall three leaks", "a pump for lentil soup", "the pump wrench lies in the drawer"


class Engine:
    """Has the base version only. `most` words may be read; with `refuses` it says so only when it is asked."""

    name = "stand-in"
    active = "base"
    waiting = 0

    def __init__(self, most: int | None = None, refuses: bool = False) -> None:
        self.most, self.refuses = most, refuses
        self.asked: list[Request] = []

    def versions(self) -> dict[str, str | None]:
        return {"base": None}

    def room(self, messages: list[dict[str, str]]) -> int | None:
        if self.most is None:
            return None
        left = self.most - words(messages)
        if left <= 0:
            raise EngineError("too long")
        return left

    def admit(self, request: Request) -> Any:
        self.asked.append(request)
        if self.refuses and words(request.messages) > 20:
            request.future.set_exception(UpstreamError("too long", 400))
        else:
            if request.on_delta is not None:
                request.on_delta({"content": "yes"})
            request.future.set_result(Completion("yes", "stop", 3, ["yes"], [-0.1], [], "base", time.monotonic()))
        return request.future

    def close(self) -> None: ...


def words(messages: list[dict[str, str]]) -> int:
    return sum(len(message["content"].split()) for message in messages)


class Slow(TinyEmbedder):
    """Encodes when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()

    def encode(self, texts: Any) -> Any:
        self.may.wait(20)
        return super().encode(texts)


def make_index(settings: Settings) -> None:
    write(settings.home, "20261120-pump.md", PUMP)
    write(settings.home, "20261119-soup.md", SOUP)
    write(settings.home, "tools/wrench.md", WRENCH)
    index(settings, False, TinyEmbedder())


def settings_of(home: Path, **retrieval: Any) -> Settings:
    return tiny_settings(home, tool_documents=["documents/tools/*.md"], similarity=0.1, **retrieval)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with an index, to be copied."""
    home = tmp_path_factory.mktemp("made")
    make_index(settings_of(home))
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "home"))


@pytest.fixture
def settings(home: Path) -> Settings:
    return settings_of(home)


@contextmanager
def opened(settings: Settings, engine: Engine, embedder: TinyEmbedder | None = None) -> Iterator[TestClient]:
    log = InteractionLog(settings.layout.interactions)
    check = SelfCheck(settings, engine)
    gateway = Gateway(settings, engine, log, Traffic(), "", "token", check, embedder=embedder or TinyEmbedder())
    with TestClient(gateway.app()) as client:
        yield client


def ask(client: TestClient, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    answer = client.post("/v1/chat/completions", json={"messages": ASKED, **fields}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


def logged(settings: Settings) -> list[dict[str, Any]]:
    return [line for path in settings.layout.interactions.glob("*.jsonl") for line in jsonl.read(path)]


def test_the_passages_stand_in_one_system_message_before_the_chat(settings: Settings):
    engine = Engine()
    with opened(settings, engine) as client:
        ask(client, retrieval={"history": 1, "tools": 1})
    system, question = engine.asked[0].messages
    assert system["role"] == "system"
    assert [PUMP in system["content"], WRENCH in system["content"], SOUP in system["content"]] == [True, True, False]
    assert "documents/20261120-pump.md (2026-11-20)" in system["content"]
    assert question == ASKED[0]


def test_a_system_message_of_the_client_stays_first_and_the_only_one(settings: Settings):
    engine = Engine()
    chat = [{"role": "system", "content": "Be brief."}, *ASKED]
    parts = [{"role": "system", "content": [{"type": "text", "text": "Be brief."}]}, *ASKED]
    with opened(settings, engine) as client:
        for messages in (chat, parts):
            ask(client, messages=messages, retrieval={"history": 1})
    for request in engine.asked:
        assert [message["role"] for message in request.messages] == ["system", "user"]
        assert request.messages[0]["content"].startswith("Be brief.")
        assert PUMP in request.messages[0]["content"]


def test_engines_with_a_door_of_their_own_get_the_passages_in_the_client_s_body(settings: Settings):
    engine = Engine()
    with opened(settings, engine) as client:
        ask(client, retrieval={"history": 1}, mirostat=2)
        ask(client, retrieval={"history": 0}, mirostat=2)
    first, second = (request.payload for request in engine.asked)
    assert PUMP in first["messages"][0]["content"]
    assert (first["mirostat"], "retrieval" in first) == (2, False)
    assert second == {"messages": ASKED, "mirostat": 2}


def test_the_log_keeps_the_chat_as_it_was_sent_and_how_many_passages_were_used(settings: Settings):
    with opened(settings, Engine()) as client:
        ask(client, retrieval={"history": 2, "tools": 3})
        ask(client)
    first, second = logged(settings)
    assert (first["messages"], first["retrieval"]) == (ASKED, {"history": 2, "tools": 1})
    assert (second["messages"], second["retrieval"]) == (ASKED, {"history": 0, "tools": 0})


def test_the_access_log_names_passages_and_interaction_but_not_the_question(settings: Settings):
    with opened(settings, Engine()) as client:
        identity = ask(client, retrieval={"history": 1, "tools": 1}).json()["id"].removeprefix("chatcmpl-")
        ask(client, retrieval={"history": 1})
    first, tools, again = jsonl.read(settings.layout.retrieval)
    assert (first["interaction"], first["kind"], first["used"], first["cached"]) == (identity, "history", 1, False)
    assert (tools["kind"], again["cached"], again["ids"]) == ("tools", True, first["ids"])
    assert QUESTION not in settings.layout.retrieval.read_text()


def test_the_question_is_logged_where_that_is_wished(home: Path):
    settings = settings_of(home, log_queries=True)
    with opened(settings, Engine()) as client:
        ask(client, retrieval={"history": 1})
    (line,) = jsonl.read(settings.layout.retrieval)
    assert line["text"] == QUESTION


def test_the_settings_count_for_people_who_do_not_say_and_never_for_the_night(home: Path):
    settings = settings_of(home, history=1)
    engine = Engine()
    with opened(settings, engine) as client:
        ask(client)
        ask(client, retrieval={"history": 0})
        ask(client, headers={"x-nightschool-purpose": "canary"})
        ask(client, headers={"x-nightschool-purpose": "canary"}, retrieval={"tools": 1})
    assert [len(request.messages) for request in engine.asked] == [2, 1, 1, 2]


def test_a_stream_gets_passages_too(settings: Settings):
    engine = Engine()
    with opened(settings, engine) as client:
        text = ask(client, stream=True, retrieval={"history": 1}).text
    assert text.endswith("data: [DONE]\n\n")
    assert PUMP in engine.asked[0].messages[0]["content"]
    assert logged(settings)[0]["retrieval"] == {"history": 1, "tools": 0}


@pytest.mark.parametrize(("most", "used"), [(400, 3), (82, 3), (81, 2), (70, 2), (69, 1), (61, 0), (4, 0)])
def test_an_answer_does_not_get_shorter_for_passages(settings: Settings, most: int, used: int):
    engine = Engine(most)
    with opened(settings, engine) as client:
        ask(client, retrieval={"history": 2, "tools": 1}, max_tokens=20)
    assert sum(logged(settings)[0]["retrieval"].values()) == used
    assert engine.asked[0].max_tokens == min(20, most - 3)
    assert words(engine.asked[0].messages) + engine.asked[0].max_tokens <= most


def test_the_most_similar_passages_are_those_for_which_there_is_room(settings: Settings):
    engine = Engine(65)
    with opened(settings, engine) as client:
        ask(client, retrieval={"history": 2, "tools": 1}, max_tokens=20)
    assert PUMP in engine.asked[0].messages[0]["content"]


def test_an_engine_that_does_not_tell_its_room_and_refuses_is_asked_without_passages(settings: Settings):
    engine = Engine(refuses=True)
    with opened(settings, engine) as client:
        ask(client, retrieval={"history": 2})
        assert ask(client, stream=True, retrieval={"history": 2}).text.endswith("data: [DONE]\n\n")
    assert [len(request.messages) for request in engine.asked] == [2, 1, 2, 1]
    assert [line["retrieval"] for line in logged(settings)] == [{"history": 0, "tools": 0}] * 2


def test_passages_longer_than_the_settings_allow_are_left_out(home: Path):
    settings = settings_of(home, longest=10)
    with opened(settings, Engine()) as client:
        ask(client, retrieval={"history": 2})
    assert logged(settings)[0]["retrieval"] == {"history": 0, "tools": 0}


def damage(settings: Settings) -> None:
    (settings.home / settings.retrieval.folder / "chroma.sqlite3").write_bytes(b"no database" * 1000)


def forget(settings: Settings) -> None:
    (settings.layout.training_data / "documents" / "index.json").unlink()


@pytest.mark.parametrize(("harm", "said"), [(damage, "Chroma cannot use"), (forget, "no documents are indexed")])
def test_a_broken_index_is_a_warning_and_an_answer_without(settings: Settings, caplog, harm, said: str):
    harm(settings)
    engine = Engine()
    with opened(settings, engine) as client:
        ask(client, retrieval={"history": 2})
    assert engine.asked[0].messages == ASKED
    assert said in caplog.text


def test_an_index_that_takes_too_long_is_not_waited_for_and_others_are_not_held_up(home: Path, caplog):
    settings = settings_of(home, timeout=0.3)
    engine, embedder = Engine(), Slow()
    with opened(settings, engine, embedder) as client:
        begun = time.monotonic()
        ask(client, retrieval={"history": 2})
        assert 0.3 <= time.monotonic() - begun < 5
        assert client.get("/health").status_code == 200
        embedder.may.set()
    assert engine.asked[0].messages == ASKED
    assert "no passages for a chat within 0.3 s" in caplog.text


def test_other_chats_are_answered_while_one_waits_for_its_passages(home: Path):
    settings = settings_of(home, timeout=20)
    engine, embedder = Engine(), Slow()
    with opened(settings, engine, embedder) as client:
        waiting = threading.Thread(target=ask, args=(client,), kwargs={"retrieval": {"history": 1}})
        waiting.start()
        ask(client, messages=[{"role": "user", "content": "another"}])
        assert [request.messages[-1]["content"] for request in engine.asked] == ["another"]
        embedder.may.set()
        waiting.join()
    assert [len(request.messages) for request in engine.asked] == [1, 2]


@pytest.mark.parametrize("bad", [{"history": -1}, {"history": 51}, {"history": "many"}, 3])
def test_a_request_that_makes_no_sense_is_refused(settings: Settings, bad: object):
    with opened(settings, Engine()) as client:
        answer = client.post("/v1/chat/completions", json={"messages": ASKED, "retrieval": bad})
    assert answer.status_code == 400
    assert "retrieval" in answer.json()["error"]["message"]


def test_a_chat_without_passages_pays_nothing(tmp_path: Path):
    """In a process of its own: after a whole chat nothing of retrieval's libraries is there."""
    code = f"""
import json, sys
from pathlib import Path
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parent.parent)]}
from test_chat_with_passages import Engine, ask, opened, settings_of
with opened(settings_of(Path({str(tmp_path)!r})), Engine()) as client:
    ask(client)
print(json.dumps(sorted({{"chromadb", "sentence_transformers", "torch"}} & set(sys.modules))))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == []


def test_logged_questions_are_asked_again_as_soon_as_the_index_has_changed(home: Path):
    settings = settings_of(home, log_queries=True)
    often = [{"role": "user", "content": "soup"}]
    with opened(settings, Engine()) as client:
        ask(client, messages=often, retrieval={"history": 2})
        write(settings.home, "20261121-valve.md", "valve seven")
        assert elsewhere(index_tools_at, settings.home) == 0
        ask(client, retrieval={"history": 1})
        ask(client, messages=often, retrieval={"history": 2})
    lines = list(jsonl.read(settings.layout.retrieval))
    assert [line["cached"] for line in lines] == [False, False, True]
    assert lines[0]["version"] != lines[2]["version"]


def index_tools_at(home: Path) -> None:
    index(settings_of(home), False, TinyEmbedder())
