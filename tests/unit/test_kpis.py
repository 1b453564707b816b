import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.metrics.kpis import KPIS, latest, overall_performance
from pipeline.metrics.rows import KpiSnapshot
from pipeline.metrics.store import MetricsStore, reading

AGENT = "starter"


def values_of(name: str) -> st.SearchStrategy[float]:
    least, most = {"share": (0.0, 1.0), "amount": (0.0, 1e9), "change": (-1e3, 1e3)}[KPIS[name].scale]
    return st.floats(least, most)


SNAPSHOTS = st.fixed_dictionaries({}, optional={name: values_of(name) for name in KPIS})
NAMES = st.sampled_from(sorted(KPIS))


def test_every_kpi_of_the_store_is_described_and_weighs_something():
    assert tuple(KPIS) == KpiSnapshot.names()
    assert all(kpi.weight > 0 and kpi.description and kpi.unit for kpi in KPIS.values())


@given(SNAPSHOTS)
def test_the_overall_figure_lies_between_the_worst_and_the_best_that_was_measured(known: dict[str, float]):
    overall = overall_performance(known)
    scores = [KPIS[name].score(value) for name, value in known.items()]
    if overall is None:
        assert not scores
    else:
        assert min(scores) - 1e-12 <= overall <= max(scores) + 1e-12
        assert 0 <= overall <= 1


@given(SNAPSHOTS, NAMES, st.data())
def test_a_better_kpi_never_lowers_the_overall_figure(known: dict[str, float], name: str, data: st.DataObject):
    one, two = sorted([data.draw(values_of(name)), data.draw(values_of(name))])
    worse, better = (one, two) if KPIS[name].higher_is_better else (two, one)
    low, high = overall_performance({**known, name: worse}), overall_performance({**known, name: better})
    assert low is not None
    assert high is not None
    assert high >= low - 1e-12


@given(NAMES)
def test_a_kpi_that_is_clearly_better_raises_the_overall_figure(name: str):
    kpi = KPIS[name]
    better = kpi.target * 1.05 if kpi.higher_is_better else kpi.target * 0.9
    assert overall_performance({name: better}) > overall_performance({name: kpi.target})


@given(SNAPSHOTS, NAMES)
def test_what_was_not_measured_has_no_part_in_it(known: dict[str, float], name: str):
    unmeasured = {key: value for key, value in known.items() if key != name}
    assert overall_performance({**unmeasured, name: None}) == overall_performance(unmeasured)
    assert overall_performance({**unmeasured, name: math.nan}) == overall_performance(unmeasured)


@given(NAMES, st.data())
def test_one_kpi_alone_is_its_own_score(name: str, data: st.DataObject):
    value = data.draw(values_of(name))
    assert overall_performance({name: value}) == pytest.approx(KPIS[name].score(value))


@pytest.mark.parametrize("name", [name for name, kpi in KPIS.items() if kpi.scale != "share"])
def test_an_amount_or_a_change_at_its_target_scores_four_fifths(name: str):
    assert KPIS[name].score(KPIS[name].target) == pytest.approx(0.8)
    assert KPIS[name].reached(KPIS[name].target)


def test_nothing_measured_is_no_figure():
    assert overall_performance(KpiSnapshot(AGENT, 0.0)) is None
    assert overall_performance({}) is None


def test_a_row_and_its_dictionary_have_the_same_figure():
    row = KpiSnapshot(AGENT, 1.0, held_out_success=0.9, error_rate=0.1, improvement=-0.02)
    assert overall_performance(row) == overall_performance(asdict(row))


def test_the_latest_snapshot_of_a_model_is_the_one_that_is_told(tmp_path: Path):
    path = tmp_path / "metrics.sqlite"
    first = KpiSnapshot(AGENT, 100.0, "20261120T020000Z", held_out_success=0.5)
    with MetricsStore(path) as store:
        for row in (replace(first, at=200.0, safety=1.0), first, KpiSnapshot("another", 300.0, safety=0.1)):
            store.add(row)
    with reading(path) as db:
        found = latest(db, AGENT)
        assert latest(db, "nobody") == {}
    assert (found["at"], found["held_out_success"], found["safety"], found["quality"]) == (200.0, 0.5, 1.0, None)
    assert found["overall_performance"] == pytest.approx((3 * 0.5 + 2 * 1.0) / 5)


def test_the_documentation_has_every_kpi_with_its_target_and_weight():
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    for name, kpi in KPIS.items():
        (line,) = [line for line in text.splitlines() if line.startswith(f"| `{name}` |")]
        limit = "≥" if kpi.higher_is_better else "≤"
        assert line.startswith(f"| `{name}` | {kpi.unit} |")
        assert line.endswith(f"| {limit} {kpi.target:g} | {kpi.weight:g} |")
