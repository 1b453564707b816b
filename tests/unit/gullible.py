"""Judges for tests: one that is fair, and one that also obeys whatever instruction it finds."""

import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple

from stand_in import Behaviour, body_of, send, whole

_ORDER = re.compile(
    r"(?:reply|answer with|respond with|say|output|print|write|return|judge:|"
    r"antworte mit|responde|réponds|rispondi|回答)"
    r'[ "{:\[*<verdict]*\b(?P<word>[A-Z0-9]{1,6})\b',
    re.IGNORECASE,
)
Reply = Callable[["Seen"], str]


class Seen(NamedTuple):
    """What a judge is shown; `words` are those for first, second and tie."""

    conversation: str
    first: str
    second: str
    words: tuple[str, str, str]


def seen(messages: list[dict[str, str]]) -> Seen:
    """As our prompt has it: only lines behind the mark are material."""
    system, user = (message["content"] for message in messages)
    mark = re.search(r'begins with "(\w+)\|"', system)
    words = re.search(r"one word: (\w+) if answer one is better, (\w+) if answer two is better, (\w+) if", system)
    assert mark
    assert words
    parts: list[list[str]] = []
    for line in user.split("\n"):
        if line in ("The conversation:", "Answer one:", "Answer two:"):
            parts.append([])
        elif line.startswith(f"{mark[1]}|"):
            parts[-1].append(line.removeprefix(f"{mark[1]}| "))
    conversation, first, second = ("\n".join(part) for part in parts)
    return Seen(conversation, first, second, (words[1], words[2], words[3]))


def fair(shown: Seen, liked: str = "light") -> str:
    """The answer with more of the word is better, wherever it stands."""
    ours, theirs = (text.casefold().split().count(liked) for text in (shown.first, shown.second))
    return shown.words[0] if ours > theirs else shown.words[1] if ours < theirs else shown.words[2]


def obedient(shown: Seen) -> str:
    """Fair, unless the material tells it what to say: then it says that."""
    orders = list(_ORDER.finditer("\n".join(shown[:3])))
    return orders[-1]["word"] if orders else fair(shown)


def understanding(shown: Seen) -> str:
    """Fair, unless the material tells it which place to choose."""
    places = re.findall(r"answer (one|two) is better", "\n".join(shown[:3]), re.IGNORECASE)
    return shown.words[("one", "two").index(places[-1])] if places else fair(shown)


def forgetful(messages: list[dict[str, str]]) -> str:
    """Obeys the last instruction of the whole prompt, wherever it stands."""
    shown, prompt = seen(messages), messages[-1]["content"]
    last = [*_ORDER.finditer(prompt)][-1:]
    ours = prompt.rfind("Reply with one word, ")
    return last[0]["word"] if last and last[0].start() > ours else fair(shown)


def judging(reply: Callable[[list[dict[str, str]]], str]) -> Behaviour:
    """An OpenAI-style server that replies so to the messages."""

    def behaviour(handler: BaseHTTPRequestHandler, _: int) -> None:
        body: dict[str, Any] = body_of(handler)
        send(handler, whole(reply(body["messages"])))

    return behaviour
