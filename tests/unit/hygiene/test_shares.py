from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pipeline.hygiene.shares import Contribution, over_share

ROW = st.builds(
    Contribution,
    person=st.one_of(st.none(), st.integers(0, 12).map(str)),
    tokens=st.integers(1, 200),
    weight=st.sampled_from([0.0, 0.5, 1.0]),
)


@given(st.lists(ROW, max_size=120), st.floats(0.01, 0.5))
def test_nobody_has_more_than_the_share_of_what_is_left(rows: list[Contribution], share: float):
    gone = over_share(rows, share)
    left = [row for index, row in enumerate(rows) if index not in gone]
    people = {row.person for row in rows} - {None}
    allowed = max(share, 2 / len(people)) if people else 1.0
    counted, tokens = Counter(row.person for row in left), Counter[str | None]()
    for row in left:
        tokens[row.person] += row.tokens
    for person in people:
        assert counted[person] <= max(1.0, allowed * len(left))
        assert counted[person] == 1 or tokens[person] <= allowed * sum(tokens.values())
        assert counted[person] >= 1


def test_one_account_among_a_thousand_cannot_plant_more_than_its_share():
    rows = [Contribution(str(number % 1000), 50, 0.8) for number in range(5000)]
    rows += [Contribution("attacker", 500, 1.0)] * 250
    gone = over_share(rows, 0.01)
    left = len(rows) - len(gone)
    theirs = sum(row.person == "attacker" for index, row in enumerate(rows) if index not in gone)
    assert 1 <= theirs <= 0.01 * left
    assert all(rows[index].person == "attacker" for index in gone)


def test_where_there_are_few_people_nobody_is_silenced():
    rows = [Contribution("anna", 10, 0.8)] * 30 + [Contribution("ben", 10, 0.8)] * 20
    assert over_share(rows, 0.01) == set()
    assert over_share([Contribution("me", 10, 0.8)] * 9, 0.01) == set()


def test_rows_of_nobody_in_particular_are_not_capped():
    assert over_share([Contribution(None, 10, 0.8)] * 50 + [Contribution("anna", 10, 0.8)], 0.01) == set()


def test_the_weightiest_rows_of_a_person_stay_and_of_equal_ones_the_latest():
    rows = [Contribution("anna", 10, weight) for weight in (0.8, 1.0, 0.5, 0.8)]
    assert over_share(rows, 1.0, most_rows=2) == {0, 2}
