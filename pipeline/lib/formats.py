"""The shapes in which a dataset leaves: one row for each of the trainers that people use, and the card beside them.

`sft.jsonl`                {messages, interaction_id, origin}: TRL's and OpenAI's chat form
`alpaca.jsonl`             {instruction, input, output, interaction_id}
`prompt_completion.jsonl`  {prompt, completion, interaction_id}
`preferences.jsonl`        {prompt, chosen, rejected, interaction_id}: DPO
`unpaired.jsonl`           {prompt, completion, label, interaction_id}: KTO; label true = a good answer

Every row of a table has the same columns with the same types, and a message has a role and a content and nothing else:
libraries that infer a table's columns from its first rows are never surprised by a later one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.lib.records import Interaction, Message, Rewrite

Row = dict[str, Any]

CHAT = "sft.jsonl"
PREFERENCES = "preferences.jsonl"
UNPAIRED = "unpaired.jsonl"
ALPACA = "alpaca.jsonl"
PROMPT_COMPLETION = "prompt_completion.jsonl"
CARD = "README.md"

_MEANINGS = {
    CHAT: "whole conversations; learn the last message",
    PREFERENCES: "a better and a worse answer to the same prompt, for DPO",
    UNPAIRED: "single answers, each called good or bad, for KTO",
    ALPACA: "the rows of `sft` as instruction, input and output",
    PROMPT_COMPLETION: "the rows of `sft`, cut before the answer",
    "holdout.jsonl": "questions that were never trained on",
    "provenance.jsonl": "whose row it is, from where, by which signal",
    "hidden.jsonl": "questions kept from training for a week",
    "dropped.jsonl": "what was left out, each with its reason",
}


def tables(rewrites: Iterable[Rewrite], replay: Iterable[Interaction]) -> dict[str, list[Row]]:
    """All tables for trainers: name of the file → its rows."""
    rewrites = list(rewrites)
    rows = [chat(each.interaction_id, each.messages, each.output, "rewrite") for each in rewrites]
    rows += [chat(each.id, each.messages, each.answer, "replay") for each in replay]
    pairs = [preference(each) for each in rewrites if each.bad_output != each.output]
    return {
        CHAT: rows,
        PREFERENCES: pairs,
        UNPAIRED: [good(row) for row in rows] + [bad(pair) for pair in pairs],
        ALPACA: [alpaca(row) for row in rows],
        PROMPT_COMPLETION: [prompt_completion(row) for row in rows],
    }


def chat(identity: str, messages: Iterable[Message], answer: str, origin: str) -> Row:
    """A conversation with its answer as the last message."""
    return {"messages": [*_plain(messages), *_said(answer)], "interaction_id": identity, "origin": origin}


def preference(rewrite: Rewrite) -> Row:
    """The rewrite against the answer that failed."""
    return {
        "prompt": _plain(rewrite.messages),
        "chosen": _said(rewrite.output),
        "rejected": _said(rewrite.bad_output),
        "interaction_id": rewrite.interaction_id,
    }


def alpaca(row: Row) -> Row:
    """A chat row as instruction, input and output; what was said before the question is the input."""
    *context, question, answer = row["messages"]
    return {
        "instruction": question["content"],
        "input": "\n".join(f"{message['role']}: {message['content']}" for message in context),
        "output": answer["content"],
        "interaction_id": row["interaction_id"],
    }


def prompt_completion(row: Row) -> Row:
    """A chat row, cut before its answer."""
    return {
        "prompt": row["messages"][:-1],
        "completion": row["messages"][-1:],
        "interaction_id": row["interaction_id"],
    }


def good(row: Row) -> Row:
    """The answer of a chat row as one to learn."""
    return {**prompt_completion(row), "label": True}


def bad(pair: Row) -> Row:
    """The rejected answer of a preference row as one to unlearn."""
    return {
        "prompt": pair["prompt"],
        "completion": pair["rejected"],
        "interaction_id": pair["interaction_id"],
        "label": False,
    }


def card(manifest: Mapping[str, Any], contents: Mapping[str, list[Row]]) -> str:
    """The folder's README.md: with it `datasets.load_dataset(folder, "preferences")` finds each table that has rows.

    Args:
        manifest: `run`; `dropped`, how many rows were left out for which reason; `removed`, how many secrets and
            personal data of which class.
        contents: all tables; name of the file → its rows.
    """
    filled = {name: rows for name, rows in contents.items() if rows}
    origins = Counter(str(row["origin"]) for row in contents.get(CHAT, []))
    configurations = [
        f"- config_name: {_stem(name)}\n  data_files: {name}" + ("\n  default: true" if name == CHAT else "")
        for name in filled
    ]
    return f"""---
pretty_name: Nightschool {manifest["run"]}
license: unknown
tags: [nightschool]
configs:
{chr(10).join(configurations)}
---

# Dataset {manifest["run"]}

Better answers to questions that a model answered badly, collected by Nightschool to teach that model.

| table | rows | what it holds |
|---|---|---|
{_lines(f"| `{_stem(name)}` | {len(rows)} | {_MEANINGS.get(name, '')} |" for name, rows in contents.items())}

```python
from datasets import load_dataset

load_dataset("path/to/this/folder", "sft")
load_dataset("json", data_files="path/to/this/folder/sft.jsonl")
```

## Where the rows come from
{_lines(f"- {origin}: {count}" for origin, count in sorted(origins.items()))}

A rewrite is a better answer to something that failed; replay is an answer that somebody or something called good.
`interaction_id` names the logged conversation.

## What was removed
{_lines(f"- {reason}: {count}" for reason, count in sorted(manifest.get("dropped", {}).items())) or "Nothing."}

Taken out of the texts, by class (a placeholder such as `<EMAIL_1>` stands in its place):
{_lines(f"- {kind}: {count}" for kind, count in sorted(manifest.get("removed", {}).items())) or "Nothing."}

## Intended use
To fine-tune the model whose failures these are, and to repeat or explain such a training. It is no benchmark, and no
sample of how the model is used: failures are what it was selected for. The questions are those of the people who use
this installation, whose licence is unknown: do not publish them without asking.
"""


def _plain(messages: Iterable[Message]) -> list[Message]:
    return [{"role": message["role"], "content": message["content"]} for message in messages]


def _said(answer: str) -> list[Message]:
    return [{"role": "assistant", "content": answer}]


def _stem(name: str) -> str:
    return name.removesuffix(".jsonl")


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines)
