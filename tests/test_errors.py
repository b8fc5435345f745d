import pickle

from whytrain.errors import UserError, nearest


def test_nearest_offers_what_looks_alike():
    assert nearest("angel", ["angle", "norm"]) == "; did you mean 'angle'?"
    assert nearest("step", ["steps", "step_size"]).startswith("; did you mean 'steps'")


def test_nearest_says_nothing_rather_than_nonsense():
    assert nearest("xyz", ["angle", "norm"]) == ""
    assert nearest("", []) == ""


def test_a_user_error_comes_back_from_another_process():
    error = pickle.loads(pickle.dumps(UserError("k must be positive, got 0")))
    assert isinstance(error, UserError)
    assert str(error) == "k must be positive, got 0"
