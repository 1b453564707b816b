"""What became of each answer in a chat of Open WebUI.

    thumb       the last rating of it, or the mark on the message itself in versions that had no ratings
    edited      "Save as copy": the copy has the same `output[0].id`, and is no answer of the model;
                "Save": a picture of the chat, taken when something in it was rated, shows what the model had said
    preferred   the answer to the same message on the branch that is shown, for one that was left behind

An edit leaves `usage` as it was, a model that goes on writing does not: that is how they are told apart. An answer that
was liked was not left behind, and one that was itself disliked or failed is not preferred to anything. Answers of
several models to one message stand side by side from the start: one of them is preferred only when it was liked, or the
talk went on from it.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipeline.backends.sources import interactions, moments
from pipeline.backends.sources.conversation import text_of, words
from pipeline.backends.sources.interface import Row
from pipeline.lib.problems import Problems
from pipeline.lib.records import Message

_THOUGHTS = re.compile(r"<details\s[^>]*type=\"(reasoning|tool_calls|code_interpreter)\".*?</details>\s*", re.DOTALL)

Reply = dict[str, Any]


@dataclass(frozen=True)
class Chat:
    """A chat, its messages by id, and everything that was said about them."""

    id: str
    user: str | None
    messages: dict[str, Reply]
    current: str | None
    system: str | None
    changed: dict[str, float | None]  # when the mirror table says that a message was written last
    updated: float | None
    ratings: list[dict[str, Any]]  # the last word last
    snapshots: list[dict[str, Reply]]  # earlier states of `messages`, the earliest first
    inherited: set[str]  # messages of the chat that this one was cloned from

    @cached_property
    def replies(self) -> dict[str | None, dict[str, Reply]]:
        """The answers to each message, the earliest first."""
        found: dict[str | None, dict[str, Reply]] = {}
        for key, each in sorted(self.messages.items(), key=lambda pair: _at(pair[1])):
            if each.get("role") == "assistant":
                found.setdefault(each.get("parentId"), {})[key] = each
        return found

    @cached_property
    def branch(self) -> list[str]:
        """The messages that are shown, the last one first."""
        found: dict[str, None] = {}
        identity = self.current
        while identity and identity in self.messages and identity not in found:
            found[identity] = None
            identity = self.messages[identity].get("parentId")
        return list(found)


def answers(source: str, chat: Chat, problems: Problems) -> list[Row]:
    """A row for each finished answer of a model.

    Args:
        source: the name of the source.
        chat: where they are.
        problems: gets the answers that cannot be read.
    """
    found = []
    for identity, reply in chat.messages.items():
        if reply.get("role") != "assistant" or reply.get("done") is False:
            continue
        if identity in chat.inherited or _is_copy(chat, identity):
            continue
        try:
            each = _row(source, chat, identity)
        except interactions.UNREADABLE as error:
            problems.add(interactions.why(error), f"chat {chat.id} message {identity}")
            continue
        if each["answer"] or each.get("error"):
            found.append(each)
    return found


def _row(source: str, chat: Chat, identity: str) -> Row:
    reply = chat.messages[identity]
    usage = reply.get("usage") or {}
    error = words(reply.get("error"))
    answer, edited, edited_at = _original_and_edit(chat, identity)
    thumb, comment, rated_at = _rating(chat, identity)
    kept = None if edited or thumb == 1 else _kept_instead(chat, identity)
    feedback = interactions.said(
        answer,
        thumb=thumb,
        comment=comment,
        edited=edited,
        preferred=_text(chat.messages[kept]) if kept else None,
        at=moments.latest(rated_at, edited_at, _replaced_at(chat, identity, kept) if kept else None),
    )
    duration = usage.get("total_duration")  # Ollama's, in nanoseconds
    return interactions.row(
        source,
        f"{chat.id}/{identity}",
        moments.seconds(reply.get("timestamp")),
        _asked(chat, reply.get("parentId")),
        answer,
        feedback,
        user=chat.user,
        session=chat.id,
        model=reply.get("selectedModelId") or reply.get("model"),
        tokens=next((usage[key] for key in ("output_tokens", "completion_tokens", "eval_count") if key in usage), None),
        latency_ms=duration / 1e6 if duration else None,
        error=error,
    )


def _asked(chat: Chat, identity: str | None) -> list[Message]:
    """The messages from the first one to this, with the chat's own system prompt before them."""
    found: list[Message] = []
    seen: set[str] = set()
    while identity and identity not in seen:
        seen.add(identity)
        each = chat.messages.get(identity)
        if each is None:
            raise ValueError("a message that is not there")
        found.append({"role": str(each["role"]), "content": _text(each)})
        identity = each.get("parentId")
    if chat.system:
        found.append({"role": "system", "content": str(chat.system)})
    return [each for each in reversed(found) if each["content"]]


def _text(reply: Reply) -> str:
    """What a message says, without what the model only thought."""
    return _THOUGHTS.sub("", text_of(reply.get("content"))).strip()


def _siblings(chat: Chat, identity: str) -> dict[str, Reply]:
    """All answers to the same message, this one included."""
    return chat.replies[chat.messages[identity].get("parentId")]


def _at(reply: Reply) -> float:
    return moments.optional(reply.get("timestamp")) or 0.0


def _origin(reply: Reply) -> str | None:
    """What a message and its copies have in common."""
    output = reply.get("output")
    return output[0].get("id") if isinstance(output, list) and output and isinstance(output[0], dict) else None


def _copies(chat: Chat, identity: str) -> list[str]:
    """The answer that the model gave and its copies, that one first."""
    origin = _origin(chat.messages[identity])
    if origin is None:
        return [identity]
    return [key for key, each in _siblings(chat, identity).items() if _origin(each) == origin]


def _is_copy(chat: Chat, identity: str) -> bool:
    return _copies(chat, identity)[0] != identity


def _original_and_edit(chat: Chat, identity: str) -> tuple[str, str | None, float | None]:
    """What the model said, what a person made of it, and when."""
    reply = chat.messages[identity]
    now, answer, at = _text(reply), _text(reply), None
    earlier = next((each[identity] for each in chat.snapshots if _is_finished(each.get(identity))), None)
    if reply.get("originalContent"):
        answer = _text({"content": reply["originalContent"]})
    elif earlier and earlier.get("usage") == reply.get("usage"):
        answer = _text(earlier)
    edited = now if now != answer else None
    if edited:
        at = chat.changed.get(identity) or chat.updated
    *_, last = _copies(chat, identity)
    if last != identity and _text(chat.messages[last]) not in ("", answer):
        edited = _text(chat.messages[last])
        at = moments.latest(at, moments.optional(chat.messages[last].get("timestamp")))
    return answer, edited, at


def _is_finished(reply: Reply | None) -> bool:
    return reply is not None and reply.get("done") is not False and bool(_text(reply))


def _rating(chat: Chat, identity: str) -> tuple[int | None, str | None, float | None]:
    """Thumb, comment, and when."""
    said = next((each for each in reversed(chat.ratings) if each["message_id"] == identity), None)
    if said is None:
        said = chat.messages[identity].get("annotation")
        at = chat.changed.get(identity) or chat.updated
    else:
        at = moments.optional(said["updated_at"])
    if not isinstance(said, dict):
        return None, None, None
    comment = ": ".join(str(said[key]) for key in ("reason", "comment") if said.get(key)) or None
    return _thumb(said), comment, at


def _thumb(said: dict[str, Any]) -> int | None:
    """1 or −1; where only the rating from 1 to 10 was given, its upper and lower third."""
    rating = said.get("rating")
    if rating in (1, -1):
        return int(rating)
    details = said.get("details")
    scale = details.get("rating") if isinstance(details, dict) else None
    if not isinstance(scale, int | float):
        return None
    return 1 if scale >= 7 else -1 if scale <= 4 else None


def _kept_instead(chat: Chat, identity: str) -> str | None:
    """The answer on the branch that is shown, if this one was left behind for it."""
    siblings = _siblings(chat, identity)
    if len(siblings) == 1:
        return None
    kept = next((each for each in chat.branch if each in siblings), None)
    if kept is None or kept in _copies(chat, identity):
        return None
    source = _copies(chat, kept)[0]
    failed = bool(siblings[kept].get("error")) or siblings[kept].get("done") is False
    thumb = _rating(chat, source)[0] or _rating(chat, kept)[0]
    if failed or (thumb == -1 and source == kept):
        return None
    other_model = (siblings[kept].get("modelIdx") or 0) != (siblings[identity].get("modelIdx") or 0)
    if other_model and thumb != 1 and not siblings[kept].get("childrenIds"):
        return None
    return kept


def _replaced_at(chat: Chat, identity: str, kept: str) -> float | None:
    """When one answer had taken the other's place: both were there, and the talk went on, if it did."""
    following = [chat.messages[each] for each in chat.messages[kept].get("childrenIds") or [] if each in chat.messages]
    there = [chat.messages[identity], chat.messages[kept], *following[:1]]
    return moments.latest(*(moments.optional(each.get("timestamp")) for each in there))
