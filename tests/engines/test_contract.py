"""What every engine must do, asked of real ones: the served answers are those of PEFT, whatever is swapped when."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import candidates
import pytest
import requests
from conftest import Home, make_home, wait_for
from real_engines import ONE_MORE, ROOT_SCALED, TWO_MORE, VERSIONS, EngineProcess, control, installation, train_all

SWAPS = 40
VLLM_LARGEST_RANK = 64  # cron/start_engine.sh


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, base_model: Path) -> Path:
    """A home with three trained generations."""
    home = make_home(tmp_path_factory.mktemp("trained"), base_model)
    train_all(home)
    return home.folder


@pytest.fixture(scope="module", params=["embedded", "vllm", "llama-server"])
def installed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, trained: Path, base_model: Path
) -> Iterator[tuple[Home, EngineProcess]]:
    with installation(request.param, tmp_path_factory.mktemp(request.param), trained, base_model) as pair:
        yield pair


@pytest.fixture(scope="module")
def home(installed: tuple[Home, EngineProcess]) -> Home:
    return installed[0]


@pytest.fixture(scope="module")
def fingerprints(home: Home) -> dict[str, Any]:
    """Every version prepared and loaded."""
    found = {version: control(home, "prepare", version)["fingerprint"] for version in VERSIONS}
    for version in VERSIONS:
        control(home, "load", version)
    return found


def proof(home: Home, version: str, fingerprint: Any, public: bool = False) -> dict[str, Any]:
    return dict(control(home, "verify", version, fingerprint=fingerprint, public=public)["proof"])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_answers_as_it_does_under_peft(home: Home, fingerprints: dict[str, Any], version: str) -> None:
    found = proof(home, version, fingerprints[version])
    assert found["holds"], found


def test_the_public_name_follows_activation_and_rollback(home: Home, fingerprints: dict[str, Any]) -> None:
    for version in (ONE_MORE, TWO_MORE, ONE_MORE, ROOT_SCALED, ONE_MORE):
        control(home, "activate", version)
        found = proof(home, version, fingerprints[version], public=True)
        assert found["holds"], found
        assert home.health()["adapter"] == version


def test_swaps_under_load_lose_nothing_and_mix_nothing(home: Home, fingerprints: dict[str, Any]) -> None:
    questions = [task.question for task in candidates.tasks_of("load", 8, (1, 2))]
    expected = {
        (version, question): home.ask(question, f"starter@{version}")["choices"][0]["message"]["content"]
        for version in (ONE_MORE, TWO_MORE)
        for question in questions
    }
    assert any(expected[ONE_MORE, question] != expected[TWO_MORE, question] for question in questions)
    control(home, "activate", ONE_MORE)
    stop = threading.Event()

    def client(number: int) -> list[tuple[str, str, str]]:
        seen = []
        while not stop.is_set():
            question = questions[number % len(questions)]
            answer = home.ask(question)
            seen.append((answer["system_fingerprint"], question, answer["choices"][0]["message"]["content"]))
            number += 1
        return seen

    with ThreadPoolExecutor(6) as clients:
        running = [clients.submit(client, number) for number in range(6)]
        for number in range(SWAPS):
            control(home, "activate", (TWO_MORE, ONE_MORE)[number % 2])
            time.sleep(0.1)
        stop.set()
        seen = [each for one in running for each in one.result()]
    assert {version for version, _, _ in seen} == {ONE_MORE, TWO_MORE}
    assert [each for each in seen if expected[each[0], each[1]] != each[2]] == []


def test_a_stream_says_the_same_as_the_whole_answer(home: Home, fingerprints: dict[str, Any]) -> None:
    control(home, "activate", ONE_MORE)
    question = "set x to 1 + 2"
    body = {"messages": [{"role": "user", "content": question}], "temperature": 0, "stream": True}
    answer = requests.post(f"{home.url}/v1/chat/completions", json=body, timeout=60, stream=True)
    events = [line.decode().removeprefix("data: ") for line in answer.iter_lines() if line]
    assert events.pop() == "[DONE]"
    text = "".join(json.loads(event)["choices"][0]["delta"].get("content", "") for event in events)
    assert text == home.ask(question)["choices"][0]["message"]["content"] != ""


def accepted(home: Home, version: str) -> bool:
    """Whether `deploy` would go on: some engines load anything, but it cannot be proven to answer."""
    prepared = home.control("prepare", version)
    return (
        prepared.ok
        and home.control("load", version).ok
        and bool(proof(home, version, prepared.json()["fingerprint"])["holds"])
    )


@pytest.mark.parametrize("damage", ["truncated", "misnamed"])
def test_an_adapter_that_does_not_load_changes_nothing(home: Home, fingerprints: dict[str, Any], damage: str) -> None:
    control(home, "activate", ONE_MORE)
    version = "20300501T000000Z" if damage == "truncated" else "20300502T000000Z"
    if damage == "truncated":
        candidates.altered(home, ONE_MORE, version, lambda name, tensor: (name, tensor))
        path = home.folder / "loras" / version / "adapter_model.safetensors"
        path.write_bytes(path.read_bytes()[:2000])
    else:
        candidates.altered(home, ONE_MORE, version, candidates.misnamed)
    assert not accepted(home, version)
    found = proof(home, ONE_MORE, fingerprints[ONE_MORE], public=True)
    assert found["holds"], found


def test_a_rank_beyond_what_the_engine_was_started_for_is_refused_and_changes_nothing(
    home: Home, fingerprints: dict[str, Any]
) -> None:
    control(home, "activate", TWO_MORE)  # the wide one says what ONE_MORE says, so that must not be its rival
    version, rank = "20300503T000000Z", 2 * VLLM_LARGEST_RANK
    candidates.altered(home, ONE_MORE, version, candidates.widened(rank))
    config = json.loads((home.folder / "loras" / ONE_MORE / "adapter_config.json").read_text())
    candidates.reconfigured(home, version, r=rank, lora_alpha=config["lora_alpha"] * rank / config["r"])
    assert accepted(home, version) == (home.health()["engine"] != "vllm")
    found = proof(home, TWO_MORE, fingerprints[TWO_MORE], public=True)
    assert found["holds"], found


def test_what_is_unloaded_is_gone_and_can_come_back(home: Home, fingerprints: dict[str, Any]) -> None:
    control(home, "activate", ONE_MORE)
    assert control(home, "drain", TWO_MORE, timeout=10)["drained"]
    control(home, "unload", TWO_MORE)
    assert TWO_MORE not in home.health()["loaded"]
    control(home, "load", TWO_MORE)
    assert proof(home, TWO_MORE, fingerprints[TWO_MORE])["holds"]


def test_an_engine_that_was_restarted_gets_its_versions_back(
    installed: tuple[Home, EngineProcess], fingerprints: dict[str, Any]
) -> None:
    home, engine = installed
    if engine.process is None:
        return  # the embedded one ends with its gateway
    control(home, "activate", TWO_MORE)
    engine.stop()
    down = requests.post(
        f"{home.url}/v1/chat/completions", json={"messages": [{"role": "user", "content": "x"}]}, timeout=60
    )
    assert (down.status_code, down.json()["error"]["type"]) == (502, "server_error")
    engine.start()
    wait_for(lambda: _ok(home), 60)
    assert proof(home, TWO_MORE, fingerprints[TWO_MORE], public=True)["holds"]
    assert home.health()["adapter"] == TWO_MORE


def _ok(home: Home) -> bool:
    return bool(control(home, "check", TWO_MORE)["check"]["proven"] is not False)
