from typing import Any

from pipeline.hygiene.sieve import NEAR_DUPLICATE, OVER_SHARE, Candidate, Exam, Limits, Sieve
from pipeline.lib.exclusions import Exclusions
from pipeline.lib.records import Message

LONG = "please tell me which of the many rivers of this country is the longest one and where it begins"


def said(text: str) -> list[Message]:
    return [{"role": "system", "content": "You are a helpful assistant " * 20}, {"role": "user", "content": text}]


def candidate(identity: str, text: str, **more: Any) -> Candidate:
    return Candidate(
        **{"person": None, "weight": 0.5, "answer": "a", "record": None}
        | more
        | {
            "interaction_id": identity,
            "messages": said(text),
        }
    )


def dropped(sieve: Sieve) -> dict[str, str]:
    return {each.interaction_id: reason for each, reason in sieve.dropped}


def test_a_shared_system_prompt_makes_nobody_a_near_duplicate():
    sieve = Sieve([candidate("a", "what is love"), candidate("b", "how do bees fly")])
    sieve.merge()
    assert dropped(sieve) == {}


def test_of_near_duplicates_the_last_one_stays():
    sieve = Sieve([candidate("a", LONG), candidate("b", "how do bees fly"), candidate("c", LONG + "?")])
    sieve.merge()
    assert [each.interaction_id for each in sieve.kept] == ["b", "c"]
    assert dropped(sieve) == {"a": NEAR_DUPLICATE}


def test_exam_questions_and_what_is_too_close_to_one_are_told_apart():
    sieve = Sieve([candidate("a", LONG.upper()), candidate("b", f"Hello! {LONG} Thanks!"), candidate("c", "hi")])
    sieve.protect(Exam([said(LONG)], "stands in the exam"))
    assert dropped(sieve) == {"a": "stands in the exam", "b": "too close to what stands in the exam"}


def test_what_was_revoked_goes_by_person_or_by_interaction():
    sieve = Sieve([candidate("a", "x", person="anna"), candidate("b", "y"), candidate("c", "z", person="ben")])
    sieve.exclude(Exclusions({"anna": "revoked: asked for"}, {"b": "in quarantine: odd"}))
    assert dropped(sieve) == {"a": "revoked: asked for", "b": "in quarantine: odd"}


def test_one_person_s_share_is_counted_in_tokens_too():
    rows = [candidate(str(number), f"q{number}", person=str(number), answer="x") for number in range(40)]
    rows += [candidate(f"a{number}", f"r{number}", person="attacker", answer="y" * 100) for number in range(2)]
    sieve = Sieve(rows)
    sieve.limit(Limits(0.01, None, lambda texts: [len(text) for text in texts]))
    assert dropped(sieve) == {"a0": OVER_SHARE}
