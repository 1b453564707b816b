import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evolution.patterns import Catalogue, Pattern, anything_else, shape
from pipeline.starter import tasks


def asked(operations: int, count: int, seed: int = 0) -> list[str]:
    source = random.Random(f"{seed} {operations}")
    return [tasks.draw(source, operations).question for _ in range(count)]


DAY = [question for operations in range(1, 6) for question in asked(operations, 120)]


def test_numbers_and_quoted_texts_are_placeholders():
    assert shape("Set x1 to 3.5 + 1,000 of 3kg").parts == ("set", "x1", "to", "N", "+", "N", "of", "N")
    assert shape("say \"it's 5\", “later”, `7` and 'so'").parts == ("say", '"…"', ",", '"…"', ",", '"…"', "and", '"…"')
    assert shape("it doesn't").parts == ("it", "doesn", "'", "t")


def test_words_of_a_script_without_spaces_are_its_characters():
    assert shape("3つの和を計算 now").parts == ("N", "つ", "の", "和", "を", "計", "算", "now")


def test_questions_that_differ_in_values_and_names_share_a_pattern():
    catalogue = Catalogue()
    catalogue.learn(DAY)
    for first, second in (
        ("set total to 7 + 2 * 3", "set speed to 9 - 4 - 1"),
        ("price = 1 + 2", "x = 8 * 8"),
        ("compute 1 + 2 and store it in area", "compute 9 * 3 and store it in y"),
    ):
        assert catalogue.of(first) == catalogue.of(second)
        assert catalogue.of(first).words


def test_another_phrasing_is_another_pattern():
    catalogue = Catalogue()
    catalogue.learn(DAY)
    questions = ["set total to 7 + 2 * 3", "let total be 7 + 2 * 3", "compute 7 + 2 and store it in total"]
    assert len({catalogue.of(each).id for each in questions}) == len(questions)


def test_easy_and_hard_questions_of_one_phrasing_are_told_apart():
    catalogue = Catalogue()
    catalogue.learn(DAY)
    easy, hard = ([q for q in asked(count, 200, seed=1) if q.startswith("set ")] for count in (1, 5))
    assert not {catalogue.of(each).id for each in easy} & {catalogue.of(each).id for each in hard}


def test_what_varies_is_no_part_of_a_pattern():
    catalogue = Catalogue()
    catalogue.learn(f"tell {name} about the {N} pumps in the hall" for N, name in enumerate(["Ann", "Bob", "Cy"]))
    (pattern,) = catalogue.patterns
    assert pattern.label == "tell … about the N pumps in the hall"
    assert not {"ann", "bob", "cy"} & pattern.words


def test_what_only_few_people_ask_is_not_written_down():
    catalogue = Catalogue()
    assert catalogue.learn(["my secret plan for 3 hats", "my secret plan for 4 hats"]) == []
    assert catalogue.of("my secret plan for 5 hats") == anything_else(shape("my secret plan for 5 hats").size)


def test_a_known_pattern_stays_what_it_is_and_is_not_found_again():
    first = Catalogue()
    found = first.learn(DAY)
    second = Catalogue(found)
    assert second.learn(asked(3, 100, seed=2)) == []
    assert [second.of(each) for each in DAY] == [first.of(each) for each in DAY]


def test_there_is_a_bound_and_always_room_for_something_new():
    words = "abcdefghijklmnopqrstuvwxyz"
    many = [f"{a}{b} {a}a {b}b {a}{b}{a}" for a in words for b in words for _ in range(3)]
    catalogue = Catalogue(most=20)
    catalogue.learn(many)
    assert len(catalogue.patterns) == 20
    again = Catalogue(catalogue.patterns, most=20)
    assert again.patterns == catalogue.patterns[:15]
    assert len(again.learn(["something else altogether"] * 3)) == 1


@settings(max_examples=80)
@given(st.lists(st.text(max_size=60), max_size=40))
def test_every_question_has_a_pattern_of_its_length_and_the_same_one_each_time(texts: list[str]):
    one, two = Catalogue(), Catalogue()
    assert one.learn(texts) == two.learn(iter(texts))
    for text in texts:
        assert one.of(text) == two.of(text)
        assert one.of(text).size == shape(text).size


@settings(max_examples=80)
@given(st.text(alphabet="ab1 +\"'", min_size=1), st.integers(1, 5))
def test_a_question_that_is_asked_three_times_has_a_pattern_of_its_own(text: str, more: int):
    catalogue = Catalogue()
    found = catalogue.learn([text] * (2 + more))
    if shape(text).parts:
        assert catalogue.of(text) in found
    else:
        assert found == []


@settings(max_examples=80)
@given(st.integers(1, 900))
def test_the_length_of_a_pattern_says_how_many_words_its_questions_have(count: int):
    first, _, last = anything_else(shape("a " * count).size).length.partition("–")
    assert int(first) <= count <= int(last or first)


def test_an_id_depends_on_words_and_length_alone():
    assert Pattern("a", 4, frozenset("ab")).id == Pattern("b", 4, frozenset("ba")).id
    assert Pattern("a", 4, frozenset("ab")).id != Pattern("a", 5, frozenset("ab")).id


@pytest.mark.parametrize("text", ["", " ", "„" * 100_000, '"' * 99_999, "1" * 100_000, "\0", "\ud800", "﷽" * 5000])
def test_whatever_is_asked_has_a_shape(text: str):
    assert shape(text).size >= -1
    assert Catalogue().of(text) == anything_else(shape(text).size)
