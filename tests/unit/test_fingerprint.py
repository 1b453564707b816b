import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.backends.engines.fingerprint import PROBES, choose_probes, distance, prove
from pipeline.backends.engines.interface import Answered, Fingerprint

PROMPTS = [[{"role": "user", "content": f"probe {number}"}] for number in range(4)]


def answers(seed: int, noise: float = 0.0) -> list[Answered]:
    source, shaky = random.Random(seed), random.Random(99)
    return [
        Answered(
            [source.choice("abcdef") for _ in range(12)],
            [-source.random() + shaky.uniform(-noise, noise) for _ in range(12)],
        )
        for _ in PROMPTS
    ]


FINGERPRINT = Fingerprint(PROMPTS, {"base": answers(0), "old": answers(1), "new": answers(2)})


def ask_for(answered: list[Answered]):
    return lambda chat: answered[PROMPTS.index(chat)]


def test_the_right_version_is_proven():
    proof = prove("new", FINGERPRINT, ask_for(answers(2)))
    assert proof.holds
    assert proof.nearest == "new"
    assert proof.distances["new"] == 0
    assert min(proof.distances["old"], proof.distances["base"]) > 0.1


@pytest.mark.parametrize(("seed", "version"), [(0, "base"), (1, "old")])
def test_another_version_that_answers_is_named(seed: int, version: str):
    proof = prove("new", FINGERPRINT, ask_for(answers(seed)))
    assert not proof.holds
    assert proof.nearest == version


def test_a_version_that_nobody_knows_is_not_proven():
    assert not prove("new", FINGERPRINT, ask_for(answers(7))).holds


def test_versions_with_identical_references_can_never_be_proven():
    twins = Fingerprint(PROMPTS, {"base": answers(2), "new": answers(2)})
    assert not prove("new", twins, ask_for(answers(2))).holds
    assert not prove("base", twins, ask_for(answers(2))).holds


def test_versions_closer_than_the_noise_cannot_be_told_apart():
    near = Fingerprint(PROMPTS, {"base": answers(2, noise=0.01), "new": answers(2)})
    assert not prove("new", near, ask_for(answers(2))).holds


def test_the_noise_of_another_way_to_compute_is_tolerated():
    assert prove("new", FINGERPRINT, ask_for(answers(2, noise=0.005))).holds


def test_a_different_adapter_with_the_same_tokens_is_told_by_its_probabilities():
    shifted = [Answered(each.tokens, [value - 0.1 for value in each.logprobs]) for each in answers(2)]
    both = Fingerprint(PROMPTS, {"base": shifted, "new": answers(2)})
    assert prove("new", both, ask_for(answers(2))).holds
    assert not prove("new", both, ask_for(shifted)).holds


def test_a_cache_that_answers_with_the_old_version_in_the_second_round_is_noticed():
    asked = 0

    def ask(chat: list[dict[str, str]]) -> Answered:
        nonlocal asked
        asked += 1
        return ask_for(answers(2 if asked <= len(PROMPTS) else 1))(chat)

    proof = prove("new", FINGERPRINT, ask)
    assert (proof.holds, proof.nearest) == (False, "old")
    assert asked == 2 * len(PROMPTS)


def test_a_single_wrong_probe_of_four_is_enough_to_refuse():
    mixed = [*answers(2)[:3], answers(1)[3]]
    assert not prove("new", FINGERPRINT, ask_for(mixed)).holds


def test_answers_that_are_cut_short_or_empty_are_not_proven():
    short = [Answered(each.tokens[:6], each.logprobs[:6]) for each in answers(2)]
    assert not prove("new", FINGERPRINT, ask_for(short)).holds
    assert not prove("new", FINGERPRINT, ask_for([Answered([], [])] * 4)).holds


def test_probabilities_that_are_no_numbers_are_not_proven():
    broken = [Answered(each.tokens, [float("nan")] * 12) for each in answers(2)]
    assert not prove("new", FINGERPRINT, ask_for(broken)).holds


ANSWERED = st.lists(st.tuples(st.sampled_from("ab"), st.floats(-30, 0)), max_size=6).map(
    lambda pairs: Answered([token for token, _ in pairs], [value for _, value in pairs])
)


@settings(max_examples=100)
@given(ANSWERED, ANSWERED)
def test_the_distance_is_symmetric_between_zero_and_one_and_zero_for_itself(one: Answered, other: Answered):
    assert distance(one, other) == distance(other, one)
    assert 0 <= distance(one, other) <= 1
    assert distance(one, one) == 0


def test_the_chosen_probes_tell_the_versions_apart_and_one_is_long():
    same, first, second = (Answered([token], [-0.5]) for token in "abc")
    versions = {"base": [same] * 10, "new": [same] * 10}
    for position in (2, 5, 7):
        versions["base"][position], versions["new"][position] = first, second
    lengths = [10] * 10
    lengths[9] = 500
    chosen = choose_probes(versions, lengths)
    assert chosen == [2, 5, 7, 9]
    assert len(chosen) == PROBES


def test_a_fingerprint_survives_the_way_over_http():
    assert Fingerprint.from_json(FINGERPRINT.to_json()) == FINGERPRINT
