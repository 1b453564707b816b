"""Writes what other programs would have written: the same three questions, the second one rated days later."""

import json
import os
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pipeline.backends.sources.argilla import Argilla
from pipeline.backends.sources.chroma import Chroma
from pipeline.backends.sources.interface import Row, Source
from pipeline.backends.sources.langfuse import Langfuse
from pipeline.backends.sources.langsmith import LangSmith
from pipeline.backends.sources.litellm_log import LiteLlmLog
from pipeline.backends.sources.llm_log import LlmLog
from pipeline.backends.sources.open_webui import OpenWebUi
from pipeline.backends.sources.otlp import Otlp
from pipeline.lib.problems import Problems

Record = dict[str, Any]

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
DAY = 86_400.0
AT = 1_795_000_000.0
ASKED = [AT, AT + DAY, AT + 2 * DAY]
RATED = AT + 9 * DAY
EVER = 1e12


def read(source: Source, since: float = -EVER, until: float = EVER) -> tuple[list[Row], Problems]:
    problems = Problems()
    return list(source.rows(since, until, problems)), problems


def lines(path: Path, records: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def nanoseconds(at: float) -> str:
    return f"{int(at)}000000000"


def attributes(**values: Any) -> list[Record]:
    kinds = {str: "stringValue", float: "doubleValue", bool: "boolValue"}
    return [{"key": key.replace("__", "."), "value": {kinds[type(value)]: value}} for key, value in values.items()]


def litellm_rows() -> list[Record]:
    return [
        {
            "id": f"call-{number}",
            "status": "success",
            "call_type": "acompletion",
            "startTime": at,
            "endTime": at + 1,
            "messages": [{"role": "user", "content": f"question {number}"}],
            "response": {"choices": [{"message": {"role": "assistant", "content": f"answer {number}"}}]},
        }
        for number, at in enumerate(ASKED)
    ]


def otlp_span(number: int, at: float, **more: Any) -> Record:
    given = [{"role": "user", "parts": [{"type": "text", "content": f"question {number}"}]}]
    said = [{"role": "assistant", "parts": [{"type": "text", "content": f"answer {number}"}]}]
    values = {
        "gen_ai__operation__name": "chat",
        "gen_ai__response__id": f"response-{number}",
        "gen_ai__input__messages": json.dumps(given),
        "gen_ai__output__messages": json.dumps(said),
    }
    span = {
        "traceId": f"{number + 1:032x}",
        "spanId": f"{number + 1:016x}",
        "name": "chat",
        "startTimeUnixNano": nanoseconds(at),
        "endTimeUnixNano": nanoseconds(at + 1),
        "attributes": attributes(**{**values, **more}),
    }
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def otlp_log(name: str, at: float, number: int | None = None, body: Record | None = None, **values: Any) -> Record:
    record = {"eventName": name, "timeUnixNano": nanoseconds(at), "attributes": attributes(**values)}
    if number is not None:
        record |= {"traceId": f"{number + 1:032x}", "spanId": f"{number + 1:016x}"}
    if body is not None:
        record["body"] = body
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}


def evaluation(name: str = "relevance", at: float = RATED, number: int = 1, **values: Any) -> Record:
    known = {"gen_ai__evaluation__name": name, "gen_ai__response__id": f"response-{number}"}
    return otlp_log("gen_ai.evaluation.result", at, **known, **values)


def otlp_rows() -> list[Record]:
    spans = [otlp_span(number, at) for number, at in enumerate(ASKED)]
    return [*spans, evaluation(gen_ai__evaluation__score__value=0.1)]


def langfuse_generation(number: int, at: float, **more: Any) -> Record:
    return {
        "id": f"observation-{number}",
        "traceId": f"trace-{number}",
        "type": "GENERATION",
        "startTime": iso(at),
        "endTime": iso(at + 1),
        "input": json.dumps([{"role": "user", "content": f"question {number}"}]),
        "output": f"answer {number}",
    } | more


def langfuse_score(**more: Any) -> Record:
    return {
        "id": "score-1",
        "traceId": "trace-1",
        "observationId": None,
        "name": "user-thumbs",
        "source": "API",
        "dataType": "NUMERIC",
        "value": 0,
        "timestamp": iso(RATED),
    } | more


def langfuse_rows() -> list[Record]:
    return [langfuse_score(), *(langfuse_generation(number, at) for number, at in enumerate(ASKED))]


def langsmith_run(number: int, at: float, **more: Any) -> Record:
    return {
        "id": f"run-{number}",
        "trace_id": f"trace-{number}",
        "run_type": "llm",
        "start_time": iso(at),
        "end_time": iso(at + 1),
        "inputs": {"messages": [{"role": "user", "content": f"question {number}"}]},
        "outputs": {"choices": [{"message": {"role": "assistant", "content": f"answer {number}"}}]},
    } | more


def langsmith_feedback(**more: Any) -> Record:
    return {
        "id": "feedback-1",
        "run_id": "run-1",
        "trace_id": "trace-1",
        "key": "user_feedback",
        "score": 0,
        "modified_at": iso(RATED),
    } | more


def langsmith_rows() -> list[Record]:
    return [*(langsmith_run(number, at) for number, at in enumerate(ASKED)), langsmith_feedback()]


def argilla_record(number: int, at: float, **more: Any) -> Record:
    return {
        "id": f"record-{number}",
        "fields": {"instruction": f"question {number}", "response": f"answer {number}"},
        "metadata": {"timestamp": iso(at)},
        "responses": {},
        "status": "pending",
    } | more


def argilla_rows() -> list[Record]:
    records = [argilla_record(number, at) for number, at in enumerate(ASKED)]
    records[1]["responses"] = {"quality": [{"value": 1, "user_id": "u", "status": "submitted"}]}
    return records


def iso(at: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


FILES: dict[str, tuple[Callable[..., Source], Callable[[], list[Record]]]] = {
    "litellm": (LiteLlmLog, litellm_rows),
    "otlp": (Otlp, otlp_rows),
    "langfuse": (Langfuse, langfuse_rows),
    "langsmith": (LangSmith, langsmith_rows),
    "argilla": (Argilla, argilla_rows),
}


def write_file(kind: str, folder: Path) -> Source:
    source, records = FILES[kind]
    path = lines(folder / f"{kind}.jsonl", records())
    os.utime(path, (RATED, RATED))
    return source(path)


def connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path)
    database.execute("PRAGMA synchronous = off")  # no test pulls the plug
    return database


LLM_TABLES = """
    CREATE TABLE threads (id TEXT PRIMARY KEY, name TEXT, tip_message_hash TEXT, forked_from TEXT, datetime_utc TEXT);
    CREATE TABLE turns (id TEXT PRIMARY KEY, thread_id TEXT, parent_message_hash TEXT, tip_message_hash TEXT,
        model TEXT, resolved_model TEXT, output_tokens INTEGER, duration_ms INTEGER, datetime_utc TEXT);
    CREATE TABLE messages (hash TEXT PRIMARY KEY, parent_hash TEXT, role TEXT, provider_metadata TEXT);
    CREATE TABLE parts (id INTEGER PRIMARY KEY, message_hash TEXT, position INTEGER, type TEXT, tool_name TEXT,
        text TEXT, payload TEXT);
    CREATE UNIQUE INDEX idx_parts ON parts (message_hash, position);
"""


class LlmDatabase:
    """A log of `llm` in the making."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = connect(path)
        self.database.executescript(LLM_TABLES)

    def message(self, name: str, parent: str | None, role: str, text: str | None, **part: Any) -> str:
        self.database.execute("INSERT INTO messages VALUES (?, ?, ?, NULL)", (name, parent, role))
        self.database.execute(
            "INSERT INTO parts VALUES (NULL, ?, 0, ?, ?, ?, ?)",
            (name, part.get("type", "text"), part.get("tool_name"), text, part.get("payload")),
        )
        return name

    def turn(self, name: str, thread: str, parent: str, tip: str, at: float) -> None:
        self.database.execute(
            "INSERT INTO turns VALUES (?, ?, ?, ?, 'm', NULL, 5, 100, ?)", (name, thread, parent, tip, iso(at))
        )
        self.database.execute("INSERT OR REPLACE INTO threads VALUES (?, 'name', ?, NULL, ?)", (thread, tip, iso(at)))

    def done(self) -> LlmLog:
        self.database.commit()
        self.database.close()
        return LlmLog(self.path)


def write_llm(folder: Path) -> Source:
    log = LlmDatabase(folder / "logs.db")
    for number, at in enumerate(ASKED):
        question = log.message(f"q{number}", None, "user", f"question {number}")
        log.turn(f"turn-{number}", f"t{number}", question, log.message(f"a{number}", question, "assistant", "no"), at)
    log.turn("turn-again", "t1", "q1", log.message("again", "q1", "assistant", "yes"), RATED)
    return log.done()


def reply(parent: str, at: float, content: str, **more: Any) -> Record:
    return {"role": "assistant", "parentId": parent, "content": content, "timestamp": int(at), "done": True, **more}


def chat_history(current: str, **messages: Record) -> Record:
    found = {key: {"id": key, "childrenIds": [], **each} for key, each in messages.items()}
    for key, each in found.items():
        if each.get("parentId") in found:
            found[each["parentId"]]["childrenIds"].append(key)
    return {"history": {"currentId": current, "messages": found}}


class WebUi:
    """A database of Open WebUI in the making, with no more than its essential columns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = connect(path)
        self.database.execute("CREATE TABLE chat (id PRIMARY KEY, user_id, chat, created_at, updated_at)")
        self.database.execute("CREATE TABLE feedback (id, data, meta, snapshot, created_at, updated_at)")

    def chat(self, name: str, history: Record | str, updated: float) -> None:
        text = history if isinstance(history, str) else json.dumps(history)
        self.database.execute("INSERT INTO chat VALUES (?, 'u', ?, ?, ?)", (name, text, int(updated), int(updated)))

    def rate(self, chat: str, message: str, at: float, snapshot: Record | None = None, **data: Any) -> None:
        meta = json.dumps({"chat_id": chat, "message_id": message})
        picture = json.dumps({"chat": {"chat": snapshot}}) if snapshot else None
        self.database.execute(
            "INSERT INTO feedback VALUES (?, ?, ?, ?, ?, ?)",
            (f"{message}-{at}", json.dumps(data), meta, picture, int(at), int(at)),
        )

    def done(self) -> OpenWebUi:
        self.database.commit()
        self.database.close()
        return OpenWebUi(self.path)


def write_open_webui(folder: Path) -> Source:
    made = WebUi(folder / "webui.db")
    for number, at in enumerate(ASKED):
        question = {"role": "user", "parentId": None, "content": f"question {number}", "timestamp": int(at)}
        made.chat(f"c{number}", chat_history("a", q=question, a=reply("q", at, f"answer {number}")), at)
    made.rate("c1", "a", RATED, rating=-1)
    return made.done()


CHROMA_TABLES = """
    CREATE TABLE collections (id TEXT, name TEXT);
    CREATE TABLE segments (id TEXT, type TEXT, scope TEXT, collection TEXT);
    CREATE TABLE embeddings (id INTEGER PRIMARY KEY, segment_id TEXT, embedding_id TEXT, created_at TIMESTAMP);
    CREATE TABLE embedding_metadata (id INTEGER, key TEXT, string_value TEXT, int_value INTEGER, float_value REAL,
        bool_value INTEGER);
    INSERT INTO collections VALUES ('c', 'daily_buffer'), ('d', 'other');
    INSERT INTO segments VALUES ('v', '', 'VECTOR', 'c'), ('m', '', 'METADATA', 'c'), ('n', '', 'METADATA', 'd');
"""


def write_chroma(folder: Path) -> Source:
    with connect(folder / "chroma.sqlite3") as database:
        database.executescript(CHROMA_TABLES)
        for number, at in enumerate(ASKED):
            known = {"query": f"question {number}", "response": f"answer {number}", "timestamp": at}
            known |= {"thumb": -1, "feedback_at": RATED} if number == 1 else {}
            database.execute("INSERT INTO embeddings VALUES (?, 'm', ?, 0)", (number, f"entry-{number}"))
            for key, value in known.items():
                column = {str: "string_value", int: "int_value", float: "float_value"}[type(value)]
                query = f"INSERT INTO embedding_metadata (id, key, {column}) VALUES (?, ?, ?)"
                database.execute(query, (number, key, value))
    database.close()
    return Chroma(folder)


DATABASES: dict[str, Callable[[Path], Source]] = {
    "llm": write_llm,
    "open-webui": write_open_webui,
    "chroma": write_chroma,
}


def write(kind: str, folder: Path) -> Source:
    """What the kind's program would have written, as a source."""
    return write_file(kind, folder) if kind in FILES else DATABASES[kind](folder)


def database_of(source: Source) -> Path:
    return source.folder / "chroma.sqlite3" if isinstance(source, Chroma) else source.path
