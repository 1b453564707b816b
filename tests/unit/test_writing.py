import pytest

from pipeline.backends.teachers.writing import foreign

RUSSIAN = "Это предложение написано по-русски и довольно длинное."
CHINESE = "这是一个用中文写成的句子，它的长度足够长，可以说明问题所在。"


@pytest.mark.parametrize("answer", [RUSSIAN, CHINESE])
def test_an_answer_in_a_script_that_nobody_used_is_foreign(answer: str):
    assert foreign(answer, "How long is the Danube?")
    assert not foreign(answer, f"Was heißt das: {answer[:5]}")
    assert not foreign(answer, "Translate it into Russian and Chinese.")


@pytest.mark.parametrize(
    "answer", ["", "42", "да", "Σ = 42", "The Danube is 2850 km long (Дунай).", f"def f(): return 1  # {CHINESE[:8]}"]
)
def test_signs_few_letters_and_mixtures_are_not(answer: str):
    assert not foreign(answer, "How long is the Danube?")


def test_nothing_can_be_said_where_nobody_used_a_letter():
    assert not foreign(RUSSIAN, "17 + 25 = ?")
