from hypothesis import given
from hypothesis import strategies as st

from pipeline.lib.sampling import Sample

KEYS = st.lists(st.text(max_size=4), unique=True, max_size=40)


def drawn(keys: list[str], size: int, seed: int) -> list[str]:
    sample: Sample[str] = Sample(size, seed)
    for key in keys:
        sample.offer(key, key)
    return sample.items()


@given(KEYS, st.integers(0, 20), st.integers(0, 3), st.randoms())
def test_the_draw_depends_on_the_seed_alone_not_on_the_order(keys: list[str], size: int, seed: int, source):
    first = drawn(keys, size, seed)
    assert len(first) == min(size, len(keys))
    source.shuffle(keys)
    assert drawn(keys, size, seed) == first


def test_of_one_key_the_last_item_stays():
    sample: Sample[int] = Sample(2, 0)
    for item in range(5):
        sample.offer("same", item)
    assert sample.items() == [4]


def test_every_key_has_the_same_chance():
    keys = [str(number) for number in range(10)]
    counts = dict.fromkeys(keys, 0)
    for seed in range(2000):
        for key in drawn(keys, 3, seed):
            counts[key] += 1
    assert all(500 < count < 700 for count in counts.values())


def test_what_weighs_three_times_as_much_is_drawn_three_times_as_often_when_little_is_drawn():
    light = heavy = 0
    for seed in range(4000):
        sample: Sample[str] = Sample(1, seed)
        for number in range(20):
            sample.offer(f"light {number}", "light")
            sample.offer(f"heavy {number}", "heavy", 3.0)
        light += sample.items() == ["light"]
        heavy += sample.items() == ["heavy"]
    assert 2.6 < heavy / light < 3.4
