import pytest
import replies
from hypothesis import given
from hypothesis import strategies as st

from pipeline.backends.teachers import agent_zero, labelled
from pipeline.lib.records import Interaction

TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=300)
LABELLED = st.lists(
    st.sampled_from(["REASONING:", "ANSWER:", "answer", "**ANSWER:**", "```", "<think>", "</think>", "\n", "> ", "x"]),
    max_size=40,
).map(" ".join)
PLAIN_LINE = st.from_regex(r"[a-z][a-z ,.]{0,60}[a-z]", fullmatch=True).filter(
    lambda line: labelled._label(line) is None
)


def asked(answer: str = replies.BAD, *messages: dict[str, str]) -> Interaction:
    chat = list(messages) or [{"role": "user", "content": "How much is 17 + 25?"}]
    return Interaction(id="0" * 24, source="test", at=0, messages=chat, answer=answer)


@pytest.mark.parametrize(("reply", "answer"), [pytest.param(*each[1:], id=each[0]) for each in replies.REPLIES])
def test_the_answer_is_found_in_what_models_write_and_nothing_where_there_is_none(reply: str, answer: str | None):
    said = agent_zero.read(reply, asked())
    assert (said.answer or None) == answer
    assert bool(said.problem) == (answer is None)


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ("", "empty"),
        ("<think>hm", "only thinks"),
        ("So it is 42.", "no ANSWER"),
        ("REASONING: x\nANSWER:", "an empty ANSWER"),
        ("ANSWER: " + "x" * 200_000, "endless"),
        (f"REASONING: fine\nANSWER:\n```\n{replies.BAD}\n```", "repeats the bad answer"),
    ],
)
def test_why_a_reply_is_no_use_has_a_name(reply: str, problem: str):
    assert agent_zero.read(reply, asked()).problem == problem


def test_an_answer_that_was_cut_off_is_none_unless_it_came_first():
    assert agent_zero.read("REASONING: x\nANSWER: 4", asked(), cut=True).problem == "no end"
    assert agent_zero.read("REASONING: x and", asked(), cut=True).problem == "no end"
    assert agent_zero.read("ANSWER: 42\nREASONING: because a", asked(), cut=True).answer == "42"


HOSTILE = ["*", "# ", "1.", "- ", " ", "`", "ANSWER ", "<answer>", "\n---", "x\n\n", "**ANSWER** "]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", HOSTILE)
def test_a_reply_made_to_take_long_does_not(piece: str):
    reply = piece * (90_000 // len(piece))
    for text in (reply, f"{reply}x", f"ANSWER: {reply}"):
        agent_zero.read(text, asked())


def test_the_reasons_are_kept():
    assert agent_zero.read("<reasoning>The carry.</reasoning><answer>42</answer>", asked()).reasoning == "The carry."
    assert agent_zero.read("REASONING: The carry.\nTwice.\nANSWER: 42", asked()).reasoning == "The carry.\nTwice."
    assert agent_zero.read("The carry was lost.\n\nANSWER: 42", asked()).reasoning == "The carry was lost."


def test_a_fence_goes_only_where_the_bad_answer_had_none():
    reply = "REASONING: x\nANSWER:\n```\nPUSH #42\n```"
    assert agent_zero.read(reply, asked("PUSH #32")).answer == "PUSH #42"
    assert agent_zero.read(reply, asked("```\nPUSH #32\n```")).answer == "```\nPUSH #42\n```"


def test_the_teacher_sees_the_whole_conversation_and_the_bad_answer():
    system = {"role": "system", "content": "Be brief."}
    first, second = ({"role": "user", "content": text} for text in ("17 + 25?", "Are you sure?"))
    *_, prompt = agent_zero.messages(asked("32", system, first, second))
    assert prompt["content"].startswith("QUERY:\n[system]\nBe brief.\n\n[user]\n17 + 25?")
    assert prompt["content"].endswith("Are you sure?\n\nBAD_RESPONSE:\n32")
    assert agent_zero.messages(asked("32"))[-1]["content"] == "QUERY:\nHow much is 17 + 25?\n\nBAD_RESPONSE:\n32"


@given(st.one_of(TEXT, LABELLED), TEXT, st.booleans())
def test_any_reply_gives_an_answer_or_a_problem_and_never_the_bad_answer(reply: str, bad: str, cut: bool):
    for read in (agent_zero.read, agent_zero.read_plain):
        said = read(reply, asked(bad), cut)
        assert bool(said.answer) != bool(said.problem)
        assert said.answer in reply.replace("\r\n", "\n") or "\n" in said.answer
        assert said.answer.strip() != bad.strip() or not said.answer


@given(st.lists(PLAIN_LINE, min_size=1, max_size=5), st.lists(PLAIN_LINE, min_size=1, max_size=5))
def test_what_is_labelled_as_asked_for_comes_back_word_for_word(reasons: list[str], answer: list[str]):
    said = labelled.read(f"REASONING: {chr(10).join(reasons)}\nANSWER: {chr(10).join(answer)}")
    assert (said.reasoning, said.answer) == ("\n".join(reasons), "\n".join(answer))
