"""The real package writes, we read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llm
import pytest
import sqlite_utils
from foreign import read
from llm import migrations
from llm.logs import LogStore

from pipeline.backends.sources.llm_log import LlmLog


class Parrot(llm.Model):
    """Says what it was asked, how often it was, or asks for a tool."""

    model_id = "parrot"
    supports_tools = True
    times = 0

    def execute(self, prompt: Any, stream: bool, response: Any, conversation: Any) -> Iterator[str]:
        if prompt.prompt == "use the tool":
            response.add_tool_call(llm.ToolCall(name="double", arguments={"number": 2}, tool_call_id="call-1"))
            return
        self.times += 1
        if prompt.prompt == "again":
            yield f"{self.times} times"
            return
        results = [result.output for result in prompt.tool_results]
        yield f"parrot: {' '.join(results) or prompt.prompt}"


def double(number: int) -> str:
    return str(2 * number)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Any]:
    opened = sqlite_utils.Database(tmp_path / "logs.db")
    migrations.migrate(opened)
    yield opened
    opened.close()


def test_a_conversation_of_the_real_package_is_read(tmp_path: Path, database: Any):
    conversation = Parrot().conversation()
    for question in ("hello", "and now?"):
        response = conversation.prompt(question, system="be brief")
        response.text()
        LogStore(database).log(response)
    rows, problems = read(LlmLog(tmp_path / "logs.db"))
    assert problems.count == 0
    assert [row["answer"] for row in rows] == ["parrot: hello", "parrot: and now?"]
    assert rows[1]["messages"][-3:] == [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "parrot: hello"},
        {"role": "user", "content": "and now?"},
    ]
    assert rows[0]["messages"][0] == {"role": "system", "content": "be brief"}
    assert {row["session"] for row in rows} == {conversation.id}


def test_an_answer_after_a_tool_of_the_real_package_is_read(tmp_path: Path, database: Any):
    chain = Parrot().conversation(tools=[double]).chain("use the tool")
    chain.text()
    for response in chain._responses:
        LogStore(database).log(response)
    ((row,), problems) = read(LlmLog(tmp_path / "logs.db"))
    assert (row["answer"], problems.count) == ("parrot: 4", 0)
    assert [each["role"] for each in row["messages"]] == ["user", "assistant", "tool"]
    assert row["messages"][2]["content"] == "4"


def test_a_regenerated_answer_of_the_real_package_names_the_one_that_was_kept(tmp_path: Path, database: Any):
    store = LogStore(database)
    thread = store.create_thread(name="asked twice")
    model = Parrot()
    for _ in range(2):
        response = model.prompt("again")
        response.text()
        store.log(response, thread_id=thread)
    abandoned, kept = read(LlmLog(tmp_path / "logs.db"))[0]
    assert (abandoned["answer"], abandoned["feedback"]["preferred"]) == ("1 times", "2 times")
    assert "feedback" not in kept
