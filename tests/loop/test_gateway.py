"""The gateway as clients see it."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from conftest import Home, make_home, wait_for

QUESTION = "set x to 1 + 2"


def stream(home: Home, **options: object) -> list[dict[str, object]]:
    body = {"messages": [{"role": "user", "content": QUESTION}], "temperature": 0, "stream": True, **options}
    answer = requests.post(f"{home.url}/v1/chat/completions", json=body, timeout=60, stream=True)
    lines = [line.decode() for line in answer.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def test_stream_says_the_same_as_the_whole_answer(served: Home) -> None:
    whole = served.ask(QUESTION)["choices"][0]["message"]["content"]
    chunks = stream(served)
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert text == whole
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_stop_text_and_length_end_an_answer(served: Home) -> None:
    stopped = served.ask(QUESTION, stop="ADD")["choices"][0]
    assert "ADD" not in stopped["message"]["content"]
    assert stopped["finish_reason"] == "stop"
    short = served.ask(QUESTION, max_tokens=3)
    assert short["choices"][0]["finish_reason"] == "length"
    assert short["usage"]["completion_tokens"] == 3


def test_same_seed_same_samples_whatever_else_is_in_the_batch(served: Home) -> None:
    def sample(seed: int) -> list[str]:
        answer = served.ask("what is 3 * (4 - 5)? put it in y", temperature=1.5, seed=seed, n=4)
        return [choice["message"]["content"] for choice in answer["choices"]]

    alone = sample(5)
    with ThreadPoolExecutor(8) as pool:
        crowded = list(pool.map(sample, [5, 6, 7, 8, 9, 10, 11, 12]))
    assert crowded[0] == alone
    assert len({text for texts in crowded for text in texts}) > 4


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"messages": []}', 400),
        (b'{"messages": [{"role": "pirate", "content": "x"}]}', 400),
        (b'{"messages": [{"role": "user", "content": "x"}], "temperature": 9}', 400),
        (b'{"messages": [{"role": "user", "content": "x"}], "seed": 9223372036854775807}', 400),
        (b'{"model": "other", "messages": [{"role": "user", "content": "x"}]}', 404),
        (b'{"model": "starter@nowhere", "messages": [{"role": "user", "content": "x"}]}', 404),
        (json.dumps({"messages": [{"role": "user", "content": "x " * 5000}]}).encode(), 400),
        (b'{"messages": [{"role": "user", "content": "' + b"x" * 5_000_000 + b'"}]}', 413),
    ],
)
def test_bad_request_gets_an_openai_style_error(served: Home, body: bytes, status: int) -> None:
    answer = requests.post(f"{served.url}/v1/chat/completions", data=body, timeout=60)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_control_needs_the_token(served: Home) -> None:
    body = {"version": "base"}
    assert requests.post(f"{served.url}/control/activate", json=body, timeout=60).status_code == 401
    assert served.control("activate", "base").ok
    assert (served.folder / "logs" / "control.token").stat().st_mode & 0o077 == 0


def test_engine_refuses_and_stays_what_it_was(served: Home) -> None:
    assert served.control("activate", "20300101T000000Z").status_code == 409
    assert served.control("load", "../../etc").status_code == 409
    assert served.control("unload", "base").status_code == 409
    assert served.health()["adapter"] == "base"


def test_feedback_is_on_disk_when_it_is_acknowledged(served: Home) -> None:
    identity = served.ask(QUESTION)["id"]
    said = {"interaction_id": identity, "thumb": -1, "comment": "wrong\nsign", "edited": "HALT"}
    answer = requests.post(f"{served.url}/v1/feedback", json=said, timeout=60)
    assert answer.json()["status"] == "recorded"
    rows = served.lines("logs/interactions/*.jsonl")
    assert any(row["kind"] == "feedback" and row.get("comment") == "wrong\nsign" for row in rows)
    logged = next(row for row in rows if f"chatcmpl-{row.get('id')}" == identity)
    assert logged["messages"][0]["content"] == QUESTION
    assert logged["adapter"] == "base"
    assert 0 < logged["confidence"] <= 1


@pytest.mark.parametrize("body", [{}, {"interaction_id": "x", "thumb": 1}, {"interaction_id": "a" * 24}])
def test_feedback_without_sense_is_refused(served: Home, body: dict[str, object]) -> None:
    assert requests.post(f"{served.url}/v1/feedback", json=body, timeout=60).status_code == 400


def test_night_work_is_not_logged_as_a_question(served: Home) -> None:
    body = {"messages": [{"role": "user", "content": "let y be 9 - 8 - 7"}], "temperature": 0}
    headers = {"x-nightschool-purpose": "canary"}
    assert requests.post(f"{served.url}/v1/chat/completions", json=body, headers=headers, timeout=60).ok
    served.ask("let y be 9 - 8 - 6")
    wait_for(lambda: "9 - 8 - 6" in str(served.lines("logs/interactions/*.jsonl")), 10)
    assert "9 - 8 - 7" not in str(served.lines("logs/interactions/*.jsonl"))


def test_metrics_count_requests(served: Home) -> None:
    served.ask(QUESTION)
    text = requests.get(f"{served.url}/metrics", timeout=60).text
    assert 'nightschool_requests_total{status="ok",version="base"}' in text
    assert 'nightschool_active_version{version="base"} 1.0' in text


def test_models_lists_the_public_name_and_the_versions(served: Home) -> None:
    names = [model["id"] for model in requests.get(f"{served.url}/v1/models", timeout=60).json()["data"]]
    assert names == ["starter", "starter@base"]


def test_stopping_finishes_and_logs_what_was_asked(served: Home, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = make_home(tmp_path_factory.mktemp("stopping"), served.folder / "models" / "starter")
    with home.serving() as server, ThreadPoolExecutor(40) as pool:
        answers = [pool.submit(home.ask, f"set x to {number} + 1") for number in range(40)]
        answers[0].result()
        server.send_signal(signal.SIGTERM)
        answered = sum(answer.exception() is None for answer in answers)
        server.wait(timeout=60)
    assert server.returncode == 0
    logged = [row for row in home.lines("logs/interactions/*.jsonl") if row["kind"] == "interaction"]
    assert len(logged) >= answered >= 1
