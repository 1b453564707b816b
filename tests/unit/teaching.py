"""Homes whose log holds failures, and servers that teach: in Ollama's and in OpenAI's way."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from stand_in import StandIn, body_of, send, whole

from pipeline.lib import jsonl
from pipeline.lib.config import Settings

NOW = time.time()
Reply = Callable[[str], str]  # from a question to the words of a teacher


def question(number: int) -> str:
    return f"How much is {number} + {number}?"


def fail(home: Path, *numbers: int, check: str | None = "equals", error: str | None = None) -> None:
    """Questions that were answered badly a minute ago; their check, if any, compares text."""
    day = time.strftime("%Y-%m-%d", time.gmtime(NOW - 60))
    for number in numbers:
        row: dict[str, Any] = {
            "kind": "interaction",
            "id": f"{number:024x}",
            "source": "gateway",
            "at": NOW - 60,
            "messages": [{"role": "user", "content": question(number)}],
            "answer": "No idea, honestly.",
            "success": False,
            "error": error,
        }
        if check:
            row["check"] = {"type": "text", check: str(2 * number)}
        jsonl.append(home / "logs" / "interactions" / f"{day}.jsonl", [row])


def right(asked: str) -> str:
    """As a good teacher replies to Agent-0's prompt."""
    number = re.search(r"How much is (\d+)", asked)
    assert number
    return f"REASONING: {number[1]} twice.\nANSWER: {2 * int(number[1])}"


def words(asked: str) -> str:
    """The same with more words, which no check reads."""
    return f"{right(asked)}, because light falls on both numbers, and light adds up."


class Server(StandIn):
    """One model, in one way or the other; `calls` are the prompts that it was sent."""

    def __init__(self, kind: str, model: str, reply: Reply) -> None:
        super().__init__()
        self.kind, self.model, self.reply = kind, model, reply
        self.models = [model]
        self.calls: list[str] = []
        self.behaviour = lambda handler, _: self._answer(handler)

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/api/show":
            return send(handler, b'{"model_info": {}}')
        prompt = body_of(handler)["messages"][-1]["content"]
        self.calls.append(prompt)
        return self.say(handler, self.reply(prompt))

    def say(self, handler: BaseHTTPRequestHandler, text: str) -> None:
        if self.kind == "openai":
            usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
            return send(handler, json.dumps({**json.loads(whole(text)), "usage": usage}).encode())
        message = {"role": "assistant", "content": text}
        counts = {"prompt_eval_count": 100, "eval_count": 20}
        at = "2026-11-20T02:00:00Z"
        return send(
            handler,
            json.dumps({"model": self.model, "created_at": at, "message": message, "done": True, **counts}).encode(),
        )

    def entry(self, name: str, **more: Any) -> dict[str, Any]:
        """Its [[providers.models]]."""
        return {"name": name, "kind": self.kind, "url": self.url, "model": self.model, **more}


class Gateway(StandIn):
    """Serves the base, and refuses one question for what it is."""

    def __init__(self, reply: Reply, refused: str) -> None:
        super().__init__()
        self.reply, self.refused = reply, refused
        self.health = {"adapter": "base", "loaded": {"base": None}, "base_sha256": "0" * 64, "model": "starter"}
        self.behaviour = self._answer

    def _answer(self, handler: BaseHTTPRequestHandler, _: int) -> None:
        asked = body_of(handler)
        prompt = asked["messages"][-1]["content"]
        if prompt == self.refused:
            return send(handler, b'{"error": {"message": "the prompt is too long"}}', 400)
        choices = [{"message": {"content": self.reply(prompt)}}] * asked.get("n", 1)
        return send(handler, json.dumps({"choices": choices, "usage": {"completion_tokens": 2}}).encode())

    def serves(self, settings: Settings) -> Settings:
        """The settings of a home that it serves."""
        port = self.server.server_port
        return settings.model_copy(update={"server": settings.server.model_copy(update={"port": port})})


@contextmanager
def servers(*made: StandIn) -> Iterator[None]:
    try:
        yield
    finally:
        for each in made:
            each.stop()


def settings_of(home: Path, models: list[dict[str, Any]], **harvest: Any) -> Settings:
    asked = {"samples": 2, "confirm": 2, "prompt": "agent-0", **harvest}
    return Settings(
        home=home,
        hygiene={"privacy": False},
        providers={"models": models, "order": [], "attempts": 1, "timeout": 1},
        harvest=asked,
    )


def rows(home: Path, pattern: str) -> list[dict[str, Any]]:
    return [row for path in sorted(home.glob(f"training_data/{pattern}")) for row in jsonl.read(path)]


def rewrites(home: Path) -> list[dict[str, Any]]:
    return rows(home, "harvest_????????.jsonl")


def unsolved(home: Path) -> list[dict[str, Any]]:
    return rows(home, "harvest_*.unsolved.jsonl")
