"""The shapes of the OpenAI chat API: what comes in, what goes out."""

import time
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.backends.engines.chat import Completion
from pipeline.lib.records import Message
from pipeline.lib.signals import INVALID_REQUEST

Shape = TypeVar("Shape", bound=BaseModel)


SERVER_ERROR = "server_error"  # the kind of an error that may be the model's fault; others: `signals.NOT_THE_MODELS`


class ApiError(Exception):
    """An answer other than 200, in OpenAI's shape."""

    def __init__(self, status: int, message: str, kind: str = INVALID_REQUEST) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind

    def body(self) -> dict[str, Any]:
        """The JSON that clients understand."""
        return {"error": {"message": str(self), "type": self.kind, "code": self.status}}


class TextPart(BaseModel):
    """One piece of a message's content; other kinds than text are refused."""

    type: str = Field(pattern="^text$")
    text: str


class ChatMessage(BaseModel):
    """A message as clients send it."""

    model_config = ConfigDict(extra="ignore")

    role: str = Field(pattern="^(system|developer|user|assistant|tool)$")
    content: str | list[TextPart] | None = None

    def plain(self) -> Message:
        """Role and text."""
        content = self.content or ""
        text = content if isinstance(content, str) else "".join(part.text for part in content)
        return {"role": "system" if self.role == "developer" else self.role, "content": text}


class RetrievalRequest(BaseModel):
    """Most passages of the indexed documents, and of those about tools, that the prompt may get."""

    history: int = Field(0, ge=0, le=50)
    tools: int = Field(0, ge=0, le=50)


class ChatRequest(BaseModel):
    """The body of /v1/chat/completions; what is not listed is ignored, as other servers do."""

    model_config = ConfigDict(extra="ignore")

    model: str = ""
    messages: list[ChatMessage] = Field(min_length=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    n: int = Field(1, ge=1, le=128)
    seed: int | None = Field(None, ge=-(2**63), le=2**63 - 129)  # the answers of one request have seed, seed + 1, …
    stop: str | list[str] | None = None
    stream: bool = False
    logprobs: bool = False
    top_logprobs: int = Field(0, ge=0, le=20)
    user: str | None = Field(None, max_length=256)
    retrieval: RetrievalRequest | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop texts as a tuple; an empty one, which every answer begins with, is none."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(stop for stop in stops if stop)


def parse(shape: type[Shape], body: bytes) -> Shape:
    """The body as a shape.

    Raises:
        ApiError: 400 with the place and the reason.
    """
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"]) or "body"
        raise ApiError(400, f"{where}: {problem['msg']}") from error


def answer(identity: str, model: str, completions: list[Completion], logprobs: bool) -> dict[str, Any]:
    """A whole chat.completion."""
    written = sum(len(each.tokens) for each in completions)
    read = completions[0].prompt_tokens
    return {
        "id": f"chatcmpl-{identity}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": completions[0].version,
        "choices": [
            {
                "index": index,
                "message": {"role": "assistant", "content": each.text, **each.message},
                "finish_reason": each.finish_reason,
                "logprobs": {"content": _logprobs(each)} if logprobs else None,
            }
            for index, each in enumerate(completions)
        ],
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
    }


def chunk(identity: str, model: str, version: str, delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
    """One chat.completion.chunk of a stream."""
    return {
        "id": f"chatcmpl-{identity}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": version,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def _logprobs(completion: Completion) -> list[dict[str, Any]]:
    alternatives = completion.alternatives or [[] for _ in completion.tokens]
    return [
        {
            "token": token,
            "logprob": logprob,
            "top_logprobs": [{"token": text, "logprob": value} for text, value in others],
        }
        for token, logprob, others in zip(completion.tokens, completion.logprobs, alternatives, strict=True)
    ]
