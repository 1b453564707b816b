"""The page to mail and to keep."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from played import AWAITING, FIRST, MORNING, REFUSED, SECOND, THIRD, answered, home_of, play

from pipeline.lib.config import Settings
from pipeline.lib.errors import DiskError
from pipeline.metrics.rows import FeedbackMetric, QueryMetric
from pipeline.metrics.store import MetricsStore
from pipeline.report import write_page

_VOID = {"meta", "wbr", "br", "link", "img", "input", "hr"}
_LOADS = {"src", "href", "srcset", "data", "action", "poster", "background", "formaction", "xlink:href"}
HOSTILE = (
    "<script>alert('x')</script>\"><img src=//evil.example/x onerror=alert(1)> \x1b[31mred\x1b[0m\x07 \u202eback\nnext"
)


class Page(HTMLParser):
    """What a browser would find, and whether every element is closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def asked(settings: Settings, days: int = 7, a_day: int = 3) -> None:
    with MetricsStore(settings.layout.metrics) as store:
        for number in range(days * a_day):
            at = MORNING - 86_400 * (number // a_day)
            error = "TimeoutError" if number % 7 == 0 else None
            store.add(QueryMetric(f"{number:024x}", at, "starter", latency_ms=900.0 + number, tokens=10, error=error))
        store.add(FeedbackMetric("0", MORNING, "starter", thumb=1))


def page_of(settings: Settings, days: int = 7, run: str | None = None) -> tuple[Page, str]:
    path = settings.home / "kept" / "page.html"
    said = write_page(settings, path, days, run, MORNING)
    text = path.read_text(encoding="utf-8")
    assert said["bytes"] == path.stat().st_size <= 150_000
    return Page(text), text


@pytest.fixture
def installation(tmp_path: Path) -> Settings:
    settings = home_of(tmp_path)
    rows = [
        answered(1, "two plus two", ("five", False), ("four", True)),
        answered(2, "the capital of France", ("Paris", True), ("Lyon", False)),
        answered(3, "both know it", ("yes", True), ("yes", True)),
    ]
    play(settings.layout, FIRST, shares=(0.5, 0.62))
    play(settings.layout, SECOND, REFUSED, shares=(0.62, 0.55), incumbent=FIRST)
    play(settings.layout, THIRD, shares=(0.62, 0.71), incumbent=FIRST, answers=rows)
    asked(settings)
    return settings


def test_the_page_tells_the_night_the_days_and_the_next_step(installation: Settings):
    page, _ = page_of(installation)
    for part in (
        f"better: 62.0 → 71.0 % of 400 held-out questions right, deployed, serving {THIRD}",
        "the server is down: nightschool serve starts it",
        "worse than the incumbent: 2 won, 30 lost of 100",
        "1 won",
        "the capital of France",
        "21 requests, 14.3 % failed",
        "100 % [21, 100] % of 1 opinions are thumbs up",
    ):
        assert part in page.text
    assert "both know it" not in page.text


def test_the_page_asks_nobody_for_anything_and_runs_nothing(installation: Settings):
    page, text = page_of(installation)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed", "img", "base", "form", "audio", "video"}
    for tag, attributes in page.tags:
        assert not _LOADS & set(attributes), tag
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"url\(|@import|https?://|//\w", text)
    policies = [each["content"] for tag, each in page.tags if each.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_every_plot_is_told_in_words_and_every_table_has_a_name(installation: Settings):
    page, _ = page_of(installation)
    ids = [each["id"] for _, each in page.tags if "id" in each]
    assert len(ids) == len(set(ids))
    svgs = [each for tag, each in page.tags if tag == "svg"]
    assert len(svgs) == 4 == sum(tag == "desc" for tag, _ in page.tags)
    named = [*svgs, *(each for tag, each in page.tags if tag == "table" and each)]
    for each in named:
        assert set(str(each["aria-labelledby"]).split()) <= set(ids)
    assert "20261119: 62.0 to 55.0 %, refused" in page.text
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_what_people_and_models_wrote_is_shown_and_never_executed(tmp_path: Path):
    settings = home_of(tmp_path)
    rows = [
        answered(1, HOSTILE, (HOSTILE, False), (HOSTILE + "!", True)),
        answered(2, HOSTILE + "?", (HOSTILE, True), ("", False)),
    ]
    play(settings.layout, FIRST, ("canary", "Refused", 20, HOSTILE), answers=rows)
    page, text = page_of(settings)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "img"}
    assert "<script>alert('x')</script>" in page.text
    assert "␛[31mred␛[0m␇ ‹U+202E›back" in page.text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", text)


def test_the_page_stays_light_whatever_was_written(tmp_path: Path):
    settings = home_of(tmp_path)
    long = "<&\"'" * 5000
    rows = [
        answered(number, f"{number} {long}", (long, number % 2 == 0), (long, number % 2 == 1)) for number in range(80)
    ]
    for number in range(40):
        run = f"20261{number // 28:01}{number % 28 + 1:02}T020000Z"
        play(settings.layout, run, ("canary", "Refused", 20, long), answers=rows if number == 39 else None)
    asked(settings, days=200, a_day=1)
    page, _ = page_of(settings, days=366)
    assert "3 of them shown" in page.text
    assert "the last 31 of 366" in page.text


def test_before_the_first_night_and_the_first_request_there_is_a_page_all_the_same(tmp_path: Path):
    page, _ = page_of(home_of(tmp_path))
    assert "no night yet" in page.text
    assert "No night has been played yet" in page.text
    assert "no requests" in page.text
    assert "Not measured" in page.text


def test_a_night_whose_rival_has_been_cleaned_up_still_shows_the_answers_of_both(installation: Settings):
    (installation.layout.generation(FIRST) / "generation.json").unlink()
    page, _ = page_of(installation)
    assert "two plus two" in page.text


def test_an_earlier_night_can_be_chosen(installation: Settings):
    page, _ = page_of(installation, run=SECOND)
    assert f"refused, nothing changed, because {REFUSED[3]}; serving {THIRD}" in page.text


def test_a_candidate_that_waits_asks_for_a_decision(tmp_path: Path):
    settings = home_of(tmp_path)
    play(settings.layout, FIRST, AWAITING)
    until = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
    (settings.layout.generation(FIRST) / "approval.json").write_text(f'{{"state": "awaiting", "until": {until}}}')
    page, _ = page_of(settings)
    assert "awaiting approval, still serving base" in page.text


def test_a_place_that_cannot_be_written_is_one_clear_error_and_leaves_what_was_there(installation: Settings):
    kept: Any = installation.home / "kept.html"
    kept.mkdir()
    with pytest.raises(DiskError, match=r"cannot write .*kept\.html"):
        write_page(installation, kept, 7, None, MORNING)
    blocked = installation.home / "file"
    blocked.write_text("here before")
    with pytest.raises(DiskError):
        write_page(installation, blocked / "page.html", 7, None, MORNING)
    assert blocked.read_text() == "here before"
    assert not list(installation.home.glob(".*.html.*"))
