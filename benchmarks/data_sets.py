"""What `benchmarks.data` reads: made from seeds.

interactions   a gateway's log: 8 % of the answers failed, 3 % were rated later, 1 % of the questions come twice
prose          rows of 60 words, a fifth of them variations of an earlier row
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

PEOPLE = 1000
_START = 1_790_000_000  # seconds since 1970
_MARK = b"@@@"  # stands for the number of the copy, in ids and questions
_FEEDBACK = 0.03
_VOCABULARY = [
    "".join((first, vowel, middle, second))
    for first in "bdfgklmn"
    for vowel in "aeiou"
    for middle in "lmnrst"
    for second in "aeiouk"
]


def words(source: random.Random, count: int) -> str:
    """So many words, the frequent ones often (Zipf)."""
    size = len(_VOCABULARY)
    return " ".join(_VOCABULARY[int(size ** source.random()) - 1] for _ in range(count))


def interactions(folder: Path, rows: int, copies: int) -> int:
    """Write `rows` × `copies` interactions, a file each copy; returns the bytes."""
    folder.mkdir(parents=True)
    template = folder.parent / "template.jsonl"
    with template.open("wb") as file:
        for line in _lines(random.Random(7), rows):
            file.write(line)
    for copy in range(copies):
        with template.open("rb") as source, (folder / f"2026-09-{copy + 1:02}.jsonl").open("wb") as target:
            while block := source.readlines(1 << 20):
                target.write(b"".join(block).replace(_MARK, b"%03d" % copy))
    template.unlink()
    return sum(path.stat().st_size for path in folder.iterdir())


def _lines(source: random.Random, rows: int) -> Iterator[bytes]:
    earlier = ""
    for number in range(rows):
        question = earlier if number % 100 == 99 else f"case @@@-{number}: {words(source, 30)}?"
        earlier = question
        at, failed = _START + number * 0.05, source.random() < 0.08
        row = {
            "kind": "interaction",
            "id": f"@@@{number:021x}",
            "source": "gateway",
            "user": f"person-{number % PEOPLE}",
            "session": f"s{number // 4}",
            "at": at,
            "messages": [{"role": "user", "content": question}],
            "answer": words(source, 40),
            "model": "starter",
            "adapter": "20260901T020000Z",
            "latency_ms": 412.5,
            "tokens": 58,
            "confidence": 0.41 if failed else 0.93,
            "success": not failed,
            "retrieval": {"history": 0, "tools": 0},
        }
        yield orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
        if source.random() < _FEEDBACK:
            said = {"kind": "feedback", "interaction_id": row["id"], "at": at + 30, "thumb": source.choice((-1, 1))}
            yield orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)


def prose(rows: int, length: int = 60) -> list[str]:
    """Texts of so many words; each fifth one repeats an earlier one with up to twelve words exchanged."""
    source = random.Random(11)
    texts: list[str] = []
    for number in range(rows):
        if number % 5 == 4:
            copy = source.choice(texts).split()
            for _ in range(source.randrange(13)):
                copy[source.randrange(length)] = words(source, 1)
            texts.append(" ".join(copy))
        else:
            texts.append(words(source, length))
    return texts


def leak(source: random.Random, question: str, kind: str) -> str:
    """A question as it leaks: the same, in other case or spacing, or inside a template."""
    if kind == "case":
        return "".join(source.choice((letter.upper(), letter.lower())) for letter in question)
    if kind == "white space":
        return source.choice((" ", "\t", "  ")) + question.replace(" ", source.choice(("  ", "\n", " \t"))) + "\n"
    if kind == "template":
        before, after = source.choice(_TEMPLATES)
        return f"{before}{question}{after}"
    return question


_TEMPLATES = [
    ("Please ", ""),
    ("Hello! Could you help me with this one: ", " Many thanks!"),
    ("I have a question.\n\n", "\n\nAnswer briefly."),
    ("My colleague asks: “", "” What would you say?"),
    ("", " Explain it step by step."),
]
LEAKS = ("exact", "case", "white space", "template")


def exam(count: int) -> list[dict[str, Any]]:
    """Questions for hold-out and canary tasks: prose, and arithmetic."""
    source = random.Random(13)
    rows = []
    for number in range(count):
        text = (
            f"set {words(source, 1)} to ({source.randrange(100)} + {source.randrange(100)}) * {source.randrange(100)}"
            if number % 2
            else f"what do {words(source, source.randrange(6, 20))} mean?"
        )
        rows.append({"messages": [{"role": "user", "content": text}]})
    return rows
