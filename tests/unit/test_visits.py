from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pipeline.backends.trainers.presets import PRESETS
from pipeline.backends.trainers.visits import shown

DEFAULT = PRESETS["default"]
IDS = st.sets(st.text(max_size=3), max_size=60)


@given(IDS, IDS, st.integers(0, 9))
def test_new_rows_are_shown_many_times_and_some_of_the_others_once(known: set[str], new: set[str], seed: int):
    rows = [(each, each) for each in sorted(known | new)]
    visits, epochs = shown(rows, new, DEFAULT, seed)
    times = Counter(interaction for interaction, _ in visits)
    if new:
        assert epochs == 1
        assert all(times[each] == DEFAULT.passes_for(len(new)) for each in new)
        assert all(times[each] <= 1 for each in known - new)
        assert sum(times[each] for each in known - new) == round(DEFAULT.known_share * len(known - new))
    else:
        assert visits == rows


@given(IDS, st.integers(0, 9))
def test_the_same_seed_draws_the_same_rows(known: set[str], seed: int):
    rows = [(each, each) for each in sorted(known | {"new"})]
    assert shown(rows, {"new"}, DEFAULT, seed) == shown(rows, {"new"}, DEFAULT, seed)


def test_a_recipe_to_which_all_rows_are_alike_shows_all_of_them_as_often():
    rows = [("1", "old"), ("2", "new")]
    assert shown(rows, {"2"}, PRESETS["evening"], 0) == (rows, 1)


def test_a_training_from_the_base_shows_everything_alike():
    rows = [(str(number), number) for number in range(1600)]
    assert shown(rows, (), DEFAULT, 0) == (rows, 3)
