"""Servers of language models as they are met: fast, slow, down and rude ones, in Ollama's and in OpenAI's manner."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stand_in import send, whole

MODEL = "their-model"
Answers = Callable[[str], str]


class ModelServer:
    """Both manners at once. `answers` turns a prompt into an answer; `manners` may be set to something rude."""

    def __init__(self, answers: Answers, delay: float = 0.0) -> None:
        self.answers, self.delay = answers, delay
        self.prompts: list[str] = []
        self.authorizations: set[str | None] = set()
        self.options: dict[str, Any] = {}
        self.manners: Callable[[BaseHTTPRequestHandler], None] = self._answer
        self.others: dict[str, dict[str, Any]] = {"/v1/models": {"data": [{"id": MODEL}]}}
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.authorizations.add(self.headers["authorization"])
                send(self, json.dumps(server.others[self.path]).encode())

            def do_POST(self) -> None:
                self.body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if self.path == "/api/show":
                    send(self, b'{"model_info": {}}')
                else:
                    server.manners(self)

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = vars(handler)["body"]
        prompt = body["messages"][-1]["content"]
        self.prompts.append(prompt)
        self.options = body.get("options", {})
        time.sleep(self.delay)
        text = self.answers(prompt)
        tokens = len(text.split())
        if handler.path == "/api/chat":
            said = {"role": "assistant", "content": text}
            counted = {"prompt_eval_count": 9, "eval_count": tokens}
            send(handler, json.dumps({"model": MODEL, "message": said, "done": True, **counted}).encode())
        else:
            usage = {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": 9 + tokens}
            send(handler, json.dumps({**json.loads(whole(text)), "usage": usage}).encode())


def dull(_: str) -> str:
    return "I do not know"


# A piece of the prompt, and the right answer. The programs are run, so there are others that would do.
_SOLUTIONS = {
    "the product of all numbers": (
        '<think>a loop</think>Here it is:\n```asm\nPUSH #1\nSTORE "r"\nagain:\nLOAD "r"\nLOAD "n"\nMUL\nSTORE "r"\n'
        'LOAD "n"\nPUSH #1\nSUB\nDUP\nSTORE "n"\nJNZ again\nLOAD "r"\nPRINT\nHALT\n```'
    ),
    "print the larger one": (
        '```\nLOAD "a"\nLOAD "b"\nGT\nJZ second\nLOAD "a"\nPRINT\nHALT\nsecond:\nLOAD "b"\nPRINT\nHALT\n```'
    ),
    "print `Hello, `": '```\nPUSH "Hello, "\nLOAD "name"\nCONCAT\nPUSH "!"\nCONCAT\nPRINT\nHALT\n```',
    "ADD\nMUL": '{"line": 4, "category": "stack"}',
    "SUB\nDIV": '```json\n{"line": 7, "category": "arithmetic"}\n```',
    'PUSH "3"\nADD': 'It is {"line": 3, "category": "type"}',
    "maple": "MAPLE-MAPLE-MAPLE",
    "4, 19, 7 and 12": "19\n12\n7\n4",
    "any town": '{"name": "Ulm", "inhabitants": 128000, "sights": ["minster", "museum"]}',
    "17 * 23": "391 - 48, so\nanswer: 343",
    "240 litres": "8 litres a minute.\n**Answer: 30**",
    "Wednesday": "100 = 14 * 7 + 2\nanswer: Friday.",
    "second oldest": "answer: Anna",
    "What are the codes": "7QX4, M93K, 2VTL",
    "from 1 to 100": " ".join(map(str, range(1, 101))),
    "the one word yes": "yes",
}


def clever(prompt: str) -> str:
    return next(answer for piece, answer in _SOLUTIONS.items() if piece in prompt)
