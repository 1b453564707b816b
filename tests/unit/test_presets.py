import pytest

from pipeline.backends.trainers.presets import PRESETS, recipe
from pipeline.lib.sections import Train


@pytest.mark.parametrize(("rows", "epochs"), [(10, 12), (400, 12), (800, 6), (6400, 3), (10**6, 3)])
def test_a_large_dataset_gets_fewer_epochs_but_never_less_than_three(rows, epochs):
    assert PRESETS["default"].epochs_for(rows) == epochs


def test_epochs_that_were_asked_for_are_trained():
    asked = recipe(Train(epochs=9))
    assert asked.epochs_for(10**6) == 9
    assert asked.new_passes is None


@pytest.mark.parametrize(("new", "passes"), [(1, 12), (600, 12), (750, 10), (10**6, 3)])
def test_many_new_rows_are_shown_less_often_but_never_less_than_three_times(new, passes):
    assert PRESETS["default"].passes_for(new) == passes


def test_the_classic_recipe_always_makes_its_three_epochs():
    assert PRESETS["council"].epochs_for(10**6) == 3


@pytest.mark.parametrize("method", ["dpo", "kto"])
@pytest.mark.parametrize("preset", PRESETS)
def test_a_method_with_a_reference_takes_smaller_steps_and_says_what_leaving_it_costs(preset, method):
    chosen = recipe(Train(preset=preset, method=method))
    assert chosen.learning_rate < PRESETS[preset].learning_rate
    assert (chosen.method, chosen.beta) == (method, 0.1)
    assert recipe(Train(preset=preset, method=method, beta=0.5, learning_rate=1e-6)).beta == 0.5


def test_supervised_training_has_no_reference_to_leave():
    assert recipe(Train()) == PRESETS["default"]
    assert recipe(Train(beta=0.5)).beta is None


def test_kto_has_another_answer_in_each_batch_and_as_many_rows_in_a_step():
    chosen = recipe(Train(preset="evening", method="kto"))
    assert (chosen.batch_size, chosen.gradient_accumulation) == (2, 2)
