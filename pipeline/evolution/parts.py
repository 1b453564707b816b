"""What the parts of questions mean in answers, learned from pairs of questions that differ in one part. Pure.

A long question fails where a shorter one would not. So a part of it is replaced by a literal (a number, a quoted
text) that stands nowhere in it; the model answers the shorter question; and where the literal stands in that answer
goes what the part means. What parts mean is learned in the same way from answers that were verified: ask for the same
question with one part replaced, and see what stands in the verified answer where the literal stands in the new one.

    verified  set x to (7 + 2) * 3      PUSH #7 · PUSH #2 · ADD · PUSH #3 · MUL · STORE "x"
    asked     set x to 5 * 3            PUSH #5 · PUSH #3 · MUL · STORE "x"
    learned   "( N + N )" between "to" and "*" means "#N · PUSH #N · ADD" where the literal stands

Literals that the model is not sure of are replaced in the same way, by some that it answers well, and put back.

No grammar is given, neither of questions nor of answers; and nothing here is trusted: whatever is put together is a
draft, which its check accepts or refuses. (The idea is that of least-to-most prompting, for models that cannot be
prompted; and of data recombination, with a check for what is recombined.)
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pipeline.evolution.questions import LITERAL, LITERAL_KINDS, Context, Question, Words, taken_apart

_PIECE = re.compile(rf"{LITERAL}|\w+|[^\w\s]|\s+")  # of an answer: nothing is lost
_EVIDENCE = 6  # pairs after which a part is not asked about again
_AT_ONCE = 2  # pairs asked about one part before the answers are in
_HOPELESS = 5  # pairs that showed nothing, wherever the part stood
_FEWEST, _SURE = 2, 0.5  # pairs that make a rule, and their share of all that were asked
_TRIES = 3  # random ways of taking a question apart, for each that is wanted
_ALWAYS = 0.98  # share of questions up to a length that are answered well
_BEST = 3  # literals that one is drawn from

Meaning = tuple[str | int, ...]  # pieces of an answer; an integer is that literal of the part, from 0
Shown = Counter[Meaning | None]  # how many pairs showed it; none: showed nothing


@dataclass(frozen=True, slots=True)
class Probe:
    """A question whose answer shows what a part of another, answered one means."""

    question: str
    literal: str
    context: Context
    literals: Words
    elsewhere: Words  # literals of the longer question outside of the part
    answer: str  # the verified one, to the longer question


@dataclass(frozen=True, slots=True)
class Simpler:
    """A shorter question, and what stands in the longer one's answer for its new literals, the last one first."""

    question: str
    meanings: tuple[tuple[str, str], ...]

    def answer(self, to_simpler: str) -> str | None:
        """The longer question's answer, from the shorter one's; none where a literal is missing or stands twice."""
        for literal, meaning in self.meanings:
            pieces = _PIECE.findall(to_simpler)
            if pieces.count(literal) != 1:
                return None
            to_simpler = "".join(meaning if piece == literal else piece for piece in pieces)
        return to_simpler


class Parts:
    """What is known about parts."""

    def __init__(self) -> None:
        self._shown: defaultdict[Context, Shown] = defaultdict(Counter)
        self._anywhere: defaultdict[Words, Shown] = defaultdict(Counter)  # the same, whatever stands beside the part
        self._literals: list[str] = []  # that people use, the best to ask with first
        self._wanted: Counter[Context] = Counter()  # failures in which a part stands
        self.smallest, self.easy = 0, 0  # the size of the smallest question, and up to which nearly all are answered

    def __len__(self) -> int:
        """How many parts it knows the meaning of."""
        return sum(self.meaning(context) is not None for context in list(self._shown))

    @property
    def promising(self) -> bool:
        """Whether any part has ever shown a meaning."""
        return any(meaning for shown in self._anywhere.values() for meaning in shown)

    def survey(self, good: Iterable[str], bad: Iterable[str]) -> None:
        """See how large questions may be that are answered well, what those that are not consist of, and which literals
        people use.
        """
        sizes: dict[int, list[bool]] = {}
        asked_with: Counter[str] = Counter()
        answered_with: Counter[str] = Counter()
        self._wanted.clear()
        for texts, outcome in ((good, True), (bad, False)):
            for text in texts:
                if (question := taken_apart(text)) is None:
                    continue
                sizes.setdefault(question.size, []).append(outcome)
                asked_with.update(question.literals)
                if outcome:
                    answered_with.update(question.literals)
                else:
                    self._wanted.update(question.context(begin, end) for begin, end in question.parts())
        # Short ones, and of those the ones in questions that are answered; rare ones are in between (Laplace's rule).
        chances = {each: (answered_with[each] + 1) / (times + 2) for each, times in asked_with.items()}
        self._literals = sorted(chances, key=lambda each: (len(each), -chances[each], each))
        self.smallest = self.easy = min(sizes, default=0)
        asked = answered = 0
        for size, outcomes in sorted(sizes.items()):
            asked, answered = asked + len(outcomes), answered + sum(outcomes)
            if answered >= _ALWAYS * asked:
                self.easy = size

    def probes(self, verified: Iterable[tuple[str, str]], most: int) -> list[Probe]:
        """What to ask next: first about the parts that stand in most failures.

        Args:
            verified: questions and answers that passed their check.
            most: number of probes.
        """
        waiting: Counter[Context] = Counter()
        hopeless = self._hopeless()
        found: list[tuple[int, Probe]] = []
        pairs = ((question, answer) for text, answer in verified if (question := taken_apart(text)) is not None)
        for question, answer in sorted(pairs, key=lambda pair: (len(pair[0].tokens), pair[0].text)):
            for begin, end in question.parts():
                context, literals = question.context(begin, end), question.literals_of(begin, end)
                if context not in self._wanted or context.part in hopeless:
                    continue
                asked = self._shown[context].total() if context in self._shown else 0
                enough = waiting[context] >= _AT_ONCE or asked >= _EVIDENCE
                if enough or len(set(literals)) < len(literals):
                    continue
                new = self._new_literals(question, literals[0])
                if not new:
                    continue
                literal = new[0]
                waiting[context] += 1
                outside = Counter(question.literals) - Counter(literals)
                shorter = question.replaced(begin, end, literal)
                probe = Probe(shorter, literal, context, tuple(literals), tuple(outside), answer)
                found.append((-self._wanted[context], probe))
        found.sort(key=lambda each: each[0])
        return [probe for _, probe in found[:most]]

    def _hopeless(self) -> set[Words]:
        """Parts that never showed a meaning: most are no parts at all, as `7 + (`."""
        return {
            part
            for part, shown in self._anywhere.items()
            if shown[None] >= _HOPELESS and not any(meaning for meaning in shown)
        }

    def learn(self, probe: Probe, answer: str) -> None:
        """Take the answer to a probe as evidence."""
        self._learn(probe.context, _meaning(probe, answer), 1)

    def _learn(self, context: Context, meaning: Meaning | None, times: int) -> None:
        self._shown[context][meaning] += times
        self._anywhere[context.part][meaning] += times

    def meaning(self, context: Context) -> Meaning | None:
        """What a part means; none: not enough is known.

        Between tokens where nobody has asked yet it is believed to mean what it means elsewhere.
        """
        shown = self._shown.get(context) or self._anywhere.get(context.part)
        return _agreed(shown) if shown else None

    def simpler(self, text: str, most: int, seed: int) -> list[Simpler]:
        """Different ways to make a question shorter, at random; the same for the same seed."""
        chance = random.Random(seed)
        ways: dict[Simpler, None] = {}
        if not self.promising:
            return []
        for _ in range(_TRIES * most):
            way = self._once(text, chance.randint(self.smallest, max(self.smallest, self.easy)), chance)
            if way.meanings:
                ways[way] = None
            if len(ways) == most:
                break
        return list(ways)

    def _once(self, text: str, size: int, chance: random.Random) -> Simpler:
        """Replace parts at random until the question is at most so large, or nothing is known to replace."""
        meanings: list[tuple[str, str]] = []
        while (question := taken_apart(text)) is not None and (question.size > size or not meanings):
            known = [
                (begin, end, meaning)
                for begin, end in question.parts()
                if (meaning := self.meaning(question.context(begin, end))) is not None
            ]
            if not known:
                break
            begin, end, meaning = chance.choice(known)
            literals = question.literals_of(begin, end)
            new = self._new_literals(question, literals[0])
            if not new:
                break
            literal = chance.choice(new)
            code = "".join(literals[piece] if isinstance(piece, int) else piece for piece in meaning)
            meanings.append((literal, code))
            text = question.replaced(begin, end, literal)
        if chance.random() < 0.5:
            text = self._renamed(text, meanings, chance)
        return Simpler(text, tuple(reversed(meanings)))

    def _renamed(self, text: str, meanings: list[tuple[str, str]], chance: random.Random) -> str:
        """The question with its literals replaced by some of the best; what they stand for goes to the meanings."""
        replaced = {literal for literal, _ in meanings}
        position = 0
        while (question := taken_apart(text)) is not None and position < len(question.tokens):
            token = question.tokens[position]
            if token.literal and token.text not in replaced and (new := self._new_literals(question, token.text)):
                literal = chance.choice(new)
                meanings.append((literal, token.text))
                text = question.replaced(position, position + 1, literal)
            position += 1
        return text

    def _new_literals(self, question: Question, like: str) -> list[str]:
        """The best literals of this kind that are not in the question."""
        taken, quoted = set(question.literals), like[0] == '"'
        fitting = (each for each in self._literals if (each[0] == '"') == quoted and each not in taken)
        return list(islice(fitting, _BEST))

    def to_json(self) -> list[dict[str, Any]]:
        """For a file; half of what showed nothing is forgotten, so that a better model is asked again."""
        records = []
        for context in sorted(self._shown, key=lambda each: (each.part, each.left, each.right)):
            shown = self._shown[context]
            meanings = [[list(meaning), times] for meaning, times in shown.most_common() if meaning is not None]
            without = shown[None] // 2
            if meanings or without:
                sides = {"left": context.left, "part": context.part, "right": context.right}
                records.append({**sides, "meanings": meanings, "without": without})
        return records

    @classmethod
    def from_json(cls, records: Sequence[Mapping[str, Any]]) -> "Parts":
        """What `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError: it did not write that.
        """
        parts = cls()
        for record in records:
            context = Context(str(record["left"]), tuple(map(str, record["part"])), str(record["right"]))
            for meaning, times in record["meanings"]:
                if _fits(meaning, context):
                    parts._learn(context, tuple(meaning), int(times))
            if without := int(record["without"]):
                parts._learn(context, None, without)
        return parts


def _fits(meaning: Iterable[str | int], context: Context) -> bool:
    """Whether the part has all literals that the meaning names: a number was once written like the word `n`."""
    literals = sum(kind in LITERAL_KINDS for kind in context.part)
    return all(piece < literals for piece in meaning if isinstance(piece, int))


def _agreed(shown: Shown) -> Meaning | None:
    """What most pairs showed; none: they showed nothing, or too little, or did not agree."""
    for meaning, times in shown.most_common():
        if meaning is not None:
            return meaning if times >= _FEWEST and times >= _SURE * shown.total() else None
    return None


def _meaning(probe: Probe, answer: str) -> Meaning | None:
    """What stands in the verified answer where the literal stands in this one, when all else is equal."""
    longer, shorter = _PIECE.findall(probe.answer), _PIECE.findall(answer)
    if shorter.count(probe.literal) != 1:
        return None
    before = shorter.index(probe.literal)
    behind = len(shorter) - before - 1
    end = len(longer) - behind
    if end - before < 2 or longer[:before] != shorter[:before] or longer[end:] != shorter[before + 1 :]:
        return None
    meaning = tuple(probe.literals.index(piece) if piece in probe.literals else piece for piece in longer[before:end])
    # All of the part's literals, and none that stands elsewhere in the question; others belong to the meaning itself.
    used = {piece for piece in meaning if isinstance(piece, int)}
    if len(used) < len(probe.literals) or any(piece in probe.elsewhere for piece in meaning):
        return None
    return meaning
