"""The two passes that `benchmarks.data` compares, each in a process of its own so that its memory can be seen.

    python -m benchmarks.data_passes shipped|bare FOLDER OUTPUT

Read a gateway's log, join what was said later, select what failed, normalise, drop repeated questions, write.
Prints {"seconds", "rss_mb", "kept", "sha256" of the ids that were kept}; imports are not timed, but use memory.
"""

import hashlib
import json
import resource
import sys
import time
import unicodedata
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson


def shipped(folder: Path, output: Path) -> int:
    """What `harvest` does before anybody is asked."""
    from pipeline.backends.executors.local import LocalExecutor
    from pipeline.backends.sources.failures import Found, failures
    from pipeline.backends.sources.own_log import OwnLog
    from pipeline.lib import jsonl

    def kept() -> Any:
        for row, stays in failures([(OwnLog(folder), 0.0)], float("inf"), LocalExecutor(), Found()):
            if stays:
                yield row

    return jsonl.write(output, kept())


def bare(folder: Path, output: Path) -> int:
    """The same in one function, with everything that has to be remembered in memory."""
    files = sorted(folder.glob("*.jsonl"))
    thumbs: dict[str, int] = {}
    for path in files:
        with path.open("rb") as file:
            for line in file:
                if line.startswith(b'{"kind":"feedback"'):
                    said = orjson.loads(line)
                    thumbs[said["interaction_id"]] = said["thumb"]
    best: dict[bytes, tuple[float, int]] = {}
    failed: list[bytes] = []
    last: dict[str, tuple[dict[str, Any], bytes]] = {}

    def keep(row: dict[str, Any], line: bytes, weight: float) -> None:
        asked = "\n".join(
            f"{each['role']}: {' '.join(unicodedata.normalize('NFKC', each['content']).casefold().split())}"
            for each in row["messages"]
        )
        key = hashlib.blake2b(asked.encode(), digest_size=16).digest()
        if key not in best or best[key][0] < weight:
            best[key] = (weight, len(failed))
        failed.append(line)

    for path in files:
        with path.open("rb") as file:
            for line in file:
                row = orjson.loads(line)
                if row["kind"] == "feedback":
                    continue
                earlier = last.get(row["session"])
                last[row["session"]] = (row, line)
                again = earlier and earlier[0]["messages"] == row["messages"] and earlier[0]["answer"] != row["answer"]
                if earlier and again and thumbs.get(earlier[0]["id"]) != 1:
                    keep(earlier[0], earlier[1], 0.5)
                thumb = thumbs.get(row["id"])
                if thumb == -1 or (thumb is None and not row["success"]):
                    keep(row, line, 0.8 if thumb == -1 else 0.3)
    with output.open("wb") as target:
        for number in sorted(number for _, number in best.values()):
            target.write(failed[number])
    return len(best)


def _import() -> None:
    for module in ("executors.local", "sources.failures", "sources.own_log"):
        import_module(f"pipeline.backends.{module}")


def main() -> None:
    """Run one pass."""
    which, folder, output = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if which == "shipped":
        _import()
    started = time.perf_counter()
    kept = {"shipped": shipped, "bare": bare}[which](folder, output)
    seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    with output.open("rb") as file:
        ids = sorted(orjson.loads(line)["id"] for line in file)
    digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()
    print(json.dumps({"seconds": seconds, "rss_mb": memory, "kept": kept, "sha256": digest}))


if __name__ == "__main__":
    main()
