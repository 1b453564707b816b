"""Questions taken apart: words, signs and literals, and the parts that may be made of them. Pure.

Literals (numbers, quoted texts) and brackets are all that is known of language here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

LITERAL_KINDS = NUMBER, TEXT = "N", '"…"'  # how they stand in a context
LITERAL = r'"[^"\n]*"|\d+'
_TOKEN = re.compile(rf"{LITERAL}|\w+|[^\w\s]")
_EDGE = ""  # what stands beside the first and the last token
_OPENING, _CLOSING = ("(", "[", "{"), (")", "]", "}")
_LONGEST_PART = 7  # tokens
_LONGEST_QUESTION = 80  # tokens; longer ones are not taken apart

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """A part with its literals left open, and the tokens on its left and on its right."""

    left: str
    part: Words
    right: str


@dataclass(frozen=True, slots=True)
class Token:
    """A word, sign or literal of a question, and where it stands."""

    text: str
    start: int
    end: int

    @property
    def literal(self) -> bool:
        """Whether it is a number or a quoted text."""
        return (self.text[0] == '"' and len(self.text) > 1) or self.text.isdecimal()

    @property
    def kind(self) -> str:
        """What it is in a context: literals of a kind are alike. No word is `N`, words are in small letters."""
        if self.literal:
            return TEXT if self.text[0] == '"' else NUMBER
        return self.text.lower()


@dataclass(frozen=True, slots=True)
class Question:
    """A question taken apart."""

    text: str
    tokens: tuple[Token, ...]

    @property
    def literals(self) -> list[str]:
        """In their order."""
        return [token.text for token in self.tokens if token.literal]

    @property
    def size(self) -> int:
        """How much there is to do: literals and signs; words are mostly the way of asking."""
        return sum(token.literal or not token.text[0].isalpha() for token in self.tokens)

    def parts(self) -> Iterator[tuple[int, int]]:
        """Where a part may begin and end: two tokens or more, with a literal, but not all of them.

        Brackets are closed in the part that they are opened in.
        """
        for begin in range(len(self.tokens)):
            inside = depth = 0
            for end in range(begin + 1, min(len(self.tokens), begin + _LONGEST_PART) + 1):
                last = self.tokens[end - 1]
                inside += last.literal
                depth += (last.text in _OPENING) - (last.text in _CLOSING)
                if depth < 0:
                    break
                if depth == 0 and 1 < end - begin < len(self.tokens) and inside:
                    yield begin, end

    def context(self, begin: int, end: int) -> Context:
        """A part as it is remembered."""
        left = self.tokens[begin - 1].kind if begin else _EDGE
        right = self.tokens[end].kind if end < len(self.tokens) else _EDGE
        return Context(left, tuple(token.kind for token in self.tokens[begin:end]), right)

    def literals_of(self, begin: int, end: int) -> list[str]:
        """Those of a part."""
        return [token.text for token in self.tokens[begin:end] if token.literal]

    def replaced(self, begin: int, end: int, literal: str) -> str:
        """The shorter question."""
        return self.text[: self.tokens[begin].start] + literal + self.text[self.tokens[end - 1].end :]


def taken_apart(text: str) -> Question | None:
    """A question's tokens; none: too long, or without a literal."""
    tokens = tuple(Token(match[0], match.start(), match.end()) for match in _TOKEN.finditer(text))
    if len(tokens) > _LONGEST_QUESTION or not any(token.literal for token in tokens):
        return None
    return Question(text, tokens)
