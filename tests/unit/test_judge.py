"""A judge over HTTP: a real local server that answers what it is told to."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.backends.judges.interface import compare
from pipeline.backends.judges.openai_judge import OpenAiJudge

CHAT = [{"role": "user", "content": "Explain rainbows."}]
Reply = Callable[[str], str | int]


@contextmanager
def judge(reply: Reply) -> Iterator[OpenAiJudge]:
    """A judge whose server answers `reply(material)`: a text, or an HTTP status."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            said = reply(body["messages"][-1]["content"])
            content = json.dumps({"choices": [{"message": {"content": said}}]}).encode()
            self.send_response(said if isinstance(said, int) else 200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield OpenAiJudge(f"http://127.0.0.1:{server.server_port}/v1", "judge", timeout=5)
    finally:
        server.shutdown()
        server.server_close()


def likes(word: str) -> Reply:
    """A fair judge: the answer with this word is better, wherever it stands."""

    def reply(material: str) -> str:
        first, second = (material.split(f"<{side}>")[1].split(f"</{side}>")[0] for side in ("first", "second"))
        return "TIE" if (word in first) == (word in second) else "FIRST" if word in first else "second."

    return reply


def test_the_better_answer_wins_in_both_orders():
    with judge(likes("light")) as fair:
        assert compare(fair, CHAT, "light bends", "magic", 2.5) == 1.0
        assert compare(fair, CHAT, "magic", "light bends", 2.5) == -1.0
        assert compare(fair, CHAT, "light one", "light two", 2.0) == 0.0


@pytest.mark.parametrize("position", ["FIRST", "SECOND"])
def test_a_judge_who_likes_a_position_decides_nothing(position):
    with judge(lambda _: position) as biased:
        assert compare(biased, CHAT, "one", "two", 2.0) == 0.0


def test_an_answer_does_not_win_by_being_much_longer():
    with judge(likes("light")) as fair:
        assert compare(fair, CHAT, "light " * 40, "magic it is", 2.0) == 0.0
        assert compare(fair, CHAT, "magic it is", "light " * 40, 2.0) == 0.0


@pytest.mark.parametrize("reply", ["Well, both have merits.", "", "FIRSTLY, no", 500, 429])
def test_nonsense_and_silence_are_no_judgement(reply):
    with judge(lambda _: reply) as broken:
        assert compare(broken, CHAT, "one", "two", 2.0) is None


def test_no_judge_is_no_judgement():
    assert compare(OpenAiJudge("http://127.0.0.1:9/v1", "judge", timeout=1), CHAT, "one", "two", 2.0) is None


def test_equal_answers_are_a_tie_and_cost_nothing():
    assert compare(OpenAiJudge("http://127.0.0.1:9/v1", "judge", timeout=1), CHAT, "same", "same", 2.0) == 0.0
