"""Finds `REASONING:` and `ANSWER:` in what a model really wrote.

Models put labels into bold type, headings, lists, lower case, other languages; they think aloud first, quote the
question, wrap everything into a code fence, answer first and reason later, correct themselves, and chat on. A label
counts at the beginning of a line outside code and quotations. Of several answers the last one is meant, but neither
one that only quotes the bad answer nor one that the model made up together with its next question.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import orjson

from pipeline.lib.text import normalize

LONGEST = 100_000  # characters of a reply that are read; whoever writes more does not end

_REASONINGS = "reasoning|begründung|razonamiento|raisonnement|ragionamento|raciocínio|рассуждение|推理|理由"
_ANSWERS = "answer|antwort|respuesta|réponse|reponse|risposta|resposta|ответ|答案|回答"
_LABEL = re.compile(
    rf"""[ \t]*+ (?P<marks> (?: [#*_]++[ \t]*+ | [-•+][ \t]++ | \(?\d{{1,2}}[.)][ \t]*+ )*+ )
    (?: (?:the|my|final|better|best|improved|corrected|revised|new) [ \t]+ )*
    (?P<label> (?P<reasoning>{_REASONINGS}) | (?P<answer>{_ANSWERS}) )
    [ \t]* (?P<closed>[*_]*) [ \t]* (?P<colon>[:：]?) [ \t]* (?P<late>[*_]*(?=\s|$))? [ \t]* (?P<rest>.*)""",
    re.IGNORECASE | re.VERBOSE,
)
_INLINE = re.compile(r"(?:(?<=[.!?;)\]\"'。])|(?<=\*\*))[ \t]+[*_]{0,3}ANSWER[*_]{0,3}:[*_]{0,3}[ \t]*")
_NEXT_QUESTION = re.compile(r"[#*_ \t]*(?:QUERY|BAD_RESPONSE)[*_ \t]*:")
_TAG = re.compile(r"<(?P<ends>/?)answer>", re.IGNORECASE)
_THOUGHT = re.compile(r"\s*<(?P<tag>think|thinking|thought|reflection)>", re.IGNORECASE)
_THOUGHT_ENDS = re.compile(r"</(?:think|thinking|thought)>", re.IGNORECASE)
_TOKENS = re.compile(r"<\|(?:im_end|im_start|eot_id|end|endoftext|end_of_text|eom_id)\|>|</s>|<end_of_turn>|<eos>")
_PLACEHOLDER = re.compile(r"[<\[{(](?:your|the|insert|a|my)\b[^>\]})]{0,80}[>\]})]|\.{3}|…", re.IGNORECASE)
_CHATTER = re.compile(
    r"I hope (?:this|that|it)|hope (?:this|that) helps|(?:please )?let me know (?:if|whether)|feel free to|"
    r"is there anything else|if you (?:have|need|want|would like)\b.{0,60}\b(?:question|help|assist|explan|clarif)",
    re.IGNORECASE,
)
_RULE = re.compile(r"\n[ \t]*(?:-{3,}|\*{3,}|_{3,}|={3,})[ \t]*\Z")


@dataclass(frozen=True, slots=True)
class Said:
    """What a reply came to; without an answer, `problem` says why. `open_ended`: nothing comes behind the answer."""

    reasoning: str = ""
    answer: str = ""
    problem: str = ""
    open_ended: bool = True


@dataclass(frozen=True, slots=True)
class _Section:
    is_answer: bool
    text: str


def read(reply: str, bad_answer: str = "") -> Said:
    """Reasoning and answer of a reply, whatever it looks like; never raises.

    Args:
        reply: what the model wrote.
        bad_answer: what it had before it, and may have quoted.
    """
    if len(reply) > LONGEST:
        return Said(problem="endless")
    text = without_thoughts(reply)
    if text is None:
        return Said(problem="only thinks")
    text = text.strip()
    if not text:
        return Said(problem="empty")
    for form in (text, _unwrapped(text)):
        said = _in_labels(form, bad_answer) or _in_one_line(form) or _tagged(form) or _in_json(form)
        if said is not None:
            return said
    return Said(problem="no ANSWER")


def without_thoughts(reply: str) -> str | None:
    """A reply without what its model thought aloud, and without its template's tokens; none: it only thought."""
    opening = _THOUGHT.match(reply)
    ends = list(_THOUGHT_ENDS.finditer(reply))
    if opening:
        closing = re.compile(rf"</{opening['tag']}>", re.IGNORECASE).search(reply, opening.end())
        if closing is None:
            return None
        reply = reply[closing.end() :]
    elif ends and not re.search(r"<(?:think|thinking|thought)>", reply[: ends[0].start()], re.IGNORECASE):
        reply = reply[ends[0].end() :]  # a server that eats the opening tag
    token = _TOKENS.search(reply)
    return reply[: token.start()] if token and reply[: token.start()].strip() else _TOKENS.sub("", reply)


def _in_labels(text: str, bad_answer: str) -> Said | None:
    sections = list(_sections(text))
    answers = [number for number, each in enumerate(sections) if each.is_answer]
    if not answers:
        return None
    written = [number for number in answers if _tidy(sections[number].text)]
    if not written:
        return Said(problem="an empty ANSWER")
    own = [number for number in written if normalize(sections[number].text) not in normalize(bad_answer)]
    chosen = (own or written)[-1]
    reasoning = "\n\n".join(each.text for each in sections if not each.is_answer and each.text)
    return Said(reasoning, _tidy(sections[chosen].text), open_ended=chosen == len(sections) - 1)


def _sections(text: str) -> Iterator[_Section]:
    """The text before the first label, if any, as reasoning; then what stands behind each label.

    Where one answer is labelled in capitals, as asked for, small letters are words of a text.
    """
    lines = text.splitlines()
    code = _in_code(lines)
    labels = {number: label for number, line in enumerate(lines) if number not in code and (label := _label(line))}
    shouted = any(label["answer"] and _in_capitals(label) for label in labels.values())
    is_answer, answered = False, False
    collected: list[str] = []
    for number, line in enumerate(lines):
        label = labels.get(number)
        if answered and number not in code and _NEXT_QUESTION.match(line):
            break
        if label is None or _is_prose(label, shouted, answered):
            collected.append(line)
            continue
        yield _Section(is_answer, "\n".join(collected).strip())
        is_answer = label["answer"] is not None
        answered = answered or is_answer
        collected = [_rest(label)]
    yield _Section(is_answer, "\n".join(collected).strip())


def _is_prose(label: re.Match[str], shouted: bool, answered: bool) -> bool:
    return shouted and not _in_capitals(label) and (answered or label["answer"] is not None)


def _in_capitals(label: re.Match[str]) -> bool:
    """Also of scripts that have none."""
    return label["label"] == label["label"].upper()


def _label(line: str) -> re.Match[str] | None:
    label = _LABEL.match(line)
    if label is None or label["colon"]:
        return label
    alone = not label["rest"].strip()
    return label if alone and (_in_capitals(label) or re.search(r"[#*_]", label["marks"])) else None


def _rest(label: re.Match[str]) -> str:
    """What stands behind the label in its line; bold type that began before the label may end behind it."""
    rest = label["rest"]
    opened = re.search(r"[*_]+\s*\Z", label["marks"])
    if opened and not label["closed"] and not label["late"]:
        mark = opened[0].strip()
        if rest.rstrip().endswith(mark) and rest.count(mark) % 2:
            return rest.rstrip().removesuffix(mark)
    return rest


def _in_code(lines: Sequence[str]) -> set[int]:
    """Numbers of the lines within code fences, those that open and close them included; a fence needs its end."""
    inside: set[int] = set()
    opened: int | None = None
    for number, line in enumerate(lines):
        if line.count("```") % 2 == 0 and not re.match(r"[ \t]*~~~", line):
            continue
        if opened is None:
            opened = number
        else:
            inside.update(range(opened + 1, number + 1))
            opened = None
    return inside


def _in_one_line(text: str) -> Said | None:
    """`REASONING: … ANSWER: …` without a line break between them."""
    before, *behind = _INLINE.split(text)
    if not behind or not _tidy(behind[-1]):
        return None
    label = _label(before)
    return Said(label["rest"] if label and label["reasoning"] else before.strip(), _tidy(behind[-1]))


def _tagged(text: str) -> Said | None:
    """`<answer>…</answer>`, the last of them."""
    tags = list(_TAG.finditer(text))
    for opening, closing in reversed(list(pairwise(tags))):
        answer = _tidy(text[opening.end() : closing.start()])
        if answer and closing["ends"] and not opening["ends"]:
            reasoning = re.sub(r"</?reasoning>", "", text[: tags[0].start()], flags=re.IGNORECASE)
            return Said(reasoning.strip(), answer, open_ended=False)
    return None


def _in_json(text: str) -> Said | None:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict):
        return None
    parts = {key.lower(): each for key, each in value.items() if isinstance(each, str)}
    answer = _tidy(parts.get("answer", ""))
    return Said(parts.get("reasoning", ""), answer, open_ended=False) if answer else None


def _unwrapped(text: str) -> str:
    """The inside of a fence that holds the whole reply."""
    lines = text.splitlines()
    if len(lines) > 2 and lines[0].startswith("```") and lines[-1].strip() == "```":
        return "\n".join(lines[1:-1]).strip()
    return text


def _tidy(answer: str) -> str:
    """An answer without what a model says to whoever asked for it; nothing, where only the form was filled in."""
    answer = _RULE.sub("", answer.strip()).rstrip()
    paragraphs = answer.split("\n\n")
    while len(paragraphs) > 1 and _CHATTER.match(paragraphs[-1].strip()):
        paragraphs.pop()
    answer = _RULE.sub("", "\n\n".join(paragraphs).rstrip()).rstrip()
    return "" if _PLACEHOLDER.fullmatch(answer) else answer
