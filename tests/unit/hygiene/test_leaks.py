from hypothesis import given
from hypothesis import strategies as st

from pipeline.hygiene.leaks import Protected

EXAM = ["which river flows through the old town of the north", "set total to ( 7 + 2 ) * 3", "hello there"]


def leaks(*texts: str) -> list[int | None]:
    return Protected(EXAM).leaks(texts)


def test_a_question_in_other_clothes_is_still_the_question():
    assert leaks(EXAM[0].upper(), EXAM[1].replace(" ", "  "), f"Please: {EXAM[0]}? Thanks a lot!") == [0, 1, 0]


def test_one_exchanged_word_still_gives_it_away():
    assert leaks(EXAM[0].replace("old", "ancient").replace("north", "south")) == [None]
    assert leaks("which river flows through the old town of the south") == [0]


def test_another_number_or_sign_is_another_question():
    assert (
        leaks("set total to ( 7 + 2 ) * 4", "set total to ( 7 - 2 ) * 3", "set total to ( 7 + 2 ) * 3 + 1")
        == [None] * 3
    )


def test_short_questions_leak_only_when_they_are_equal():
    assert leaks("Hello there", "well hello there again") == [2, None]


@given(st.lists(st.text(max_size=30), max_size=6), st.text(max_size=60))
def test_every_text_leaks_itself_and_nothing_breaks(exam: list[str], text: str):
    found = Protected([*exam, text]).leaks([text])
    assert found[0] is not None
    assert Protected([]).leaks([text]) == [None]
