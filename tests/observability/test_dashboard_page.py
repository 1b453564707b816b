"""The dashboard as people have it: a real process, a real browser."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from conftest import Home, wait_for
from dashboard_homes import FIRST, HOSTILE, SECOND, sha256_of, stages, two_nights
from playwright.sync_api import Browser, Page, expect, sync_playwright

from pipeline.lib import jsonl

CHROMIUM = "/usr/bin/chromium"
expect.set_options(timeout=20_000)  # these machines are shared


@contextmanager
def dashboard(home: Home, port: str = "0") -> Iterator[str]:
    """Its address, without the token."""
    written = home.folder / "logs" / "dashboard.json"
    written.unlink(missing_ok=True)
    process = home.start("dashboard", "--port", port)
    try:
        wait_for(lambda: process.poll() is not None or (written.is_file() and _answers(_url(written))), 60)
        assert process.poll() is None, process.communicate()[1]
        yield _url(written)
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        assert "Traceback" not in errors, errors


def _url(written: Path) -> str:
    return str(json.loads(written.read_text())["url"])


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except OSError:
        return False


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(two_nights(tmp_path), {"NIGHTSCHOOL_SERVER__PORT": "9"})


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that must not complain, nor ask another host."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(20_000)
    complaints: list[str] = []
    hosts: set[str] = set()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None)
    page.on("request", lambda request: hosts.add(request.url.split("/")[2].partition(":")[0]))
    page.on("websocket", lambda socket: hosts.add(socket.url.split("/")[2].partition(":")[0]))
    yield page
    context.close()
    assert complaints == []
    assert hosts <= {"127.0.0.1"}


def token(home: Home) -> str:
    return (home.folder / "logs" / "dashboard.token").read_text()


def state(home: Home) -> str:
    return str(json.loads((home.folder / "loras" / SECOND / "approval.json").read_text())["state"])


def live(page: Page) -> None:
    expect(page.locator("#connection")).to_have_text("live")


def axe(page: Page) -> list[dict[str, Any]]:
    found = Axe().run(page).response["violations"]
    return [{"id": each["id"], "nodes": [node["html"][:200] for node in each["nodes"]]} for each in found]


def test_the_page_tells_the_story_and_breaks_no_rule_of_accessibility(home: Home, page: Page):
    with dashboard(home) as url:
        for scheme, width in (("light", 1280), ("dark", 1280), ("light", 390)):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(url)
            live(page)
            expect(page.locator("#generations-body tbody tr")).to_have_count(3)
            expect(page.locator("#answers-list > li")).to_have_count(3)
            expect(page.locator(".also")).to_contain_text("waits for your yes")
            expect(page.locator("#better-plot canvas")).to_be_visible()
            page.locator("#better-plot summary").click()
            expect(page.locator("#better-plot tbody")).to_contain_text("60.0 % to 80.0 %")
            assert axe(page) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{width} scrolls sideways"
        assert len(page.screenshot()) > 10_000


def test_the_share_of_right_answers_is_that_of_the_model_that_serves(home: Home, page: Page):
    stages(home.folder, SECOND, ("deploy", "done", 0, ""))  # and given up again: current is still the first
    with dashboard(home) as url:
        page.goto(url)
        live(page)
        expect(page.locator("#tiles")).to_contain_text("50.0 %")
        expect(page.locator("#tiles")).to_contain_text("as before that night")


def test_what_models_and_people_wrote_is_shown_and_never_executed(home: Home, page: Page):
    with dashboard(home) as url:
        page.goto(url)
        expect(page.locator("#answers-list .question").first).to_contain_text('<img src=x onerror="document.title=1">')
        expect(page.locator("#generations-body")).to_contain_text("␛[31mred")
        assert page.title() == "Nightschool"
        assert page.locator("main img").count() == 0
        lines = page.locator("#log-box p", has_text="onerror")
        assert re.search(r"onerror.*␛\[31mred ⏎ next", lines.first.inner_text())
        assert HOSTILE not in page.content()


def test_a_candidate_is_rejected_with_the_keyboard_alone(home: Home, page: Page):
    with dashboard(home) as url:
        page.goto(f"{url}#token={token(home)}")
        live(page)
        assert "token" not in page.url
        page.get_by_role("button", name=f"Reject: {SECOND}").focus()
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name="Reject for good?")
        expect(dialog).to_contain_text(SECOND)
        expect(dialog).to_contain_text(sha256_of(SECOND)[:12])
        assert axe(page) == []
        page.keyboard.press("Escape")
        expect(dialog).not_to_be_visible()
        assert state(home) == "awaiting"
        page.get_by_role("button", name=f"Reject: {SECOND}").click()
        dialog.get_by_label("Why, for the record").fill("too terse")
        page.keyboard.press("Enter")
        expect(page.locator("#outcome")).to_contain_text("will never be deployed")
        expect(page.locator("#generations-body tbody tr").first).to_contain_text("rejected")
    assert state(home) == "rejected"
    line = list(jsonl.read(home.folder / "logs" / "runs.jsonl"))[-1]
    assert (line["stage"], line["exit_code"]) == ("reject", 0)


def test_without_the_token_it_is_asked_for_and_a_wrong_one_is_told(home: Home, page: Page):
    with dashboard(home) as url:
        page.goto(url)
        page.get_by_role("button", name="Roll back to it: base").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text(f"instead of {FIRST}")
        dialog.get_by_label("Token").fill("wrong")
        dialog.get_by_role("button", name="Roll back").click()
        expect(page.locator("#confirm-error")).to_contain_text("this needs the token")
        dialog.get_by_label("Token").fill(token(home))
        dialog.get_by_role("button", name="Roll back").click()
        expect(page.locator("#outcome")).to_contain_text("Rolled back to base")
        expect(page.locator("#generations-body tr.current")).to_contain_text("Base model")
    assert home.current == "base"


def test_a_busy_stage_is_told_in_words(home: Home, page: Page):
    with dashboard(home) as url:
        page.goto(f"{url}#token={token(home)}")
        lock = home.folder / "logs" / "reject.lock"
        holder = subprocess.Popen(["flock", lock, sys.executable, "-c", "print(1, flush=True); input()"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
        assert holder.stdout is not None
        holder.stdout.readline()
        page.get_by_role("button", name=f"Reject: {SECOND}").click()
        page.get_by_role("dialog").get_by_role("button", name="Reject").click()
        expect(page.locator("#confirm-error")).to_contain_text("already running")
        holder.communicate(b"\n")
    assert state(home) == "awaiting"


def test_a_lost_connection_is_told_and_comes_back_by_itself(home: Home, page: Page):
    with dashboard(home) as url:
        page.goto(url)
        live(page)
    expect(page.locator("#connection")).to_have_text("connection lost, trying again")
    with dashboard(home, url.rstrip("/").rpartition(":")[2]):
        live(page)
        stages(home.folder, SECOND, ("notify", "done", 0, ""))
        expect(page.locator("#log-box")).to_contain_text("notify done")


def test_answers_are_filtered_and_compared(home: Home, page: Page):
    with dashboard(home) as url:
        page.goto(url)
        page.get_by_label("Before").select_option(FIRST)
        page.get_by_label("After").select_option(SECOND)
        page.get_by_text("Lost 1").click()
        expect(page.locator("#answers-list > li")).to_have_count(1)
        expect(page.locator("#answers-status")).to_contain_text("1 of 1 shown")
        expect(page.locator("#answers-list .side").first).to_contain_text("right")


def test_an_empty_home_says_how_to_begin(tmp_path: Path, page: Page):
    (tmp_path / "logs").mkdir()
    with dashboard(Home(tmp_path, {"NIGHTSCHOOL_SERVER__PORT": "9"})) as url:
        page.goto(url)
        live(page)
        expect(page.locator("#night-body")).to_contain_text("make night")
        expect(page.locator("#generations-body")).to_contain_text("Only the bare base model")
        assert axe(page) == []
