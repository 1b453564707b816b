"""The embedded engine by itself, on the starter's base model."""

from concurrent.futures import Future
from pathlib import Path

import pytest

from pipeline.backends.engines.chat import Request
from pipeline.backends.engines.embedded import EmbeddedEngine
from pipeline.backends.engines.interface import EngineError
from pipeline.lib.config import Settings


@pytest.fixture
def engine(tmp_path: Path, base_model: Path) -> EmbeddedEngine:
    return EmbeddedEngine(Settings(home=tmp_path, model={"base": str(base_model)}), [])


def asked() -> Request:
    return Request([{"role": "user", "content": "set x to 1 + 2"}], "base", 8, temperature=0.0)


def test_closing_answers_what_was_admitted_and_refuses_what_comes_later(engine: EmbeddedEngine) -> None:
    admitted = [engine.admit(asked()) for _ in range(3)]
    engine.close()
    assert all(each.result(timeout=0).text for each in admitted)
    with pytest.raises(EngineError, match="ending"):
        engine.admit(asked())


def test_who_goes_away_while_an_answer_is_made_takes_nothing_along(engine: EmbeddedEngine) -> None:
    gone: Future = engine.admit(asked())
    gone.cancel()
    assert engine.admit(asked()).result(timeout=30).text
    engine.close()


def test_people_go_before_the_nights_own_drafts(engine: EmbeddedEngine) -> None:
    drafts = []
    for _ in range(4 * engine.settings.server.max_batch):
        drafts.append(asked())
        drafts[-1].urgent = False
        engine.admit(drafts[-1])
    assert engine.admit(asked()).result(timeout=60).text
    assert not drafts[-1].future.done()
    assert drafts[-1].future.result(timeout=60).text
    engine.close()
