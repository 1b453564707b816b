"""settle is killed before each of its writes, in a process of its own; running again ends as if it never had been."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from handmade import FIRST, SECOND, promote, swap
from tiny import TinyEmbedder, elsewhere, held, learning_home, tiny_settings

from pipeline import rag
from pipeline.index import index
from pipeline.lib.config import Settings
from pipeline.lib.errors import NothingToDo
from pipeline.retrieval.truth import BUFFER, COLLECTIONS, HISTORICAL, Truth

End = dict[str, Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """To be copied."""
    return learning_home(tmp_path_factory.mktemp("made")).home


@pytest.fixture
def settings(made: Path, tmp_path: Path) -> Settings:
    return tiny_settings(Path(shutil.copytree(made, tmp_path / "home")))


def killed_at(number: int) -> Callable[[Any], Any]:
    """Wraps writing functions: the process is gone before their n-th call, all of them counted together."""
    calls = 0

    def wrapped(write: Any) -> Any:
        def counted(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return write(*arguments, **named)

        return counted

    return wrapped


def settle_until(home: Path, number: int) -> None:
    """In the child: settle, and die at the n-th write (a rename of ours, or a write of Chroma's)."""
    from chromadb import Collection

    wrapped = killed_at(number)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", wrapped(Path.replace))
        for name in ("upsert", "delete"):
            patch.setattr(Collection, name, wrapped(getattr(Collection, name)))
        rag.settle(tiny_settings(home), None, False)


def end_of(settings: Settings) -> End:
    """All that a reader could see: our files, archives among them, and Chroma's vectors."""
    files = {path.name: path.read_bytes() for path in Truth(settings.layout).folder.iterdir()}
    return {**files, "chroma": held(settings)}


def texts_of(settings: Settings) -> set[str]:
    truth = Truth(settings.layout)
    return {document.text for name in COLLECTIONS for document in truth.read(name).values()}


def play(settings: Settings, scratch: Path, again: Callable[[Settings], Any]) -> int:
    """Kill a copy of the home at every write, then run again; returns how many writes there were."""
    whole, number = scratch / "whole", 0
    shutil.copytree(settings.home, whole, symlinks=True)
    undisturbed = tiny_settings(whole)
    rag.settle(undisturbed, None, False)
    expected, texts = end_of(undisturbed), texts_of(settings)
    while True:
        number += 1
        home = scratch / str(number)
        shutil.copytree(settings.home, home, symlinks=True)
        ending = elsewhere(settle_until, home, number)
        if ending == 0:
            return number - 1
        assert ending == -signal.SIGKILL
        copy = tiny_settings(home)
        assert texts_of(copy) == texts, f"something is lost when killed at write {number}"
        again(copy)
        assert end_of(copy) == expected, f"another end when killed at write {number}"


def settle_again(settings: Settings) -> None:
    try:
        rag.settle(settings, None, False)
    except NothingToDo:  # it was killed after its last write that counts
        return


def test_killed_at_any_write_nothing_is_lost_and_settling_again_ends_the_same(settings: Settings, tmp_path_factory):
    promote(settings, FIRST)
    # mark, history, its vectors, archive, buffer, its vectors, marker
    assert play(settings, tmp_path_factory.mktemp("killed"), settle_again) == 7
    assert len(Truth(settings.layout).read(BUFFER)) == 4


def test_killed_while_giving_back_it_ends_the_same_too(settings: Settings, tmp_path_factory):
    promote(settings, FIRST)
    promote(settings, SECOND)
    rag.settle(settings, None, False)
    swap(settings, FIRST, "it failed")
    assert len(Truth(settings.layout).read(HISTORICAL)) == 4
    assert play(settings, tmp_path_factory.mktemp("killed"), settle_again) >= 5


def test_index_finishes_what_a_killed_settle_left(settings: Settings, tmp_path_factory):
    promote(settings, FIRST)
    home = tmp_path_factory.mktemp("killed") / "home"
    shutil.copytree(settings.home, home, symlinks=True)
    assert elsewhere(settle_until, home, 2) == -signal.SIGKILL  # marked, not moved
    rag.settle(settings, None, False)
    copy = tiny_settings(home)
    assert len(Truth(copy.layout).read(HISTORICAL)) == 0
    index(copy, False, TinyEmbedder())
    assert end_of(copy) == end_of(settings)
