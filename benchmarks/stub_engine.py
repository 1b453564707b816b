"""An OpenAI-compatible server that answers at once and always the same: what is left of a request's time is the way.

python -m benchmarks.stub_engine PORT
"""

import json
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "stub",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Forty-two."}, "finish_reason": "stop"},
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
    }
)
_MODELS = json.dumps({"object": "list", "data": [{"id": "stub", "object": "model", "created": 1, "owned_by": "us"}]})


async def chat(request: Request) -> Response:
    """One chat."""
    await request.body()
    return Response(_ANSWER, media_type="application/json")


async def models(_: Request) -> Response:
    """The list of models."""
    return Response(_MODELS, media_type="application/json")


if __name__ == "__main__":
    app = Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"]), Route("/v1/models", models)])
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
