from collections import Counter

from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.backends.trainers.presets import PRESETS
from pipeline.backends.trainers.visits import shown

DEFAULT = PRESETS["default"]
IDS = st.sets(st.text(max_size=3), max_size=40)


@given(IDS, IDS, IDS)
def test_new_rewrites_are_shown_most_often_earlier_ones_less_and_replay_once(
    new: set[str], known: set[str], good: set[str]
):
    known -= new
    assume(new | known | good)
    rows = [(each, each) for each in sorted(new | known | good)]
    visits, epochs = shown(rows, new, known, DEFAULT)
    if not new:
        assert visits == rows
        return
    assert epochs == 1
    times = Counter(interaction for interaction, _ in visits)
    assert set(times) == new | known | good
    assert {times[each] for each in new} == {DEFAULT.passes_for(len(new))}
    assert {times[each] for each in known} <= {DEFAULT.known_passes}
    assert {times[each] for each in good - new - known} <= {1}


def test_a_recipe_to_which_all_rows_are_alike_shows_all_of_them_as_often():
    rows = [("1", "old"), ("2", "new")]
    assert shown(rows, {"2"}, {"1"}, PRESETS["evening"]) == (rows, 1)


def test_a_training_from_the_base_shows_everything_alike():
    rows = [(str(number), number) for number in range(1600)]
    assert shown(rows, (), (), DEFAULT) == (rows, 3)
