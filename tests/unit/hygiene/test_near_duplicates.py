from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.hygiene.near_duplicates import THRESHOLD, near_duplicates
from pipeline.hygiene.shingles import jaccard, shingled

WORDS = st.lists(
    st.sampled_from(["river", "stone", "cloud", "paper", "night", "letter", "garden", "window", "music", "bread"]),
    max_size=14,
)
TEXT = "the quick brown fox jumps over the lazy dog while the cat sleeps under an old apple tree near the barn"


def exact(texts: list[str]) -> dict[int, int]:
    """Greedy, over all pairs."""
    data = shingled(texts)
    kept: list[int] = []
    gone: dict[int, int] = {}
    for index in range(len(texts)):
        for earlier in kept:
            same = data.signatures[index] == data.signatures[earlier]
            if same and jaccard(data.triples(index), data.triples(earlier)) >= THRESHOLD:
                gone[index] = earlier
                break
        else:
            kept.append(index)
    return gone


@settings(max_examples=80)
@given(st.lists(WORDS.map(" ".join), max_size=25))
def test_minhash_only_proposes_and_the_exact_similarity_decides(texts: list[str]):
    assert near_duplicates(texts) == exact(texts)


def test_case_spacing_and_one_word_of_twenty_do_not_make_a_new_question():
    varied = [TEXT, f"  {TEXT.upper()} ", TEXT.replace(" ", "\n"), TEXT.replace("barn", "shed")]
    assert near_duplicates(varied) == {1: 0, 2: 0, 3: 0}


def test_the_first_of_several_stays_and_what_is_near_only_to_a_dropped_one_stays_too():
    words = TEXT.split()
    near = " ".join([*words[:-1], "x"])
    far = " ".join(["y", "z", *words[2:-1], "x"])
    assert near_duplicates([TEXT, near, far]) == {1: 0}
    assert near_duplicates([near, TEXT, far]) == {1: 0, 2: 0}


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_number_makes_another_question(one: int, other: int):
    texts = [f"{TEXT} {number} {TEXT}" for number in (one, other)]
    assert near_duplicates(texts) == ({1: 0} if one == other else {})


def test_a_sign_or_a_bracket_makes_another_question():
    sums = [f"{TEXT} what is 7 {sign} 2 {TEXT}" for sign in "+-*/"]
    assert near_duplicates(sums) == {}
    brackets = [f"{TEXT} {each} {TEXT}" for each in ("(7 + 2) * 3", "7 + (2 * 3)", "7 + 2 * 3")]
    assert near_duplicates(brackets) == {}


def test_texts_of_one_word_or_none_are_the_same_only_when_they_are_equal():
    assert near_duplicates(["yes", "no", "Yes", "", " ", "yes please"]) == {2: 0, 4: 3}


def test_the_hashes_are_the_same_in_every_process():
    data = shingled(["a b c", "7 + 2"])
    assert data.hashes.tolist()[0] == 15371593013635565369
    assert data.starts.tolist() == [0, 1, 2]
