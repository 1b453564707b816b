"""Questions → passages, through a memory of what was asked before.

A question is answered from, in this order: what the access log says it was answered with (hot), what this process
remembers (cache), and Chroma. All three give the same passages: a remembered answer counts for one version of the index
only, and that version follows from the index's content.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pipeline.lib.config import Settings
from pipeline.lib.errors import ConfigurationError, UsageError
from pipeline.lib.files import read_json
from pipeline.lib.records import content_id
from pipeline.lib.text import normalize
from pipeline.retrieval import hot
from pipeline.retrieval.cache import Cache
from pipeline.retrieval.chroma import Chroma, Hit
from pipeline.retrieval.embedding import Embedder, SentenceEmbedder
from pipeline.retrieval.truth import BUFFER, HISTORICAL, TOOLS, Collection, Truth

if TYPE_CHECKING:
    from pipeline.retrieval.embedding import Vectors

HISTORY: tuple[Collection, ...] = (BUFFER, HISTORICAL)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a passage must be to be found. `since` is a date, YYYY-MM-DD."""

    n: int = 5
    collections: tuple[Collection, ...] = HISTORY
    similarity: float = -1.0
    quality: float = 0.0
    since: str | None = None

    @property
    def where(self) -> dict[str, Any] | None:
        """The conditions in Chroma's words."""
        conditions: list[dict[str, Any]] = []
        if self.quality > 0:
            conditions.append({"quality_score": {"$gte": self.quality}})
        if self.since is not None:
            conditions.append({"day": {"$gte": int(self.since.replace("-", ""))}})
        return {"$and": conditions} if len(conditions) > 1 else next(iter(conditions), None)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found, the most similar first, and how: `cached` without Chroma. `key` names question and conditions."""

    hits: list[Hit]
    cached: bool
    key: str
    version: str


class Searcher:
    """Searches one home's index. For one thread."""

    def __init__(self, settings: Settings, embedder: Embedder | None = None) -> None:
        """Know where things are; nothing is opened or loaded before the first search.

        Args:
            settings: where the index is, and how much is remembered.
            embedder: what makes vectors; none: the configured model.
        """
        self.settings = settings
        self.embedder = embedder or SentenceEmbedder(settings)
        self.folder = settings.home / settings.retrieval.folder
        self.truth = Truth(settings.layout)
        seconds = 60 * settings.retrieval.cache_minutes
        self._answers: Cache[str, list[Hit]] = Cache(settings.retrieval.cache, seconds)
        self._vectors: Cache[str, Vectors] = Cache(settings.retrieval.cache, seconds)
        self._hot: dict[str, list[Hit]] = {}
        self._chroma: Chroma | None = None
        self._seen: tuple[int, int] | None = None
        self._version = ""

    def search(self, question: str, wanted: Wanted) -> Answer:
        """The passages that are most similar to a question, the most similar first.

        Raises:
            UsageError: nothing has been indexed.
            ConfigurationError: the index was made with another embedding model.
            DamagedIndexError: Chroma cannot read its folder.
        """
        self.refresh()
        key = key_of(question, wanted)
        known = self._hot.get(key)
        if known is None:
            known = self._answers.get(key)
        if known is not None:
            return Answer(known, True, key, self._version)
        hits = self._ask(self._vector(question), wanted)
        self._answers.put(key, hits)
        return Answer(hits, False, key, self._version)

    def search_uncached(self, question: str, wanted: Wanted) -> list[Hit]:
        """The same, with everything that is remembered left aside: what a question costs the first time."""
        self.refresh()
        return self._ask(self.embedder.encode([normalize(question)])[0], wanted)

    def refresh(self) -> None:
        """Look whether the index has changed; if so, open it again and forget what was remembered of the old one."""
        marker = self.truth.marker
        try:
            stat = marker.stat()
        except FileNotFoundError as error:
            raise UsageError("no documents are indexed", "run `nightschool index` first") from error
        if (stat.st_mtime_ns, stat.st_ino) == self._seen:
            return
        told = read_json(marker)
        if told["embedding_model"] != self.embedder.name:
            raise ConfigurationError(
                f"the index was made with {told['embedding_model']}, retrieval.embedding_model is {self.embedder.name}",
                "`nightschool index` makes all vectors again",
            )
        self.close()
        self._chroma = Chroma(self.folder)
        if told["version"] != self._version:
            self._answers.clear()
        self._version = str(told["version"])
        self._hot = hot.known_answers(self.settings, self.truth, self._version)
        self._seen = (stat.st_mtime_ns, stat.st_ino)

    def close(self) -> None:
        """Let go of Chroma's files; the next search opens them again."""
        self._seen = None
        if self._chroma is not None:
            self._chroma.close()
            self._chroma = None

    def _ask(self, vector: "Vectors", wanted: Wanted) -> list[Hit]:
        assert self._chroma is not None
        found = [hit for name in wanted.collections for hit in self._chroma.query(name, vector, wanted.n, wanted.where)]
        best = sorted(found, key=lambda hit: (-hit.similarity, hit.id))[: wanted.n]
        return [hit for hit in best if hit.similarity >= wanted.similarity]

    def _vector(self, question: str) -> "Vectors":
        text = normalize(question)
        vector = self._vectors.get(text)
        if vector is None:
            vector = self.embedder.encode([text])[0]
            self._vectors.put(text, vector)
        return vector


def wanted_history(settings: Settings, n: int) -> Wanted:
    """What a chat wants of the documents."""
    retrieval = settings.retrieval
    since = None
    if retrieval.days:
        since = (datetime.now(UTC) - timedelta(days=retrieval.days)).date().isoformat()
    return Wanted(n, HISTORY, retrieval.similarity, retrieval.minimum_quality, since)


def wanted_tools(settings: Settings, n: int) -> Wanted:
    """What a chat wants of the documents about tools; their age says nothing."""
    return Wanted(n, (TOOLS,), settings.retrieval.similarity)


def key_of(question: str, wanted: Wanted) -> str:
    """Names a question and its conditions without telling them."""
    return content_id(normalize(question), asdict(wanted))
