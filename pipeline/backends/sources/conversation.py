"""Messages and answers in the shapes of OpenAI, LangChain and OpenTelemetry, as plain text."""

from typing import Any

import orjson

from pipeline.lib.records import Message

_ROLES = {"human": "user", "ai": "assistant", "model": "assistant", "developer": "system", "function": "tool"}
_ANSWERS = ("output", "answer", "response", "completion", "text", "content")
_SPOKEN = ("text", "content", "value", "response", "result", "output")
_UNSPOKEN = {"reasoning", "thinking", "redacted_thinking", "tool_call", "tool_use", "server_tool_call"}
_UNSPOKEN |= {"blob", "uri", "file", "image", "image_url", "input_image", "audio", "input_audio", "video"}


def text_of(content: Any) -> str:
    """The words of a message's content: a text, or a list of parts. Thoughts, pictures and calls have none.

    Raises:
        ValueError: it is nothing of the kind.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(text_of(part) for part in content)
    if isinstance(content, dict):
        if content.get("type") in _UNSPOKEN:
            return ""
        key = next((each for each in _SPOKEN if each in content), None)
        return text_of(content[key]) if key else ""
    raise ValueError(f"no text: {type(content).__name__}")


def message(record: Any) -> Message:
    """One message. A message that only calls tools says so in JSON, so that the ones behind it make sense.

    Raises:
        ValueError: it has no role, or no text.
    """
    if not isinstance(record, dict):
        raise ValueError(f"no message: {type(record).__name__}")
    if isinstance(record.get("kwargs"), dict):  # LangChain's serialised form
        record = {"type": record.get("id", [""])[-1].removesuffix("Message").lower(), **record["kwargs"]}
    elif isinstance(record.get("data"), dict) and "content" in record["data"]:
        record = {"type": record.get("type"), **record["data"]}
    role = str(record.get("role") or record.get("type") or "").removesuffix("chunk")
    if not role:
        raise ValueError("a message without a role")
    text = text_of(record.get("content", record.get("parts")))
    return {"role": _ROLES.get(role, role), "content": text or called(record)}


def called(record: dict[str, Any]) -> str:
    """The tool calls of a message as JSON, nothing if there are none."""
    parts = record.get("parts")
    calls = record.get("tool_calls") or [
        part for part in (parts if isinstance(parts, list) else []) if part.get("type") == "tool_call"
    ]
    functions = [call.get("function") or call for call in calls if isinstance(call, dict)]
    named = [{"name": each.get("name"), "arguments": each.get("arguments", each.get("args"))} for each in functions]
    return orjson.dumps(named).decode() if named else ""


def messages(value: Any) -> list[Message]:
    """What was asked: a text, a list of messages, or an object that holds one of them.

    Raises:
        ValueError: nothing of the kind.
    """
    value = parsed(value)
    if isinstance(value, str):
        return [{"role": "user", "content": value}] if value else []
    if isinstance(value, list):
        inner = value[0] if len(value) == 1 and isinstance(value[0], list) else value
        return [message(each) for each in inner]
    if isinstance(value, dict):
        if "role" in value:
            return [message(value)]
        key = next((each for each in ("messages", "input", "question", "query", "prompt") if each in value), None)
        if key:
            return messages(value[key])
    raise ValueError("nothing was asked")


def answer(value: Any) -> str:
    """What the model said, in words.

    Raises:
        ValueError: no text can be made out.
    """
    value = parsed(value)
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list):
        return answer(value[-1]) if value else ""
    if not isinstance(value, dict):
        raise ValueError(f"no answer: {type(value).__name__}")
    for key in ("choices", "generations"):
        if isinstance(value.get(key), list):
            return answer(value[key][0]) if value[key] else ""
    if isinstance(value.get("message"), dict):
        return text_of(value["message"].get("kwargs", value["message"]).get("content"))
    if isinstance(value.get("messages"), list):
        return answer(value["messages"])
    if isinstance(value.get("kwargs"), dict):
        return text_of(value["kwargs"].get("content"))
    if isinstance(value.get("output"), list):  # the Responses API: thoughts and calls beside the message
        return "".join(text_of(item.get("content")) for item in value["output"] if item.get("type") == "message")
    named = next((each for each in _ANSWERS if value.get(each) is not None), None)
    return text_of(value[named]) if named else ""


def parsed(value: Any) -> Any:
    """A text that is the JSON of an object or a list, as that; everything else as it is."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def words(value: Any) -> str | None:
    """An error in words, whatever its form; none if there was none."""
    if value in (None, "", False, {}, []):
        return None
    if value is True:
        return "error"
    if isinstance(value, dict):
        inner = next((value[key] for key in ("message", "content", "detail", "error") if value.get(key)), None)
        return words(inner) if inner else orjson.dumps(value).decode()
    return str(value)
