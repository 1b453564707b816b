"""People's data: how fast and in how much memory it is read, and what hygiene finds and leaves alone.

    python -m benchmarks.data [--quick] [--json] [--rows 1000000]

The alternative beside reading is a bare pass in one function; beside near-duplicate removal it is the exact greedy
answer, from all pairs that SetSimilaritySearch (`pip install '.[test]'`) finds; beside a warm cache a cold query.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import data_sets
from benchmarks.table import Row, finish
from pipeline.hygiene.leaks import Protected
from pipeline.hygiene.near_duplicates import THRESHOLD, minhash, near_duplicates
from pipeline.hygiene.shares import Contribution, over_share
from pipeline.hygiene.shingles import shingled
from pipeline.hygiene.sieve import said_by_people

_COPIES = 10
_ROWS = 1_000_000


def reading(folder: Path, rows: int) -> list[Row]:
    """A million rows and ten million: seconds, memory, and the same rows as the bare pass."""
    log = folder / "log"
    size = data_sets.interactions(log, rows, _COPIES)
    one = folder / "one"
    one.mkdir()
    (one / "2026-09-01.jsonl").hardlink_to(log / "2026-09-01.jsonl")
    pairs = [[_pass(which, one, folder) for which in ("bare", "shipped")] for _ in range(3)]
    bare, shipped = (min((pair[side] for pair in pairs), key=lambda done: done["seconds"]) for side in (0, 1))
    ratio = shipped["seconds"] / bare["seconds"]
    many = _pass("shipped", log, folder)
    growth, more = many["seconds"] / shipped["seconds"], many["rss_mb"] / shipped["rss_mb"]
    same = shipped["sha256"] == bare["sha256"]
    memory = f"{shipped['rss_mb']:.0f} MB (bare {bare['rss_mb']:.0f} MB)"
    label = f"{rows:,} interactions ({size / _COPIES / 1e6:.0f} MB): read, select failures, dedupe, write"
    return [
        Row(
            label,
            "≤ 1.5 × a bare pass",
            f"{shipped['seconds']:.1f} s, bare {bare['seconds']:.1f} s: {ratio:.2f} ×",
            ratio <= 1.5,
        ),
        Row(
            "… memory",
            "≤ 150 MB",
            memory,
            shipped["rss_mb"] <= 150,
        ),
        Row("… the same rows as the bare pass", "yes", f"{shipped['kept']:,} {'equal' if same else 'NOT'}", same),
        Row(f"{rows * _COPIES:,} interactions, time", "≤ 11 × that", f"{growth:.1f} ×", growth <= 11),
        Row("… memory", "≤ 150 MB, the same", f"{many['rss_mb']:.0f} MB, {more:.2f} ×", many["rss_mb"] <= 150),
    ]


def _pass(which: str, log: Path, folder: Path) -> dict[str, Any]:
    output = folder / f"{which}.jsonl"
    command = [sys.executable, "-m", "benchmarks.data_passes", which, str(log), str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    output.unlink()
    return result


def near(rows: int) -> list[Row]:
    """Near duplicates in prose: time beyond MinHash itself, and the rows that exact greedy Jaccard keeps."""
    from SetSimilaritySearch import all_pairs

    texts = data_sets.prose(rows)
    started = time.perf_counter()
    data = shingled(texts)
    minhash(data)
    alone = time.perf_counter() - started
    started = time.perf_counter()
    gone = set(near_duplicates(texts))
    beyond = time.perf_counter() - started - alone

    similar: dict[int, list[int]] = {}
    for one, other, _ in all_pairs([data.triples(index) for index in range(rows)], "jaccard", THRESHOLD):
        similar.setdefault(max(one, other), []).append(min(one, other))
    exact: set[int] = set()
    for index in sorted(similar):
        if any(earlier not in exact for earlier in similar[index]):
            exact.add(index)
    differing = len(gone ^ exact) / rows
    return [
        Row(
            f"near duplicates in {rows:,} rows of 60 words",
            "≤ 3 s over MinHash itself",
            f"{beyond:.2f} s over {alone:.2f} s",
            beyond <= 3,
        ),
        Row(
            "… rows decided otherwise than by exact greedy Jaccard",
            "≤ 0.1 %",
            f"{100 * differing:.3f} % ({len(gone):,} removed)",
            differing <= 0.001,
        ),
    ]


def arithmetic() -> list[Row]:
    """Questions that differ in one digit, in long identical sentences."""
    source = random.Random(3)
    frame = f"{data_sets.words(source, 40)} how much is {{}} + {{}} when {data_sets.words(source, 15)}?"
    texts = [frame.format(one, other) for one in range(100) for other in range(100)]
    merged = len(near_duplicates(texts))
    return [Row(f"{len(texts):,} arithmetic questions that differ in one digit, merged", "0", str(merged), merged == 0)]


def leaks(count: int) -> list[Row]:
    """Exam questions planted among training rows; and how many innocent rows are taken for one."""
    source = random.Random(5)
    exam = [row["messages"] for row in data_sets.exam(1000)]
    protected = Protected([said_by_people(messages) for messages in exam])
    rows = []
    for kind in data_sets.LEAKS:
        planted = [data_sets.leak(source, said_by_people(source.choice(exam)), kind) for _ in range(count)]
        share = sum(found is not None for found in protected.leaks(planted)) / count
        rows.append(Row(f"leaks found: {kind}", "≥ 99 %", f"{100 * share:.1f} %", share >= 0.99))
    other = [said_by_people(row["messages"]) for row in data_sets.exam(4000)[1000:]]
    false = sum(found is not None for found in protected.leaks(other)) / len(other)
    return [*rows, Row("other questions taken for leaks", "–", f"{100 * false:.2f} %", None)]


def poison() -> list[Row]:
    """One of a thousand people plants one row in twenty, with answers ten times as long."""
    source = random.Random(9)
    rows = [Contribution(f"person-{source.randrange(1000)}", 20 + source.randrange(60), 0.8) for _ in range(19_000)]
    rows += [Contribution("attacker", 400, 1.0) for _ in range(1000)]
    source.shuffle(rows)
    gone = over_share(rows, 0.01)
    left = [row for index, row in enumerate(rows) if index not in gone]
    theirs = [row for row in left if row.person == "attacker"]
    of_rows, of_tokens = len(theirs) / len(left), sum(r.tokens for r in theirs) / sum(r.tokens for r in left)
    innocent = sum(rows[index].person != "attacker" for index in gone)
    return [
        Row(
            "poisoning: what is left of one account's 5 % of the rows",
            "≤ 1 % of rows and tokens",
            f"{100 * of_rows:.2f} % of rows, {100 * of_tokens:.2f} % of tokens; {innocent} rows of others went",
            of_rows <= 0.01 and of_tokens <= 0.01,
        )
    ]


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=_ROWS)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the rows")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = options.rows // 20 if options.quick else options.rows
    with tempfile.TemporaryDirectory() as folder:
        measured = reading(Path(folder), rows)
    measured += [*near(rows // 10), *arithmetic(), *leaks(rows // 200), *poison()]
    finish("data", measured, {}, options.json, keep=not options.quick and options.rows == _ROWS)


if __name__ == "__main__":
    main()
