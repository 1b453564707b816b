import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from foreign import AT, SAMPLES, lines, litellm_rows, read, write_chroma

from pipeline.backends.sources.chroma import Chroma
from pipeline.backends.sources.litellm_log import LiteLlmLog
from pipeline.lib.errors import BadRecordError
from pipeline.lib.records import content_id


def test_the_real_sample_of_litellm_gives_a_success_and_a_failure():
    (worked, failed), _ = read(LiteLlmLog(SAMPLES / "litellm_standard_logging_payload.jsonl"))
    assert worked == {
        "id": content_id("litellm", "chatcmpl-8de064960aaf"),
        "source": "litellm:litellm_standard_logging_payload.jsonl",
        "at": 1795173905.774949,
        "messages": [{"role": "user", "content": "hello litellm"}],
        "answer": "echo: hello litellm",
        "user": "u1",
        "session": "s1",
        "model": "fake-7b",
        "latency_ms": pytest.approx(310.2688789),
        "tokens": 7,
    }
    assert failed["error"] == "litellm.InternalServerError: InternalServerError: OpenAIException - boom"
    assert (failed["success"], failed["answer"]) == (False, "")
    assert failed["messages"] == [{"role": "user", "content": "ERR500"}]


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"error_str": "boom"}, "boom"),
        ({"error_information": {"error_class": "Timeout", "error_message": "late", "traceback": "…"}}, "Timeout: late"),
        ({"error_information": {}}, "failed"),
        ({"error_str": "x" * 20_000}, "x" * 10_000),
    ],
)
def test_a_failure_of_litellm_says_what_failed_and_no_traceback(tmp_path: Path, more: dict[str, Any], error: str):
    record = {**litellm_rows()[0], "status": "failure", "response": {}, **more}
    assert read(LiteLlmLog(lines(tmp_path / "x.jsonl", [record])))[0][0]["error"] == error


def test_batches_streams_other_calls_and_hidden_prompts_of_litellm(tmp_path: Path):
    first, second, third = litellm_rows()
    first |= {"stream": True, "completionStartTime": AT + 0.25}
    second |= {"call_type": "aembedding"}
    third |= {"messages": [{"role": "user", "content": "redacted-by-litellm"}]}
    ((row,), problems) = read(LiteLlmLog(lines(tmp_path / "x.jsonl", [[first, second], third])))
    assert (row["first_token_ms"], row["latency_ms"]) == (250.0, 1000.0)
    (problem,) = problems.to_json()
    assert problem["reason"] == "prompts are not logged (turn_off_message_logging)"
    assert problem["places"] == ["x.jsonl line 2"]


def test_an_answer_of_the_responses_api_is_read(tmp_path: Path):
    output = [
        {"type": "reasoning", "content": []},
        {"type": "message", "content": [{"type": "output_text", "text": "4"}]},
    ]
    record = {**litellm_rows()[0], "response": {"output": output}}
    assert read(LiteLlmLog(lines(tmp_path / "x.jsonl", [record])))[0][0]["answer"] == "4"


CHROMA = """
import sys, chromadb
client = chromadb.PersistentClient(sys.argv[1], settings=chromadb.Settings(anonymized_telemetry=False))
buffer = client.create_collection("daily_buffer", embedding_function=None)
known = [
    {"query": "2 + 2?", "response": "5", "success": False, "quality_score": 0.2, "timestamp": 1795000000.5,
        "user": "u"},
    {"answer": "Paris", "success": True, "created_at": "2026-11-20T10:00:00Z"},
    {"tool": "search"},
]
buffer.add(ids=["a", "b", "c"], documents=["2 + 2?", "capital of France?", "?"], metadatas=known,
    embeddings=[[0.1, 0.2]] * 3)
"""


def test_a_folder_that_chroma_itself_has_written_is_read(tmp_path: Path):
    environment = {**os.environ, "ANONYMIZED_TELEMETRY": "False"}
    subprocess.run([sys.executable, "-c", CHROMA, str(tmp_path)], check=True, timeout=120, env=environment)
    (first, second), problems = read(Chroma(tmp_path))
    assert first == {
        "id": content_id("chroma", "a"),
        "source": f"chroma:{tmp_path.name}",
        "at": 1795000000.5,
        "messages": [{"role": "user", "content": "2 + 2?"}],
        "answer": "5",
        "user": "u",
        "confidence": 0.2,
        "success": False,
    }
    assert second["messages"] == [{"role": "user", "content": "capital of France?"}]
    assert (second["answer"], second["success"], second["at"]) == ("Paris", True, 1795168800.0)
    assert [each["places"] for each in problems.to_json()] == [[f"{tmp_path.name} entry c"]]


def test_a_chroma_folder_without_the_collection_names_those_it_has(tmp_path: Path):
    source = write_chroma(tmp_path)
    with sqlite3.connect(tmp_path / "chroma.sqlite3") as database:
        database.execute("DELETE FROM collections WHERE name = 'daily_buffer'")
    database.close()
    with pytest.raises(BadRecordError, match="no collection daily_buffer") as caught:
        read(source)
    assert "it has other" in caught.value.hint


@pytest.mark.parametrize(
    ("key", "value", "thumb"),
    [("rating", 1, None), ("rating", 2, -1), ("rating", 5, 1), ("thumb", 1, 1), ("feedback", "bad", -1)],
)
def test_a_rating_of_chroma_is_read_as_ratings_are(tmp_path: Path, key: str, value: Any, thumb: int | None):
    source, column = write_chroma(tmp_path), "string_value" if isinstance(value, str) else "int_value"
    with sqlite3.connect(tmp_path / "chroma.sqlite3") as database:
        database.execute("DELETE FROM embedding_metadata WHERE key = 'thumb'")
        database.execute(f"INSERT INTO embedding_metadata (id, key, {column}) VALUES (1, ?, ?)", (key, value))
    database.close()
    assert read(source)[0][1].get("feedback", {}).get("thumb") == thumb


def test_the_chroma_folders_of_an_installation_are_found(tmp_path: Path):
    (tmp_path / "logs" / "chroma").mkdir(parents=True)
    write_chroma(tmp_path / "logs" / "chroma")
    assert Chroma.standard_places({"NIGHTSCHOOL_HOME": str(tmp_path)}, tmp_path) == [tmp_path / "logs" / "chroma"]
