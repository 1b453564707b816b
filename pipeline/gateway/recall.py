"""Passages of the indexed documents for a chat that wants some.

The work is done on a thread of its own, which is also the only one that loads libraries for it; a chat waits for it no
longer than `retrieval.timeout`. Whatever goes wrong here, the chat is answered, then without passages.

What training sees: the log keeps the chat as the person sent it, without the passages, and only their number
(`retrieval`). A model that learns an answer learns to give it by itself, which is why documents are there for the day
and training for the night; with the passages in the rows it would learn to copy, and rows would carry whole documents
of people who never asked anything. The ids stand in the access log, so what was read can be looked up.
"""

import asyncio
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cached_property

from pipeline.backends.engines.interface import EngineError, ServingEngine
from pipeline.gateway.asked import Asked
from pipeline.gateway.openai_shapes import RetrievalRequest
from pipeline.lib import jsonl
from pipeline.lib.config import Settings
from pipeline.lib.errors import DiskError
from pipeline.lib.logs import logger
from pipeline.lib.records import content_id
from pipeline.lib.text import normalize
from pipeline.retrieval.chroma import Hit
from pipeline.retrieval.embedding import Embedder
from pipeline.retrieval.hot import Access, hot_questions, recent
from pipeline.retrieval.prompt import context, fewer
from pipeline.retrieval.search import Answer, Searcher, Wanted, wanted_history, wanted_tools

Found = dict[str, tuple[Answer, float]]  # by kind, history or tools: what was found, in how many milliseconds


class Recall:
    """Finds passages, fits them into the engine's room, and keeps the access log."""

    def __init__(self, settings: Settings, embedder: Embedder | None = None) -> None:
        """Cheap: nothing is opened or loaded before the first chat that wants passages, or `warm`.

        Args:
            settings: what chats get that do not say.
            embedder: what makes vectors; none: the configured model.
        """
        self.settings = settings
        self._embedder = embedder
        retrieval = settings.retrieval
        self._default = RetrievalRequest(history=retrieval.history, tools=retrieval.tools)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recall")
        self._closing = False
        self._warmed = ""  # the version of the index for which the hot questions have been asked

    def wanted(self, asked: Asked) -> RetrievalRequest | None:
        """How many passages a chat wants; none: it does not. The night's own chats get only what they ask for."""
        said = asked.body.retrieval
        if said is None and asked.purpose == "user":
            said = self._default
        return said if said is not None and (said.history or said.tools) else None

    def warm(self) -> None:
        """Load what chats will need by default, in the background."""
        if self._default.history or self._default.tools:
            self._thread.submit(self._load)

    def close(self) -> None:
        """Let go of everything, after what is running."""
        self._closing = True
        self._thread.submit(self._end)
        self._thread.shutdown()

    async def add_to(self, asked: Asked, wanted: RetrievalRequest, engine: ServingEngine, counting: Executor) -> None:
        """Give a chat its passages, the most similar ones for which the engine has room. Never raises.

        Args:
            asked: the chat.
            wanted: how many passages it wants.
            engine: whose room they must fit into.
            counting: where the engine may be asked for its room.
        """
        question = next((each["content"] for each in reversed(asked.said) if each["role"] == "user"), "")
        loop = asyncio.get_running_loop()
        try:
            finding = loop.run_in_executor(self._thread, self._find, question, wanted)
            found = await asyncio.wait_for(finding, self.settings.retrieval.timeout)
            used = await loop.run_in_executor(counting, self._fitting, asked, engine, found)
        except TimeoutError:
            logger.warning("no passages for a chat within %g s", self.settings.retrieval.timeout)
            return
        except Exception as error:
            logger.warning("no passages for a chat: %s", error)
            return
        asked.context = context(used["history"], used["tools"])
        asked.retrieved = {kind: len(hits) for kind, hits in used.items()}
        self._thread.submit(self._note, asked, question, wanted, found)

    def _find(self, question: str, wanted: RetrievalRequest) -> Found:
        found = {}
        for kind, n in ((kind, n) for kind, n in wanted if n):
            begun = time.perf_counter()
            answer = self._searcher.search(question, self._conditions(kind, n))
            found[kind] = (answer, (time.perf_counter() - begun) * 1000)
            self._warm_up(answer.version)
        return found

    def _conditions(self, kind: str, n: int) -> Wanted:
        return (wanted_tools if kind == "tools" else wanted_history)(self.settings, n)

    def _warm_up(self, version: str) -> None:
        """The first time that this version of the index is met: ask the hot questions, one by one, behind who waits."""
        if version == self._warmed:
            return
        self._warmed = version
        for text, kind, n in hot_questions(recent(self.settings), self.settings.retrieval.hot):
            self._thread.submit(self._ask_again, text, self._conditions(kind, n))

    def _ask_again(self, question: str, wanted: Wanted) -> None:
        if not self._closing:
            self._searcher.search(question, wanted)

    def _fitting(self, asked: Asked, engine: ServingEngine, found: Found) -> dict[str, list[Hit]]:
        """As many as leave the answer the tokens that it may have anyway; the least similar are left out first."""
        history, tools = (list(found[kind][0].hits) if kind in found else [] for kind in ("history", "tools"))
        needed = None
        while history or tools:
            text = context(history, tools)
            if len(text) <= self.settings.retrieval.longest:
                if needed is None:
                    needed = self._needed(asked, engine)
                if needed == 0 or _room(asked, engine, text) >= needed:
                    break
            history, tools = fewer(history, tools)
        return {"history": history, "tools": tools}

    def _needed(self, asked: Asked, engine: ServingEngine) -> int:
        """Tokens that the answer may have without passages; 0: only the engine knows its room."""
        room = engine.room(asked.said)
        if room is None:
            return 0
        most = self.settings.server.max_tokens
        return min(room, most, asked.body.max_completion_tokens or asked.body.max_tokens or most)

    def _note(self, asked: Asked, question: str, wanted: RetrievalRequest, found: Found) -> None:
        for kind, (answer, milliseconds) in found.items():
            access = Access(
                at=time.time(),
                interaction=asked.id,
                kind=kind,
                n=getattr(wanted, kind),
                query=content_id(normalize(question)),
                text=question if self.settings.retrieval.log_queries else None,
                key=answer.key,
                version=answer.version,
                ids=[hit.id for hit in answer.hits],
                similarities=[hit.similarity for hit in answer.hits],
                used=asked.retrieved.get(kind, 0),
                ms=round(milliseconds, 3),
                cached=answer.cached,
            )
            try:
                self._log.append(access.model_dump(exclude_none=True))
            except (DiskError, TypeError) as error:
                logger.warning("an access to the documents was not logged: %s", error)

    @cached_property
    def _searcher(self) -> Searcher:
        return Searcher(self.settings, self._embedder)

    @cached_property
    def _log(self) -> jsonl.Appender:
        return jsonl.Appender(self.settings.layout.retrieval)

    def _load(self) -> None:
        try:
            self._warm_up(self._searcher.search("warm", Wanted(1)).version)
        except Exception as error:
            logger.warning("documents cannot be looked up: %s", error)

    def _end(self) -> None:
        self._searcher.close()
        self._log.close()


def _room(asked: Asked, engine: ServingEngine, text: str) -> int:
    """Tokens left for the answer behind this text; none are left where the engine refuses."""
    asked.context = text
    try:
        return engine.room(asked.prompt) or 0
    except EngineError:
        return 0
    finally:
        asked.context = ""
