"""What the parts of questions mean in answers, learned from pairs of questions that differ in one part. Pure.

A long question fails where a shorter one would not. So a part of it is replaced by a literal (a number, a quoted
text) that stands nowhere in it; the model answers the shorter question; and where the literal stands in that answer
goes what the part means. What parts mean is learned in the same way from answers that were verified: ask for the same
question with one part replaced, and see what stands in the verified answer where the literal stands in the new one.

    verified  set x to (7 + 2) * 3      PUSH #7 · PUSH #2 · ADD · PUSH #3 · MUL · STORE "x"
    asked     set x to 5 * 3            PUSH #5 · PUSH #3 · MUL · STORE "x"
    learned   "( N + N )" between "to" and "*" means "#N · PUSH #N · ADD" where the literal stands

No grammar is given, neither of questions nor of answers; and nothing here is trusted: whatever is put together is a
draft, which its check accepts or refuses. (The idea is that of least-to-most prompting, for models that cannot be
prompted; and of data recombination, with a check for what is recombined.)
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.evolution.questions import LITERAL, Context, Question, Words, taken_apart

_PIECE = re.compile(rf"{LITERAL}|\w+|[^\w\s]|\s+")  # of an answer: nothing is lost
_EVIDENCE = 6  # pairs after which a part is not asked about again
_AT_ONCE = 2  # pairs asked about one part before the answers are in
_HOPELESS = 5  # pairs that showed nothing, wherever the part stood
_FEWEST, _SURE = 2, 0.5  # pairs that make a rule, and their share of all that were asked
_TRIES = 3  # random ways of taking a question apart, for each that is wanted
_ALWAYS = 0.98  # share of questions up to a length that are answered well

Meaning = tuple[str | int, ...]  # pieces of an answer; an integer is that literal of the part, from 0


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
        self._meanings: defaultdict[Context, Counter[Meaning]] = defaultdict(Counter)
        self._without: Counter[Context] = Counter()  # pairs that showed nothing
        self._literals: Counter[str] = Counter()  # that people use
        self._wanted: Counter[Context] = Counter()  # failures in which a part stands
        self.smallest, self.easy = 0, 0  # the size of the smallest question, and up to which nearly all are answered

    def __len__(self) -> int:
        """How many parts it knows the meaning of."""
        return sum(self.meaning(context) is not None for context in list(self._meanings))

    @property
    def promising(self) -> bool:
        """Whether any part has ever shown a meaning."""
        return any(self._meanings.values())

    def survey(self, good: Iterable[str], bad: Iterable[str]) -> None:
        """See how large questions may be that are answered well, what those that are not consist of, and which literals
        people use.
        """
        sizes: dict[int, list[bool]] = {}
        self._wanted.clear()
        for texts, outcome in ((good, True), (bad, False)):
            for text in texts:
                if (question := taken_apart(text)) is None:
                    continue
                sizes.setdefault(question.size, []).append(outcome)
                self._literals.update(question.literals)
                if not outcome:
                    self._wanted.update(question.context(begin, end) for begin, end in question.parts())
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
                known = sum(self._meanings[context].values()) if context in self._meanings else 0
                enough = waiting[context] >= _AT_ONCE or known + self._without[context] >= _EVIDENCE
                if enough or len(set(literals)) < len(literals):
                    continue
                literal = self._new_literal(question, literals[0])
                if literal is None:
                    continue
                waiting[context] += 1
                outside = Counter(question.literals) - Counter(literals)
                shorter = question.replaced(begin, end, literal)
                probe = Probe(shorter, literal, context, tuple(literals), tuple(outside), answer)
                found.append((-self._wanted[context], probe))
        found.sort(key=lambda each: each[0])
        return [probe for _, probe in found[:most]]

    def _hopeless(self) -> set[Words]:
        """Parts that never showed a meaning: most are no parts at all, as `7 + (`."""
        without: Counter[Words] = Counter()
        for context, times in self._without.items():
            without[context.part] += times
        meant = {context.part for context, meanings in self._meanings.items() if meanings}
        return {part for part, times in without.items() if times >= _HOPELESS and part not in meant}

    def learn(self, probe: Probe, answer: str) -> None:
        """Take the answer to a probe as evidence."""
        meaning = _meaning(probe, answer)
        if meaning is None:
            self._without[probe.context] += 1
        else:
            self._meanings[probe.context][meaning] += 1

    def meaning(self, context: Context) -> Meaning | None:
        """What a part means; none: not enough is known."""
        known = self._meanings.get(context)
        if not known:
            return None
        meaning, times = known.most_common(1)[0]
        asked = sum(known.values()) + self._without[context]
        return meaning if times >= _FEWEST and times >= _SURE * asked else None

    def simpler(self, text: str, most: int, seed: int) -> list[Simpler]:
        """Different ways to make a question shorter, at random; the same for the same seed."""
        chance = random.Random(seed)
        ways: dict[Simpler, None] = {}
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
            literal = self._new_literal(question, literals[0])
            if literal is None:
                break
            code = "".join(literals[piece] if isinstance(piece, int) else piece for piece in meaning)
            meanings.append((literal, code))
            text = question.replaced(begin, end, literal)
        return Simpler(text, tuple(reversed(meanings)))

    def _new_literal(self, question: Question, like: str) -> str | None:
        """The literal of this kind that people use most and that is not in the question."""
        taken, quoted = set(question.literals), like[0] == '"'
        fitting = [each for each in self._literals if (each[0] == '"') == quoted and each not in taken]
        return min(fitting, key=lambda each: (len(each), -self._literals[each], each), default=None)

    def to_json(self) -> list[dict[str, Any]]:
        """For a file; half of what showed nothing is forgotten, so that a better model is asked again."""
        contexts = sorted({*self._meanings, *self._without}, key=lambda each: (each.part, each.left, each.right))
        return [
            {
                "left": each.left,
                "part": each.part,
                "right": each.right,
                "meanings": [[list(meaning), times] for meaning, times in self._meanings[each].most_common()],
                "without": without,
            }
            for each in contexts
            if (without := self._without[each] // 2) or self._meanings[each]
        ]

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
                parts._meanings[context][tuple(meaning)] += int(times)
            parts._without[context] += int(record["without"])
        return parts


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
