import copy
import json
import tempfile
from pathlib import Path
from typing import Any

from foreign import FILES, WebUi, chat_history, lines, read, reply
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.backends.sources import exports
from pipeline.lib.problems import Problems
from pipeline.lib.records import Interaction

NUMBERS = st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
ODD = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "text", "role", "x"]), inner),
    max_leaves=6,
)
KINDS = st.sampled_from(sorted(FILES))


def places(value: Any) -> list[list[Any]]:
    """The ways to every value inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [[key, *rest] for key, each in inner for rest in ([], *places(each))]


def replaced(value: Any, data: st.DataObject) -> Any:
    """The same with one value in it replaced, or taken out."""
    changed = copy.deepcopy(value)
    *way, last = data.draw(st.sampled_from(places(changed)))
    holder = changed
    for key in way:
        holder = holder[key]
    if data.draw(st.booleans()):
        holder[last] = data.draw(ODD)
    else:
        del holder[last]
    return changed


@settings(max_examples=150)
@given(KINDS, st.data())
def test_no_shape_of_a_row_stops_the_reading(kind: str, data: st.DataObject):
    source, records = FILES[kind]
    with tempfile.TemporaryDirectory() as folder:
        rows, _ = read(source(lines(Path(folder, "x.jsonl"), replaced(records(), data))))
    assert all(Interaction.model_validate(row) for row in rows)


@settings(max_examples=60)
@given(st.data())
def test_no_shape_of_a_chat_or_a_rating_stops_the_reading(data: st.DataObject):
    question = {"role": "user", "parentId": None, "content": "q", "timestamp": 5}
    answers = {"a": reply("q", 5, "one", usage={"n": 1}, output=[{"id": "m"}]), "b": reply("q", 9, "two")}
    history = replaced(chat_history("b", q=question, **answers), data)
    rating = replaced({"rating": -1, "reason": "other", "comment": "no", "details": {"rating": 2}}, data)
    with tempfile.TemporaryDirectory() as folder:
        database = WebUi(Path(folder, "webui.db"))
        database.chat("c", history, 9)
        database.rate("c", "a", 10, history, **rating)
        rows, _ = read(database.done())
    assert all(Interaction.model_validate(row) for row in rows)


@given(st.binary(max_size=200), st.integers(0, 400), KINDS)
def test_no_bytes_stop_the_reading_of_an_export(noise: bytes, position: int, kind: str):
    source, records = FILES[kind]
    for indent in (None, 1):
        raw = json.dumps(records(), indent=indent).encode()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "x.json")
            path.write_bytes(raw[:position] + noise + raw[position:])
            read(source(path))


@settings(max_examples=40)
@given(st.lists(st.dictionaries(st.text(), ODD, max_size=3), max_size=5), st.sampled_from([None, 0, 2, "\t"]))
def test_rows_are_read_as_they_were_written_in_every_layout(rows: list[dict[str, Any]], indent: Any):
    rows = [{"id": number, **row} for number, row in enumerate(rows)]
    layouts = {
        "lines": "\n".join(map(json.dumps, rows)),
        "list": json.dumps(rows, indent=indent),
        "envelope": json.dumps({"data": rows}, indent=indent),
        "behind each other": "\n".join(json.dumps(row, indent=indent) for row in rows),
    }
    with tempfile.TemporaryDirectory() as folder:
        for layout, text in layouts.items():
            path = Path(folder, "x.json")
            path.write_text(text)
            problems = Problems()
            found = [record for _, record in exports.read([path], problems)]
            assert (layout, found, problems.count) == (layout, rows, 0)
