"""How many passages, how similar, of which documents: measured against questions whose right documents are known."""

import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from pipeline.lib import jsonl
from pipeline.lib.errors import UsageError
from pipeline.lib.problems import Problems
from pipeline.lib.records import Record
from pipeline.retrieval.chroma import Hit
from pipeline.retrieval.search import HISTORY, Wanted
from pipeline.retrieval.truth import BUFFER, COLLECTIONS, HISTORICAL, Truth

COUNTS = (1, 3, 5, 10)
SIMILARITIES = (-1.0, 0.2, 0.3, 0.4, 0.5, 0.6)
_GOOD = 0.5  # quality score
_RECENT = 30  # days before the newest document


class Labelled(Record):
    """A line of the questions' file; `relevant` holds ids or paths of documents."""

    query: str = Field(min_length=1)
    relevant: list[str] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Measured:
    """One setting: means over the questions, and milliseconds of a question without any cache.

    Recall and precision count documents, not passages; where nothing is found both are 0. MRR is the mean of 1/rank of
    the first right document (0: none).
    """

    filter: str
    n: int
    similarity: float
    recall: float
    precision: float
    mrr: float
    median_ms: float
    p95_ms: float

    @property
    def f1(self) -> float:
        """The harmonic mean of recall and precision."""
        both = self.recall + self.precision
        return 2 * self.recall * self.precision / both if both else 0.0


def read_labelled(path: Path, truth: Truth, problems: Problems) -> list[Labelled]:
    """The questions, their right documents as ids; a bad line, or a document that nobody knows, is named in `problems`.

    Raises:
        UsageError: no such file, or no question in it can be used.
        BadRecordError: a line is not JSON (file and line named).
    """
    if not path.is_file():
        raise UsageError(f"no file {path}", 'one line a question: {"query": "…", "relevant": ["documents/….md"]}')
    known: dict[str, str] = {}
    for name in COLLECTIONS:
        for document in truth.read(name).values():
            known |= {document.id: document.id, document.path: document.id}
    found = []
    for number, line in jsonl.read_numbered(path):
        place = f"{path} line {number}"
        try:
            row = Labelled.model_validate(line)
        except ValidationError as error:
            problem = error.errors()[0]
            problems.add(f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}", place)
            continue
        relevant = [known[each] for each in row.relevant if each in known]
        if len(relevant) < len(row.relevant):
            problems.add("relevant names a document that is not indexed", place)
        if relevant:
            found.append(Labelled(query=row.query, relevant=sorted(set(relevant))))
    if not found:
        raise UsageError(f"no question of {path} can be used: {problems}", "relevant holds ids or paths of documents")
    return found


def filters(truth: Truth) -> dict[str, Wanted]:
    """The conditions that are compared, by name; recent means the 30 days up to the newest document."""
    dates = [each.date for name in HISTORY for each in truth.read(name).values()]
    everything = Wanted(max(COUNTS))
    compared = {
        "all": everything,
        BUFFER: replace(everything, collections=(BUFFER,)),
        HISTORICAL: replace(everything, collections=(HISTORICAL,)),
        f"quality ≥ {_GOOD}": replace(everything, quality=_GOOD),
    }
    if dates:
        since = date.fromisoformat(max(dates)) - timedelta(days=_RECENT)
        compared[f"since {since}"] = replace(everything, since=since.isoformat())
    return compared


def measure(
    questions: Sequence[Labelled], compared: dict[str, Wanted], ask: Callable[[str, Wanted], list[Hit]]
) -> list[Measured]:
    """Ask every question with every condition and count.

    Args:
        questions: with ids of documents as what is relevant.
        compared: conditions by name.
        ask: searches without any cache; its time is what is reported.
    """
    measured = []
    for (name, wanted), n in itertools.product(compared.items(), COUNTS):
        answers, milliseconds = [], []
        for question in questions:
            begun = time.perf_counter()
            answers.append(ask(question.query, replace(wanted, n=n)))
            milliseconds.append((time.perf_counter() - begun) * 1000)
        median, high = statistics.median(milliseconds), _percentile(milliseconds, 0.95)
        for similarity in SIMILARITIES:
            kept = [[hit for hit in hits if hit.similarity >= similarity] for hits in answers]
            scores = [_scores(hits, set(each.relevant)) for hits, each in zip(kept, questions, strict=True)]
            recall, precision, mrr = (round(statistics.fmean(column), 4) for column in zip(*scores, strict=True))
            measured.append(Measured(name, n, similarity, recall, precision, mrr, round(median, 2), round(high, 2)))
    return measured


def recommended(measured: Sequence[Measured]) -> Measured:
    """The best balance of recall and precision; of equals the better ranking, then fewer passages, then the wider one.

    Filters and similarities are measured from the widest on. Time decides nothing: it differs more from one moment to
    the next than between the settings.
    """
    return max(measured, key=lambda each: (round(each.f1, 3), each.mrr, -each.n))


def _scores(hits: Sequence[Hit], relevant: set[str]) -> tuple[float, float, float]:
    found = list(_documents(hits))
    right = [number for number, document in enumerate(found, start=1) if document in relevant]
    if not right:
        return 0.0, 0.0, 0.0
    return len(right) / len(relevant), len(right) / len(found), 1 / right[0]


def _documents(hits: Sequence[Hit]) -> Iterator[Any]:
    """The documents of the passages, each where it is found first."""
    yield from dict.fromkeys(hit.metadata["document"] for hit in hits)


def _percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]
