"""Puts the tables of the last full runs into README and docs, between `<!-- generated: name -->` and its end mark.

python -m benchmarks.publish
"""

import json
import re
from pathlib import Path

from benchmarks.table import RESULTS, Row, as_table

REPOSITORY = Path(__file__).resolve().parent.parent
DOCUMENTS = (
    "README.md",
    "docs/engines.md",
    "docs/gate.md",
    "docs/learning.md",
    "docs/data.md",
    "docs/sandbox.md",
    "docs/patterns.md",
    "docs/metrics.md",
    "docs/dashboard.md",
)
_BLOCK = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n).*?(<!-- /generated -->)", re.DOTALL)


def filled(text: str) -> str:
    """The document with every block as the kept result says; a block without a result stays as it is."""

    def fill(block: re.Match[str]) -> str:
        path = RESULTS / f"{block['name']}.json"
        if not path.is_file():
            return block[0]
        result = json.loads(path.read_text(encoding="utf-8"))
        return f"{block[1]}{as_table([Row(**row) for row in result['rows']])}\n{block[3]}"

    return _BLOCK.sub(fill, text)


if __name__ == "__main__":
    for name in DOCUMENTS:
        document = REPOSITORY / name
        document.write_text(filled(document.read_text(encoding="utf-8")), encoding="utf-8")
