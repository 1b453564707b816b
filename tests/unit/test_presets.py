import pytest

from pipeline.backends.trainers.presets import PRESETS, recipe
from pipeline.lib.sections import Train


@pytest.mark.parametrize(("rows", "epochs"), [(10, 12), (400, 12), (800, 8), (6400, 3), (10**6, 3)])
def test_a_large_dataset_gets_fewer_epochs_but_never_less_than_three(rows, epochs):
    assert PRESETS["default"].epochs_for(rows) == epochs


def test_epochs_that_were_asked_for_are_trained():
    assert recipe(Train(epochs=9)).epochs_for(10**6) == 9


def test_the_classic_recipe_always_makes_its_three_epochs():
    assert PRESETS["council"].epochs_for(10**6) == 3
