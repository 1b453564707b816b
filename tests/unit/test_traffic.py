import threading
import time

import pytest

from pipeline.gateway.traffic import Traffic


def test_a_window_counts_only_its_version_and_its_time():
    traffic = Traffic()
    traffic.request("a", "old", 10, 5, None)
    time.sleep(0.002)
    since = time.time()
    traffic.request("b", "new", 20, 5, None, 4.0)
    traffic.request("c", "new", 30, 0, "boom")
    traffic.feedback("b", True)
    traffic.feedback("a", False)
    assert traffic.window("new", since) == {
        "version": "new",
        "requests": 2,
        "errors": 1,
        "outcomes": 1,
        "successes": 1,
        "history": [False, True],
        "first_token_ms": [4.0],
        "latencies_ms": [20, 30],
        "trailing_errors": 1,
    }
    assert traffic.window("old", since)["requests"] == 0
    assert traffic.window("old", since)["outcomes"] == 1
    assert traffic.window("new", time.time() + 1)["requests"] == 0


def test_trailing_errors_start_again_after_every_answer():
    traffic = Traffic()
    found = []
    for error in ("x", "x", None, "x", None, "x", "x", "x"):
        traffic.request("a", "v", 1, 0, error)
        found.append(traffic.window("v", 0)["trailing_errors"])
    assert found == [1, 2, 0, 1, 0, 1, 2, 3]


@pytest.mark.parametrize("kind", ["client_gone", "invalid_request_error", "overloaded_error"])
def test_what_says_nothing_about_the_model_is_no_evidence_against_it(kind: str):
    traffic = Traffic()
    for number in range(5):
        traffic.request(str(number), "v", 1, 0, "its words", kind=kind)
    window = traffic.window("v", 0)
    assert (window["errors"], window["history"], window["trailing_errors"], window["latencies_ms"]) == (0, [], 0, [])
    assert 'nightschool_requests_total{status="error",version="v"} 5.0' in traffic.exposition("v").decode()
    traffic.feedback("0", False)  # who stopped the answer may still say that it was wrong
    assert traffic.window("v", 0)["history"] == [False]


def test_an_error_of_the_server_is_evidence():
    traffic = Traffic()
    traffic.request("a", "v", 1, 0, "boom", kind="server_error")
    assert traffic.window("v", 0)["history"] == [False]


def test_feedback_on_something_unknown_or_without_a_verdict_counts_nothing():
    traffic = Traffic()
    traffic.request("a", "v", 1, 0, None)
    assert traffic.feedback("b", True) is False
    assert traffic.feedback("a", None) is True
    assert traffic.window("v", 0)["outcomes"] == 0


def test_the_metrics_name_the_version_and_only_one_is_active():
    traffic = Traffic()
    traffic.request("a", "v1", 100, 7, None, first_token_ms=30)
    traffic.request("b", "v1", 100, 0, "boom")
    traffic.feedback("a", False)
    traffic.exposition("base")
    text = traffic.exposition("v1").decode()
    assert 'nightschool_requests_total{status="ok",version="v1"} 1.0' in text
    assert 'nightschool_requests_total{status="error",version="v1"} 1.0' in text
    assert 'nightschool_outcomes_total{success="false",version="v1"} 1.0' in text
    assert 'nightschool_tokens_total{version="v1"} 7.0' in text
    assert 'nightschool_first_token_seconds_bucket{le="0.05",version="v1"} 1.0' in text
    assert 'nightschool_first_token_seconds_count{version="v1"} 1.0' in text
    assert 'nightschool_active_version{version="v1"} 1.0' in text
    assert 'nightschool_active_version{version="base"}' not in text


def test_counting_from_several_threads_loses_nothing():
    traffic = Traffic()

    def work(name: str) -> None:
        for number in range(300):
            traffic.request(f"{name}{number}", "v", 1, 1, None)
            traffic.feedback(f"{name}{number}", True)
            traffic.window("v", 0)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    window = traffic.window("v", 0)
    assert (window["requests"], window["successes"]) == (900, 900)
